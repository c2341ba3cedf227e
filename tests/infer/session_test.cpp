// Rows of a session give what each gives alone, whatever comes, goes and changes places beside it.
#include "lithe/infer/session.h"

#include "infer/models.h"
#include "lithe/base/rng.h"
#include "support/errors.h"

namespace lithe {
namespace {

using testing::kStepModels;
using testing::kVocabulary;
using testing::make_model;
using Ids = std::vector<int64_t>;

Session::Options options_of(Session::Path path, int64_t rows) {
    return {.most_rows = rows, .memory = 8, .segment = 5, .path = path};
}

// A text that reads on alone, by forward passes.
struct Alone {
    Ids prompt, read;
    std::unique_ptr<Session> session;
    std::vector<float> logits;

    Alone(const LanguageModel& model, Ids begin) : prompt(std::move(begin)) {
        session = std::make_unique<Session>(model, options_of(Session::Path::forward, 1));
        take(session->admit({prompt}));
    }
    void next(int64_t token) {
        read.push_back(token);
        take(session->step(Ids{token}));
    }
    std::unique_ptr<Alone> again() const {
        auto twin = std::make_unique<Alone>(session->model(), prompt);
        for (const int64_t token : read) twin->next(token);
        return twin;
    }
    void take(const Session::Logits& from) { logits.assign(from.data, from.data + from.vocabulary); }
};

// Largest difference of log-probabilities.
double difference(const Session::Logits& got, int64_t row, const std::vector<float>& expected) {
    const Tensor one = at::from_blob(const_cast<float*>(got.row(row)), {got.vocabulary}).to(at::kDouble);
    const Tensor other = at::tensor(expected).to(at::kDouble);
    return (one.log_softmax(0) - other.log_softmax(0)).abs().max().item<double>();
}

class Schedule {
 public:
    Schedule(const LanguageModel& model, Session::Path path, uint64_t key, int64_t rows = 5)
        : model_(model),
          most_(rows),
          session_(model, options_of(path, rows)),
          key_(key) {}

    double run() {
        for (int round = 0; round < 14; ++round) {
            if (int64_t(rows_.size()) < most_ && (rows_.empty() || below(3) > 0)) admit();
            step();
            if (below(2) == 0) keep();
            if (!rows_.empty()) step();
        }
        return worst_;
    }

 private:
    int64_t below(int64_t bound) { return int64_t(random_unit(key_, drawn_++) * double(bound)); }
    Ids ids(int64_t count) {
        Ids list;
        for (int64_t i = 0; i < count; ++i) list.push_back(below(kVocabulary));
        return list;
    }

    void admit() {
        std::vector<Ids> prompts;
        const int64_t count = 1 + below(most_ - int64_t(rows_.size()));
        const auto first = int64_t(rows_.size());
        for (int64_t i = 0; i < count; ++i) {
            prompts.push_back(ids(1 + below(13)));
            rows_.push_back(std::make_unique<Alone>(model_, prompts.back()));
        }
        compare(session_.admit(prompts), first);
    }
    void step() {
        const Ids tokens = ids(int64_t(rows_.size()));
        for (size_t i = 0; i < rows_.size(); ++i) rows_[i]->next(tokens[i]);
        compare(session_.step(tokens), 0);
    }
    void keep() {
        Ids order;
        std::vector<std::unique_ptr<Alone>> rows;
        const int64_t count = below(most_ + 1);
        for (int64_t i = 0; i < count; ++i) {
            order.push_back(below(int64_t(rows_.size())));
            rows.push_back(rows_[size_t(order.back())]->again());
        }
        rows_ = std::move(rows);
        session_.keep(order);
    }
    void compare(const Session::Logits& got, int64_t first) {
        ASSERT_EQ(got.rows + first, int64_t(rows_.size()));
        for (int64_t i = 0; i < got.rows; ++i)
            worst_ = std::max(worst_, difference(got, i, rows_[size_t(first + i)]->logits));
        for (size_t i = 0; i < rows_.size(); ++i)
            EXPECT_EQ(session_.position(int64_t(i)), int64_t(rows_[i]->prompt.size() + rows_[i]->read.size()));
    }

    const LanguageModel& model_;
    int64_t most_;
    Session session_;
    std::vector<std::unique_ptr<Alone>> rows_;
    uint64_t key_, drawn_ = 0;
    double worst_ = 0;
};

TEST(Session, RowsThatComeGoAndChangePlacesAreAsAlone) {
    for (const char* text : kStepModels) {
        const auto model = make_model(text);
        for (const Session::Path path : {Session::Path::forward, Session::Path::steps})
            for (const uint64_t key : {1, 2})
                EXPECT_LE(Schedule(*model, path, key).run(), 1e-5) << text << ", path " << int(path);
    }
}

TEST(Session, SixtyFourRowsThatComeAndGoAreAsAlone) {
    const auto model = make_model(kStepModels[3]);
    for (const Session::Path path : {Session::Path::forward, Session::Path::steps})
        EXPECT_LE(Schedule(*model, path, 5, 64).run(), 1e-5) << "path " << int(path);
}

TEST(Session, Int8HasSingleStepsForAnyNumberOfRows) {
    const auto model = make_model(kStepModels[0]);
    Session::Options options = options_of(Session::Path::automatic, 200);
    EXPECT_FALSE(Session(*model, options).by_steps());
    options.int8 = true;
    EXPECT_TRUE(Session(*model, options).by_steps());
}

TEST(Session, RowsBehindTheirPositionsAreReadAnewTogether) {
    const auto model = make_model("width = 16\nlayout = \"sf\"\nheads = 2\npositions = \"learned\"\nmax_positions = 6");
    for (const Session::Path path : {Session::Path::forward, Session::Path::steps}) {
        Session session(*model, options_of(path, 4));
        session.admit({{1, 2, 3, 4, 5, 6}, {1, 2}, {6, 5, 4, 3, 2, 1}, {7}});
        const Session::Logits logits = session.restart(Ids{2, 0}, {{2, 1, 9}, {5, 6}});
        EXPECT_LE(difference(logits, 0, Alone(*model, {2, 1, 9}).logits), 1e-5);
        EXPECT_LE(difference(logits, 1, Alone(*model, {5, 6}).logits), 1e-5);
        const std::vector<Ids> read = {{5, 6}, {1, 2}, {2, 1, 9}, {7}};
        const Session::Logits next = session.step(Ids{9, 8, 4, 3});
        for (size_t row = 0; row < 4; ++row) {
            Alone alone(*model, read[row]);
            alone.next(Ids{9, 8, 4, 3}[row]);
            EXPECT_LE(difference(next, int64_t(row), alone.logits), 1e-5) << row;
            EXPECT_EQ(session.position(int64_t(row)), int64_t(read[row].size()) + 1);
        }
    }
}

// A stop while rows are read anew leaves the session, and the texts, as they are.
TEST(Session, AStopWhileRowsAreReadAnewChangesNothing) {
    const auto model = make_model("width = 16\nlayout = \"sf\"\nheads = 2\npositions = \"learned\"\nmax_positions = 6");
    std::stop_source stop;
    Session::Options options = options_of(Session::Path::forward, 2);
    options.stop = stop.get_token();
    Session session(*model, options);
    session.admit({{1, 2, 3, 4, 5, 6}, {1, 2}});
    stop.request_stop();
    EXPECT_ERROR(session.restart(Ids{0}, {{5, 6}}), ErrorKind::stopped, "stopped");
    EXPECT_EQ(session.rows(), 2);
    EXPECT_EQ(session.position(0), 6);
}

TEST(Session, EveryBlockKindHasRows) {
    for (const std::string& text : testing::variant_models()) {
        const auto model = make_model(text);
        EXPECT_LE(Schedule(*model, Session::Path::forward, 3).run(), 1e-5) << text;
        const bool steps = Session(*model, options_of(Session::Path::automatic, 4)).by_steps();
        if (steps) { EXPECT_LE(Schedule(*model, Session::Path::steps, 4).run(), 1e-5) << text; }
    }
}

TEST(Session, ARowBehindItsPositionsIsReadAnewInItsPlace) {
    const auto model = make_model("width = 16\nlayout = \"sf\"\nheads = 2\npositions = \"learned\"\nmax_positions = 6");
    for (const Session::Path path : {Session::Path::forward, Session::Path::steps}) {
        Session session(*model, options_of(path, 3));
        session.admit({{1, 2}, {1, 2, 3, 4, 5, 6}, {7}});
        EXPECT_FALSE(session.full(0));
        EXPECT_TRUE(session.full(1));
        const Session::Logits logits = session.restart(Ids{1}, {{5, 6}});
        EXPECT_LE(difference(logits, 0, Alone(*model, {5, 6}).logits), 1e-5);
        EXPECT_EQ(session.position(1), 2);
        Alone first(*model, {1, 2}), second(*model, {5, 6}), third(*model, {7});
        first.next(9);
        second.next(8);
        third.next(4);
        const Session::Logits next = session.step(Ids{9, 8, 4});
        EXPECT_LE(difference(next, 0, first.logits), 1e-5);
        EXPECT_LE(difference(next, 1, second.logits), 1e-5);
        EXPECT_LE(difference(next, 2, third.logits), 1e-5);
    }
}

TEST(Session, TheMemoryOfLongTextsStaysAsLongAsItIs) {
    const auto model = make_model(kStepModels[0]);
    Session session(*model, options_of(Session::Path::forward, 2));
    session.admit({Ids(40, 3), {1}});
    for (int i = 0; i < 20; ++i) session.step(Ids{2, 2});
    Alone alone(*model, Ids(40, 3)), other(*model, {1});
    for (int i = 0; i < 20; ++i) {
        alone.next(2);
        other.next(2);
    }
    alone.next(4);
    other.next(5);
    const Session::Logits logits = session.step(Ids{4, 5});
    EXPECT_LE(difference(logits, 0, alone.logits), 1e-5);
    EXPECT_LE(difference(logits, 1, other.logits), 1e-5);
}

TEST(Session, SaysWhatItDoesNotTake) {
    const auto model = make_model(kStepModels[3]);
    Session session(*model, options_of(Session::Path::automatic, 2));
    EXPECT_ERROR(session.admit({{}}), ErrorKind::usage, "the prompt is empty");
    EXPECT_ERROR(session.admit({{kVocabulary}}), ErrorKind::usage, "outside the vocabulary of 50");
    EXPECT_ERROR(session.admit({{-1}}), ErrorKind::usage, "outside the vocabulary");
    EXPECT_ERROR(session.admit({Ids(65, 1)}), ErrorKind::usage, "longer than the model's 64 absolute positions");
    EXPECT_ERROR(session.admit({{1}, {1}, {1}}), ErrorKind::usage, "holds 2 rows, and 3 were asked for");
    EXPECT_EQ(session.rows(), 0);
    EXPECT_EQ(session.admit({}).rows, 0);
    const auto encoder = make_model("width = 16\nlayout = \"sf\"\nheads = 2\ndirection = \"bidirectional\"");
    EXPECT_ERROR(Session(*encoder, {}), ErrorKind::usage, "an encoder fills gaps");
}

}  // namespace
}  // namespace lithe
