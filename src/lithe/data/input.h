// Which files a corpus is made of, in which order, and which split each goes to.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "lithe/spec/config.h"

namespace lithe {

inline constexpr const char* kSplitNames[3] = {"train", "valid", "test"};

// What data get leaves beside the files of a corpus; no text.
inline constexpr const char* kSourceRecord = "SOURCE.json";

struct Input {
    std::string path;
    int split = -1;      // 0 train, 1 valid, 2 test; -1: decided later, by bytes or by document
    uint64_t order = 0;  // inside its split
};

// How a corpus without splits of its own is divided.
enum class SplitBy {
    bytes,      // "90/5/5": by place; documents stay whole, but a single document is cut at the exact byte
    files,      // "files": of each 20 files in order, number 10 to valid and number 20 to test
    documents,  // "documents 90/5/5": by a hash of each document, so that equal ones share a split
};
struct SplitRule {
    SplitBy by = SplitBy::bytes;
    std::array<double, 3> shares{90, 5, 5};
};
// Throws a usage error for anything else.
SplitRule parse_split(const std::string& split);
// Where valid and test begin in a text of `bytes` bytes that is divided by these shares.
std::array<uint64_t, 2> split_borders(const std::array<double, 3>& shares, uint64_t bytes);

// Throws bad_file for what is missing, with what to set. A folder whose every file says by its name which split it is
// (train.txt, wiki.valid.tokens; dev and val are valid) is divided so, unless data.split is "files" or "documents".
std::vector<Input> list_inputs(const DataConfig& config);

// All regular files below a folder but SOURCE.json, sorted by path, links not followed, filtered by patterns on the
// relative path.
std::vector<std::string> list_files(const std::string& folder, const std::vector<std::string>& include,
                                    const std::vector<std::string>& exclude);
// Whether a name passes the patterns: one of `include` (or none given) and none of `exclude`.
bool passes(const std::string& name, const std::vector<std::string>& include, const std::vector<std::string>& exclude);

uint64_t file_size(const std::string& path);

}  // namespace lithe
