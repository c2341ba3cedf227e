#include "lithe/cli/scored_data.h"

#include <filesystem>

#include "lithe/base/error.h"
#include "lithe/base/text.h"
#include "lithe/cli/signals.h"
#include "lithe/data/named_paths.h"

namespace lithe {

void choose_data(const std::string& text, bool labels, Config& config, std::string& split) {
    if (text.empty()) return;
    std::string path = text;
    split = "";
    if (size_t colon = text.rfind(':'); colon != std::string::npos) {
        for (const char* name : {"train", "valid", "test", "all"})
            if (text.substr(colon + 1) == name) {
                path = text.substr(0, colon);
                split = name;
            }
    }
    if (path.empty()) {
        if (split == "all") fail_usage("--data :all needs a file", "--data");
        return;  // ":test" of the run's own data
    }
    if (split.empty()) split = "all";
    // another text, read as the run's own is; the model's tokenizer is given
    const DataConfig defaults;
    DataConfig& data = config.data;
    data.path = path;
    data.train.clear();
    data.valid.clear();
    data.test.clear();
    data.sources.clear();
    if (!labels) data.label.clear();
    data.tokenizer = defaults.tokenizer;
    data.vocabulary = defaults.vocabulary;
    data.min_count = defaults.min_count;
    if (split == "all") {
        data.split = "100/0/0";
        data.deduplicate = defaults.deduplicate;
    }
}

Corpus open_data(const LoadedModel& loaded, const std::string& model, const std::string& asked) {
    try {
        return Corpus::open(loaded.config.data, loaded.tokenizer, stop_by_signal());
    } catch (const Error& error) {
        ErrorParts parts = error.parts();
        std::error_code ignored;
        const std::string path = data_name(loaded.config.data);
        if (!asked.empty() && asked[0] != ':') throw;
        if (std::filesystem::exists(path, ignored) || !loaded.config.data.sources.empty()) throw;
        parts.hint =
            "where is the text of this run now? --data TEXT:" + std::string(asked.empty() ? "valid" : asked.substr(1));
        fail(parts);
    }
}

}  // namespace lithe
