#include "lithe/data/round_writer.h"

#include "lithe/data/input.h"

namespace lithe {

int token_bytes_of(int64_t vocabulary) { return vocabulary <= 256 ? 1 : vocabulary <= 65536 ? 2 : 4; }

RoundWriter::RoundWriter(std::string folder, const Tokenizer& tokenizer, const DataConfig& config, TokenSetInfo& info)
    : folder_(std::move(folder)),
      info_(info),
      tokenizer_json_(tokenizer.to_json()),
      labelled_(!config.label.empty()),
      pairs_(has_pairs(config)) {
    for (size_t i = 0; i < info.labels.size(); ++i) label_numbers_[info.labels[i]] = int32_t(i);
    if (config.document_end == DocumentEnd::automatic) end_ = tokenizer.document_end();
}

void RoundWriter::write(const TextBatch& batch) {
    for (const TextBatch::Item& item : batch.items) {
        Open& open = open_[size_t(item.split)];
        if (!open.writer) start(size_t(item.split));
        if (item.begins) {
            open.begins = true;
            open.label = labelled_ ? number_of(item.label) : 0;
        }
        append(open, item.ids);
        if (item.ends && end_) append(open, {*end_});
        if (item.ends && open.begins && pairs_)
            fail_file("a text of a pair has no token in this vocabulary, so that its partner would stand alone",
                      info_.source, "leave such pairs out of the data");
        open.bytes += item.bytes;
    }
}

void RoundWriter::finish_round() {
    for (size_t s = 0; s < 3; ++s) {
        Open& open = open_[s];
        if (!open.writer) continue;
        const uint64_t tokens = open.writer->tokens();
        TokenFileInfo file;
        file.vocabulary_size = info_.vocabulary_size;
        file.tokenizer = tokenizer_json_;
        file.tokenizer_hash = info_.tokenizer_hash;
        file.splits = {{kSplitNames[s], 0, tokens, open.bytes}};
        file.source = info_.source;
        file.labels = std::move(open.labels);
        const std::string root = open.writer->finish(file);
        TokenSetSplit& split = info_.splits[s];
        split.tokens += tokens;
        split.bytes += open.bytes;
        split.documents += open.documents;
        split.shards.push_back({open.name, tokens, open.bytes, open.documents, root});
        Open next;  // a document may have begun without a token yet
        next.begins = open.begins;
        next.label = open.label;
        open = std::move(next);
    }
}

void RoundWriter::start(size_t s) {
    open_[s].name = TokenSet::shard_name(kSplitNames[s], info_.splits[s].shards.size());
    open_[s].writer = std::make_unique<TokenFileWriter>(folder_ + "/" + open_[s].name, info_.token_bytes);
}

// Numbers are given in the order in which labels come.
int32_t RoundWriter::number_of(const std::string& label) {
    const auto [place, added] = label_numbers_.emplace(label, int32_t(info_.labels.size()));
    if (added) info_.labels.push_back(label);
    return place->second;
}

void RoundWriter::append(Open& open, const std::vector<int32_t>& ids) {
    if (ids.empty()) return;
    if (open.begins) {
        open.writer->start_document();
        ++open.documents;
        if (labelled_) open.labels.push_back(open.label);
        open.begins = false;
    }
    if (info_.token_bytes == 4) return open.writer->append(ids.data(), ids.size());
    if (info_.token_bytes == 2) {
        narrow_.assign(ids.begin(), ids.end());
        return open.writer->append(narrow_.data(), narrow_.size());
    }
    bytes_.assign(ids.begin(), ids.end());
    open.writer->append(bytes_.data(), bytes_.size());
}

}  // namespace lithe
