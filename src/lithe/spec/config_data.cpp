#include "lithe/spec/config_data.h"

namespace lithe {

static void visit_feeding(DataConfig& data, FieldVisitor& v) {
    v.field(
        {.name = "sources",
         .help =
             "several corpora at once, instead of 'path': paths, each with a weight if wanted, as \"2 * wiki.tokens\"; "
             "without weights they are fed by their sizes"},
        data.sources);
    v.field({.name = "temperature",
             .help = "sources: shares are weight^(1/temperature); above 1 evens them out",
             .minimum = 0.01,
             .maximum = 1e6},
            data.temperature);
    v.field(
        {.name = "order",
         .help =
             "streams: continuous text, state carried throughout; chunks: the same, but 2,048 tokens from here, then "
             "2,048 from there, in random order; documents: whole documents in random order, state and attention "
             "begin anew with each"},
        data.order);
    v.field(
        {.name = "rows",
         .help =
             "order documents. packed: the next one follows in the same row; single: one per row and segment, padded"},
        data.rows);
}

void DataConfig::visit(FieldVisitor& v) {
    v.field(
        {.name = "path",
         .help = "a text file, a folder, a compressed file (.gz .xz .zst .bz2), a tar or zip archive, a JSON-lines or "
                 "CSV file, or a token set made by lithe data prepare"},
        path);
    v.field({.name = "train", .help = "training text, when the splits are separate files"}, train);
    v.field({.name = "valid", .help = "validation text, likewise"}, valid);
    v.field({.name = "test", .help = "test text, likewise"}, test);
    v.field(
        {.name = "split",
         .help = "train/valid/test shares of the bytes in order, as \"90/5/5\" (documents stay whole, a single one is "
                 "cut); \"documents 90/5/5\" by a hash of each document; \"files\" deals the files of a folder 90/5/5; "
                 "names of "
                 "files or folders that say train, valid or test come before shares of the bytes"},
        split);
    v.field(
        {.name = "tokenizer",
         .help = "bytes, characters, words (made from the corpus), or a file: tokenizer.json, a SentencePiece model"},
        tokenizer);
    v.field({.name = "vocabulary",
             .help = "tokenizer bytes. all: 256 byte values; used: the byte values that occur, in order"},
            vocabulary);
    v.field({.name = "min_count",
             .help = "tokenizer characters and words: what occurs more rarely in the training text is unknown",
             .minimum = 1,
             .maximum = 1e9},
            min_count);
    v.field({.name = "format",
             .help = "what files hold; auto: by their names (.jsonl .ndjson .csv .tsv) and what is in them; text: "
                     "their bytes as "
                     "they stand"},
            format);
    v.field({.name = "field", .help = "jsonl: the field that holds the text; csv, tsv: the column, by name or number"},
            field);
    v.field(
        {.name = "second",
         .help = "jsonl, csv, tsv: the field of a second text; documents then come in pairs, for labels of two texts"},
        second);
    v.field({.name = "label",
             .help = "jsonl, csv, tsv: the field that holds a label of each document (or pair), for objective.name = "
                     "\"classify\" or \"regress\"; empty: none. Token sets keep it"},
            label);
    v.field({.name = "parallel",
             .help = "text in two files, line by line, for sequence to sequence: the extension of the other file, as "
                     "\".en\" for train.de; documents then come in pairs, for objective.name = \"translate\""},
            parallel);
    v.field({.name = "documents",
             .help = "text: what a document is. file, line, blank_line (ends at one), or the separator itself, as "
                     "\"<|endoftext|>\""},
            documents);
    v.field({.name = "document_end",
             .help = "auto: the tokenizer's end token follows each document, where it has one; none: nothing does"},
            document_end);
    v.field({.name = "deduplicate",
             .help = "leave out documents that were there before: exact, or near (also similar ones, by MinHash)"},
            deduplicate);
    v.field({.name = "max_expansion",
             .help = "a packed file that unpacks to more than this many times its size is refused",
             .minimum = 2,
             .maximum = 1e9},
            max_expansion);
    visit_feeding(*this, v);
    v.field({.name = "include",
             .help = "folder, archive: only files that match one of these patterns; hidden ones only if a pattern "
                     "names them, as "
                     "\".git/*\""},
            include);
    v.field({.name = "exclude", .help = "folder, archive: no files that match one of these patterns"}, exclude);
}

}  // namespace lithe
