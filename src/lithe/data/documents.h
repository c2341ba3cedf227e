// The documents of a corpus, in a fixed order, in parts of bounded size: what a tokenizer is fed with.
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "lithe/data/input.h"

namespace lithe {

struct DocumentPart {
    std::string_view text;  // not empty, at most kLargestPart bytes
    bool begins = false;    // the document begins here
    bool ends = false;
    int split = -1;            // as its input's
    bool second = false;       // of a pair: belongs to the document before it
    std::string_view label;    // data.label of the document, on its first part
    uint64_t input_bytes = 0;  // read of all inputs so far, for progress
};

struct DocumentStatistics {
    uint64_t documents = 0, bytes = 0;
    LeftOut left_out;                // members of archives and packed files, with reasons
    std::vector<NamedFile> members;  // of archives: those that were read
};

struct ReadOptions {
    // Places, in bytes of all text, where a part must end (moved to the next character unless `exact`).
    std::vector<uint64_t> cuts = {};
    bool exact = true;
    // Members of archives have the splits that their names say; those that say none are left out.
    NamedBy members = NamedBy::nothing;
    // Lines without text are told as left out, where documents are lines.
    bool blank_lines = false;
    std::stop_token stop = {};
};

// A document longer than this is given in parts. They end behind a single line break where there is one, else before a
// space, else at any line break, else between characters, so that a tokenizer that works on words or lines finds the
// same tokens as in the whole.
inline constexpr size_t kLargestPart = 1 << 20;

// Whether every input is one document whose text is the file as it stands, behind a mark of UTF-8 (mark_of_file).
bool files_are_documents(const DataConfig& config, const std::vector<Input>& inputs);

// Calls `use` for every part. What a document is, says data.documents (text) or the format (a JSON line, a CSV row).
// Formats are told by names, and JSON lines by their content too; UTF-16 and UTF-32 become UTF-8 and marks go, unless
// data.format is "text". Throws bad_file with file and offset for what cannot be read, stopped when a
// stop is asked for.
DocumentStatistics read_documents(const DataConfig& config, const std::vector<Input>& inputs,
                                  const std::function<void(const DocumentPart&)>& use, ReadOptions options = {});

// The length of the first part of a text that is longer than `limit`.
size_t part_length(std::string_view text, size_t limit);

}  // namespace lithe
