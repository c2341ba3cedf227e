#include "lithe/infer/decode.h"

#include <algorithm>

#include "lithe/base/wording.h"

namespace lithe {
namespace {

// Behind absolute positions a text goes on from the last half of what was seen.
std::vector<int64_t> last_half(const std::vector<int64_t>& seen, int64_t positions) {
    const size_t count = std::min(seen.size(), size_t(std::max<int64_t>(2, positions / 2)));
    return {seen.end() - int64_t(count), seen.end()};
}

// A text that is being written.
struct Row {
    size_t request = 0;
    Sampler sampler;
    Written written;
    std::unique_ptr<StreamDecoder> decoder;  // null: no text is asked for
    size_t told = 0;                         // bytes of the text that `use` has had
    std::optional<Ending> ending;
};

class Decoding {
 public:
    Decoding(Session& session, int64_t rows, const std::vector<DecodeRequest>& requests, const DecodeOptions& options,
             const Tokenizer* tokenizer, const UseToken& use)
        : session_(session),
          most_rows_(size_t(rows)),
          requests_(requests),
          options_(options),
          rules_(stop_rules_of(options.until)),
          tokenizer_(tokenizer),
          use_(use),
          results_(requests.size()) {
        check_sampling(options.sampling);
        if (options.until.tokens < 0) fail_usage("a text has no fewer than 0 tokens", option("tokens"));
        const bool reads =
            std::any_of(rules_.begin(), rules_.end(), [](const auto& rule) { return rule->reads_text(); });
        if (reads && !tokenizer) fail_usage("stop strings need the model's tokenizer", option("stop"));
    }

    std::vector<Decoded> run() {
        admit();
        while (!rows_.empty() && !options_.stop.stop_requested() && restart_full()) {
            step();
            admit();
        }
        for (Row& row : rows_) finish(row, {"stopped", row.written.tokens.size(), row.written.text.size()});
        for (size_t i = next_; i < requests_.size(); ++i) results_[i].ending = "stopped";
        session_.keep({});
        return std::move(results_);
    }

 private:
    // New rows as long as there is room, each with its first token.
    void admit() {
        while (next_ < requests_.size() && rows_.size() < most_rows_ && !options_.stop.stop_requested()) {
            const size_t first = rows_.size();
            std::vector<std::vector<int64_t>> prompts;
            while (next_ < requests_.size() && rows_.size() < most_rows_) prompts.push_back(begin(next_++));
            if (!read(prompts, first)) return;
            drop_ended();
        }
    }

    // False: stopped while the prompts were read.
    bool read(const std::vector<std::vector<int64_t>>& prompts, size_t first) {
        Session::Logits logits;
        try {
            logits = session_.admit(prompts);
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::stopped) throw;
            for (size_t row = first; row < rows_.size(); ++row) finish(rows_[row], {"stopped", 0, 0});
            rows_.erase(rows_.begin() + int64_t(first), rows_.end());
            return false;
        }
        take(logits, first);
        return true;
    }

    std::vector<int64_t> begin(size_t number) {
        const DecodeRequest& request = requests_[number];
        rows_.push_back({number, Sampler(options_.sampling, request.prompt, request.number), {}, {}, 0, {}});
        if (tokenizer_) rows_.back().decoder = std::make_unique<StreamDecoder>(*tokenizer_, request.prompt);
        const int64_t positions = session_.model().max_positions();
        const bool fits = positions == 0 || int64_t(request.prompt.size()) < positions;
        return fits ? request.prompt : last_half(request.prompt, positions);
    }

    void step() {
        std::vector<int64_t> tokens;
        for (const Row& row : rows_) tokens.push_back(row.written.tokens.back());
        take(session_.step(tokens), 0);
        drop_ended();
    }

    // Rows that have no more positions. False: stopped while they were read anew.
    bool restart_full() {
        std::vector<int64_t> rows;
        std::vector<std::vector<int64_t>> prompts;
        for (size_t row = 0; row < rows_.size(); ++row) {
            if (!session_.full(int64_t(row))) continue;
            rows.push_back(int64_t(row));
            prompts.push_back(behind_positions(row));
        }
        try {
            session_.restart(rows, prompts);
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::stopped) throw;
            return false;
        }
        return true;
    }

    // All but the last token, which the step reads.
    std::vector<int64_t> behind_positions(size_t row) const {
        std::vector<int64_t> seen = requests_[rows_[row].request].prompt;
        const std::vector<int64_t>& written = rows_[row].written.tokens;
        seen.insert(seen.end(), written.begin(), written.end());
        std::vector<int64_t> half = last_half(seen, session_.model().max_positions());
        half.pop_back();
        return half;
    }

    // The next token of rows from number `first` on.
    void take(const Session::Logits& logits, size_t first) {
        for (int64_t i = 0; i < logits.rows; ++i)
            take_token(rows_[first + size_t(i)], {logits.row(i), size_t(logits.vocabulary)});
    }

    void take_token(Row& row, std::span<const float> logits) {
        if (options_.until.tokens <= 0) {
            row.ending = Ending{"tokens", 0, 0};
            return;
        }
        const int64_t token = row.sampler.draw(logits);
        row.written.tokens.push_back(token);
        Decoded& result = results_[row.request];
        if (options_.alternatives >= 0) {
            result.log_p.push_back(log_probability(logits, token));
            result.alternatives.push_back(likeliest(logits, options_.alternatives));
        }
        const bool ends_text = token == options_.until.end;
        row.written.fresh = row.written.text.size();
        if (row.decoder && !ends_text) row.written.text += row.decoder->next(token);
        for (const auto& rule : rules_)
            if (!row.ending) row.ending = rule->ending(row.written);
        if (ends_text || !use_) return;
        if (!tell(row, token) && !row.ending)
            row.ending = Ending{"caller", row.written.tokens.size(), row.written.text.size()};
    }

    bool tell(Row& row, int64_t token) {
        size_t sure = row.ending ? row.ending->bytes : row.written.text.size();
        if (!row.ending) {
            size_t held = 0;
            for (const auto& rule : rules_) held = std::max(held, rule->held_back(row.written));
            sure -= held;
        }
        const std::string text = sure > row.told ? row.written.text.substr(row.told, sure - row.told) : "";
        row.told = std::max(row.told, sure);
        return use_(row.request, token, text);
    }

    void drop_ended() {
        std::vector<int64_t> kept;
        for (size_t i = 0; i < rows_.size(); ++i) {
            if (rows_[i].ending) finish(rows_[i], *rows_[i].ending);
            else kept.push_back(int64_t(i));
        }
        if (kept.size() == rows_.size()) return;
        session_.keep(kept);
        std::erase_if(rows_, [](const Row& row) { return row.ending.has_value(); });
    }

    void finish(Row& row, Ending ending) {
        Decoded& result = results_[row.request];
        if (row.decoder && ending.reason != "stop") {  // what was held back may end a stop string
            row.written.fresh = row.written.text.size();
            row.written.text += row.decoder->rest();
            ending.bytes = row.written.text.size();
            for (const auto& rule : rules_)
                if (rule->reads_text())
                    if (const auto other = rule->ending(row.written))
                        ending = {other->reason, std::min(other->tokens, ending.tokens), other->bytes};
        }
        result.ending = ending.reason;
        result.tokens.assign(row.written.tokens.begin(), row.written.tokens.begin() + int64_t(ending.tokens));
        if (ending.reason == "end" && result.log_p.size() > ending.tokens)
            result.end_log_p = result.log_p[ending.tokens];
        result.log_p.resize(std::min(result.log_p.size(), ending.tokens));
        result.alternatives.resize(std::min(result.alternatives.size(), ending.tokens));
        result.text = row.written.text.substr(0, ending.bytes);
        if (use_ && row.told < result.text.size()) use_(row.request, kNoToken, result.text.substr(row.told));
    }

    Session& session_;
    size_t most_rows_;
    const std::vector<DecodeRequest>& requests_;
    const DecodeOptions& options_;
    StopRules rules_;
    const Tokenizer* tokenizer_;
    const UseToken& use_;
    std::vector<Decoded> results_;
    std::vector<Row> rows_;
    size_t next_ = 0;  // the first request that has not begun
};

}  // namespace

std::vector<Decoded> decode(Session& session, int64_t rows, const std::vector<DecodeRequest>& requests,
                            const DecodeOptions& options, const Tokenizer* tokenizer, const UseToken& use) {
    return Decoding(session, rows, requests, options, tokenizer, use).run();
}

std::vector<int64_t> generate(const LanguageModel& model, const std::vector<int64_t>& prompt,
                              const DecodeOptions& options, Session::Options session_options,
                              const std::function<bool(int64_t)>& use) {
    session_options.stop = options.stop;
    Session session(model, session_options);
    UseToken told;
    if (use) told = [&](size_t, int64_t token, const std::string&) { return use(token); };
    return decode(session, 1, {{prompt, 0}}, options, nullptr, told).front().tokens;
}

}  // namespace lithe
