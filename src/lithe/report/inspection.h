// What was seen inside models, and its page.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lithe {

// Who reads whom, head by head: inspect/attention_maps.h.
struct AttentionMap {
    std::string name;  // the place of the block's application
    int64_t heads = 0, queries = 0, keys = 0;
    std::vector<float> weights;  // [heads][queries][keys]
    float at(int64_t head, int64_t query, int64_t key) const {
        return weights[size_t((head * queries + query) * keys + key)];
    }
};

// What a recurrence keeps from a token to the next: inspect/kept_state.h.
struct KeptState {
    std::string name;  // the application's place and the tensor's name: "decoder.layers.3.srupp.c"
    int64_t steps = 0, numbers = 0;
    std::vector<float> kept;  // [steps][numbers]; the first step is from token 0 to token 1
    // Of each number, the mean over steps.
    std::vector<double> means() const;
};

// inspect/gradient_norms.h
struct BlockGradient {
    std::string path;     // of the block's parameters; what stands in none: the first word of its name
    double gradient = 0;  // root mean square of the gradient's numbers
    double weight = 0;    // of the weights'
};

// inspect/context.h
struct EffectiveContext {
    int64_t tokens = 0;
    bool reached = true;  // false: at least so many
};
struct ContextOfRun {
    std::string run;
    std::vector<int64_t> contexts;
    std::vector<double> losses;               // mean, in nats, by context
    std::vector<double> changes;              // by distance; empty: not measured
    std::vector<EffectiveContext> effective;  // for each of kHardest
};
inline constexpr double kHardest[] = {1, 0.5, 0.1};

struct Inspection {
    std::string model;
    std::vector<std::string> tokens;  // of the text that maps and states are of
    std::vector<AttentionMap> maps;
    std::vector<KeptState> kept;
    std::vector<BlockGradient> gradients;
    std::vector<ContextOfRun> contexts;  // the model's first
};

// Tokens after which half of a number is left of which so much is kept at each; infinite for 1 and more, 0 for none.
double half_life(double kept);

std::string inspection_page(const Inspection& seen);

}  // namespace lithe
