#include "lithe/infer/session.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <numeric>

#include "lithe/base/wording.h"
#include "lithe/blocks/prefix_reading.h"
#include "lithe/infer/step_model.h"

namespace lithe {
namespace {

Tensor as_tensor(std::span<const int64_t> numbers) {
    Tensor tensor = at::empty({int64_t(numbers.size())}, at::kLong);
    std::copy(numbers.begin(), numbers.end(), tensor.data_ptr<int64_t>());
    return tensor;
}

// Tokens [from, to) of these prompts, [to - from][rows].
Tensor stretch(const std::vector<std::vector<int64_t>>& prompts, const std::vector<int64_t>& rows, int64_t from,
               int64_t to) {
    Tensor ids_TB = at::empty({to - from, int64_t(rows.size())}, at::kLong);
    int64_t* out = ids_TB.data_ptr<int64_t>();
    for (int64_t at = from; at < to; ++at)
        for (const int64_t row : rows) *out++ = prompts[size_t(row)][size_t(at)];
    return ids_TB;
}

Bag rows_of(const Bag& source, const Tensor& rows) {
    Bag bag;
    if (const Tensor values = source.get(kSource); values.defined()) bag.put(kSource, values.index_select(1, rows));
    if (const Tensor padding = source.get(kSourcePadding); padding.defined())
        bag.put(kSourcePadding, padding.index_select(0, rows));
    return bag;
}

// As far as the steps' products of vectors were measured to be faster than LibTorch's of matrices (docs/lab).
constexpr int64_t kMostStepRows = 128;

bool wants_steps(const Session::Options& options) {
    if (options.int8) return true;
    if (options.path == Session::Path::automatic) return options.keep_projections && options.most_rows <= kMostStepRows;
    return options.path == Session::Path::steps;
}

}  // namespace

Session::Session(const LanguageModel& model, const Options& options)
    : model_(model),
      options_(options),
      pass_(model.pass(false)) {
    if (model.config().direction == Direction::bidirectional)
        fail_usage("an encoder fills gaps and does not continue a text", "model.direction");
    pass_.keep_projections = options.keep_projections;
    pass_.memory = options.memory > 0 ? options.memory : model.config().memory;
    if (model.max_positions() == 1) fail_usage("a model of one position continues no text", "model.max_positions");
    if (pass_.memory == 0) pass_.memory = model.max_positions() > 0 ? model.max_positions() : options.segment;
    pass_.window = pass_.memory;  // however prompts are cut into segments
    if (wants_steps(options))
        program_ = StepModel::make(model, {.most_rows = options.most_rows,
                                           .memory = pass_.memory,
                                           .threads = StepModel::worthwhile_threads(model, at::get_num_threads(),
                                                                                    options.most_rows, options.int8),
                                           .int8 = options.int8});
    if (!program_ && options.int8)
        fail_usage("this model has no single steps, and int8 weights need them", option("precision"));
    if (!program_ && options.path == Path::steps) fail_usage("this model has no single steps", "infer");
}

Session::~Session() = default;

bool Session::full(int64_t row) const { return model_.max_positions() > 0 && position(row) >= model_.max_positions(); }

void Session::check_rows(int64_t rows) const {
    if (rows > options_.most_rows)
        fail_usage("the session holds " + std::to_string(options_.most_rows) + " rows, and " + std::to_string(rows) +
                       " were asked for",
                   "infer");
}

void Session::check(const std::vector<std::vector<int64_t>>& prompts) const {
    for (const auto& prompt : prompts) {
        if (prompt.empty()) fail_usage("the prompt is empty: at least one token is needed", option("prompt"));
        if (model_.max_positions() > 0 && int64_t(prompt.size()) > model_.max_positions())
            fail_usage("a prompt of " + std::to_string(prompt.size()) + " tokens is longer than the model's " +
                           std::to_string(model_.max_positions()) + " absolute positions",
                       option("prompt"));
        for (const int64_t id : prompt)
            if (id < 0 || id >= model_.vocabulary_size())
                fail_usage("prompt token " + std::to_string(id) + " is outside the vocabulary of " +
                               std::to_string(model_.vocabulary_size()),
                           option("prompt"));
    }
}

LanguageModel::Next Session::forward(const Tensor& ids_TB, const State& state, const Tensor& position_B,
                                     const Bag& source, bool wants_logits) const {
    const at::NoGradGuard no_grad;
    Pass pass = pass_;
    if (state.empty() && pass.entries.find<PrefixReading>()) pass.causal = false;
    if (model_.max_positions() > 0) pass.position_B = position_B.to(model_.device());
    LanguageModel::Next next = model_.next(ids_TB.to(model_.device()), state, pass, source, wants_logits);
    if (wants_logits) next.logits_BV = next.logits_BV.to(at::kCPU, at::kFloat);
    return next;
}

// All prompts as far as the shortest goes, then the others as far as the next: no row is padded, and each token is read
// once. Where prompts are read from both sides each is read whole, with those of its length.
std::vector<Session::Group> Session::read(const std::vector<std::vector<int64_t>>& prompts, const Bag& source) const {
    const at::Device device = model_.device();
    const auto length = [&](int64_t row) { return int64_t(prompts[size_t(row)].size()); };
    std::vector<int64_t> open(prompts.size());
    std::iota(open.begin(), open.end(), int64_t(0));
    std::stable_sort(open.begin(), open.end(), [&](int64_t a, int64_t b) { return length(a) < length(b); });
    const bool whole = pass_.entries.find<PrefixReading>() != nullptr;
    Bag bag = rows_of(source, as_tensor(open).to(device));
    std::vector<Group> groups;
    State state;
    for (int64_t at = 0; !open.empty();) {
        if (options_.stop.stop_requested())
            fail({.kind = ErrorKind::stopped, .what = "stopped while reading a prompt"});
        const int64_t shortest = length(open.front()),
                      to = whole ? shortest : std::min(shortest, at + options_.segment);
        std::vector<int64_t> reading = open;
        if (whole) std::erase_if(reading, [&](int64_t row) { return length(row) > shortest; });
        const auto rows = int64_t(reading.size());
        LanguageModel::Next next =
            forward(stretch(prompts, reading, at, to), state, at::full({rows}, at, at::kLong), bag, to == shortest);
        bag = Bag();  // stands in the state now
        state = std::move(next.state);
        at = to;
        if (to < shortest) continue;
        const auto end = std::find_if(open.begin(), open.end(), [&](int64_t row) { return length(row) > to; });
        const int64_t done = end - open.begin();
        const auto select = [&](int64_t from, int64_t until) {
            return state.select_rows(at::arange(from, until, at::kLong).to(device));
        };
        groups.push_back(
            {{open.begin(), end}, next.logits_BV.narrow(0, 0, done), done < rows ? select(0, done) : state});
        if (done < rows) state = select(done, rows);
        open.erase(open.begin(), end);
        if (whole) {
            state = State();
            at = 0;
        }
    }
    return groups;
}

// places: where in the order of the prompts each row of the groups, one after another, belongs.
void Session::take_over(const std::vector<Group>& groups, const std::vector<int64_t>& places) {
    const int64_t first = rows() - int64_t(places.size());
    if (program_) {
        for (const Group& group : groups)
            for (size_t i = 0; i < group.rows.size(); ++i) {
                const int64_t row = first + group.rows[i];
                const State one = group.state.select_rows(at::full({1}, int64_t(i), at::kLong));
                program_->load(one, row, positions_[size_t(row)]);
            }
        return;
    }
    std::vector<State> states;
    for (const Group& group : groups) states.push_back(group.state);
    State joined = join_rows(states);
    if (groups.size() > 1) joined = joined.select_rows(as_tensor(places).to(model_.device()));
    state_ = first > 0 ? join_rows({state_, joined}) : std::move(joined);
}

Session::Logits Session::logits_of(Tensor logits_RV) {
    logits_ = logits_RV.contiguous();
    return {logits_.data_ptr<float>(), logits_.size(0), logits_.size(1)};
}

Session::Logits Session::admit(const std::vector<std::vector<int64_t>>& prompts, const Bag& source) {
    check_rows(rows() + int64_t(prompts.size()));
    check(prompts);
    return prompts.empty() ? Logits() : add(prompts, read(prompts, source));
}

Session::Logits Session::add(const std::vector<std::vector<int64_t>>& prompts, const std::vector<Group>& groups) {
    for (const auto& prompt : prompts) positions_.push_back(int64_t(prompt.size()));
    std::vector<int64_t> places(prompts.size());
    std::vector<Tensor> logits;
    int64_t number = 0;
    for (const Group& group : groups) {
        for (const int64_t row : group.rows) places[size_t(row)] = number++;
        logits.push_back(group.logits_RV);
    }
    take_over(groups, places);
    return logits_of(at::cat(logits).index_select(0, as_tensor(places)));
}

Session::Logits Session::step(std::span<const int64_t> tokens) {
    ops::check(int64_t(tokens.size()) == rows(), "session", "one token for each row is needed");
    Logits logits;
    if (program_) {
        logits = {program_->next(tokens), rows(), model_.vocabulary_size()};
    } else {
        LanguageModel::Next next = forward(as_tensor(tokens).unsqueeze(0), state_, as_tensor(positions_), {}, true);
        state_ = std::move(next.state);
        logits = logits_of(std::move(next.logits_BV));
    }
    for (int64_t& position : positions_) ++position;
    return logits;
}

void Session::keep(std::span<const int64_t> rows) {
    std::vector<int64_t> positions;
    for (const int64_t row : rows) positions.push_back(positions_.at(size_t(row)));
    if (program_) program_->keep(rows);
    else state_ = rows.empty() ? State() : trimmed(state_.select_rows(as_tensor(rows).to(model_.device())));
    positions_ = std::move(positions);
}

Session::Logits Session::restart(std::span<const int64_t> rows, const std::vector<std::vector<int64_t>>& prompts) {
    ops::check(rows.size() == prompts.size(), "session", "one prompt for each row is needed");
    check(prompts);
    if (rows.empty()) return {};
    const std::vector<Group> groups = read(prompts, {});
    std::vector<int64_t> place(positions_.size(), -1);  // among the rows behind the others; -1: it stays
    for (size_t i = 0; i < rows.size(); ++i) place.at(size_t(rows[i])) = int64_t(i);
    std::vector<int64_t> others;
    for (size_t row = 0; row < place.size(); ++row)
        if (place[row] < 0) others.push_back(int64_t(row));
    keep(others);
    const Logits logits = add(prompts, groups);
    std::vector<int64_t> order;
    int64_t next = 0;
    for (const int64_t each : place) order.push_back(each < 0 ? next++ : int64_t(others.size()) + each);
    keep(order);
    return logits;
}

}  // namespace lithe
