#include "lithe/train/hooks/sample_hook.h"

#include "lithe/base/log.h"
#include "lithe/base/text.h"
#include "lithe/infer/decode.h"
#include "lithe/report/numbers.h"

namespace lithe {

void SampleHook::after_evaluation(const EvaluationResult&, int64_t number) {
    const SampleConfig& sample = run_.config.sample;
    const bool turn = sample.every > 0 && number % sample.every == 0;
    if (turn || !run_.reached().empty()) write();
}

void SampleHook::write() {
    const AveragedWeights averaged(run_);
    if (run_.objective->reads_pairs()) try {
            translate();
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::stopped) throw;  // the run ends now, without a sample
        }
    else if (run_.continues_text()) go_on();
}

void SampleHook::go_on() {
    const Config& config = run_.config;
    if (config.sample.tokens == 0) return;
    const Tokenizer& tokenizer = run_.corpus.tokenizer();
    const DecodeOptions options{
        .sampling = {.temperature = config.sample.temperature, .seed = uint64_t(config.train.seed)},
        .until = {.tokens = config.sample.tokens, .end = tokenizer.text_end()},
        .stop = run_.options.stop};
    std::string begin = config.sample.prompt;
    if (begin.empty() || !expresses(tokenizer, begin)) begin = neutral_prompt(tokenizer);
    const std::vector<int64_t> prompt = tokenizer.encode(begin);
    const std::string text =
        continuation(tokenizer, prompt, generate(*run_.model, prompt, options, {.segment = config.train.length}));
    run_.folder->sample({{"step", run_.state.step},
                         {"prompt", printable(begin)},
                         {"text", printable(text)},
                         {"temperature", config.sample.temperature}});
    run_.folder->events().text(run_.state.step, "sample", printable(begin + text));
    log_info("sample     " + printable(begin + text));
}

// The first pairs of validation, with what the model makes of them.
void SampleHook::translate() {
    const int64_t pairs = run_.config.sample.pairs;
    if (pairs == 0) return;
    constexpr size_t kShown = 5;
    const Tokenizer& tokenizer = run_.corpus.tokenizer();
    const ScoredText text(run_.corpus.split("valid"));
    const auto writing =
        run_.objective->write(run_.models, text, tokenizer, {.most = uint64_t(pairs), .stop = run_.options.stop});
    if (!writing || writing->texts.empty()) return;
    nlohmann::ordered_json line = {{"step", run_.state.step}, {"pairs", writing->texts.size()}};
    if (!writing->scores.empty()) line["scores"] = to_json(writing->scores);
    std::string told;
    for (const auto& [score, signature] : writing->scores) {
        run_.folder->events().scalar(run_.state.step, "valid/" + score.kind.name, score.value);
        told += score.kind.unit + " " + fixed_digits(score.value, 2) + ", ";
    }
    for (size_t i = 0; i < std::min(kShown, writing->texts.size()); ++i) {
        const Writing::Text& each = writing->texts[i];
        line["texts"].push_back({{"source", printable(each.source)},
                                 {"reference", printable(each.reference)},
                                 {"text", printable(each.text)}});
    }
    run_.folder->sample(line);
    log_info("sample     " + told + "of " + std::to_string(writing->texts.size()) +
             " pairs of validation: " + printable(writing->texts[0].text));
}

}  // namespace lithe
