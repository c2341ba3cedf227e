#include "lithe/spec/migrations.h"

#include <algorithm>
#include <optional>
#include <regex>

namespace lithe {
namespace {

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

}  // namespace

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

}  // namespace lithe
