// Which files a corpus is made of, in which order, and which split each goes to.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "lithe/data/left_out.h"
#include "lithe/data/named_splits.h"
#include "lithe/formats/content.h"
#include "lithe/spec/config.h"

namespace lithe {

struct Input {
    std::string path;
    int split = -1;      // 0 train, 1 valid, 2 test; -1: decided later, by bytes or by document
    uint64_t order = 0;  // inside its split
    bool named = false;  // by the user, not found in a folder
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

// The files of a corpus, and how they are divided as far as files tell.
struct Listing {
    std::vector<Input> inputs;
    LeftOut left_out;
    LeftOut own;  // of these, folders of lithe's own: they come after a text was prepared
    bool names_passed_over = false;
    std::string rule;  // "by names", "as named", "by files"; empty: data.split decides, by bytes or documents
};

// Why a file without a split in its name is left out where others have one.
inline constexpr const char* kUnnamed = "no split in the name";
// For people: "by names: train 3 files, valid 1, test 1"; of those counted for each split.
std::string division_words(const std::string& rule, const std::array<uint64_t, 3>& files);
// The same of a listing, with what is left out.
std::string division_words(const Listing& listing, const DataConfig& config);

// Throws bad_file for what is missing, with what to set, and for a single file that is no text (unless data.format is
// "text", which takes files as they stand); in a folder such files are left out. A folder whose files or folders say by
// their names which split they are (train.txt, wiki.valid.tokens, test/a.txt) is divided so, unless data.split is
// "files" or "documents".
Listing find_inputs(const DataConfig& config);
inline std::vector<Input> list_inputs(const DataConfig& config) { return find_inputs(config).inputs; }

// What the file holds, by its first bytes.
Content content_of_file(const std::string& path);
// Bytes of the mark of UTF-8 at the beginning of a text: they are no text.
uint64_t mark_of_file(const std::string& path);
uint64_t file_size(const std::string& path);

}  // namespace lithe
