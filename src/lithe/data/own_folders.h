// Folders that lithe itself makes: they lie beside texts and in their folders, and are no text, whatever they hold.
#pragma once

#include <optional>
#include <string>

#include "lithe/spec/config.h"

namespace lithe {

enum class OwnKind { run, checkpoint, checkpoints, search, part_of_search, token_set, cache };

struct OwnFolder {
    OwnKind kind;
    std::string name;  // for people: "a run of lithe"
    std::string hint;  // what to do with it instead of reading it as text
};

// What the folder is, told by the files that identify each kind: run.json, or config.toml beside checkpoints, of a run;
// manifest.json of a checkpoint; costs.json of a search; index.json or progress.json with the schema of a token set;
// the place of the cache. Empty for any other folder.
std::optional<OwnFolder> own_folder(const std::string& path);

// Throws usage where the folder is one of lithe's own: it was named as a text.
void refuse_own_folder(const std::string& path);

// Throws usage where files that a folder of the data is listed with lie in `folder`, where something is to be kept:
// they would be left out of the listing from then on.
void refuse_text_inside(const DataConfig& config, const std::string& folder);

}  // namespace lithe
