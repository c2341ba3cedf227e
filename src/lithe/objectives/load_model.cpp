#include "lithe/objectives/load_model.h"

#include "lithe/base/file.h"
#include "lithe/base/text.h"
#include "lithe/spec/config_io.h"

namespace lithe {

LoadedModel load_model(const std::string& selector) {
    ModelFiles files = find_model(selector);
    LoadedModel loaded;
    loaded.folder = files.folder;
    loaded.weights = files.weights;
    loaded.config = config_from_json(read_file(files.config, 1 << 20), files.config);
    loaded.tokenizer = tokenizer_from_json(read_file(files.tokenizer, 1 << 29), files.tokenizer);
    Problems problems;
    check_config(loaded.config, problems);
    if (!problems.empty())
        fail_file("its settings do not go together:\n  - " + join(problems.lines(), "\n  - "), files.config,
                  "the file is damaged, or was changed by hand");
    loaded.objective = make_objective(loaded.config, *loaded.tokenizer);
    if (loaded.config.search.supernet)
        fail_usage("this is the network of a search, with every candidate in it", selector,
                   "take what the search found: its found.toml, or a run in its trials/");
    const int64_t stated = loaded.config.model.vocabulary_size, vocabulary = loaded.objective->vocabulary();
    if (stated != 0 && stated != vocabulary)
        fail({.kind = ErrorKind::bad_file,
              .what = "the tokenizer does not fit the model",
              .where = files.tokenizer,
              .expected = std::to_string(stated) + " ids (" + files.config + ")",
              .got = std::to_string(vocabulary)});
    loaded.models = loaded.objective->models(loaded.config, std::make_shared<ParameterStore>());
    loaded.model = loaded.models.by_role.at("main");
    return loaded;
}

}  // namespace lithe
