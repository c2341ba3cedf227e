#include "lithe/spec/field_reader.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "lithe/base/text.h"
#include "lithe/base/wording.h"
#include "lithe/spec/config_stacks.h"
#include "lithe/spec/migrations.h"
#include "lithe/spec/toml_text.h"

namespace lithe {

static const char* type_name(const toml::node& node) {
    if (node.is_table()) return "a table";
    if (node.is_array()) return "a list";
    if (node.is_string()) return "text";
    if (node.is_boolean()) return "true or false";
    if (node.is_integer()) return "a whole number";
    if (node.is_floating_point()) return "a number";
    return "a date or time";
}

void FieldReader::field(const FieldInfo& info, bool& value) {
    if (const toml::node* node = find(info)) {
        if (auto given = node->value_exact<bool>()) value = *given;
        else wrong_type(info, *node, "true or false");
    }
}

void FieldReader::field(const FieldInfo& info, int64_t& value) {
    const toml::node* node = find(info);
    if (!node) return;
    std::optional<int64_t> given = node->value_exact<int64_t>();
    if (auto text = node->value_exact<std::string>(); text && info.unit == Amount::count) given = parse_count(*text);
    if (!given)
        return wrong_type(info, *node,
                          info.unit == Amount::count ? "a whole number such as 1000 or \"50M\"" : "a whole number");
    if (in_bounds(info, *node, double(*given))) value = *given;
}

void FieldReader::field(const FieldInfo& info, double& value) {
    const toml::node* node = find(info);
    if (!node) return;
    std::optional<double> given;
    if (node->is_number()) given = node->value<double>();
    if (auto text = node->value_exact<std::string>(); text && info.unit == Amount::seconds)
        given = parse_seconds(*text);
    if (!given || !std::isfinite(*given))
        return wrong_type(info, *node,
                          info.unit == Amount::seconds ? "a number of seconds or a time such as \"10m\"" : "a number");
    if (in_bounds(info, *node, *given)) value = *given;
}

void FieldReader::field(const FieldInfo& info, std::string& value) {
    const toml::node* node = find(info);
    if (!node) return;
    auto given = node->value_exact<std::string>();
    // a flag's value has no quotes that a shell would leave: model.ngrams.lengths=2 is text, too
    const auto number = node->value_exact<int64_t>();
    if (number && from_flags_.count(prefix_ + info.name)) given = std::to_string(*number);
    if (!given) return wrong_type(info, *node, "text in quotes");
    value = *given;
}

void FieldReader::choice(const FieldInfo& info, const std::vector<std::string>& names, size_t& index) {
    const toml::node* node = find(info);
    if (!node) return;
    auto given = node->value_exact<std::string>();
    if (!given) return wrong_type(info, *node, "text in quotes");
    const auto found = std::find(names.begin(), names.end(), *given);
    if (found != names.end()) index = size_t(found - names.begin());
    else
        problems_.add(prefix_ + info.name + ": expected one of " + join(names, ", ") + ", got \"" + printable(*given) +
                          "\"" + did_you_mean(*given, names),
                      where(info.name, *node));
}

void FieldReader::field(const FieldInfo& info, std::vector<std::string>& value) {
    const toml::node* node = find(info);
    if (!node) return;
    const toml::array* list = node->as_array();
    std::vector<std::string> given;
    if (const auto alone = node->value_exact<std::string>()) return void(value = {*alone});
    if (list)
        for (const toml::node& each : *list)
            if (auto text = each.value_exact<std::string>()) given.push_back(*text);
    if (!list || given.size() != list->size()) return wrong_type(info, *node, "a list of texts");
    value = given;
}

void FieldReader::rest(std::vector<RawValue>& values) {
    std::vector<std::string> given;
    for (const auto& [key, node] : *table_) {
        const std::string name(key.str());
        if (std::find(known_.begin(), known_.end(), name) != known_.end()) continue;
        values.push_back({name, node_text(node), where(name, node)});
        if (origins_) (*origins_)[prefix_ + name] = where(name, node);
        given.push_back(name);
    }
    known_.insert(known_.end(), given.begin(), given.end());
}

void FieldReader::section(const FieldInfo& info, const std::function<void(FieldVisitor&)>& inside) {
    const toml::node* node = find(info);
    if (!node) return;
    const toml::table* table = node->as_table();
    if (!table) return wrong_type(info, *node, "a table: [" + prefix_ + info.name + "]");
    FieldReader nested(*table, file_, prefix_ + info.name + ".", problems_, origins_, from_flags_);
    inside(nested);
    nested.report_unknown({});
}

void FieldReader::report_unknown(const std::vector<std::string>& also_known) {
    std::vector<std::string> names = known_;
    names.insert(names.end(), also_known.begin(), also_known.end());
    for (const auto& [key, node] : *table_) {
        std::string name(key.str());
        if (std::find(names.begin(), names.end(), name) != names.end()) continue;
        if (prefix_ == "model." && (node.is_table() || is_stack(name))) continue;  // read_stacks reads it
        problems_.add("unknown key " + prefix_ + printable(name) + suggestion(name, names), where(name, node));
    }
}

std::string FieldReader::where(const std::string& name, const toml::node& node) const {
    if (from_flags_.count(prefix_ + name)) return any_setting();
    auto line = node.source().begin.line;
    return line > 0 ? file_ + " line " + std::to_string(line) : file_;
}

const toml::node* FieldReader::find(const FieldInfo& info) {
    known_.push_back(info.name);
    const toml::node* node = table_->get(info.name);
    if (node && origins_ && !node->is_table()) (*origins_)[prefix_ + info.name] = where(info.name, *node);
    return node;
}

// What may have been meant: where a setting of earlier versions stands today, or a similar name.
std::string FieldReader::suggestion(const std::string& name, const std::vector<std::string>& names) const {
    const std::string today = path_today(prefix_ + name);
    return today.empty() ? did_you_mean(name, names) : ", did you mean '" + today + "'?";
}

void FieldReader::wrong_type(const FieldInfo& info, const toml::node& node, const std::string& expected) {
    problems_.add(prefix_ + info.name + ": expected " + expected + ", got " + type_name(node) +
                      (node.is_table() ? "" : " " + printable(node_text(node)).substr(0, 60)) +
                      suggestion(info.name, {}),
                  where(info.name, node));
}

bool FieldReader::in_bounds(const FieldInfo& info, const toml::node& node, double value) {
    if (value >= info.minimum && value <= info.maximum) return true;
    std::string low = format_number(info.minimum), high = format_number(info.maximum);
    std::string bounds = info.maximum >= 1e300    ? "at least " + low
                         : info.minimum <= -1e300 ? "at most " + high
                                                  : low + " to " + high;
    problems_.add(prefix_ + info.name + ": expected " + bounds + ", got " + format_number(value),
                  where(info.name, node));
    return false;
}

}  // namespace lithe
