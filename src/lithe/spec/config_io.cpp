#include "lithe/spec/config_io.h"

#include <toml++/toml.h>

#include <cctype>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "lithe/base/file.h"
#include "lithe/base/json.h"
#include "lithe/base/text.h"
#include "lithe/base/wording.h"
#include "lithe/spec/layout.h"
#include "lithe/spec/migrations.h"
#include "lithe/spec/ngram_lengths.h"
#include "lithe/spec/rename_settings.h"

namespace lithe {
namespace {

constexpr uint64_t kMaxFile = 1 << 20;

// A TOML basic string on one line. (The library's own printer breaks long values over lines.)
std::string toml_text(std::string_view text) {
    std::string out = "\"";
    for (char c : text) {
        auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') out += std::string{'\\', c};
        else if (byte < 0x20 || byte == 0x7F) {
            char escape[8];
            std::snprintf(escape, sizeof escape, "\\u%04X", unsigned(byte));
            out += escape;
        } else out += c;
    }
    return out + "\"";
}

// Any value as TOML on one line.
std::string node_text(const toml::node& node) {
    if (const auto* list = node.as_array()) {
        std::vector<std::string> parts;
        for (const toml::node& each : *list) parts.push_back(node_text(each));
        return "[" + join(parts, ", ") + "]";
    }
    if (const auto* table = node.as_table()) {
        std::vector<std::string> parts;
        for (const auto& [key, value] : *table) parts.push_back(toml_text(key.str()) + " = " + node_text(value));
        return "{" + join(parts, ", ") + "}";
    }
    if (auto text = node.value_exact<std::string>()) return toml_text(*text);
    std::ostringstream out;
    node.visit([&](const auto& value) {
        if constexpr (!toml::is_table<decltype(value)> && !toml::is_array<decltype(value)>) out << value;
    });
    return out.str();
}

const char* type_name(const toml::node& node) {
    if (node.is_table()) return "a table";
    if (node.is_array()) return "a list";
    if (node.is_string()) return "text";
    if (node.is_boolean()) return "true or false";
    if (node.is_integer()) return "a whole number";
    if (node.is_floating_point()) return "a number";
    return "a date or time";
}

// Reads a TOML table into the visited fields, and remembers which keys were known.
class Reader : public FieldVisitor {
 public:
    Reader(const toml::table& table, std::string file, std::string prefix, Problems& problems,
           std::map<std::string, std::string>* origins, const std::set<std::string>& from_flags)
        : table_(&table),
          file_(std::move(file)),
          prefix_(std::move(prefix)),
          problems_(problems),
          origins_(origins),
          from_flags_(from_flags) {}

    void field(const FieldInfo& info, bool& value) override {
        if (const toml::node* node = find(info)) {
            if (auto given = node->value_exact<bool>()) value = *given;
            else wrong_type(info, *node, "true or false");
        }
    }

    void field(const FieldInfo& info, int64_t& value) override {
        const toml::node* node = find(info);
        if (!node) return;
        std::optional<int64_t> given = node->value_exact<int64_t>();
        if (auto text = node->value_exact<std::string>(); text && info.unit == Amount::count)
            given = parse_count(*text);
        if (!given)
            return wrong_type(info, *node,
                              info.unit == Amount::count ? "a whole number such as 1000 or \"50M\"" : "a whole number");
        if (in_bounds(info, *node, double(*given))) value = *given;
    }

    void field(const FieldInfo& info, double& value) override {
        const toml::node* node = find(info);
        if (!node) return;
        std::optional<double> given;
        if (node->is_number()) given = node->value<double>();
        if (auto text = node->value_exact<std::string>(); text && info.unit == Amount::seconds)
            given = parse_seconds(*text);
        if (!given || !std::isfinite(*given))
            return wrong_type(
                info, *node,
                info.unit == Amount::seconds ? "a number of seconds or a time such as \"10m\"" : "a number");
        if (in_bounds(info, *node, *given)) value = *given;
    }

    void field(const FieldInfo& info, std::string& value) override {
        const toml::node* node = find(info);
        if (!node) return;
        auto given = node->value_exact<std::string>();
        // a flag's value has no quotes that a shell would leave: model.ngrams.lengths=2 is text, too
        const auto number = node->value_exact<int64_t>();
        if (number && from_flags_.count(prefix_ + info.name)) given = std::to_string(*number);
        if (!given) return wrong_type(info, *node, "text in quotes");
        value = *given;
    }

    void choice(const FieldInfo& info, const std::vector<std::string>& names, size_t& index) override {
        const toml::node* node = find(info);
        if (!node) return;
        auto given = node->value_exact<std::string>();
        if (!given) return wrong_type(info, *node, "text in quotes");
        const auto found = std::find(names.begin(), names.end(), *given);
        if (found != names.end()) index = size_t(found - names.begin());
        else
            problems_.add(prefix_ + info.name + ": expected one of " + join(names, ", ") + ", got \"" +
                              printable(*given) + "\"" + did_you_mean(*given, names),
                          where(info.name, *node));
    }

    void field(const FieldInfo& info, std::vector<std::string>& value) override {
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

    void rest(std::vector<RawValue>& values) override {
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

    void section(const FieldInfo& info, const std::function<void(FieldVisitor&)>& inside) override {
        const toml::node* node = find(info);
        if (!node) return;
        const toml::table* table = node->as_table();
        if (!table) return wrong_type(info, *node, "a table: [" + prefix_ + info.name + "]");
        Reader nested(*table, file_, prefix_ + info.name + ".", problems_, origins_, from_flags_);
        inside(nested);
        nested.report_unknown({});
    }

    void report_unknown(const std::vector<std::string>& also_known) {
        std::vector<std::string> names = known_;
        names.insert(names.end(), also_known.begin(), also_known.end());
        for (const auto& [key, node] : *table_) {
            std::string name(key.str());
            if (std::find(names.begin(), names.end(), name) != names.end()) continue;
            if (prefix_ == "model." && node.is_table()) continue;  // read_stacks reads it
            problems_.add("unknown key " + prefix_ + printable(name) + suggestion(name, names), where(name, node));
        }
    }

    std::string where(const std::string& name, const toml::node& node) const {
        if (from_flags_.count(prefix_ + name)) return any_setting();
        auto line = node.source().begin.line;
        return line > 0 ? file_ + " line " + std::to_string(line) : file_;
    }

 private:
    const toml::node* find(const FieldInfo& info) {
        known_.push_back(info.name);
        const toml::node* node = table_->get(info.name);
        if (node && origins_ && !node->is_table()) (*origins_)[prefix_ + info.name] = where(info.name, *node);
        return node;
    }

    // What may have been meant: where a setting of earlier versions stands today, or a similar name.
    std::string suggestion(const std::string& name, const std::vector<std::string>& names) const {
        const std::string today = path_today(prefix_ + name);
        return today.empty() ? did_you_mean(name, names) : ", did you mean '" + today + "'?";
    }

    void wrong_type(const FieldInfo& info, const toml::node& node, const std::string& expected) {
        problems_.add(prefix_ + info.name + ": expected " + expected + ", got " + type_name(node) +
                          (node.is_table() ? "" : " " + printable(node_text(node)).substr(0, 60)) +
                          suggestion(info.name, {}),
                      where(info.name, node));
    }

    bool in_bounds(const FieldInfo& info, const toml::node& node, double value) {
        if (value >= info.minimum && value <= info.maximum) return true;
        std::string low = format_number(info.minimum), high = format_number(info.maximum);
        std::string bounds = info.maximum >= 1e300    ? "at least " + low
                             : info.minimum <= -1e300 ? "at most " + high
                                                      : low + " to " + high;
        problems_.add(prefix_ + info.name + ": expected " + bounds + ", got " + format_number(value),
                      where(info.name, node));
        return false;
    }

    const toml::table* table_;
    std::string file_, prefix_;
    Problems& problems_;
    std::map<std::string, std::string>* origins_;
    const std::set<std::string>& from_flags_;
    std::vector<std::string> known_;
};

// Prints fields as "key = value" through a callback; the base of saving, comparing and listing.
class Printer : public FieldVisitor {
 public:
    using Sink = std::function<void(const std::string& prefix, const FieldInfo&, const std::string& type,
                                    const std::string& value)>;
    Printer(Sink sink, std::function<void(const std::string&)> on_section = {})
        : sink_(std::move(sink)),
          on_section_(std::move(on_section)) {}

    void field(const FieldInfo& info, bool& value) override {
        sink_(prefix_, info, "true or false", value ? "true" : "false");
    }
    void field(const FieldInfo& info, int64_t& value) override {
        sink_(prefix_, info, "whole number", std::to_string(value));
    }
    void field(const FieldInfo& info, double& value) override {
        std::string text = format_number(value);
        if (text.find_first_of(".en") == std::string::npos) text += ".0";
        sink_(prefix_, info, info.unit == Amount::seconds ? "time" : "number", text);
    }
    void field(const FieldInfo& info, std::string& value) override { sink_(prefix_, info, "text", toml_text(value)); }
    void field(const FieldInfo& info, std::vector<std::string>& value) override {
        std::string text = "[";
        for (size_t i = 0; i < value.size(); ++i) text += (i ? ", " : "") + toml_text(value[i]);
        sink_(prefix_, info, "list of texts", text + "]");
    }
    void choice(const FieldInfo& info, const std::vector<std::string>& names, size_t& index) override {
        sink_(prefix_, info, join(names, ", "), toml_text(names[index]));
    }
    void rest(std::vector<RawValue>& values) override {
        for (const RawValue& value : values) sink_(prefix_, {.name = value.key}, "", value.text);
    }
    void section(const FieldInfo& info, const std::function<void(FieldVisitor&)>& inside) override {
        std::string outer = prefix_;
        prefix_ += info.name + ".";
        if (on_section_) on_section_(outer + info.name);
        inside(*this);
        prefix_ = outer;
    }

 private:
    Sink sink_;
    std::function<void(const std::string&)> on_section_;
    std::string prefix_;
};

// The encoder as the section that it is in a file.
void visit_encoder(const Config& config, FieldVisitor& v) {
    if (!config.encoder) return;
    ModelConfig encoder = *config.encoder;
    v.section({.name = "model.encoder"}, [&](FieldVisitor& s) { encoder.visit(s); });
}

// Sets table["a"]["b"] = value for "a.b=value".
void apply_set(toml::table& root, const std::string& set, std::set<std::string>& from_flags, Problems& problems) {
    size_t equals = set.find('=');
    if (equals == std::string::npos || equals == 0)
        return problems.add("expected key=value, got '" + printable(set) + "'", any_setting());
    std::string key = set.substr(0, equals), value = set.substr(equals + 1);
    toml::table parsed;
    auto parse = [&](const std::string& text) {
        try {
            parsed = toml::parse("value = " + text);
            return parsed.size() == 1;
        } catch (const toml::parse_error&) { return false; }
    };
    if (!parse(value)) parsed = toml::table{{"value", value}};  // bare words are text
    toml::table* table = &root;
    std::stringstream parts(key);
    std::vector<std::string> path;
    for (std::string part; std::getline(parts, part, '.');) path.push_back(part);
    if (path.size() > 256) return problems.add("a key has more than 256 parts", any_setting());
    if (path.size() > 8) return problems.add("key '" + printable(key) + "' is too deep", any_setting());
    for (size_t i = 0; i + 1 < path.size(); ++i) {
        auto [place, added] = table->insert(path[i], toml::table{});
        table = place->second.as_table();
        if (!table)
            return problems.add("'" + printable(path[i]) + "' in '" + printable(key) + "' is not a section",
                                any_setting());
    }
    table->insert_or_assign(path.back(), *parsed.get("value"));
    from_flags.insert(key);
}

// Tables of settings in [model], which are no stacks.
std::vector<std::string> parts_of_model() {
    std::vector<std::string> names;
    Printer sections([](const auto&...) {}, [&](const std::string& name) { names.push_back(name); });
    ModelConfig().visit(sections);
    return names;
}

// [model.encoder] and [model.decoder] have [model]'s settings but for those that they set. The decoder's become the
// model's own.
void read_stacks(const toml::table& root, Config& config, Problems& problems, const std::string& file,
                 const std::set<std::string>& from_flags) {
    const toml::table* model = root["model"].as_table();
    if (!model) return;
    const ModelConfig shared = config.model;
    const std::vector<std::string> parts = parts_of_model();
    for (const auto& [key, node] : *model) {
        const toml::table* table = node.as_table();
        if (!table) continue;
        const std::string name(key.str());
        if (std::find(parts.begin(), parts.end(), name) != parts.end()) continue;
        if (name != "encoder" && name != "decoder") {
            problems.add("unknown stack [model." + printable(name) + "]: expected encoder or decoder" +
                             did_you_mean(name, parts),
                         file);
            continue;
        }
        ModelConfig stack = shared;
        if (name == "encoder") {  // it sees all of its source, and there is no segment before
            stack.direction = Direction::bidirectional;
            stack.memory = 0;
            stack.ngrams.lengths.clear();
            stack.bert.pooler = false;
            stack.adaptive.cutoffs.clear();
            if (stack.positions == Positions::relative) stack.positions = Positions::sinusoidal;
        }
        Reader nested(*table, file, "model." + name + ".", problems, &config.origins, from_flags);
        stack.visit(nested);
        nested.report_unknown({});
        if (name == "encoder") config.encoder = stack;
        else config.model = stack;
    }
}

void read_blocks(const toml::table& root, Config& config, Problems& problems, const std::string& file,
                 const std::set<std::string>& from_flags) {
    const toml::node* node = root.get("blocks");
    if (!node) return;
    const toml::table* blocks = node->as_table();
    if (!blocks) return problems.add("blocks: expected tables [blocks.x]", file);
    for (const auto& [key, definition] : *blocks) {
        std::string name(key.str());
        const toml::table* table = definition.as_table();
        if (!table) {
            problems.add("blocks." + printable(name) + ": expected a table [blocks." + printable(name) + "]", file);
            continue;
        }
        BlockDefinition& block = config.blocks[name];
        for (const auto& [option, value] : *table) {
            std::string option_name(option.str());
            auto line = value.source().begin.line;
            std::string origin = from_flags.count("blocks." + name + "." + option_name)
                                     ? any_setting()
                                     : file + " line " + std::to_string(line);
            if (option_name == "kind") {
                if (auto kind = value.value_exact<std::string>()) block.kind = *kind;
                else problems.add("blocks." + printable(name) + ".kind: expected text in quotes", origin);
            } else {
                block.options.push_back({option_name, node_text(value), origin});
            }
        }
    }
}

void check_stack(const ModelConfig& model, const std::string& where, Problems& problems) {
    const auto check = [&](const char* setting, const auto& parse) {
        try {
            parse();
        } catch (const Error& error) { problems.add(error.what(), where + setting); }
    };
    check(".layout", [&] { parse_layout(model.layout); });
    check(".ngrams.lengths", [&] { parse_ngram_lengths(model.ngrams.lengths); });
}

void check_together(const Config& config, Problems& problems) {
    const DataConfig& data = config.data;
    if (!data.path.empty() && !(data.train.empty() && data.valid.empty() && data.test.empty()))
        problems.add("data.path and data.train/valid/test exclude each other", "data");
    if (data.path.empty() && data.train.empty() && !data.valid.empty())
        problems.add("data.valid is given without data.train", "data");
    const Positions positions = config.model.positions;
    const bool absolute = positions == Positions::learned || positions == Positions::sinusoidal;
    if (absolute && config.model.memory > 0)
        problems.add("model.positions = \"" + name_of(positions) +
                         "\" needs model.memory = 0: absolute positions start anew in every segment",
                     "model");
    if (config.schedule.warmup > 1 && config.schedule.warmup != std::floor(config.schedule.warmup) &&
        config.schedule.axis != ScheduleAxis::time)
        problems.add("schedule.warmup: expected a share below 1 or a whole amount", "schedule");
}

// Takes the version out of the settings. Without one they may be of any.
int64_t take_version(toml::table& root, const std::string& file, Problems& problems) {
    const toml::node* node = root.get("version");
    if (!node) return 1;
    const std::optional<int64_t> version = node->value_exact<int64_t>();
    const std::string newest = std::to_string(kConfigVersion);
    if (!version || *version < 1)
        problems.add("version: expected a whole number from 1 to " + newest + ", got " +
                         printable(node_text(*node)).substr(0, 60),
                     file);
    else if (*version > kConfigVersion)
        problems.add("version: settings of version " + std::to_string(*version) +
                         ", whose keys may be unknown here: a newer version of lithe wrote them",
                     file, update_hint(kConfigVersion));
    root.erase("version");
    return version.value_or(kConfigVersion);
}

Config read_config(toml::table root, const std::string& name, const std::vector<std::string>& sets) {
    Problems problems;
    std::set<std::string> from_flags;
    rename_settings(root, take_version(root, name, problems), problems);
    for (const std::string& set : sets) apply_set(root, set, from_flags, problems);
    Config config;
    Reader reader(root, name, "", problems, &config.origins, from_flags);
    config.visit(reader);
    reader.report_unknown({"blocks"});
    read_stacks(root, config, problems, name, from_flags);
    read_blocks(root, config, problems, name, from_flags);
    check_stack(config.model, "model", problems);
    if (config.encoder) check_stack(*config.encoder, "model.encoder", problems);
    check_together(config, problems);
    problems.throw_if_any(name);
    return config;
}

void json_to_toml(const nlohmann::json& json, toml::table& table, int depth) {
    for (const auto& [key, value] : json.items()) {
        if (value.is_object() && depth < 8) {
            toml::table inner;
            json_to_toml(value, inner, depth + 1);
            table.insert(key, inner);
        } else if (value.is_boolean()) table.insert(key, value.get<bool>());
        else if (value.is_number_integer()) table.insert(key, value.get<int64_t>());
        else if (value.is_number()) table.insert(key, value.get<double>());
        else if (value.is_string()) table.insert(key, value.get<std::string>());
        else if (value.is_array()) {
            toml::array list;
            for (const auto& each : value)
                if (each.is_string()) list.push_back(each.get<std::string>());
            table.insert(key, list);
        }
    }
}

nlohmann::json toml_to_json(const toml::node& node) {
    if (const auto* table = node.as_table()) {
        nlohmann::json object = nlohmann::json::object();
        for (const auto& [key, value] : *table) object[std::string(key.str())] = toml_to_json(value);
        return object;
    }
    if (const auto* list = node.as_array()) {
        nlohmann::json array = nlohmann::json::array();
        for (const auto& value : *list) array.push_back(toml_to_json(value));
        return array;
    }
    if (auto value = node.value_exact<bool>()) return *value;
    if (auto value = node.value_exact<int64_t>()) return *value;
    if (auto value = node.value_exact<double>()) return *value;
    if (auto value = node.value_exact<std::string>()) return *value;
    return nullptr;
}

// The parser makes a table of each part of a dotted key, one in the other, without a limit of its own.
bool has_endless_key(std::string_view text) {
    constexpr int kMostParts = 256;
    int parts = 0;
    for (const char c : text) {
        const auto each = static_cast<unsigned char>(c);
        if (c == '.') ++parts;
        else if (!std::isalnum(each) && !std::strchr("_- \t\"'[", c)) parts = 0;
        if (parts > kMostParts) return true;
    }
    return false;
}

toml::table parse_toml(std::string_view text, const std::string& name) {
    if (text.size() > kMaxFile) fail_usage("a configuration is at most 1 MiB", name);
    if (!is_valid_utf8(text)) fail_usage("the configuration is not valid UTF-8 text", name);
    if (has_endless_key(text)) fail_usage("a key has more than 256 parts", name);
    try {
        return toml::parse(text);
    } catch (const toml::parse_error& error) {
        fail_usage("not valid TOML: " + printable(error.description()),
                   name + " line " + std::to_string(error.source().begin.line) + ", column " +
                       std::to_string(error.source().begin.column));
    }
}

}  // namespace

Config load_config(const std::string& path, const std::vector<std::string>& sets) {
    std::string text;
    try {
        text = read_file(path, kMaxFile);
    } catch (const Error& error) {
        ErrorParts parts = error.parts();
        parts.kind = ErrorKind::usage;
        parts.what = "cannot read the configuration";
        fail(parts);
    }
    return parse_config(text, path, sets);
}

Config parse_config(std::string_view text, const std::string& name, const std::vector<std::string>& sets) {
    return read_config(parse_toml(text, name), name, sets);
}

// An origin names files and flags, whose text may hold what a comment of TOML may not.
static std::string comment_text(const std::string& origin) {
    std::string text;
    for (char c : printable(origin)) {
        const auto byte = static_cast<unsigned char>(c);
        char escape[8] = {c, 0};
        if (byte < 0x20 || byte == 0x7F) std::snprintf(escape, sizeof escape, "\\u%04X", unsigned(byte));
        text += escape;
    }
    return text;
}

std::string to_toml(const Config& config) {
    Config copy = config, untouched;
    std::string text = "version = " + std::to_string(kConfigVersion) + "\n";
    std::map<std::string, std::string> defaults;
    Printer list([&](const std::string& prefix, const FieldInfo& info, const std::string&, const std::string& value) {
        defaults[prefix + info.name] = value;
    });
    untouched.visit(list);
    auto print = [&](const std::string& prefix, const FieldInfo& info, const std::string&, const std::string& value) {
        const std::string path = prefix + info.name;
        const auto origin = config.origins.find(path);
        const std::string otherwise = defaults[path] == value ? "default" : "set by lithe";
        text += info.name + " = " + value + "  # " +
                (origin == config.origins.end() ? otherwise : comment_text(origin->second)) + "\n";
    };
    const auto begin_section = [&](const std::string& name) { text += "\n[" + name + "]\n"; };
    Printer printer(print, begin_section);
    copy.visit(printer);
    Printer encoder([&](const std::string&, const FieldInfo& info, const std::string&,
                        const std::string& value) { text += info.name + " = " + value + "\n"; },
                    begin_section);
    visit_encoder(config, encoder);
    for (const auto& [name, block] : config.blocks) {
        text += "\n[blocks." + toml_text(name) + "]\n";
        if (!block.kind.empty()) text += "kind = " + toml_text(block.kind) + "\n";
        for (const RawValue& option : block.options)
            text += toml_text(option.key) + " = " + option.text + "  # " + comment_text(option.origin) + "\n";
    }
    return text;
}

std::string to_json(const Config& config) { return toml_to_json(toml::parse(to_toml(config))).dump(2) + "\n"; }

Config config_from_json(std::string_view text, const std::string& name) {
    if (text.size() > kMaxFile) fail_file("a model's config.json is at most 1 MiB", name);
    const auto json = parse_json<nlohmann::json>(text, name);
    if (!json.is_object()) fail_file("not a JSON object", name, "the file is damaged; take another checkpoint");
    toml::table table;
    json_to_toml(json, table, 0);
    try {
        return read_config(std::move(table), name, {});
    } catch (const Error& error) {
        ErrorParts parts = error.parts();
        parts.kind = ErrorKind::bad_file;
        fail(parts);
    }
}

std::vector<std::string> differences(const Config& before, const Config& after) {
    auto flat = [](const Config& config) {
        std::map<std::string, std::string> values;
        Config copy = config;
        Printer printer([&](const std::string& prefix, const FieldInfo& info, const std::string&,
                            const std::string& value) { values[prefix + info.name] = value; });
        copy.visit(printer);
        visit_encoder(config, printer);
        for (const auto& [name, block] : config.blocks) {
            values["blocks." + name + ".kind"] = block.kind;
            for (const RawValue& option : block.options) values["blocks." + name + "." + option.key] = option.text;
        }
        return values;
    };
    std::vector<std::string> lines;
    auto old_values = flat(before), new_values = flat(after);
    for (const auto& [key, value] : new_values) {
        auto found = old_values.find(key);
        if (found == old_values.end()) lines.push_back(key + ": " + value + " is new");
        else if (found->second != value) lines.push_back(key + ": " + found->second + " became " + value);
    }
    for (const auto& [key, value] : old_values)
        if (!new_values.count(key)) lines.push_back(key + ": " + value + " is gone");
    return lines;
}

void read_options(const std::vector<RawValue>& options, const std::function<void(FieldVisitor&)>& visit,
                  const std::string& where, Problems& problems) {
    toml::table table;
    for (const RawValue& option : options) {
        toml::table one = toml::parse(toml_text(option.key) + " = " + option.text);
        table.insert(option.key, *one.get(option.key));
    }
    std::set<std::string> none;
    Reader reader(table, where, where + ".", problems, nullptr, none);
    visit(reader);
    reader.report_unknown({});
}

std::vector<FieldDoc> list_fields(const std::function<void(FieldVisitor&)>& visit) {
    std::vector<FieldDoc> docs;
    Printer printer(
        [&](const std::string& prefix, const FieldInfo& info, const std::string& type, const std::string& value) {
            docs.push_back({prefix + info.name, type, value, info.help});
        });
    visit(printer);
    return docs;
}

std::vector<FieldDoc> list_config_fields() {
    Config config;
    return list_fields([&](FieldVisitor& v) { config.visit(v); });
}

}  // namespace lithe
