#include "lithe/data/named_splits.h"

#include <algorithm>
#include <cctype>
#include <filesystem>

namespace lithe {
namespace {

constexpr uint64_t kMostUnnamed = 3;  // times the bytes that are named

int split_of_word(std::string word) {
    while (!word.empty() && std::isdigit(static_cast<unsigned char>(word.back()))) word.pop_back();
    if (word == "train" || word == "training") return 0;
    if (word == "valid" || word == "validation" || word == "val" || word == "dev") return 1;
    return word == "test" || word == "testing" ? 2 : -1;
}

// The first word of the name that says a split.
int split_of_file(const std::string& name) {
    std::string word;
    for (const char each : name + '.') {
        const auto c = static_cast<unsigned char>(each);
        if (std::isalnum(c) || c >= 0x80) {
            word += char(std::tolower(c));
            continue;
        }
        if (const int split = split_of_word(word); split >= 0) return split;
        word.clear();
    }
    return -1;
}

// What the innermost folder with a split in its name says ("train", "wiki_valid").
int split_of_folders(const std::filesystem::path& folders) {
    int split = -1;
    for (const auto& each : folders)
        if (const int found = split_of_file(each.string()); found >= 0) split = found;
    return split;
}

// What names say of files: whether some say train and some say valid or test, and whether these are most of the text.
struct Named {
    bool divide = false;
    bool most = false;
};
Named named(const std::vector<NamedFile>& files, NamedBy by) {
    bool seen[3] = {};
    uint64_t named = 0, unnamed = 0;
    for (const NamedFile& file : files) {
        const int split = split_in_name(file.name, by);
        if (split >= 0) seen[split] = true;
        (split >= 0 ? named : unnamed) += file.size;
    }
    return {.divide = seen[0] && (seen[1] || seen[2]), .most = unnamed <= kMostUnnamed * named};
}

}  // namespace

int split_in_name(const std::string& name, NamedBy by) {
    if (by == NamedBy::nothing) return -1;
    const std::filesystem::path path(name);
    const int folders = split_of_folders(path.parent_path()), file = split_of_file(path.filename().string());
    if (by == NamedBy::folders) return folders >= 0 ? folders : file;
    return file >= 0 ? file : folders;
}

NamedBy splits_in_names(const std::vector<NamedFile>& files) {
    for (const NamedBy by : {NamedBy::folders, NamedBy::files})
        if (const Named found = named(files, by); found.divide && found.most) return by;
    return NamedBy::nothing;
}

bool names_passed_over(const std::vector<NamedFile>& files) {
    return splits_in_names(files) == NamedBy::nothing && named(files, NamedBy::folders).divide;
}

}  // namespace lithe
