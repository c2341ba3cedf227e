#include "lithe/train/hooks/sample_hook.h"

#include "lithe/base/log.h"
#include "lithe/base/text.h"
#include "lithe/model/generate.h"

namespace lithe {

void SampleHook::after_evaluation(const EvaluationResult&) {
    const SampleConfig& sample = run_.config.sample;
    const bool turn = sample.every > 0 && run_.state.evaluations % sample.every == 0;
    if (sample.tokens > 0 && (turn || !run_.reached().empty())) write();
}

void SampleHook::write() {
    const Config& config = run_.config;
    if (config.model.direction == "bidirectional" || run_.model->has_encoder()) return;  // nothing to continue
    SamplingOptions options;
    options.tokens = config.sample.tokens;
    options.temperature = config.sample.temperature;
    options.seed = uint64_t(config.train.seed);
    options.stop = run_.options.stop;
    options.segment = config.train.length;
    const AveragedWeights averaged(run_);
    const Tokenizer& tokenizer = run_.corpus.tokenizer();
    options.end = tokenizer.text_end();
    std::string begin = config.sample.prompt;
    if (begin.empty() || !expresses(tokenizer, begin)) begin = neutral_prompt(tokenizer);
    const std::vector<int64_t> prompt = tokenizer.encode(begin);
    const std::string text =
        continuation(tokenizer, prompt, generate(*run_.model, prompt, options, [](int64_t) { return true; }));
    run_.folder->sample({{"step", run_.state.step},
                         {"prompt", printable(begin)},
                         {"text", printable(text)},
                         {"temperature", options.temperature}});
    run_.folder->events().text(run_.state.step, "sample", printable(begin + text));
    log_info("sample     " + printable(begin + text));
}

}  // namespace lithe
