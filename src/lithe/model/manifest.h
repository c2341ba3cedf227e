// manifest.json of a checkpoint folder: which files belong to it, what each is for, their sizes and hashes. Any number
// of files may have a role; they are its shards, in order. Readers take files by role and know no names.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lithe {

inline constexpr const char* kManifest = "manifest.json";

struct ManifestFile {
    std::string file;  // a plain name, in the manifest's folder
    std::string role;  // "model", "optimizer", "state", "config", "tokenizer"
    int64_t shard = 0;
    uint64_t bytes = 0;
    std::string xxh3;  // 16 hexadecimal digits
};

struct Manifest {
    std::string folder;
    int64_t schema = 0;  // of the file that was read
    std::vector<ManifestFile> files;

    // Paths of a role's files, by shard; none where it has none.
    std::vector<std::string> paths(const std::string& role) const;
    // Whether a run can go on from it; else it is a model only.
    bool has_training() const { return !paths("optimizer").empty() && !paths("state").empty(); }
    // The path of a role's only file. Throws bad_file where there is none, or more than one.
    std::string path(const std::string& role) const;
};

// Reads every schema up to today's. Throws bad_file for what is damaged, and for a newer schema, with its number.
Manifest read_manifest(const std::string& folder);
// Throws bad_file where the folder's checkpoint is of a newer schema; says nothing of what cannot be read.
void refuse_newer_manifest(const std::string& folder);
std::string manifest_text(const std::vector<ManifestFile>& files);

}  // namespace lithe
