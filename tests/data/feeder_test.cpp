#include "lithe/data/feeder.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "lithe/data/prefetch.h"
#include "support/errors.h"

namespace lithe {
namespace {

// Documents of given lengths; token i of document d is 1000 d + i.
class NumberedDocuments : public TokenView {
 public:
    explicit NumberedDocuments(std::vector<uint64_t> lengths, int64_t first = 0) : first_(first) {
        for (uint64_t length : lengths) starts_.push_back(starts_.back() + length);
    }
    uint64_t size() const override { return starts_.back(); }
    uint64_t bytes() const override { return size(); }
    void read(uint64_t begin, uint64_t count, int64_t* out) const override {
        for (uint64_t i = 0; i < count; ++i) {
            const uint64_t place = begin + i;
            const auto d = uint64_t(std::upper_bound(starts_.begin(), starts_.end(), place) - starts_.begin()) - 1;
            out[i] = first_ + int64_t(1000 * d + place - starts_[d]);
        }
    }
    uint64_t documents() const override { return starts_.size() - 1; }
    uint64_t document_begin(uint64_t number) const override { return starts_[number]; }

 private:
    int64_t first_;
    std::vector<uint64_t> starts_{0};
};

std::vector<uint64_t> lengths_of(uint64_t count) {
    std::vector<uint64_t> lengths;
    for (uint64_t i = 0; i < count; ++i) lengths.push_back(1 + i * 7 % 23);
    return lengths;
}

bool same(const Batch& a, const Batch& b) {
    return a.inputs == b.inputs && a.targets == b.targets && a.flags == b.flags && a.begins == b.begins &&
           a.tokens == b.tokens;
}

TEST(StreamFeeder, PiecesAreContiguousAndEpochsStartAnew) {
    const NumberedDocuments text({200});
    auto feeder = make_stream_feeder({{&text, 1, "a"}}, {.batch = 2, .length = 8});  // two pieces of 100
    Batch batch;
    feeder->next(batch);
    EXPECT_TRUE(batch.begins);
    EXPECT_TRUE(batch.flags.empty());
    EXPECT_EQ(batch.inputs[0], 0);
    EXPECT_EQ(batch.inputs[1], 100);
    EXPECT_EQ(batch.inputs[2], 1);
    EXPECT_EQ(batch.targets[0], 1);
    EXPECT_EQ(batch.targets[15], 108);
    feeder->next(batch);
    EXPECT_FALSE(batch.begins);
    EXPECT_EQ(batch.inputs[0], 8);
    const FeedPosition middle = feeder->position();
    EXPECT_EQ(middle.at, 16u);
    for (int i = 2; i < 12; ++i) {
        feeder->next(batch);
        EXPECT_FALSE(batch.begins);
    }
    EXPECT_EQ(feeder->position().at, 96u);
    EXPECT_EQ(feeder->position().epoch, 0u);
    feeder->next(batch);  // 12 segments of 8 fit into 99
    EXPECT_TRUE(batch.begins);
    EXPECT_EQ(batch.inputs[0], 0);
    EXPECT_EQ(feeder->position().epoch, 1u);
    feeder->seek(middle);
    feeder->next(batch);
    EXPECT_EQ(batch.inputs[0], 16);
    EXPECT_ERROR(make_stream_feeder({{&text, 1, "a"}}, {.batch = 100, .length = 8}), ErrorKind::usage, "too short");
    EXPECT_ERROR(feeder->seek({.epoch = 0, .at = 3}), ErrorKind::bad_file, "does not fit");
}

// Where the rows of each segment of an epoch begin; checks that a row's tokens follow each other.
std::vector<int64_t> beginnings(Feeder& feeder, int64_t rows, int64_t length, int segments) {
    std::vector<int64_t> begins;
    Batch batch;
    for (int i = 0; i < segments; ++i) {
        feeder.next(batch);
        EXPECT_EQ(batch.begins, i == 0);
        for (int64_t b = 0; b < rows; ++b) {
            begins.push_back(batch.inputs[size_t(b)]);
            for (int64_t t = 0; t < length; ++t) {
                EXPECT_EQ(batch.inputs[size_t(t * rows + b)], begins.back() + t);
                EXPECT_EQ(batch.targets[size_t(t * rows + b)], begins.back() + t + 1);
            }
        }
    }
    return begins;
}

TEST(StreamFeeder, ChunksOfTheTextComeInARandomOrder) {
    const NumberedDocuments text({7003});
    const FeedOptions options{.batch = 3, .length = 8, .seed = 5, .chunk = 25};  // 24 tokens, three segments
    auto feeder = make_stream_feeder({{&text, 1, "a"}}, options);
    const int segments = 7002 / 24 / 3 * 3;
    std::vector<std::vector<int64_t>> epochs;
    for (uint64_t epoch = 0; epoch < 3; ++epoch) {
        const auto begins = beginnings(*feeder, 3, 8, segments);
        EXPECT_EQ(feeder->position().epoch, epoch);
        EXPECT_EQ(feeder->position().at, uint64_t(segments * 8));
        for (size_t i = 0; i < begins.size(); ++i) {
            const size_t segment = i / 3;
            if (segment == 0) continue;
            const bool goes_on = begins[i] == begins[i - 3] + 8;
            EXPECT_EQ(goes_on, segment % 3 > 0) << segment;
        }
        EXPECT_EQ(std::set<int64_t>(begins.begin(), begins.end()).size(), begins.size()) << "each token once";
        EXPECT_LT(*std::min_element(begins.begin(), begins.end()), 200);
        EXPECT_GT(*std::max_element(begins.begin(), begins.end()), 6800);
        epochs.push_back(begins);
    }
    EXPECT_NE(epochs[0], epochs[1]);
    EXPECT_NE(epochs[0][0] % 8, epochs[1][0] % 8) << "cut elsewhere";
    EXPECT_FALSE(feeder->uses_flags());

    // goes on where it was
    auto resumed = make_stream_feeder({{&text, 1, "a"}}, options);
    Batch there, here;
    resumed->seek({.epoch = 1, .at = 5 * 8});
    resumed->next(there);
    EXPECT_EQ(there.inputs[0], epochs[1][5 * 3]);
    feeder->seek({.epoch = 1, .at = 5 * 8});
    feeder->next(here);
    EXPECT_TRUE(same(here, there));

    FeedOptions other = options;
    other.seed = 6;
    EXPECT_NE(beginnings(*make_stream_feeder({{&text, 1, "a"}}, other), 3, 8, segments), epochs[0]);
}

TEST(StreamFeeder, ChunksOfAShortTextAreShorter) {
    for (const auto& [size, segments] : {std::pair(9, 1), {10, 1}, {63, 7}, {100, 12}, {400, 48}}) {
        const NumberedDocuments text({uint64_t(size)});
        auto feeder = make_stream_feeder({{&text, 1, "a"}}, {.batch = 1, .length = 8, .chunk = 4096});
        std::set<int64_t> seen;
        for (int64_t begin : beginnings(*feeder, 1, 8, segments)) seen.insert(begin);
        EXPECT_EQ(seen.size(), size_t(segments)) << size;
    }
    const NumberedDocuments text({200}), small({40}, 500'000);
    EXPECT_ERROR(make_stream_feeder({{&text, 1, "a"}}, {.batch = 100, .length = 8, .chunk = 16}), ErrorKind::usage,
                 "too short");
    auto feeder =
        make_stream_feeder({{&text, 3, "large"}, {&small, 1, "small"}}, {.batch = 4, .length = 8, .chunk = 16});
    Batch batch;
    for (int step = 0; step < 20; ++step) {
        feeder->next(batch);
        for (int b = 0; b < 4; ++b) EXPECT_EQ(batch.inputs[size_t(b)] >= 500'000, b == 3);
    }
}

TEST(StreamFeeder, SourcesHaveRowsByTheirShares) {
    const NumberedDocuments large({400}), small({40}, 500'000);
    auto feeder = make_stream_feeder({{&large, 3, "large"}, {&small, 1, "small"}}, {.batch = 4, .length = 8});
    Batch batch;
    int resets = 0;
    for (int step = 0; step < 20; ++step) {
        feeder->next(batch);
        for (int b = 0; b < 4; ++b) EXPECT_EQ(batch.inputs[size_t(b)] >= 500'000, b == 3);
        if (batch.flags.empty()) continue;
        for (size_t i = 0; i < batch.flags.size(); ++i)
            EXPECT_EQ(batch.flags[i], (i == 3 || (step == 16 && i < 3)) ? kDocumentBegins : 0) << step;
        ++resets;
    }
    EXPECT_EQ(resets, 4);  // the small source begins anew every 4 segments, the large one after 16
    EXPECT_EQ(deal_rows({{nullptr, 1, ""}, {nullptr, 1000, ""}}, 4), (std::vector<int64_t>{1, 3}));
    EXPECT_EQ(deal_rows({{nullptr, 2, ""}, {nullptr, 2, ""}, {nullptr, 1, ""}}, 10), (std::vector<int64_t>{4, 4, 2}));
    EXPECT_ERROR(deal_rows({{nullptr, 1, ""}, {nullptr, 1, ""}}, 1), ErrorKind::usage,
                 "2 sources need at least as many rows");
}

TEST(DocumentFeeder, OrderIsAPermutation) {
    for (uint64_t count : {1, 2, 3, 5, 16, 17, 100, 1000}) {
        std::set<uint64_t> seen;
        bool moved = false;
        for (uint64_t i = 0; i < count; ++i) {
            const uint64_t to = permuted(i, count, 7);
            EXPECT_LT(to, count);
            moved = moved || to != i;
            seen.insert(to);
        }
        EXPECT_EQ(seen.size(), count);
        EXPECT_EQ(moved, count > 2 || moved);
    }
    EXPECT_NE(permuted(5, 1000, 1), permuted(5, 1000, 2));
}

// Every token of every document is an input, and a target in the right place, once an epoch.
void check_epoch(bool one_per_row, std::optional<int32_t> document_end) {
    const NumberedDocuments text(lengths_of(40));
    auto feeder = make_document_feeder(
        {{&text, 1, "a"}},
        {.batch = 3, .length = 8, .seed = 5, .one_per_row = one_per_row, .document_end = document_end});
    std::map<int64_t, int> targets;
    std::vector<int64_t> before(3, -5);
    std::vector<bool> padded(3, false);
    Batch batch;
    while (feeder->position().epoch == 0) {
        feeder->next(batch);
        if (feeder->position().epoch > 0) break;
        int64_t tokens = 0;
        for (size_t t = 0; t < 8; ++t)
            for (size_t b = 0; b < 3; ++b) {
                const size_t i = t * 3 + b;
                if (batch.flags[i] == kPadding) {
                    EXPECT_TRUE(one_per_row);
                    EXPECT_EQ(batch.targets[i], -1);
                    before[b] = -5;
                    continue;
                }
                ++tokens;
                const bool begins = batch.flags[i] == kDocumentBegins;
                const bool first = document_end ? batch.inputs[i] == *document_end : batch.inputs[i] % 1000 == 0;
                EXPECT_EQ(first, begins);
                EXPECT_TRUE(begins || batch.inputs[i] == before[b]) << "the input is the target before";
                const bool follows = batch.targets[i] == batch.inputs[i] + 1;
                EXPECT_TRUE(begins && document_end ? batch.targets[i] % 1000 == 0 : follows);
                before[b] = batch.targets[i];
                ++targets[batch.targets[i]];
            }
        EXPECT_EQ(tokens, batch.tokens);
    }
    for (const auto& [token, count] : targets) EXPECT_EQ(count, 1) << token;
    EXPECT_GT(targets.size(),
              (text.size() - (document_end ? 0 : 40)) * 8 / 10);  // the last segments of the epoch are not looked at
}

TEST(DocumentFeeder, EveryTokenOnceAnEpoch) {
    for (bool one_per_row : {false, true})
        for (std::optional<int32_t> end : {std::optional<int32_t>(), std::optional<int32_t>(999'999)})
            check_epoch(one_per_row, end);
}

TEST(DocumentFeeder, GoesOnFromEveryPosition) {
    const NumberedDocuments a(lengths_of(30)), b(lengths_of(9), 500'000);
    const std::vector<FeedSource> sources = {{&a, 2, "a"}, {&b, 1, "b"}};
    const FeedOptions options{.batch = 3, .length = 8, .seed = 5};
    auto whole = make_document_feeder(sources, options);
    std::vector<Batch> expected(40);
    std::vector<FeedPosition> positions;
    for (Batch& batch : expected) {
        positions.push_back(whole->position());
        whole->next(batch);
    }
    for (size_t i = 0; i < expected.size(); i += 7) {
        auto resumed = make_document_feeder(sources, options);
        resumed->seek(positions[i]);
        for (size_t j = i; j < expected.size(); ++j) {
            Batch batch;
            resumed->next(batch);
            EXPECT_TRUE(same(batch, expected[j])) << i << " " << j;
        }
    }
    int64_t small = 0, all = 0;
    for (const Batch& batch : expected)
        for (int64_t id : batch.inputs) {
            small += id >= 500'000;
            ++all;
        }
    EXPECT_NEAR(double(small) / double(all), 1.0 / 3, 0.12);
    FeedPosition other = positions[5];
    other.rows.pop_back();
    EXPECT_ERROR(whole->seek(other), ErrorKind::bad_file, "is of 2 rows and 2 sources, this run has 3 and 2");
    other = positions[5];
    other.rows[0].document = 1000;
    EXPECT_ERROR(whole->seek(other), ErrorKind::bad_file, "a document that is not there");
    const NumberedDocuments ones({1, 1, 1});
    EXPECT_ERROR(make_document_feeder({{&ones, 1, "ones"}}, options), ErrorKind::usage,
                 "no document of the split has a token to predict");
}

TEST(Prefetcher, GivesWhatTheFeederGives) {
    const NumberedDocuments text(lengths_of(30));
    const FeedOptions options{.batch = 3, .length = 8, .seed = 5};
    auto plain = make_document_feeder({{&text, 1, "a"}}, options);
    Prefetcher ahead(make_document_feeder({{&text, 1, "a"}}, options));
    std::vector<FeedPosition> positions;
    std::vector<Batch> batches(30);
    Batch taken;
    for (Batch& batch : batches) {
        positions.push_back(plain->position());
        plain->next(batch);
        ahead.next(taken);
        EXPECT_TRUE(same(taken, batch));
        EXPECT_EQ(ahead.position().drawn, plain->position().drawn);
    }
    ahead.seek(positions[4]);
    ahead.next(taken);
    EXPECT_TRUE(same(taken, batches[4]));
    EXPECT_GE(ahead.take_wait(), 0);
}

class Failing : public NumberedDocuments {
 public:
    Failing() : NumberedDocuments({100}) {}
    void read(uint64_t begin, uint64_t count, int64_t* out) const override {
        if (begin > 50) fail_file("damaged block", "shard");
        NumberedDocuments::read(begin, count, out);
    }
};

TEST(Prefetcher, ErrorsArriveAtTheirSegment) {
    const Failing text;
    Prefetcher ahead(make_stream_feeder({{&text, 1, "a"}}, {.batch = 1, .length = 10}));
    Batch batch;
    for (int i = 0; i < 6; ++i) ahead.next(batch);
    EXPECT_ERROR(ahead.next(batch), ErrorKind::bad_file, "damaged block");
}

}  // namespace
}  // namespace lithe
