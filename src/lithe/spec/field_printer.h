// Prints fields as "key = value" through a callback; the base of saving, comparing and listing.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "lithe/base/fields.h"

namespace lithe {

class FieldPrinter : public FieldVisitor {
 public:
    using Sink = std::function<void(const std::string& prefix, const FieldInfo&, const std::string& type,
                                    const std::string& value)>;
    explicit FieldPrinter(Sink sink, std::function<void(const std::string&)> on_section = {})
        : sink_(std::move(sink)),
          on_section_(std::move(on_section)) {}

    void field(const FieldInfo& info, bool& value) override;
    void field(const FieldInfo& info, int64_t& value) override;
    void field(const FieldInfo& info, double& value) override;
    void field(const FieldInfo& info, std::string& value) override;
    void field(const FieldInfo& info, std::vector<std::string>& value) override;
    void choice(const FieldInfo& info, const std::vector<std::string>& names, size_t& index) override;
    void rest(std::vector<RawValue>& values) override;
    void section(const FieldInfo& info, const std::function<void(FieldVisitor&)>& inside) override;

 private:
    Sink sink_;
    std::function<void(const std::string&)> on_section_;
    std::string prefix_;
};

// Every visited field's value by its path.
std::map<std::string, std::string> field_values(const std::function<void(FieldVisitor&)>& visit);

}  // namespace lithe
