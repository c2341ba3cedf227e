// Reads a TOML table into the visited fields, and remembers which keys were known.
#pragma once

#include <toml++/toml.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "lithe/base/error.h"
#include "lithe/base/fields.h"

namespace lithe {

// What is wrong becomes a problem with its place. Table, problems and origins outlive the reader.
class FieldReader : public FieldVisitor {
 public:
    // `prefix` is the table's path and a dot, or "". Origins, may be null, receive "file line 7" of each field by path;
    // `from_flags` are the paths that were given as settings.
    FieldReader(const toml::table& table, std::string file, std::string prefix, Problems& problems,
                std::map<std::string, std::string>* origins, const std::set<std::string>& from_flags)
        : table_(&table),
          file_(std::move(file)),
          prefix_(std::move(prefix)),
          problems_(problems),
          origins_(origins),
          from_flags_(from_flags) {}

    void field(const FieldInfo& info, bool& value) override;
    void field(const FieldInfo& info, int64_t& value) override;
    void field(const FieldInfo& info, double& value) override;
    void field(const FieldInfo& info, std::string& value) override;
    void field(const FieldInfo& info, std::vector<std::string>& value) override;
    void choice(const FieldInfo& info, const std::vector<std::string>& names, size_t& index) override;
    void rest(std::vector<RawValue>& values) override;
    void section(const FieldInfo& info, const std::function<void(FieldVisitor&)>& inside) override;

    // Every key that was not visited is a problem, but for those that somebody else reads.
    void report_unknown(const std::vector<std::string>& also_known);
    std::string where(const std::string& name, const toml::node& node) const;

 private:
    const toml::node* find(const FieldInfo& info);
    std::string suggestion(const std::string& name, const std::vector<std::string>& names) const;
    void wrong_type(const FieldInfo& info, const toml::node& node, const std::string& expected);
    bool in_bounds(const FieldInfo& info, const toml::node& node, double value);

    const toml::table* table_;
    std::string file_, prefix_;
    Problems& problems_;
    std::map<std::string, std::string>* origins_;
    const std::set<std::string>& from_flags_;
    std::vector<std::string> known_;
};

}  // namespace lithe
