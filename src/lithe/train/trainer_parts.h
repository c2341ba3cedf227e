// What a Trainer holds; of its source files only.
#pragma once

#include <limits>

#include "lithe/base/energy.h"
#include "lithe/base/timer.h"
#include "lithe/data/prefetch.h"
#include "lithe/data/text_watch.h"
#include "lithe/model/cost.h"
#include "lithe/train/checkpoint_part.h"
#include "lithe/train/progress_record.h"
#include "lithe/train/trainer.h"

namespace lithe {

struct Trainer::Parts {
    Corpus corpus;
    std::optional<TextWatch> text;  // until its change was told
    std::unique_ptr<RunFolder> folder;
    std::unique_ptr<LanguageModel> model;
    std::unique_ptr<Optimizer> optimizer;
    std::vector<std::unique_ptr<TokenView>> slices;  // of the training text, for a search
    std::unique_ptr<Prefetcher> feeder;
    std::unique_ptr<SearchSteps> search;
    std::optional<Masking> masking;
    Segment segment;
    std::unique_ptr<TrainStep> step;
    CheckpointParts saved_parts;
    std::vector<std::string>
        changes;  // since the last start, after which the numbers are other ones in their last bits
    Machine machine;
    ModelCost cost;
    MemoryEstimate memory;
    Timer since_save, since_start;
    EnergyMeter energy;
    int64_t saved_step = -1;
    bool changed = true;  // state that no checkpoint holds yet
    bool save_failed = false;
    bool in_step = false;
    std::optional<ProgressRecord> progress;  // of a schedule that time moves
    std::optional<EvaluationResult> valid;
    std::optional<ScoredText> valid_text;  // made when it is first scored
    // Of the last update, for the line that ends the metrics.
    struct Update {
        int64_t step = 0;
        double loss = 0, norm = 0, rate = 0, speed = 0;
    } last;
    int64_t recorded_step = -1;
    double train_bytes_per_token = 1;
    double shown = 0, recent_loss = 0, session_seconds = 0;
    int64_t recent_steps = 0;  // that recent_loss has averaged
    double session_wait = 0;   // seconds that steps waited for data
    int64_t session_tokens = 0;
    int64_t batch = 1;
    int64_t readable_tokens = std::numeric_limits<int64_t>::max();  // before the text is learned by heart

    // [length][batch] of a segment's numbers; undefined for none. The segment must outlive it on a CPU.
    template <class T> Tensor tensor(std::vector<T>& numbers) const {
        if (numbers.empty()) return {};
        const at::ScalarType type = sizeof(T) == 1 ? at::kByte : at::kLong;
        return at::from_blob(numbers.data(), {int64_t(numbers.size()) / batch, batch}, at::TensorOptions(type))
            .to(model->device());
    }
};

// The configuration of a checkpoint.
Config saved_config(const CheckpointPlace& place);
// What the machine that saved it had made of the settings: threads, device and so on; empty where it is not known.
nlohmann::json saved_machine(const CheckpointPlace& place);

// While it lives, the model has the average of the weights, where there is one.
class AveragedWeights {
 public:
    explicit AveragedWeights(Trainer::Parts& parts) : parts_(parts) { exchange(); }
    ~AveragedWeights() { exchange(); }
    AveragedWeights(const AveragedWeights&) = delete;
    AveragedWeights& operator=(const AveragedWeights&) = delete;

 private:
    void exchange() {
        if (parts_.optimizer->average().defined()) parts_.model->parameters().exchange(parts_.optimizer->average());
    }
    Trainer::Parts& parts_;
};

}  // namespace lithe
