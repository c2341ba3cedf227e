#include "lithe/search/costs.h"

#include <map>
#include <nlohmann/json.hpp>

#include "lithe/base/file.h"
#include "lithe/base/json.h"
#include "lithe/base/median.h"
#include "lithe/base/timer.h"
#include "lithe/base/wording.h"
#include "lithe/model/cost.h"
#include "lithe/spec/slots.h"

namespace lithe {
namespace {

using Json = nlohmann::ordered_json;

// The median of what `run` takes with a full memory, in milliseconds; `bytes`: of the state that it leaves.
double milliseconds(const CostShape& shape, double& bytes, const std::function<State(const State&)>& run) {
    constexpr int kRepeats = 15;
    State state;
    std::vector<double> times;
    const int64_t warm_up = shape.memory / shape.length + 3;
    for (int64_t i = 0; i < warm_up + kRepeats; ++i) {
        Timer timer;
        state = run(state);
        if (i >= warm_up) times.push_back(1e3 * timer.seconds());
    }
    bytes = double(state.bytes());
    return median(times);
}

struct Costs {
    double latency = 0, flops = 0, parameters = 0, memory = 0;
    double of(CostUnit unit) const {
        switch (unit) {
            case CostUnit::none: break;
            case CostUnit::latency: return latency;
            case CostUnit::flops: return flops;
            case CostUnit::parameters: return parameters;
            case CostUnit::memory: return memory;
        }
        return 0;
    }
};

// A model of this layout; the cost of its stack alone, or of all of it.
Costs costs_of(const Config& config, const std::string& layout, int64_t vocabulary, const Machine& machine,
               bool stack_only) {
    const CostUnit cost = config.search.cost;
    LanguageModel model(with_layout(config, layout), vocabulary);
    const CostShape shape = evaluation_shape(config);
    const ModelCost counted = count_cost(model, shape);
    Costs costs;
    costs.flops = counted.flops_per_token;
    costs.parameters = double(counted.parameters);
    if (stack_only) {
        costs.flops = costs.parameters = 0;
        for (const LayerCost& layer : counted.layers) {
            costs.flops += layer.flops_per_token;
            costs.parameters += double(layer.parameters);
        }
    }
    if (cost != CostUnit::latency && cost != CostUnit::memory) return costs;
    at::NoGradGuard no_grad;
    model.materialize(at::kFloat, machine.working, machine.device, 1);
    Pass pass = model.pass(false);
    pass.memory = shape.memory;
    pass.keep_projections = shape.causal;
    double bytes = 0;
    const Tensor x_TBD = at::randn({shape.length, 1, config.model.width}).to(machine.device, machine.working),
                 ids_TB = at::zeros({shape.length, 1}, at::kLong).to(machine.device);
    costs.latency = milliseconds(shape, bytes, [&](const State& state) {
        if (stack_only) return model.stack().root->forward(x_TBD, state, pass).state;
        return model.forward(ids_TB, state, pass).state;
    });
    costs.memory = costs.parameters * (machine.working == at::kBFloat16 ? 2 : 4) + bytes;
    return costs;
}

std::vector<std::vector<std::string>> candidates_of(const Config& config) {
    std::vector<std::vector<std::string>> names;
    for (const SlotPlace& place : slot_places(decoder_layout(config))) names.push_back(place.candidates);
    return names;
}

std::string as_layout(const std::string& name) { return name.size() == 1 ? name : "<" + name + ">"; }

}  // namespace

CostTable measure_costs(const Config& config, int64_t vocabulary, const Machine& machine) {
    CostTable table;
    const CostUnit cost = config.search.cost;
    if (cost == CostUnit::none) return table;
    table.base =
        costs_of(config, to_string(without_slots(decoder_layout(config))), vocabulary, machine, false).of(cost);
    std::map<std::string, double> known{{"-", 0.0}};
    for (const auto& names : candidates_of(config)) {
        table.slots.emplace_back();
        for (const std::string& name : names) {
            if (!known.count(name)) known[name] = costs_of(config, as_layout(name), vocabulary, machine, true).of(cost);
            table.slots.back().push_back(known[name]);
        }
    }
    return table;
}

// Blocks that are applied, in order, repetitions written out.
static void applied_names(const LayoutNode& node, std::vector<std::string>& names) {
    for (const LayoutNode& child : node.children)
        for (int64_t i = 0; i < child.repeat; ++i) {
            if (child.type == LayoutNode::Type::block) names.push_back(child.name);
            else applied_names(child, names);
        }
}

double cost_of_layout(const Config& config, const CostTable& costs, const std::string& layout, int64_t vocabulary,
                      const Machine& machine) {
    const CostUnit cost = config.search.cost;
    if (cost == CostUnit::none) return 0;
    if (cost != CostUnit::latency) return costs_of(config, layout, vocabulary, machine, false).of(cost);
    // a sum of the same measurements as that of the layouts it is compared with
    std::map<std::string, double> known{{"-", 0.0}};
    const auto candidates = candidates_of(config);
    for (size_t place = 0; place < candidates.size(); ++place)
        for (size_t i = 0; i < candidates[place].size(); ++i) known[candidates[place][i]] = costs.slots[place][i];
    // what stands around the places belongs to the base, and not to the layout that is asked for
    double total = costs.base;
    std::vector<std::string> fixed, names;
    applied_names(without_slots(decoder_layout(config)), fixed);
    applied_names(parse_layout(layout), names);
    auto of = [&](const std::string& name) {
        if (!known.count(name)) known[name] = costs_of(config, as_layout(name), vocabulary, machine, true).of(cost);
        return known[name];
    };
    for (const std::string& name : fixed) total -= of(name);
    for (const std::string& name : names) total += of(name);
    return total;
}

void write_costs(const std::string& path, const Config& config, const CostTable& costs) {
    const Json json = {{"schema", "lithe.costs/1"},
                       {"cost", name_of(config.search.cost)},
                       {"candidates", candidates_of(config)},
                       {"base", costs.base},
                       {"slots", costs.slots}};
    replace_file(path, json.dump(1) + "\n");
}

CostTable read_costs(const std::string& path, const Config& config) {
    try {
        std::string fault;
        const auto parsed = try_parse_json<nlohmann::json>(read_file(path, 64 << 20), &fault);
        if (!parsed) fail_file("damaged cost table: " + fault, path, "remove it: it is measured anew");
        const nlohmann::json& json = *parsed;
        CostTable costs{json.at("base"), json.at("slots").get<std::vector<std::vector<double>>>()};
        if (json.at("cost") == name_of(config.search.cost) &&
            json.at("candidates").get<std::vector<std::vector<std::string>>>() == candidates_of(config) &&
            (config.search.cost == CostUnit::none || costs.slots.size() == candidates_of(config).size()))
            return costs;
    } catch (const nlohmann::json::exception& error) {
        fail_file(std::string("damaged cost table: ") + error.what(), path, "remove it: it is measured anew");
    }
    fail_file("the cost table is of another search", path, "choose another folder with " + option("run"));
}

}  // namespace lithe
