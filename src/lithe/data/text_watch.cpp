#include "lithe/data/text_watch.h"

#include <sys/stat.h>

#include <filesystem>

#include "lithe/data/corpus.h"
#include "lithe/data/input.h"
#include "lithe/data/parallel_text.h"
#include "lithe/formats/token_set.h"

namespace lithe {
namespace fs = std::filesystem;

TextWatch::TextWatch(const DataConfig& config) {
    if (config.sources.empty()) add(config);
    for (const std::string& entry : config.sources) {
        DataConfig one = config;
        one.sources.clear();
        one.path = parse_source(entry).second;
        add(one);
    }
    for (File& file : files_) file.stamp = stamp_of(file.path);
}

void TextWatch::add(const DataConfig& config) {
    if (config.path.empty() && config.train.empty()) return;
    if (!TokenSet::looks_like(config.path)) {
        for (const Input& input : list_inputs(config)) {
            files_.push_back({input.path, {}});
            if (!config.parallel.empty()) files_.push_back({partner_path(input.path, config.parallel), {}});
        }
        return;
    }
    std::error_code error;
    if (!fs::is_directory(config.path, error)) files_.push_back({config.path, {}});
    for (fs::directory_iterator it(config.path, error), end; !error && it != end; it.increment(error))
        if (const std::string name = it->path().filename().string(); name != ".lock" && TokenSet::is_own_file(name))
            files_.push_back({it->path().string(), {}});
}

TextWatch::Stamp TextWatch::stamp_of(const std::string& path) {
    struct stat status {};
    if (stat(path.c_str(), &status) != 0) return {};
    return {uint64_t(status.st_size), uint64_t(status.st_dev), uint64_t(status.st_ino), int64_t(status.st_mtim.tv_sec),
            int64_t(status.st_mtim.tv_nsec)};
}

std::string TextWatch::changed(bool mapped) const {
    for (const File& file : files_) {
        const Stamp now = stamp_of(file.path);
        const bool same_file = now.device == file.stamp.device && now.inode == file.stamp.inode;
        if (now.inode == 0) return file.path + " is gone";
        if (mapped && same_file) continue;
        // a copy in its place with the same size and time is the same text
        if (now.size != file.stamp.size)
            return file.path + " has " + std::to_string(now.size) + " bytes, it had " + std::to_string(file.stamp.size);
        if (now.seconds != file.stamp.seconds || now.nanoseconds != file.stamp.nanoseconds)
            return file.path + " was written to";
    }
    return "";
}

}  // namespace lithe
