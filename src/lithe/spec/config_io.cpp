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
#include "lithe/spec/config_stacks.h"
#include "lithe/spec/field_printer.h"
#include "lithe/spec/field_reader.h"
#include "lithe/spec/layout.h"
#include "lithe/spec/migrations.h"
#include "lithe/spec/ngram_lengths.h"
#include "lithe/spec/recompute.h"
#include "lithe/spec/rename_settings.h"
#include "lithe/spec/toml_text.h"

namespace lithe {
namespace {

constexpr uint64_t kMaxFile = 1 << 20;

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
    try {
        const Recompute recompute = parse_recompute(config.train.recompute);
        if (config.search.supernet && recompute.method != RecomputeMethod::none)
            problems.add("a search's network keeps its activations: its choices take gradients from all layers",
                         "train.recompute", "train.recompute = \"none\"");
    } catch (const Error& error) { problems.add(error.what(), "train.recompute"); }
    const Positions positions = config.model.positions;
    const bool absolute =
        positions == Positions::learned || positions == Positions::sinusoidal || positions == Positions::coordinates;
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
    FieldReader reader(root, name, "", problems, &config.origins, from_flags);
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

// Of all sections but [blocks].
static std::map<std::string, std::string> all_values(Config config) {
    return field_values([&](FieldVisitor& v) {
        config.visit(v);
        visit_encoder(config, v);
    });
}

std::string to_toml(const Config& config) {
    Config copy = config, untouched;
    std::string text = "version = " + std::to_string(kConfigVersion) + "\n";
    untouched.encoder = encoder_like(untouched.model);
    const auto defaults = all_values(untouched);
    auto print = [&](const std::string& prefix, const FieldInfo& info, const std::string&, const std::string& value) {
        const std::string path = prefix + info.name;
        const auto origin = config.origins.find(path);
        const auto standard = defaults.find(path);  // an objective's options have none here
        const bool untouched_value = standard != defaults.end() && standard->second == value;
        const std::string otherwise = untouched_value ? "default" : "set by lithe";
        text += info.name + " = " + value + "  # " +
                (origin == config.origins.end() ? otherwise : comment_text(origin->second)) + "\n";
    };
    const auto begin_section = [&](const std::string& name) { text += "\n[" + name + "]\n"; };
    FieldPrinter printer(print, begin_section);
    copy.visit(printer);
    visit_encoder(config, printer);
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
        auto values = all_values(config);
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
    FieldReader reader(table, where, where + ".", problems, nullptr, none);
    visit(reader);
    reader.report_unknown({});
}

std::vector<FieldDoc> list_fields(const std::function<void(FieldVisitor&)>& visit) {
    std::vector<FieldDoc> docs;
    FieldPrinter printer(
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
