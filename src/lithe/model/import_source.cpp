#include "lithe/model/import_source.h"

#include "lithe/base/text.h"

namespace lithe {

ImportSource::ImportSource(const std::vector<NamedTensor>& tensors, const std::string& prefix) {
    for (const NamedTensor& each : tensors) {
        const bool prefixed = each.name.rfind(prefix, 0) == 0;
        had_prefix_ = had_prefix_ || prefixed;
        tensors_[prefixed ? each.name.substr(prefix.size()) : each.name] = each.tensor.to(at::kFloat);
    }
}

Tensor ImportSource::take(const std::string& name) {
    auto found = tensors_.find(name);
    if (found == tensors_.end()) {
        problems_.add("'" + name + "' is missing");
        return {};
    }
    used_.insert(name);
    return found->second;
}

std::vector<NamedTensor> ImportSource::place(const ParameterStore& parameters,
                                             const std::function<Tensor(const std::string& name)>& value_of) {
    std::vector<NamedTensor> result;
    for (size_t i = 0; i < parameters.size(); ++i) {
        const ParameterSpec& spec = parameters.spec(i);
        const Tensor value = value_of(spec.name);
        if (!value.defined()) continue;
        if (value.numel() != spec.count())
            problems_.add("'" + spec.name + "' needs " + std::to_string(spec.count()) + " numbers and gets " +
                          std::to_string(value.numel()));
        else result.push_back({spec.name, value.reshape(spec.shape).contiguous()});
    }
    return result;
}

std::vector<std::string> ImportSource::unused() const {
    std::vector<std::string> names;
    for (const auto& [name, tensor] : tensors_)
        if (!used_.count(name)) names.push_back(name);
    return names;
}

void ImportSource::check_twin(const std::string& name, const std::string& twin) {
    auto found = tensors_.find(twin);
    const Tensor& tensor = tensors_.at(name);
    if (found == tensors_.end()) problems_.add("'" + printable(name) + "' has no place in the model");
    else if (found->second.sizes() != tensor.sizes() || !at::equal(found->second, tensor))
        problems_.add("'" + name + "' differs from '" + twin + "', to which the configuration ties it");
}

std::map<std::string, int> count_blocks(const LanguageModel& model, const std::string& program) {
    std::map<std::string, int> numbers, count;
    for (const AppliedBlock& applied : model.stack().blocks) {
        const std::string kind = applied.parts->kind->name;
        if (kind != "attention" && kind != "feed_forward")
            fail_usage(program + " has attention and feed-forward blocks only", "model.layout", "layout = \"(sf)xN\"");
        numbers[applied.path] = count[kind]++;
    }
    return numbers;
}

}  // namespace lithe
