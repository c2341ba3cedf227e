#include "lithe/spec/migrations.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <regex>
#include <tuple>

#include "lithe/base/error.h"
#include "lithe/base/text.h"
#include "lithe/base/version.h"
#include "lithe/spec/ngram_lengths.h"

namespace lithe {
namespace {

constexpr RenamedSetting kSettings[] = {{"evaluation.tokens", "evaluation.bytes", 1},
                                        {"model.ngrams", "model.ngrams.lengths", 3},  // ngram_lengths_until_3
                                        {"model.ngram_lengths", "model.ngrams.lengths", 3},
                                        {"model.ngram_rows", "model.ngrams.rows", 3},
                                        {"model.ngram_width", "model.ngrams.width", 3},
                                        {"model.cutoffs", "model.adaptive.cutoffs", 3},
                                        {"model.cutoff_divisor", "model.adaptive.divisor", 3},
                                        {"model.tie_projections", "model.adaptive.tie_projections", 3},
                                        {"model.cluster_order", "model.adaptive.cluster_order", 3},
                                        {"model.embedding_norm", "model.bert.embedding_norm", 3},
                                        {"model.token_types", "model.bert.token_types", 3},
                                        {"model.pooler", "model.bert.pooler", 3}};

constexpr RenamedValue kValues[] = {{"model.head", "masked", "transform", 2}};

constexpr const char* kModel = "model.";
constexpr const char* kStacks[] = {"model.", "model.encoder.", "model.decoder."};

struct Role {
    const char *file, *role;
};
constexpr Role kRoles[] = {{"model.safetensors", "model"},
                           {"optimizer.safetensors", "optimizer"},
                           {"state.json", "state"},
                           {"config.json", "config"},
                           {"tokenizer.json", "tokenizer"}};

constexpr FlatTensor kFlatTensors[] = {
    {"m", "first_moment/"}, {"v", "second_moment/"}, {"slow", "slow/"}, {"weights", "weights/"}};

// Outside the stack. A name that ends in a dot stands for all that begin with it.
struct Renamed {
    const char *before, *now;
};
constexpr Renamed kParameters[] = {{"embedding", "embeddings.tokens"},
                                   {"positions", "embeddings.positions"},
                                   {"token_types", "embeddings.token_types"},
                                   {"embedding_norm.", "embeddings.norm."},
                                   {"ngrams", "embeddings.ngrams.table"},
                                   {"ngram_projection", "embeddings.ngrams.projection"},
                                   {"final_norm.", "decoder.norm."},
                                   {"pooler", "pooler.weight"},
                                   {"pooler_bias", "pooler.bias"},
                                   {"head_transform", "head.transform.weight"},
                                   {"head_transform_bias", "head.transform.bias"},
                                   {"head_norm.", "head.norm."},
                                   {"head", "head.weight"},
                                   {"head_bias", "head.bias"},
                                   {"vocabulary.clusters", "head.clusters.weight"},
                                   {"vocabulary.cluster_bias", "head.clusters.bias"}};

// Of adaptive embeddings: "vocabulary.2.input".
std::optional<std::string> renamed_bin(const std::string& name) {
    static const std::regex bin(R"(vocabulary\.(\d+)\.(table|input|output))");
    std::smatch parts;
    if (!std::regex_match(name, parts, bin)) return std::nullopt;
    const std::string number = ".bins." + parts[1].str() + ".";
    if (parts[2] == "table") return "embeddings" + number + "table";
    return (parts[2] == "input" ? "embeddings" : "head") + number + "projection";
}

std::optional<std::string> renamed_outside(const std::string& name) {
    for (const Renamed& each : kParameters) {
        const std::string before = each.before;
        if (before.back() == '.' && name.rfind(before, 0) == 0) return each.now + name.substr(before.size());
        if (name == before) return each.now;
    }
    return renamed_bin(name);
}

// A parameter of a block: "decoder.layers.3.attention" and "qkv"; of schema 1 "body.7.attention" and "qkv".
struct BlockParameter {
    std::string block, own;
};
std::optional<BlockParameter> in_block(const std::string& name, const std::regex& pattern) {
    std::smatch parts;
    if (!std::regex_match(name, parts, pattern)) return std::nullopt;
    return BlockParameter{parts[1], parts[2]};
}

std::optional<BlockParameter> in_block(const std::string& name) {
    static const std::regex pattern(R"((decoder\.layers\.\d+\.[^.]+)\.(.+))");
    return in_block(name, pattern);
}

std::optional<BlockParameter> in_block_before(const std::string& name) {
    static const std::regex pattern(R"((body\.\d{1,9}\.[^.]+)\.(.+))");
    return in_block(name, pattern);
}

std::vector<std::string> blocks_of(const std::vector<std::string>& names) {
    std::vector<std::string> blocks;
    for (const std::string& name : names)
        if (const auto each = in_block(name); each && (blocks.empty() || blocks.back() != each->block))
            blocks.push_back(each->block);
    return blocks;
}

// By their numbers; blocks without parameters leave gaps.
std::vector<std::string> blocks_before(const std::vector<std::string>& names) {
    std::map<int, std::string> blocks;
    for (const std::string& name : names)
        if (const auto each = in_block_before(name)) blocks[std::stoi(each->block.substr(5))] = each->block;
    std::vector<std::string> list;
    for (const auto& [number, block] : blocks) list.push_back(block);
    return list;
}

// Where a parameter stood in schema 1's order: a group, and a place in it; equal ones keep today's order.
using Rank = std::tuple<int, int, int>;
constexpr int kLast = 1 << 30;

Rank rank_of(const std::string& name, bool adaptive) {
    static const std::regex bin(R"((embeddings|head)\.bins\.(\d{1,9})\.(table|projection))");
    std::smatch parts;
    if (std::regex_match(name, parts, bin))
        return {0, std::stoi(parts[2]), parts[3] == "table" ? 0 : parts[1] == "embeddings" ? 1 : 2};
    static const char* const kOutside[] = {"embeddings.tokens", "embeddings.positions", "embeddings.token_types",
                                           "embeddings.norm.", "embeddings.ngrams."};
    static const char* const kBehind[] = {"decoder.norm.", "pooler.", "head.transform.", "head.norm.", "head.weight"};
    const auto begins = [&](const char* each) { return name.rfind(each, 0) == 0; };
    if (begins("head.clusters.")) return {0, kLast, 0};
    if (name == "head.bias") return adaptive ? Rank{0, kLast, 1} : Rank{4, 0, 0};
    for (int i = 0; i < int(std::size(kOutside)); ++i)
        if (begins(kOutside[i])) return {1, i, 0};
    for (int i = 0; i < int(std::size(kBehind)); ++i)
        if (begins(kBehind[i])) return {3, i, 0};
    return {2, 0, 0};  // of the stack
}

void state_from_1_to_2(nlohmann::json& state, const nlohmann::json& config) {
    state["schema"] = "lithe.state/2";
    // a run that was saved before updates were counted apart left none out
    const bool counted = state.contains("updates");
    if (counted || state.contains("step")) state["optimizer"] = {{"updates", state[counted ? "updates" : "step"]}};
    state.erase("updates");
    if (state.contains("best_bits")) state["best_score"] = state["best_bits"];
    state.erase("best_bits");
    if (!config.is_object() || !config.contains("train") || !config["train"].is_object()) return;
    for (const char* key : {"precision", "parts"})
        if (config["train"].contains(key)) state["machine"][key] = config["train"][key];
}

// Counters that moved from the loop to what counts them.
struct MovedCounter {
    const char *before, *part, *now;
};
constexpr MovedCounter kMovedCounters[] = {
    {"evaluated_step", "evaluation", "step"},     {"evaluated_seconds", "evaluation", "train_seconds"},
    {"evaluations", "evaluation", "evaluations"}, {"without_best", "evaluation", "without_best"},
    {"best_score", "evaluation", "best_score"},   {"best_step", "evaluation", "best_step"},
    {"skipped", "failures", "skipped"},           {"skipped_in_row", "failures", "skipped_in_row"}};

void state_from_2_to_3(nlohmann::json& state) {
    state["schema"] = "lithe.state/3";
    for (const MovedCounter& each : kMovedCounters) {
        if (!state.contains(each.before)) continue;
        state[each.part][each.now] = state[each.before];
        state.erase(each.before);
    }
    if (state.contains("search") && state.contains("settled")) state["search"]["settled"] = state["settled"];
    state.erase("settled");
    state.erase("stopped_early");  // follows from the others
}

}  // namespace

std::string update_hint(int64_t newest) {
    return "this lithe (" + std::string(version()) + ") reads up to " + std::to_string(newest) + ": update lithe";
}

int64_t schema_number(const std::string& schema, const std::string& name, int64_t newest, const std::string& source) {
    int64_t number = 0;
    const std::string begin = name + "/";
    const char* end = schema.data() + schema.size();
    const bool fits = schema.rfind(begin, 0) == 0;
    const auto [rest, fault] = fits ? std::from_chars(schema.data() + begin.size(), end, number)
                                    : std::from_chars_result{end, std::errc::invalid_argument};
    if (fault != std::errc() || rest != end || number < 1)
        fail({.kind = ErrorKind::bad_file,
              .what = "a schema that is none of lithe's",
              .where = source,
              .expected = begin + std::to_string(newest),
              .got = printable(schema).substr(0, 60)});
    if (number > newest)
        fail({.kind = ErrorKind::bad_file,
              .what = "a newer version of lithe saved this: its schema is " + schema,
              .where = source,
              .hint = update_hint(newest)});
    return number;
}

void refuse_newer_schema(const std::string& schema, const std::string& name, int64_t newest,
                         const std::string& source) {
    static const std::regex digits(R"(\d{1,9})");
    const std::string begin = name + "/";
    if (schema.rfind(begin, 0) != 0) return;
    const std::string number = schema.substr(begin.size());
    if (std::regex_match(number, digits) && std::stoll(number) > newest) schema_number(schema, name, newest, source);
}

std::span<const RenamedSetting> renamed_settings() { return kSettings; }

std::span<const RenamedValue> renamed_values() { return kValues; }

std::vector<std::string> in_every_stack(const std::string& path) {
    if (path.rfind(kModel, 0) != 0) return {path};
    std::vector<std::string> paths;
    for (const char* stack : kStacks) paths.push_back(stack + path.substr(std::string_view(kModel).size()));
    return paths;
}

std::string path_today(const std::string& before) {
    for (const RenamedSetting& each : kSettings) {
        const auto paths = in_every_stack(each.before);
        const auto found = std::find(paths.begin(), paths.end(), before);
        if (found != paths.end()) return in_every_stack(each.now)[size_t(found - paths.begin())];
    }
    return "";
}

std::string ngram_lengths_until_3(const std::string& list, int64_t longest) {
    if (longest == 0) return "";
    if (longest < 2) return std::to_string(longest);  // refused where lengths are read
    const bool every = list == "all";
    const std::vector<int64_t> listed = parse_ngram_lengths(every ? "2-" + std::to_string(longest) : list);
    const std::vector<int64_t> kept(listed.begin(), std::upper_bound(listed.begin(), listed.end(), longest));
    if (kept.empty())
        fail_usage("model.ngram_lengths has no length up to model.ngrams, " + std::to_string(longest),
                   "model.ngram_lengths", "since version 4 model.ngrams.lengths says both");
    return kept == listed && !every ? list : ngram_lengths_text(kept);
}

std::string role_in_schema_1(const std::string& file) {
    for (const Role& each : kRoles)
        if (file == each.file) return each.role;
    return "";
}

void migrate_state(nlohmann::json& state, const nlohmann::json& config) {
    const auto is = [&](const char* schema) {
        return state.is_object() && state.contains("schema") && state["schema"] == schema;
    };
    if (is("lithe.state/1")) state_from_1_to_2(state, config);
    if (is("lithe.state/2")) state_from_2_to_3(state);
}

std::map<std::string, std::string> renamed_parameters(const std::vector<std::string>& today,
                                                      const std::vector<std::string>& in_file) {
    const std::vector<std::string> now = blocks_of(today), before = blocks_before(in_file);
    std::map<std::string, std::string> block_now, renamed;
    for (size_t i = 0; i < std::min(now.size(), before.size()); ++i) block_now[before[i]] = now[i];
    for (const std::string& name : in_file) {
        if (const auto each = in_block_before(name)) {
            if (const auto block = block_now.find(each->block); block != block_now.end())
                renamed[name] = block->second + "." + each->own;
        } else if (const auto other = renamed_outside(name)) {
            renamed[name] = *other;
        }
    }
    return renamed;
}

std::vector<size_t> order_of_schema_1(const std::vector<std::string>& today) {
    const bool adaptive = std::any_of(today.begin(), today.end(),
                                      [](const std::string& name) { return name.rfind("embeddings.bins.", 0) == 0; });
    std::vector<size_t> order(today.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return rank_of(today[a], adaptive) < rank_of(today[b], adaptive); });
    return order;
}

std::span<const FlatTensor> flat_tensors_of_schema_1() { return kFlatTensors; }

std::string renamed_in_optimizer(const std::string& name, const std::vector<std::string>& tables) {
    static const std::regex table(R"(table\.(\d{1,9}))");
    std::smatch parts;
    if (std::regex_match(name, parts, table)) {
        const auto number = size_t(std::stoi(parts[1]));
        return number < tables.size() ? "table_sum/" + tables[number] : name;
    }
    if (name.rfind("architecture.", 0) == 0) return "search/" + name;
    if (name.rfind("search/", 0) == 0) return "search/carried/" + name.substr(7);
    return name.find(':') == std::string::npos ? name : "carried/" + name;
}

}  // namespace lithe
