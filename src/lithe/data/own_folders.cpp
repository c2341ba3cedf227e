#include "lithe/data/own_folders.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "lithe/base/error.h"
#include "lithe/base/text.h"
#include "lithe/base/wording.h"
#include "lithe/data/cache_folder.h"
#include "lithe/data/corpus.h"
#include "lithe/data/input.h"
#include "lithe/formats/token_set.h"

namespace lithe {
namespace fs = std::filesystem;
namespace {

bool is_there(const fs::path& path) {
    std::error_code error;
    return fs::exists(path, error);
}

bool is_folder(const fs::path& path) {
    std::error_code error;
    return fs::is_directory(path, error);
}

// Whether a JSON file of lithe's begins with this schema; each has it as its first member.
bool has_schema(const fs::path& path, std::string_view schema) {
    std::error_code error;
    if (!fs::is_regular_file(path, error)) return false;
    std::string head(256, '\0');
    std::ifstream file(path, std::ios::binary);
    file.read(head.data(), std::streamsize(head.size()));
    head.resize(size_t(std::max<std::streamsize>(0, file.gcount())));
    return head.find("\"" + std::string(schema) + "/") != std::string::npos;
}

bool is_checkpoint(const fs::path& folder) { return has_schema(folder / "manifest.json", "lithe.checkpoint"); }

bool is_run(const fs::path& folder) {
    if (has_schema(folder / "run.json", "lithe.run")) return true;
    // what a start that was killed has left, or a copy of a part
    if (!is_there(folder / "config.toml") || !is_folder(folder / "checkpoints")) return false;
    if (is_there(folder / ".lock")) return true;
    std::error_code error;
    for (fs::directory_iterator it(folder / "checkpoints", error), end; !error && it != end; it.increment(error))
        if (is_checkpoint(it->path())) return true;
    return false;
}

bool is_search(const fs::path& folder) {
    return is_there(folder / "config.toml") && has_schema(folder / "costs.json", "lithe.costs");
}

bool is_cache(const fs::path& folder) {
    std::error_code error;
    const std::string cache = cache_place();
    return !cache.empty() && fs::equivalent(folder, cache, error);
}

}  // namespace

std::optional<OwnFolder> own_folder(const std::string& path) {
    std::error_code error;
    const fs::path folder = fs::canonical(path, error);
    if (error || !is_folder(folder)) return std::nullopt;
    const fs::path above = folder.parent_path();
    if (is_search(folder))
        return OwnFolder{OwnKind::search, "a search of lithe", "it goes on with: lithe search " + shell_quoted(path)};
    if (folder.filename() == "supernet" && is_search(above))
        return OwnFolder{OwnKind::part_of_search, "a part of a search of lithe",
                         "it goes on with: lithe search " + shell_quoted(above.string())};
    if (is_run(folder))
        return OwnFolder{OwnKind::run, "a run of lithe",
                         is_there(folder / "config.toml")
                             ? "it goes on with: lithe train " + shell_quoted(path)
                             : "its config.toml is missing; put it back, and the run goes on"};
    if (is_checkpoint(folder)) {
        const fs::path run = above.parent_path();
        const std::string selector = shell_quoted(path);
        return OwnFolder{OwnKind::checkpoint, "a checkpoint of lithe",
                         is_run(run)
                             ? "a run goes on from it with: " +
                                   command("train " + shell_quoted(run.string()), {option("resume", selector)})
                             : "its model is evaluated with: " + command("eval " + selector, {option("data", "TEXT")})};
    }
    if (folder.filename() == "checkpoints" && is_run(above))
        return OwnFolder{OwnKind::checkpoints, "the checkpoints of a run of lithe",
                         "the run goes on with: lithe train " + shell_quoted(above.string())};
    if (has_schema(folder / "index.json", "lithe.tokens") || has_schema(folder / "progress.json", "lithe.prepare"))
        return OwnFolder{OwnKind::token_set, "a token set of lithe",
                         "it is read where data.path or one of data.sources names it"};
    if (is_cache(folder)) return OwnFolder{OwnKind::cache, "the cache of lithe", "name the texts themselves"};
    return std::nullopt;
}

void refuse_own_folder(const std::string& path) {
    if (const auto own = own_folder(path)) fail_usage("this is " + own->name + ", and no text", path, own->hint);
}

void refuse_text_inside(const DataConfig& config, const std::string& folder) {
    std::error_code error;
    const fs::path place = fs::canonical(folder, error);
    if (error || own_folder(folder)) return;  // nothing is there yet, or what is there is left out already
    std::vector<DataConfig> all;
    for (const std::string& entry : config.sources) {
        all.push_back(config);
        all.back().path = parse_source(entry).second;
    }
    if (all.empty()) all.push_back(config);
    for (const DataConfig& each : all) {
        if (TokenSet::looks_like(each.path)) continue;
        for (const Input& input : list_inputs(each)) {
            if (input.named) continue;
            const fs::path file = fs::canonical(input.path, error);
            const auto [end, rest] = std::mismatch(place.begin(), place.end(), file.begin(), file.end());
            if (end != place.end()) continue;
            fail_usage("the folder holds a part of the text: " + file.string(), folder,
                       "choose another folder with " + option("run") +
                           ": a folder of lithe's own is no text, and its files would be "
                           "left out from then on");
        }
    }
}

}  // namespace lithe
