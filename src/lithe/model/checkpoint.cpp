#include "lithe/model/checkpoint.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "lithe/base/file.h"
#include "lithe/base/json.h"
#include "lithe/base/log.h"
#include "lithe/base/text.h"
#include "lithe/base/wording.h"
#include "lithe/spec/config_io.h"

namespace lithe {
namespace fs = std::filesystem;
namespace {

// A file for each role.
constexpr const char *kModel = "model.safetensors", *kOptimizer = "optimizer.safetensors", *kState = "state.json",
                     *kConfig = "config.json", *kTokenizer = "tokenizer.json";
constexpr const char* kFiles[] = {kModel, kOptimizer, kState, kConfig, kTokenizer};

FileSeal write_text(const std::string& path, const std::string& text) {
    FileWriter writer(path);
    writer.write(text);
    writer.close();
    return {writer.size(), writer.hash()};
}

std::string read_pointer(const std::string& run, const std::string& name) {
    std::string text = read_file(run + "/" + name, 4096);
    while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
    if (text.empty() || text.find('/') != std::string::npos || text.find("..") != std::string::npos)
        fail_file("does not name a checkpoint", run + "/" + name, "name one yourself: " + run + "@step:N");
    return run + "/checkpoints/" + text;
}

// Without a pointer that helps: the newest whose model verifies.
std::string newest_whole(const std::string& run) {
    for (const CheckpointPlace& place : list_checkpoints(run)) {
        try {
            verify_model(place.folder);
            return place.folder;
        } catch (const Error& error) {
            log_warning("checkpoint of step " + std::to_string(place.step) + " is skipped: " + error.what());
        }
    }
    fail_file("no checkpoint of the run is whole", run);
}

// What the pointer names or, where it is damaged or names nothing that is there, the newest.
std::string latest_of_run(const std::string& run) {
    std::string why = "it names a checkpoint that is not there";
    try {
        const std::string latest = read_pointer(run, "latest");
        if (fs::exists(latest)) return latest;
    } catch (const Error& error) { why = error.parts().what; }
    const std::string newest = newest_whole(run);
    log_warning(run + "/latest is passed over (" + why + "): the newest whole checkpoint is " + newest);
    return newest;
}

std::string checkpoint_of_run(const std::string& run, const std::string& which) {
    auto all = list_checkpoints(run);
    if (all.empty()) fail_file("the run has no checkpoint", run, "it has not saved one yet; train longer");
    if (which.rfind("step:", 0) == 0) {
        auto step = parse_count(which.substr(5));
        for (const auto& each : all)
            if (step && each.step == *step) return each.folder;
        std::vector<std::string> steps;
        for (const auto& each : all) steps.push_back(std::to_string(each.step));
        fail_file("the run has no checkpoint of step " + which.substr(5) + "; it has: " + join(steps, ", "), run);
    }
    if (which == "best" && !fs::exists(run + "/best"))
        fail_file("the run has no best checkpoint yet", run, "use the latest: " + run);
    if (which == "best") return read_pointer(run, "best");
    if (which == "latest") return fs::exists(run + "/latest") ? latest_of_run(run) : all.front().folder;
    fail_usage("unknown checkpoint '@" + which + "'", run, "one of RUN, RUN@best, RUN@latest, RUN@step:N");
}

}  // namespace

// What a folder is called while it is no checkpoint yet, or none any more.
static std::string hidden_beside(const std::string& folder, const std::string& prefix) {
    const fs::path path(folder);
    return path.parent_path().string() + "/" + prefix + path.filename().string() + "-" + std::to_string(getpid());
}

static void write_files(const std::string& folder, const CheckpointContent& content) {
    std::vector<ManifestFile> files;
    auto record = [&](const char* role, const char* file, FileSeal seal) {
        files.push_back({file, role, 0, seal.size, to_hex(seal.hash)});
    };
    auto text = [&](const char* role, const char* file, const std::string& written) {
        record(role, file, write_text(folder + "/" + file, written));
    };
    record("model", kModel, write_tensors(folder + "/" + kModel, content.model));
    if (!content.optimizer.empty())
        record("optimizer", kOptimizer, write_tensors(folder + "/" + kOptimizer, content.optimizer));
    if (!content.state_json.empty()) text("state", kState, content.state_json);
    text("config", kConfig, content.config_json);
    text("tokenizer", kTokenizer, content.tokenizer_json);
    write_text(folder + "/" + kManifest, manifest_text(files));
    sync_folder(folder);
}

void write_checkpoint(const std::string& folder, const CheckpointContent& content) {
    const std::string parent = fs::path(folder).parent_path().string();
    const std::string temporary = hidden_beside(folder, ".tmp-"), old = hidden_beside(folder, ".old-");
    make_folders(parent);
    try {
        remove_checkpoint(temporary);
        make_folders(temporary);
        write_files(temporary, content);
        if (fs::exists(folder)) {  // an older one of the same step, from before a resume
            remove_checkpoint(old);
            if (rename(folder.c_str(), old.c_str()) != 0) fail_errno("cannot move the older checkpoint aside", folder);
        }
        if (rename(temporary.c_str(), folder.c_str()) != 0) fail_errno("cannot move the checkpoint into place", folder);
        sync_folder(parent);
        remove_checkpoint(old);
    } catch (...) {
        remove_checkpoint(temporary);
        throw;
    }
}

// The manifest goes last: what breaks off in between can be gone on with.
void remove_checkpoint(const std::string& folder) {
    std::set<std::string> ours;
    try {
        for (const ManifestFile& each : read_manifest(folder).files) ours.insert(each.file);
    } catch (const Error&) { ours.insert(std::begin(kFiles), std::end(kFiles)); }  // written in part, or damaged
    std::error_code error;
    for (const std::string& name : ours)
        if (fs::is_regular_file(fs::symlink_status(folder + "/" + name, error))) fs::remove(folder + "/" + name, error);
    remove_own_files(folder, [](const std::string& name) { return name == kManifest; });
}

static void verify_file(const std::string& folder, const ManifestFile& sealed, bool content) {
    const std::string file = folder + "/" + sealed.file;
    std::error_code error;
    const auto size = fs::file_size(file, error);
    if (error) fail_file("the checkpoint lacks a file of its manifest: " + error.message(), file);
    if (size != sealed.bytes)
        fail({.kind = ErrorKind::bad_file,
              .what = "the file's size does not fit the manifest",
              .where = file,
              .expected = std::to_string(sealed.bytes) + " bytes",
              .got = std::to_string(size)});
    if (content && to_hex(hash_file(file)) != sealed.xxh3)
        fail_file("the file's checksum does not fit the manifest", file,
                  "it is damaged; take another checkpoint (RUN@step:N)");
}

static Manifest verify(const std::string& folder, bool moments) {
    Manifest manifest = read_manifest(folder);
    for (const ManifestFile& each : manifest.files) verify_file(folder, each, moments || each.role != "optimizer");
    if (manifest.paths("model").empty()) fail_file("the manifest lacks a model", folder + "/" + kManifest);
    for (const char* needed : {"config", "tokenizer"}) manifest.path(needed);
    return manifest;
}

Manifest verify_checkpoint(const std::string& folder) {
    Manifest manifest = verify(folder, true);
    const bool optimizer = !manifest.paths("optimizer").empty(), state = !manifest.paths("state").empty();
    if (state) manifest.path("state");
    if (optimizer != state)
        fail_file(std::string("the manifest lacks a file of role '") + (state ? "optimizer" : "state") + "'",
                  folder + "/" + kManifest, "its model can be evaluated and generated from");
    return manifest;
}

Manifest verify_model(const std::string& folder) { return verify(folder, false); }

void require_training(const Manifest& manifest) {
    if (manifest.has_training()) return;
    fail_file("the checkpoint is a model only: its manifest lacks files of roles 'optimizer' and 'state'",
              manifest.folder + "/" + kManifest,
              "begin another run with its weights: " + setting("train.init_from=" + shell_quoted(manifest.folder)));
}

std::string checkpoint_name(int64_t step) {
    std::string digits = std::to_string(step);
    return "step-" + std::string(digits.size() < 9 ? 9 - digits.size() : 0, '0') + digits;
}

std::vector<CheckpointPlace> list_checkpoints(const std::string& run) {
    std::vector<CheckpointPlace> list;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(run + "/checkpoints", error)) {
        std::string name = entry.path().filename().string();
        int64_t step = 0;
        if (name.rfind("step-", 0) != 0) continue;
        auto [end, bad] = std::from_chars(name.data() + 5, name.data() + name.size(), step);
        if (bad != std::errc() || end != name.data() + name.size() || !entry.is_directory()) continue;
        list.push_back({step, entry.path().string()});
    }
    std::sort(list.begin(), list.end(), [](const auto& a, const auto& b) { return a.step > b.step; });
    return list;
}

ModelFiles find_model(const std::string& selector) {
    std::string path = selector, which = "latest";
    if (size_t at = selector.rfind('@'); at != std::string::npos && !fs::exists(selector)) {
        path = selector.substr(0, at);
        which = selector.substr(at + 1);
    }
    while (path.size() > 1 && path.back() == '/') path.pop_back();
    if (!fs::exists(path))
        fail_file("no such run or model file", path, "name a run folder, RUN@best, RUN@step:N or a .safetensors file");
    if (!fs::is_directory(path)) {
        if (path.size() < 12 || path.substr(path.size() - 12) != ".safetensors")
            fail_file("not a model: expected a run folder or a .safetensors file", path,
                      "pickled models (.pt, .bin) are not loaded: they can execute code");
        std::string folder = fs::path(path).parent_path().string();
        if (folder.empty()) folder = ".";
        ModelFiles files{path, folder + "/config.json", folder + "/tokenizer.json", folder};
        for (const std::string& needed : {files.config, files.tokenizer})
            if (!fs::exists(needed))
                fail_file("the model file needs its config.json and tokenizer.json beside it; missing: " + needed,
                          path);
        return files;
    }
    const bool named = fs::exists(path + "/" + kManifest) || fs::exists(path + "/" + kModel);
    const std::string folder = named ? path : checkpoint_of_run(path, which);
    const Manifest manifest = verify_model(folder);
    return {manifest.paths("model"), manifest.path("config"), manifest.path("tokenizer"), folder};
}

}  // namespace lithe
