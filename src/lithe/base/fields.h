// One visitor per configuration struct. A struct lists its fields once, in `visit(FieldVisitor&)`; default, help,
// parsing, printing, saving and comparison are visitors over that list.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "lithe/base/choice.h"

namespace lithe {

enum class Amount { none, count, seconds, bytes };

// A value that is kept as text in TOML's syntax until its kind gives it a type.
struct RawValue {
    std::string key;
    std::string text;
    std::string origin;  // "file.toml line 7" or any_setting()
};

// What a field is for, and what it may hold. Bounds are inclusive.
struct FieldInfo {
    std::string name;
    std::string help;
    Amount unit = Amount::none;
    double minimum = -1e300;
    double maximum = 1e300;
};

class FieldVisitor {
 public:
    virtual ~FieldVisitor() = default;
    virtual void field(const FieldInfo& info, bool& value) = 0;
    virtual void field(const FieldInfo& info, int64_t& value) = 0;
    virtual void field(const FieldInfo& info, double& value) = 0;
    virtual void field(const FieldInfo& info, std::string& value) = 0;
    virtual void field(const FieldInfo& info, std::vector<std::string>& value) = 0;
    // One of `names`, by its place among them; what an enum's field is to a visitor.
    virtual void choice(const FieldInfo& info, const std::vector<std::string>& names, size_t& index) = 0;
    template <NamedChoice Enum> void field(const FieldInfo& info, Enum& value) {
        size_t index = index_of(value);
        choice(info, choice_names<Enum>(), index);
        value = names_of(value)[index].value;
    }
    // All other keys of a section, whose types somebody else knows.
    virtual void rest(std::vector<RawValue>& values) = 0;
    // A nested struct: `inside` visits its fields.
    virtual void section(const FieldInfo& info, const std::function<void(FieldVisitor&)>& inside) = 0;
};

}  // namespace lithe
