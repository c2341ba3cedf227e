#include "lithe/cli/configuration.h"

#include <filesystem>

#include "lithe/base/error.h"
#include "lithe/cli/signals.h"
#include "lithe/data/corpus.h"
#include "lithe/formats/token_set.h"
#include "lithe/model/language_model.h"
#include "lithe/objectives/objective.h"
#include "lithe/spec/config_io.h"
#include "lithe/tokenize/bytes.h"

namespace lithe {

bool is_configuration(const std::string& path) {
    return std::filesystem::path(path).extension() == ".toml" && !std::filesystem::is_directory(path);
}

Config checked_configuration(const std::string& path, const std::vector<std::string>& sets) {
    Config config = load_config(path, sets);
    config.search.supernet = has_slots(decoder_layout(config));  // the counts are of all candidates together
    Problems problems;
    check_config(config, problems);
    problems.throw_if_any(path);
    return config;
}

int64_t vocabulary_to_train(const Config& config, const std::string& path) {
    if (config.model.vocabulary_size > 0) return config.model.vocabulary_size;
    const DataConfig& data = config.data;
    const bool every_byte = data.tokenizer == "bytes" && data.vocabulary == ByteVocabulary::all;
    if (every_byte && !TokenSet::looks_like(data.path))
        return make_objective(config, tokenize::ByteTokenizer())->vocabulary();
    if (data.path.empty() && data.train.empty() && data.sources.empty())
        fail_usage("the vocabulary's size depends on the data, and none is named", path,
                   "--set data.path=FILE, or --set model.vocabulary_size=N");
    try {
        const Corpus corpus = Corpus::open(data, nullptr, stop_by_signal());
        return make_objective(config, corpus.tokenizer())->vocabulary();
    } catch (const Error& error) {
        ErrorParts parts = error.parts();
        if (parts.kind == ErrorKind::bad_file)
            parts.hint += std::string(parts.hint.empty() ? "" : "; ") +
                          "without the data, say how many tokens there are: --set model.vocabulary_size=N";
        fail(parts);
    }
}

}  // namespace lithe
