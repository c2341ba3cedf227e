#include "lithe/infer/beam_search.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "lithe/infer/sampler.h"

namespace lithe {
namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();

// A hypothesis that is being written.
struct Open {
    std::vector<int64_t> tokens;
    std::vector<double> log_p;
    double sum = 0;
};

// One more token of one of a sentence's open hypotheses.
struct Candidate {
    size_t from = 0;
    int64_t token = 0;
    double sum = 0, log_p = 0;
};

bool better(const Candidate& a, const Candidate& b) {
    if (a.sum != b.sum) return a.sum > b.sum;
    return a.from != b.from ? a.from < b.from : a.token < b.token;
}

struct Sentence {
    std::vector<int64_t> prompt;
    int64_t most = 0;  // tokens without the end
    std::vector<Open> open = {Open()};
    std::vector<BeamHypothesis> finished;
    bool done = false;
};

// log softmax of a row.
void log_probabilities(std::span<const float> logits, std::vector<double>& log_p) {
    check_finite(logits);
    const double shift = log_total(logits);
    log_p.resize(logits.size());
    for (size_t i = 0; i < logits.size(); ++i) log_p[i] = double(logits[i]) - shift;
}

class BeamSearch {
 public:
    BeamSearch(Session& session, const BeamOptions& options) : session_(session), options_(options) {}

    std::vector<std::vector<BeamHypothesis>> run(const std::vector<std::vector<int64_t>>& prompts, const Bag& source,
                                                 const std::vector<int64_t>& source_lengths) {
        for (size_t i = 0; i < prompts.size(); ++i) {
            const double length = source_lengths.empty() ? double(prompts[i].size()) : double(source_lengths[i]);
            int64_t most = int64_t(options_.per_source * length) + options_.most_tokens;
            if (const int64_t positions = session_.model().max_positions(); positions > 0)
                most = std::min(most, positions - int64_t(prompts[i].size()));
            sentences_.push_back({prompts[i], most});
        }
        Session::Logits logits = session_.admit(prompts, source);
        for (int64_t step = 0; logits.rows > 0 && !options_.stop.stop_requested(); ++step) {
            advance(logits, step);
            if (next_rows_.empty()) break;
            session_.keep(next_rows_);
            logits = session_.step(next_tokens_);
        }
        session_.keep({});
        std::vector<std::vector<BeamHypothesis>> results;
        for (Sentence& sentence : sentences_) results.push_back(best_first(std::move(sentence.finished)));
        return results;
    }

 private:
    static std::vector<BeamHypothesis> best_first(std::vector<BeamHypothesis> list) {
        std::stable_sort(list.begin(), list.end(),
                         [](const BeamHypothesis& a, const BeamHypothesis& b) { return a.score > b.score; });
        return list;
    }

    // One token more for all sentences: which rows go on, and with what.
    void advance(const Session::Logits& logits, int64_t step) {
        next_rows_.clear();
        next_tokens_.clear();
        int64_t row = 0;
        for (Sentence& sentence : sentences_) {
            if (sentence.done) continue;
            const auto rows = int64_t(sentence.open.size());
            choose(sentence, candidates(sentence, logits, row, step), row, step);
            row += rows;
        }
    }

    // The best continuations, at most 2 beam, kept in a heap whose top is the worst of them.
    std::vector<Candidate> candidates(const Sentence& sentence, const Session::Logits& logits, int64_t first_row,
                                      int64_t step) {
        std::vector<Candidate> best;
        const auto most = size_t(2 * options_.beam);
        for (size_t from = 0; from < sentence.open.size(); ++from) {
            log_probabilities({logits.row(first_row + int64_t(from)), size_t(logits.vocabulary)}, log_p_);
            forbid(sentence, sentence.open[from], step);
            for (int64_t token = 0; token < logits.vocabulary; ++token) {
                const double log_p = log_p_[size_t(token)];
                const Candidate candidate{from, token, sentence.open[from].sum + log_p, log_p};
                if (log_p == kNever || (best.size() == most && !better(candidate, best.front()))) continue;
                if (best.size() == most) {
                    std::pop_heap(best.begin(), best.end(), better);
                    best.pop_back();
                }
                best.push_back(candidate);
                std::push_heap(best.begin(), best.end(), better);
            }
        }
        std::sort_heap(best.begin(), best.end(), better);
        return best;
    }

    // What must not come next has no probability.
    void forbid(const Sentence& sentence, const Open& open, int64_t step) {
        for (const int64_t token : options_.banned) log_p_[size_t(token)] = kNever;
        if (options_.unknown) log_p_[size_t(*options_.unknown)] -= options_.unknown_penalty;
        const double end = log_p_[size_t(options_.end)];
        if (step >= sentence.most) {
            std::fill(log_p_.begin(), log_p_.end(), kNever);
            log_p_[size_t(options_.end)] = end;
            return;
        }
        if (step < options_.least_tokens) log_p_[size_t(options_.end)] = kNever;
        ban_repeated(sentence, open);
    }

    // Tokens that would make an n-gram stand twice in prompt and hypothesis.
    void ban_repeated(const Sentence& sentence, const Open& open) {
        const auto n = size_t(options_.no_repeat_ngram);
        if (n == 0) return;
        std::vector<int64_t> seen = sentence.prompt;
        seen.insert(seen.end(), open.tokens.begin(), open.tokens.end());
        if (seen.size() < n) return;
        const auto last = seen.end() - int64_t(n - 1);
        for (auto begin = seen.begin(); begin + int64_t(n) <= seen.end(); ++begin)
            if (std::equal(last, seen.end(), begin)) log_p_[size_t(*(begin + int64_t(n - 1)))] = kNever;
    }

    void choose(Sentence& sentence, const std::vector<Candidate>& candidates, int64_t first_row, int64_t step) {
        std::vector<Open> open;
        std::vector<int64_t> rows, tokens;
        for (size_t rank = 0; rank < candidates.size(); ++rank) {
            const Candidate& candidate = candidates[rank];
            const Open& from = sentence.open[candidate.from];
            if (candidate.token == options_.end) {
                if (int64_t(rank) < options_.beam && int64_t(sentence.finished.size()) < options_.beam)
                    sentence.finished.push_back(finished(sentence, from, candidate, step));
                continue;
            }
            if (int64_t(open.size()) == options_.beam) continue;
            open.push_back(from);
            open.back().tokens.push_back(candidate.token);
            open.back().log_p.push_back(candidate.log_p);
            open.back().sum = candidate.sum;
            rows.push_back(first_row + int64_t(candidate.from));
            tokens.push_back(candidate.token);
        }
        sentence.done = int64_t(sentence.finished.size()) >= options_.beam || step >= sentence.most || open.empty();
        if (sentence.done) return;
        sentence.open = std::move(open);
        next_rows_.insert(next_rows_.end(), rows.begin(), rows.end());
        next_tokens_.insert(next_tokens_.end(), tokens.begin(), tokens.end());
    }

    BeamHypothesis finished(const Sentence& sentence, const Open& from, const Candidate& end, int64_t step) const {
        BeamHypothesis hypothesis{from.tokens, from.log_p,
                                  length_normalized(end.sum, step + 1, options_.length_penalty)};
        hypothesis.log_p.push_back(end.log_p);
        hypothesis.cut = step >= sentence.most;
        return hypothesis;
    }

    Session& session_;
    const BeamOptions& options_;
    std::vector<Sentence> sentences_;
    std::vector<double> log_p_;  // of one row
    std::vector<int64_t> next_rows_, next_tokens_;
};

}  // namespace

double length_normalized(double sum_log_p, int64_t tokens, double penalty) {
    return sum_log_p / std::pow(double(tokens), penalty);
}

std::vector<std::vector<BeamHypothesis>> beam_search(Session& session, const std::vector<std::vector<int64_t>>& prompts,
                                                     const BeamOptions& options, const Bag& source,
                                                     const std::vector<int64_t>& source_lengths) {
    return BeamSearch(session, options).run(prompts, source, source_lengths);
}

}  // namespace lithe
