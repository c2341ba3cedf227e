#include "lithe/model/manifest.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "lithe/base/file.h"
#include "lithe/base/json.h"
#include "lithe/spec/migrations.h"

namespace lithe {
namespace fs = std::filesystem;
namespace {

using Json = nlohmann::json;
constexpr uint64_t kMaxBytes = 1 << 20;

void refuse_unknown_keys(const Json& object, const std::set<std::string>& known, const std::string& path) {
    for (const auto& [key, value] : object.items())
        if (!known.count(key))
            fail_file("unknown key '" + printable(key) + "' in the manifest: a newer version of lithe saved it", path,
                      "update lithe");
}

// Nothing outside the folder, nothing hidden, not the manifest itself.
bool is_plain_name(const std::string& name) {
    const bool plain = !name.empty() && name.size() <= 200 && name[0] != '.' && name != kManifest;
    return plain && std::all_of(name.begin(), name.end(),
                                [](unsigned char c) { return std::isalnum(c) || c == '.' || c == '-' || c == '_'; });
}

ManifestFile sealed(const std::string& name, const Json& entry, const std::string& path) {
    if (!is_plain_name(name)) fail_file("the manifest names a file '" + printable(name) + "'", path);
    ManifestFile file{.file = name};
    try {
        file.bytes = whole(entry.at("bytes"));
        file.xxh3 = entry.at("xxh3");
        return file;
    } catch (const Json::exception&) { fail_file("the manifest's entry of " + name + " is damaged", path); }
}

std::vector<ManifestFile> files_of_schema_1(const Json& entries, const std::string& path) {
    if (!entries.is_object()) fail_file("not a checkpoint manifest", path);
    std::vector<ManifestFile> files;
    for (const auto& [name, entry] : entries.items()) {
        files.push_back(sealed(name, entry, path));
        files.back().role = role_in_schema_1(name);
        if (files.back().role.empty()) fail_file("unknown file '" + printable(name) + "' in the manifest", path);
    }
    return files;
}

std::vector<ManifestFile> files_with_roles(const Json& entries, const std::string& path) {
    if (!entries.is_array()) fail_file("not a checkpoint manifest", path);
    std::vector<ManifestFile> files;
    std::set<std::string> names;
    for (const Json& entry : entries) {
        const bool named = entry.is_object() && entry.contains("file") && entry["file"].is_string();
        if (!named) fail_file("an entry of the manifest names no file", path);
        ManifestFile file = sealed(entry["file"], entry, path);
        refuse_unknown_keys(entry, {"file", "role", "shard", "bytes", "xxh3"}, path);
        try {
            file.role = entry.at("role");
            file.shard = whole(entry.at("shard"));
        } catch (const Json::exception&) { fail_file("the manifest's entry of " + file.file + " is damaged", path); }
        if (!names.insert(file.file).second) fail_file("the manifest names " + file.file + " twice", path);
        files.push_back(std::move(file));
    }
    std::stable_sort(files.begin(), files.end(), [](const auto& a, const auto& b) { return a.shard < b.shard; });
    return files;
}

Json parsed(const std::string& path) {
    Json json = parse_json<Json>(read_file(path, kMaxBytes), path);
    if (!json.is_object() || !json.contains("files") || !json.contains("schema") || !json["schema"].is_string())
        fail_file("not a checkpoint manifest", path);
    return json;
}

}  // namespace

std::vector<std::string> Manifest::paths(const std::string& role) const {
    std::vector<std::string> list;
    for (const ManifestFile& each : files)
        if (each.role == role) list.push_back(folder + "/" + each.file);
    return list;
}

std::string Manifest::path(const std::string& role) const {
    const std::vector<std::string> all = paths(role);
    if (all.size() == 1) return all.front();
    fail_file(all.empty() ? "the manifest lacks a file of role '" + role + "'"
                          : "the manifest has " + std::to_string(all.size()) + " files of role '" + role + "'",
              folder + "/" + kManifest);
}

Manifest read_manifest(const std::string& folder) {
    const std::string path = folder + "/" + kManifest;
    const Json json = parsed(path);
    Manifest manifest{.folder = folder};
    manifest.schema = schema_number(json["schema"], "lithe.checkpoint", kCheckpointSchema, path);
    refuse_unknown_keys(json, {"schema", "files"}, path);
    manifest.files =
        manifest.schema == 1 ? files_of_schema_1(json["files"], path) : files_with_roles(json["files"], path);
    return manifest;
}

void refuse_newer_manifest(const std::string& folder) {
    const std::string path = folder + "/" + kManifest;
    std::error_code ignored;
    if (!fs::exists(path, ignored)) return;
    const auto json = try_parse_json<Json>(read_file(path, kMaxBytes));
    if (json && json->is_object() && json->contains("schema") && (*json)["schema"].is_string())
        refuse_newer_schema((*json)["schema"], "lithe.checkpoint", kCheckpointSchema, path);
}

std::string manifest_text(const std::vector<ManifestFile>& files) {
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const ManifestFile& each : files)
        list.push_back({{"file", each.file},
                        {"role", each.role},
                        {"shard", each.shard},
                        {"bytes", each.bytes},
                        {"xxh3", each.xxh3}});
    const std::string schema = "lithe.checkpoint/" + std::to_string(kCheckpointSchema);
    return nlohmann::ordered_json{{"schema", schema}, {"files", list}}.dump(2) + "\n";
}

}  // namespace lithe
