// The files below a folder that may hold text.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lithe/data/left_out.h"

namespace lithe {

// What data get leaves beside the files of a corpus; no text.
inline constexpr const char* kSourceRecord = "SOURCE.json";

struct FoundFile {
    std::string path;
    std::string name;  // relative to the folder
    uint64_t size = 0;
};

struct FileList {
    std::vector<FoundFile> files;  // sorted by name
    LeftOut left_out;
    LeftOut own;  // folders of lithe's own, which are left out too
};

// Links are followed, to files and to folders, and each real file is listed once: by its own name, or by that of a link
// where only this one has an extension (as in caches that name files by their hashes). Left out with a word: hidden
// files and folders, and what archives of macOS add, unless a pattern of `include` names hidden ones; links to nothing;
// what is no file; folders of lithe's own (own_folders.h). The patterns are matched with the relative name. Throws
// bad_file when the folder cannot be listed.
FileList list_files(const std::string& folder, const std::vector<std::string>& include,
                    const std::vector<std::string>& exclude);

// Whether a name passes the patterns: one of `include` (or none given) and none of `exclude`.
bool passes(const std::string& name, const std::vector<std::string>& include, const std::vector<std::string>& exclude);
// Whether some part of a relative name is hidden, and no pattern of `include` asks for such.
bool is_hidden(const std::string& name, const std::vector<std::string>& include);

}  // namespace lithe
