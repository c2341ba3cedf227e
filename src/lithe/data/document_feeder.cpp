#include <algorithm>
#include <bit>

#include "lithe/base/error.h"
#include "lithe/base/rng.h"
#include "lithe/data/feeder.h"

namespace lithe {
namespace {

class DocumentFeeder : public Feeder {
 public:
    DocumentFeeder(std::vector<FeedSource> sources, const FeedOptions& options)
        : sources_(std::move(sources)),
          options_(options),
          at_{.rows = std::vector<FeedPosition::Row>(size_t(options.batch)),
              .drawn = std::vector<uint64_t>(sources_.size(), 0)} {
        for (const FeedSource& source : sources_) {
            // with an end token even documents of one token have a target
            const uint64_t without_target = options.document_end ? 0 : source.tokens->documents();
            if (source.tokens->size() <= without_target)
                fail_usage("no document of the split has a token to predict", source.name, "use more text");
            total_share_ += source.share;
        }
    }

    void next(Batch& batch) override {
        const size_t size = size_t(options_.length) * size_t(options_.batch);
        batch.inputs.assign(size, 0);
        batch.targets.assign(size, -1);
        batch.flags.assign(size, kPadding);
        batch.length = options_.length;
        batch.rows = options_.batch;
        batch.tokens = 0;
        batch.begins = false;
        for (int64_t b = 0; b < options_.batch; ++b) fill_row(batch, size_t(b));
    }
    FeedPosition position() const override { return at_; }
    void seek(const FeedPosition& position) override {
        if (position.rows.size() != at_.rows.size() || position.drawn.size() != at_.drawn.size())
            fail_file("the data position is of " + std::to_string(position.rows.size()) + " rows and " +
                          std::to_string(position.drawn.size()) + " sources, this run has " +
                          std::to_string(at_.rows.size()) + " and " + std::to_string(at_.drawn.size()),
                      "state.json");
        for (const FeedPosition::Row& row : position.rows)
            if (row.source >= sources_.size() || row.document >= sources_[row.source].tokens->documents() ||
                (row.open && row.offset >= steps_of(row)))
                fail_file("the data position names a document that is not there", "state.json");
        at_ = position;
    }
    bool uses_flags() const override { return true; }

 private:
    // Time steps that a document takes: with an end token every token of it is a target once (the end token is the
    // input before the first), else the first token is only an input.
    uint64_t steps_of(const FeedPosition::Row& row) const {
        const uint64_t tokens = length_of(row);
        return options_.document_end ? tokens : tokens - 1;
    }
    uint64_t begin_of(const FeedPosition::Row& row) const {
        return sources_[row.source].tokens->document_begin(row.document);
    }
    uint64_t length_of(const FeedPosition::Row& row) const {
        const TokenView& view = *sources_[row.source].tokens;
        return (row.document + 1 < view.documents() ? view.document_begin(row.document + 1) : view.size()) -
               begin_of(row);
    }

    void fill_row(Batch& batch, size_t b) {
        FeedPosition::Row& row = at_.rows[b];
        const auto length = uint64_t(options_.length);
        for (uint64_t t = 0; t < length;) {
            if (!row.open) {
                if (options_.one_per_row && t > 0) return;
                draw(row);
            }
            const uint64_t steps = std::min(length - t, steps_of(row) - row.offset);
            put(batch, b, t, row, steps);
            t += steps;
            row.offset += steps;
            row.open = row.offset < steps_of(row);
        }
    }

    void put(Batch& batch, size_t b, uint64_t t, const FeedPosition::Row& row, uint64_t steps) {
        // tokens from the input of the first step to the target of the last
        const bool shifted = options_.document_end.has_value();
        const uint64_t first = shifted ? row.offset - std::min<uint64_t>(1, row.offset) : row.offset;
        const uint64_t count = steps + (shifted && row.offset == 0 ? 0 : 1);
        buffer_.resize(size_t(count));
        sources_[row.source].tokens->read(begin_of(row) + first, count, buffer_.data());
        if (shifted && row.offset == 0) buffer_.insert(buffer_.begin(), *options_.document_end);
        for (uint64_t i = 0; i < steps; ++i) {
            const size_t place = size_t(t + i) * size_t(options_.batch) + b;
            batch.inputs[place] = buffer_[size_t(i)];
            batch.targets[place] = buffer_[size_t(i) + 1];
            batch.flags[place] = i == 0 && row.offset == 0 ? kDocumentBegins : 0;
        }
        batch.tokens += int64_t(steps);
    }

    // The next document: a source by its share, its next one in the random order of its epoch.
    void draw(FeedPosition::Row& row) {
        uint64_t drawn = 0;
        for (uint64_t count : at_.drawn) drawn += count;
        for (;; ++drawn) {
            double place = random_unit(combine_key(options_.seed, "source"), drawn) * total_share_;
            row.source = 0;
            while (row.source + 1 < sources_.size() && (place -= sources_[row.source].share) >= 0) ++row.source;
            const uint64_t count = sources_[row.source].tokens->documents(), number = at_.drawn[row.source]++;
            const uint64_t epoch = number / count;
            row.document = permuted(number % count, count, combine_key(combine_key(options_.seed, row.source), epoch));
            row.offset = 0;
            row.open = true;
            at_.epoch = std::max(at_.epoch, epoch);
            if (steps_of(row) > 0) return;
        }
    }

    std::vector<FeedSource> sources_;
    FeedOptions options_;
    FeedPosition at_;
    double total_share_ = 0;
    std::vector<int64_t> buffer_;
};

}  // namespace

uint64_t permuted(uint64_t index, uint64_t count, uint64_t key) {
    if (count < 2) return 0;
    const int half = (std::bit_width(count - 1) + 1) / 2;
    const uint64_t mask = (uint64_t(1) << half) - 1;
    do {
        uint64_t left = index >> half, right = index & mask;
        for (uint64_t round = 0; round < 4; ++round) {
            const uint64_t mixed = left ^ (random_bits(combine_key(key, round), right) & mask);
            left = right;
            right = mixed;
        }
        index = left << half | right;
    } while (index >= count);
    return index;
}

std::unique_ptr<Feeder> make_document_feeder(std::vector<FeedSource> sources, const FeedOptions& options) {
    return std::make_unique<DocumentFeeder>(std::move(sources), options);
}

}  // namespace lithe
