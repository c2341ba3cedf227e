#include "lithe/spec/field_printer.h"

#include "lithe/base/text.h"
#include "lithe/spec/toml_text.h"

namespace lithe {

void FieldPrinter::field(const FieldInfo& info, bool& value) {
    sink_(prefix_, info, "true or false", value ? "true" : "false");
}

void FieldPrinter::field(const FieldInfo& info, int64_t& value) {
    sink_(prefix_, info, "whole number", std::to_string(value));
}

void FieldPrinter::field(const FieldInfo& info, double& value) {
    std::string text = format_number(value);
    if (text.find_first_of(".en") == std::string::npos) text += ".0";
    sink_(prefix_, info, info.unit == Amount::seconds ? "time" : "number", text);
}

void FieldPrinter::field(const FieldInfo& info, std::string& value) { sink_(prefix_, info, "text", toml_text(value)); }

void FieldPrinter::field(const FieldInfo& info, std::vector<std::string>& value) {
    std::string text = "[";
    for (size_t i = 0; i < value.size(); ++i) text += (i ? ", " : "") + toml_text(value[i]);
    sink_(prefix_, info, "list of texts", text + "]");
}

void FieldPrinter::choice(const FieldInfo& info, const std::vector<std::string>& names, size_t& index) {
    sink_(prefix_, info, join(names, ", "), toml_text(names[index]));
}

void FieldPrinter::rest(std::vector<RawValue>& values) {
    for (const RawValue& value : values) sink_(prefix_, {.name = value.key}, "", value.text);
}

void FieldPrinter::section(const FieldInfo& info, const std::function<void(FieldVisitor&)>& inside) {
    std::string outer = prefix_;
    prefix_ += info.name + ".";
    if (on_section_) on_section_(outer + info.name);
    inside(*this);
    prefix_ = outer;
}

std::map<std::string, std::string> field_values(const std::function<void(FieldVisitor&)>& visit) {
    std::map<std::string, std::string> values;
    FieldPrinter printer([&](const std::string& prefix, const FieldInfo& info, const std::string&,
                             const std::string& value) { values[prefix + info.name] = value; });
    visit(printer);
    return values;
}

}  // namespace lithe
