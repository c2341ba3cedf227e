#include "lithe/model/partial_weights.h"

#include <algorithm>
#include <map>
#include <set>

#include "lithe/base/text.h"
#include "lithe/model/parameter_files.h"

namespace lithe {
namespace {

// By their first two path components, with how many there are of each: a list that a person reads.
std::string summary(const std::vector<std::string>& names) {
    std::vector<std::string> groups;
    std::map<std::string, int> counts;
    for (const std::string& name : names) {
        const size_t first = name.find('.');
        const std::string group = first == std::string::npos ? name : name.substr(0, name.find('.', first + 1));
        if (counts[group]++ == 0) groups.push_back(group);
    }
    constexpr size_t kMost = 8;
    std::string text;
    for (size_t i = 0; i < std::min(kMost, groups.size()); ++i) {
        const int count = counts[groups[i]];
        text += (i ? ", " : "") + printable(groups[i]) + (count > 1 ? " (" + std::to_string(count) + ")" : "");
    }
    if (groups.size() > kMost) text += " and " + std::to_string(groups.size() - kMost) + " more";
    return text;
}

}  // namespace

std::vector<WeightPart> parse_weight_parts(const std::vector<std::string>& texts) {
    std::vector<WeightPart> parts;
    for (const std::string& text : texts) {
        const size_t equals = text.find('=');
        WeightPart part{text.substr(0, equals), equals == std::string::npos ? text : text.substr(equals + 1)};
        if (part.into.empty() || part.from.empty() || part.from.find('=') != std::string::npos)
            fail_usage("'" + printable(text) + "' names no part of a model", "train.init_parts",
                       "a path, as \"embeddings\", or two: \"encoder=decoder\" takes the encoder's from the decoder's");
        parts.push_back(std::move(part));
    }
    return parts;
}

PartialWeights plan_partial_weights(const ParameterStore& store, const TensorFiles& files,
                                    const std::vector<WeightPart>& parts) {
    const SavedTensors tensors(files);
    std::map<std::string, SavedParameter> saved;
    for (SavedParameter& each : saved_parameters(tensors)) saved.emplace(each.name, each);
    PartialWeights plan;
    Problems problems;
    std::vector<bool> taken(store.size(), false);
    std::set<std::string> used;
    for (const WeightPart& part : parts) {
        bool any = false;
        for (size_t i = 0; i < store.size(); ++i) {
            const ParameterSpec& spec = store.spec(i);
            if (!stands_under(spec.name, part.into)) continue;
            any = true;
            if (taken[i]) continue;
            taken[i] = true;
            const std::string name = part.from + spec.name.substr(part.into.size());
            used.insert(name);
            const auto found = saved.find(name);
            if (found == saved.end())
                problems.add("parameter '" + spec.name + "' needs '" + name + "', which is missing");
            else if (found->second.coded && spec.role != Role::table)
                problems.add("parameter '" + spec.name + "' is no table, and '" + name + "' of the file is one");
            else if (found->second.shape != spec.shape)
                problems.add("parameter '" + spec.name + "' has shape " + ops::shape_of(spec.shape) + ", '" + name +
                             "' of the file " + ops::shape_of(found->second.shape));
            else plan.taken.push_back({i, name});
        }
        if (!any)
            fail_usage("the model has no parameters under '" + printable(part.into) + "'", "train.init_parts",
                       "it has: " + summary(parameter_names(store)));
    }
    std::vector<std::string> names;
    for (const auto& [name, parameter] : saved) names.push_back(name);
    check_fit(problems, tensors.path(), "the file has: " + summary(names));
    for (size_t i = 0; i < store.size(); ++i)
        if (!taken[i]) plan.initial.push_back(store.spec(i).name);
    for (const std::string& name : names)
        if (!used.count(name)) plan.unused.push_back(name);
    return plan;
}

void load_partial_weights(ParameterStore& store, const TensorFiles& files, const PartialWeights& plan) {
    SavedTensors tensors(files);
    for (const PartialWeights::Taken& each : plan.taken) take_parameter(store, each.parameter, tensors, each.tensor);
    store.refresh_working();
}

std::set<std::string> parts_of(const ParameterStore& store) {
    std::set<std::string> parts;
    for (const std::string& name : parameter_names(store)) parts.insert(name.substr(0, name.find('.')));
    return parts;
}

std::vector<WeightPart> parts_but_lora(const ParameterStore& store) {
    std::vector<WeightPart> parts;
    for (const std::string& path : parts_of(store))
        if (path != "lora") parts.push_back({path, path});
    return parts;
}

std::string partial_weights_text(const ParameterStore& store, const PartialWeights& plan) {
    std::vector<std::string> taken;
    for (const PartialWeights::Taken& each : plan.taken) taken.push_back(store.spec(each.parameter).name);
    std::string text = "taken: " + summary(taken);
    if (!plan.initial.empty()) text += "; from the seed: " + summary(plan.initial);
    if (!plan.unused.empty()) text += "; unused in the file: " + summary(plan.unused);
    return text;
}

}  // namespace lithe
