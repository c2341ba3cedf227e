#include "lithe/data/import_tokens.h"

#include <algorithm>
#include <filesystem>

#include "lithe/base/error.h"
#include "lithe/base/log.h"
#include "lithe/base/text.h"
#include "lithe/base/wording.h"
#include "lithe/data/input.h"
#include "lithe/data/round_writer.h"
#include "lithe/formats/foreign_tokens.h"

namespace lithe {
namespace fs = std::filesystem;
namespace {

constexpr uint64_t kPiece = 1 << 18;  // tokens

// Where the next piece ends: at a document's start if there is one inside, so that an item begins with it.
uint64_t piece_end(const ForeignTokens& file, uint64_t begin, size_t& document) {
    const auto& documents = file.documents();
    while (document < documents.size() && documents[document] <= begin) ++document;
    const uint64_t end = std::min(file.size(), begin + kPiece);
    return document < documents.size() ? std::min(end, documents[document]) : end;
}

class Importer {
 public:
    Importer(const ImportOptions& options, const Tokenizer& tokenizer, RoundWriter& writer)
        : options_(options),
          tokenizer_(tokenizer),
          writer_(writer),
          end_(tokenizer.document_end()) {}

    void take(const std::string& path, int split) {
        const ForeignTokens file(path, options_.kind);
        if (file.size() == 0) fail_file("the file holds no tokens", path);
        if (options_.kind == "auto" && file.kind() == ForeignKind::raw && file.width() != 2)
            log_info("ids        " + std::to_string(8 * file.width()) + " bits wide, by their zeros: " + path);
        size_t document = 0;
        bool begins = true;
        for (uint64_t at = 0; at < file.size();) {
            if (options_.stop.stop_requested())
                fail({.kind = ErrorKind::stopped, .what = "stopped while importing; start it again", .where = path});
            const uint64_t end = piece_end(file, at, document);
            std::vector<int32_t> ids(size_t(end - at));
            file.read(at, end - at, ids.data());
            for (size_t i = 0; i < ids.size(); ++i)
                if (ids[i] >= tokenizer_.vocabulary_size())
                    fail_file("token " + std::to_string(at + i) + " has the id " + std::to_string(ids[i]) +
                                  ", the tokenizer's vocabulary has " + std::to_string(tokenizer_.vocabulary_size()),
                              path, "name the tokenizer that made the file with " + option("tokenizer"));
            const bool told = !file.documents().empty();
            if (told)
                add(ids, split, begins || std::binary_search(file.documents().begin(), file.documents().end(), at));
            else add_by_end_token(ids, split, begins);
            begins = false;
            at = end;
            if (options_.progress)
                log_progress("importing " + fs::path(path).filename().string() + " " +
                             std::to_string(100 * at / file.size()) + " %");
        }
        log_progress("");
    }

 private:
    // A document ends with each end token.
    void add_by_end_token(const std::vector<int32_t>& ids, int split, bool begins) {
        begins = begins || ended_;
        ended_ = false;
        for (size_t from = 0; from < ids.size();) {
            size_t to = ids.size();
            if (end_)
                if (const auto found = std::find(ids.begin() + int64_t(from), ids.end(), *end_); found != ids.end()) {
                    to = size_t(found - ids.begin()) + 1;
                    ended_ = to == ids.size();
                }
            add({ids.begin() + int64_t(from), ids.begin() + int64_t(to)}, split, begins);
            begins = true;
            from = to;
        }
    }
    void add(std::vector<int32_t> ids, int split, bool begins) {
        TextBatch::Item item;
        item.begins = begins;
        item.split = split;
        // end tokens stand for no text, as in a prepared set
        std::vector<int32_t> text = ids;
        if (end_) std::erase(text, *end_);
        item.bytes = tokenizer_.decode(std::span<const int32_t>(text)).size();
        round_ += ids.size();
        item.ids = std::move(ids);
        TextBatch batch;
        batch.items.push_back(std::move(item));
        writer_.write(batch);
        if (round_ < options_.round_tokens) return;
        writer_.finish_round();
        round_ = 0;
    }
    const ImportOptions& options_;
    const Tokenizer& tokenizer_;
    RoundWriter& writer_;
    std::optional<int32_t> end_;
    uint64_t round_ = 0;
    bool ended_ = false;
};

// Of an import that was killed: its own files; the folder stays where others are in it.
void clear(const std::string& unfinished) { remove_own_files(unfinished, TokenSet::is_own_file); }

}  // namespace

TokenSetInfo import_tokens(const ImportOptions& options, const TokenizerPtr& tokenizer, const std::string& output) {
    if (fs::exists(output))
        fail_usage("the output is there already", output, "choose a new folder with " + option("out"));
    TokenSetInfo info;
    info.vocabulary_size = tokenizer->vocabulary_size();
    info.token_bytes = token_bytes_of(info.vocabulary_size);
    info.tokenizer_hash = tokenizer->hash();
    for (const char* name : kSplitNames) info.splits.push_back({name, 0, 0, 0, {}});
    for (const std::string& file : options.files)
        if (!file.empty()) info.source += (info.source.empty() ? "" : ", ") + file;
    const std::string unfinished = output + ".unfinished";
    clear(unfinished);
    if (fs::exists(unfinished))
        fail_usage("the folder for the unfinished import holds other files", unfinished,
                   "choose another " + option("out"));
    make_folders(unfinished);
    try {
        DataConfig config;
        RoundWriter writer(unfinished, *tokenizer, config, info);
        Importer importer(options, *tokenizer, writer);
        for (int split = 0; split < 3; ++split)
            if (!options.files[size_t(split)].empty()) importer.take(options.files[size_t(split)], split);
        writer.finish_round();
        info.identity = to_hex(hash_bytes(to_json(info)));
        replace_file(unfinished + "/tokenizer.json", tokenizer->to_json());
        replace_file(unfinished + "/index.json", to_json(info));
    } catch (...) {
        clear(unfinished);
        throw;
    }
    fs::rename(unfinished, output);
    return info;
}

}  // namespace lithe
