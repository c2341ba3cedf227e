// Known corpora: where they are, how they are checked, under which terms, and how they become the conventional splits.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "lithe/data/download.h"

namespace lithe {

// What a member of a downloaded file becomes.
enum class Step {
    append,    // to `output`, as it is
    bytes,     // split by bytes in order into train, valid and test by `shares`
    tagged,    // pairs of IWSLT'14's training text; of 23, the last goes to valid and the rest to train
    segments,  // pairs of IWSLT'14's <seg> elements, to `output`
};

struct DatasetPart {
    std::string file;     // which download
    std::string members;  // pattern on the names inside it; of pairs with LANG for a side's language
    Step step = Step::append;
    std::string output;                         // append: a file; segments: its name before the language
    std::string shares;                         // bytes: "90/5/5"
    std::string digest;                         // of the member, as RemoteFile's; empty: not known
    std::array<std::string, 2> languages = {};  // tagged, segments: of the two sides
};

struct Dataset {
    std::string name, description, license;
    std::vector<std::string> settings;  // that read it, with DIR for its folder
    std::vector<RemoteFile> files;
    std::vector<DatasetPart> parts;
};

const std::vector<Dataset>& datasets();
// Throws a usage error with the nearest name.
const Dataset& find_dataset(const std::string& name);

// The settings that read a data set in `folder`.
std::vector<std::string> settings_for(const Dataset& dataset, const std::string& folder);

// Downloads (or finds) the files in `folder`/downloads and writes the splits into `folder`; a folder that is complete
// is left as it is. `mirrors` are tried first: a URL of the file itself, or of a folder that holds it. Returns what was
// written, by file name.
std::vector<std::string> install_dataset(const Dataset& dataset, const std::string& folder,
                                         const std::vector<std::string>& mirrors, DownloadOptions options);

}  // namespace lithe
