#include "lithe/data/choose_tokenizer.h"

#include <filesystem>

#include "lithe/base/error.h"
#include "lithe/base/log.h"
#include "lithe/base/rng.h"
#include "lithe/base/text.h"
#include "lithe/base/timer.h"
#include "lithe/data/corpus_reader.h"
#include "lithe/tokenize/bytes.h"

namespace lithe {

TokenizerPtr named_tokenizer(const DataConfig& config) {
    if (config.tokenizer == "bytes" && config.vocabulary == ByteVocabulary::all)
        return std::make_shared<tokenize::ByteTokenizer>();
    for (const char* made : {"bytes", "characters", "words"})
        if (config.tokenizer == made) return nullptr;
    if (!std::filesystem::exists(config.tokenizer))
        fail_usage("data.tokenizer names neither a kind nor a file: '" + printable(config.tokenizer) + "'" +
                       did_you_mean(config.tokenizer, {"bytes", "characters", "words"}),
                   "data.tokenizer", "bytes, characters, words, or a tokenizer.json or SentencePiece model");
    return tokenizer_from_file(config.tokenizer);
}

TokenizerTrainingOptions training_options(const DataConfig& config, std::stop_token stop) {
    TokenizerTrainingOptions options;
    options.kind = config.tokenizer;
    options.size = 0;
    options.min_count = config.min_count;
    options.stop = std::move(stop);
    return options;
}

TokenizerPtr train_tokenizer(const DataConfig& config, const TokenizerTrainingOptions& training, uint64_t sample_bytes,
                             bool progress, std::string* division) {
    const bool alphabet = training.kind == "bytes" || (training.kind == "characters" && training.min_count <= 1);
    auto trainer = make_tokenizer_trainer(training);
    CorpusReader reader(config, training.kind == "bytes", training.stop);
    double share = 1;
    if (sample_bytes > 0) {
        const auto all = double(reader.size(progress).bytes);
        share = all > double(sample_bytes) ? double(sample_bytes) / all : 1;
    }
    Timer timer;
    double shown = 0;
    uint64_t number = 0, used = 0;
    reader.read([&](const DocumentPart& part) {
        if (!alphabet && part.split != 0) return;
        if (share < 1 && random_unit(combine_key(0, "tokenizer sample"), number++) >= share) return;
        trainer->feed(part.text);
        used += part.text.size();
        if (!progress || timer.seconds() < shown + 0.5) return;
        shown = timer.seconds();
        log_progress("reading " + format_bytes(double(used)) + " for the tokenizer, " +
                     format_bytes(double(used) / shown) + "/s");
    });
    log_progress("");
    if (division) *division = reader.division();
    if (used == 0) fail_file("the data is empty", config.path.empty() ? config.train : config.path);
    return trainer->finish();
}

}  // namespace lithe
