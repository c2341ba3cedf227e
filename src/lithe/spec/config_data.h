// The text: [data].
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lithe/base/fields.h"

namespace lithe {

// The ids of the tokenizer "bytes": all byte values, or those that occur.
enum class ByteVocabulary { all, used };
constexpr auto names_of(ByteVocabulary) {
    using enum ByteVocabulary;
    return std::to_array<Named<ByteVocabulary>>({{all, "all"}, {used, "used"}});
}

enum class TextFormat { automatic, text, jsonl, csv, tsv };
constexpr auto names_of(TextFormat) {
    using enum TextFormat;
    return std::to_array<Named<TextFormat>>(
        {{automatic, "auto"}, {text, "text"}, {jsonl, "jsonl"}, {csv, "csv"}, {tsv, "tsv"}});
}

enum class DocumentEnd { automatic, none };
constexpr auto names_of(DocumentEnd) {
    using enum DocumentEnd;
    return std::to_array<Named<DocumentEnd>>({{automatic, "auto"}, {none, "none"}});
}

// Which documents count as there before.
enum class Duplicates { none, exact, near };
constexpr auto names_of(Duplicates) {
    using enum Duplicates;
    return std::to_array<Named<Duplicates>>({{none, "none"}, {exact, "exact"}, {near, "near"}});
}

enum class TextOrder { streams, chunks, documents };
constexpr auto names_of(TextOrder) {
    using enum TextOrder;
    return std::to_array<Named<TextOrder>>({{streams, "streams"}, {chunks, "chunks"}, {documents, "documents"}});
}

// How documents in random order fill rows.
enum class DocumentRows { packed, single };
constexpr auto names_of(DocumentRows) {
    using enum DocumentRows;
    return std::to_array<Named<DocumentRows>>({{packed, "packed"}, {single, "single"}});
}

struct DataConfig {
    std::string path;
    std::string train, valid, test;  // separate files, instead of `path`
    std::string split = "90/5/5";
    std::string tokenizer = "bytes";
    ByteVocabulary vocabulary = ByteVocabulary::all;
    int64_t min_count = 1;
    TextFormat format = TextFormat::automatic;
    std::string field = "text";
    std::string second;
    std::string label;
    std::string parallel;
    std::string documents = "file";
    DocumentEnd document_end = DocumentEnd::automatic;
    Duplicates deduplicate = Duplicates::none;
    double max_expansion = 500;
    std::vector<std::string> sources;
    double temperature = 1;
    TextOrder order = TextOrder::streams;
    DocumentRows rows = DocumentRows::packed;
    std::vector<std::string> include, exclude;
    void visit(FieldVisitor& v);
};

// Whether documents come in pairs.
inline bool has_pairs(const DataConfig& data) { return !data.parallel.empty() || !data.second.empty(); }

}  // namespace lithe
