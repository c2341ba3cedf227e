// A checkpoint's manifest: files by role, in any number, and nothing else.
#include "lithe/model/manifest.h"

#include "lithe/base/file.h"
#include "lithe/model/parameter_files.h"
#include "lithe/objectives/load_model.h"
#include "lithe/spec/config_io.h"
#include "lithe/tokenize/bytes.h"
#include "support/errors.h"
#include "support/files.h"

namespace lithe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using testing::read_all;
using testing::TemporaryFolder;

// A checkpoint whose manifest can be changed.
struct Saved {
    TemporaryFolder folder;
    Config config = parse_config("[model]\nwidth = 8\nlayout = \"uf\"\nvocabulary_size = 256\n", "test");
    LanguageModel model{config, 256};
    std::string place = folder.file("run/checkpoints/step-000000001");

    Saved() {
        model.materialize(at::kFloat, at::kFloat, at::kCPU, 9);
        write_checkpoint(
            place, {model_tensors(model.parameters()), {}, "", to_json(config), tokenize::ByteTokenizer().to_json()});
    }
    Json manifest() const { return Json::parse(read_all(place + "/manifest.json")); }
    void write(const Json& manifest) const { std::ofstream(place + "/manifest.json") << manifest.dump(); }
    // Adds a file to the folder and its manifest.
    void add(const std::string& name, const std::string& role, int shard = 0) const {
        Json all = manifest();
        all["files"].push_back({{"file", name},
                                {"role", role},
                                {"shard", shard},
                                {"bytes", fs::file_size(place + "/" + name)},
                                {"xxh3", to_hex(hash_file(place + "/" + name))}});
        write(all);
    }
    void take_out(const std::string& name) const {
        Json all = manifest(), kept = Json::array();
        for (const Json& each : all["files"])
            if (each["file"] != name) kept.push_back(each);
        all["files"] = kept;
        write(all);
    }
};

TEST(Manifest, ListsFilesWithTheirRoles) {
    const Saved saved;
    const Json manifest = saved.manifest();
    EXPECT_EQ(manifest["schema"], "lithe.checkpoint/3");
    EXPECT_EQ(manifest["files"][0]["file"], "model.safetensors");
    EXPECT_EQ(manifest["files"][0]["role"], "model");
    EXPECT_EQ(manifest["files"][0]["shard"], 0);
    const Manifest read = verify_checkpoint(saved.place);
    EXPECT_EQ(read.schema, 3);
    EXPECT_EQ(read.path("config"), saved.place + "/config.json");
    EXPECT_TRUE(read.paths("optimizer").empty());
    EXPECT_ERROR(read.path("state"), ErrorKind::bad_file, "lacks a file of role 'state'");
}

TEST(Manifest, AModelMayLieInSeveralFilesOfAnyNames) {
    const Saved saved;
    std::vector<NamedTensor> tensors = model_tensors(saved.model.parameters());
    const std::vector<NamedTensor> first(tensors.begin(), tensors.begin() + 3),
        rest(tensors.begin() + 3, tensors.end());
    write_tensors(saved.place + "/b.safetensors", first);
    write_tensors(saved.place + "/a.safetensors", rest);
    saved.take_out("model.safetensors");
    fs::remove(saved.place + "/model.safetensors");
    saved.add("a.safetensors", "model", 1);
    EXPECT_ERROR(load_parameters(load_model(saved.place).model->parameters(), saved.place + "/a.safetensors"),
                 ErrorKind::bad_file, "is missing");
    saved.add("b.safetensors", "model", 0);
    const LoadedModel loaded = load_model(saved.place);
    EXPECT_EQ(loaded.weights, (TensorFiles{saved.place + "/b.safetensors", saved.place + "/a.safetensors"}))
        << "by shard";
    loaded.model->materialize(at::kFloat, at::kFloat, at::kCPU, std::nullopt);
    load_parameters(loaded.model->parameters(), loaded.weights);
    EXPECT_TRUE(at::equal(loaded.model->parameters().master_flat(), saved.model.parameters().master_flat()));
    write_tensors(saved.place + "/c.safetensors", first);
    saved.add("c.safetensors", "model", 2);
    EXPECT_ERROR(load_parameters(loaded.model->parameters(), load_model(saved.place).weights), ErrorKind::bad_file,
                 "stands in two files");
}

TEST(Manifest, RolesThatNobodyKnowsAreCheckedAndLeftAlone) {
    const Saved saved;
    saved.folder.write("run/checkpoints/step-000000001/teacher.bin", "weights");
    saved.add("teacher.bin", "teacher");
    EXPECT_NO_THROW(load_model(saved.place));
    saved.folder.write("run/checkpoints/step-000000001/teacher.bin", "Weights");
    EXPECT_ERROR(load_model(saved.place), ErrorKind::bad_file, "checksum does not fit the manifest");
}

TEST(Manifest, ANewerSchemaIsToldWithTheRemedy) {
    const Saved saved;
    Json manifest = saved.manifest();
    manifest["schema"] = "lithe.checkpoint/4";
    manifest["files"] = "in another form";
    saved.write(manifest);
    EXPECT_ERROR(load_model(saved.place), ErrorKind::bad_file, "its schema is lithe.checkpoint/4");
    EXPECT_ERROR(load_model(saved.place), ErrorKind::bad_file, "reads up to 3: update lithe");
    EXPECT_ERROR(refuse_newer_manifest(saved.place), ErrorKind::bad_file, "a newer version of lithe saved this");
    for (const char* other : {"lithe.checkpoint/0", "lithe.checkpoint/x", "lithe.state/1", "2"}) {
        manifest["schema"] = other;
        saved.write(manifest);
        EXPECT_ERROR(load_model(saved.place), ErrorKind::bad_file, "none of lithe's");
        EXPECT_NO_THROW(refuse_newer_manifest(saved.place));
    }
}

// The files lie there, and the manifest lost one of them: what is left is no model only, and no training either.
TEST(Manifest, ATrainingPartIsThereWholeOrNotAtAll) {
    for (const auto& [lost, left] : {std::pair("optimizer", "state"), std::pair("state", "optimizer")}) {
        const Saved saved;
        EXPECT_FALSE(verify_checkpoint(saved.place).has_training());
        EXPECT_ERROR(require_training(read_manifest(saved.place)), ErrorKind::bad_file,
                     "a model only: its manifest lacks files of roles 'optimizer' and 'state'");
        saved.folder.write("run/checkpoints/step-000000001/left.bin", "part");
        saved.add("left.bin", left);
        EXPECT_ERROR(verify_checkpoint(saved.place), ErrorKind::bad_file,
                     "the manifest lacks a file of role '" + std::string(lost) + "'");
        EXPECT_NO_THROW(load_model(saved.place)) << "its model is whole";
        saved.folder.write("run/checkpoints/step-000000001/lost.bin", "part");
        saved.add("lost.bin", lost);
        EXPECT_NO_THROW(require_training(verify_checkpoint(saved.place)));
    }
}

// Evaluation reads nothing of it: only training looks at its content.
TEST(Manifest, AModelIsReadBesideADamagedTrainingPart) {
    const Saved saved;
    saved.folder.write("run/checkpoints/step-000000001/moments.bin", "moments");
    saved.folder.write("run/checkpoints/step-000000001/state.json", "{}");
    saved.add("moments.bin", "optimizer");
    saved.add("state.json", "state");
    EXPECT_NO_THROW(verify_checkpoint(saved.place));
    saved.folder.write("run/checkpoints/step-000000001/moments.bin", "Moments");
    EXPECT_NO_THROW(load_model(saved.place));
    EXPECT_ERROR(verify_checkpoint(saved.place), ErrorKind::bad_file, "checksum does not fit the manifest");
    saved.folder.write("run/checkpoints/step-000000001/moments.bin", "short");
    EXPECT_ERROR(load_model(saved.place), ErrorKind::bad_file, "size does not fit the manifest");
}

TEST(Manifest, NamesNothingOutsideItsFolder) {
    for (const char* name : {"../precious", "/etc/passwd", ".hidden", "", "a/b", "manifest.json", "a\nb"}) {
        const Saved saved;
        saved.folder.write("run/checkpoints/precious", "mine");
        Json manifest = saved.manifest();
        manifest["files"][0]["file"] = name;
        saved.write(manifest);
        EXPECT_ERROR(verify_checkpoint(saved.place), ErrorKind::bad_file, "the manifest names a file");
        remove_checkpoint(saved.place);
        EXPECT_EQ(read_all(saved.folder.file("run/checkpoints/precious")), "mine");
    }
}

TEST(Manifest, WhatItNamesIsRemovedAndOnlyThat) {
    const Saved saved;
    saved.folder.write("run/checkpoints/step-000000001/teacher.bin", "weights");
    saved.add("teacher.bin", "teacher");
    // of no checkpoint, though its name is that of a file that some have
    saved.folder.write("run/checkpoints/step-000000001/optimizer.safetensors", "mine");
    remove_checkpoint(saved.place);
    std::vector<std::string> left;
    for (const auto& each : fs::directory_iterator(saved.place)) left.push_back(each.path().filename());
    EXPECT_EQ(left, std::vector<std::string>{"optimizer.safetensors"});
}

// As write_checkpoint leaves a folder when it is killed before the manifest.
TEST(Manifest, AFolderWithoutOneIsRemoved) {
    const Saved saved;
    fs::remove(saved.place + "/manifest.json");
    remove_checkpoint(saved.place);
    EXPECT_FALSE(fs::exists(saved.place));
}

TEST(Manifest, OfSchema1IsRead) {
    const Saved saved;
    const Json today = saved.manifest();
    Json before = {{"schema", "lithe.checkpoint/1"}, {"files", Json::object()}};
    for (const Json& each : today["files"])
        before["files"][each["file"].get<std::string>()] = {{"bytes", each["bytes"]}, {"xxh3", each["xxh3"]}};
    saved.write(before);
    const Manifest manifest = verify_checkpoint(saved.place);
    EXPECT_EQ(manifest.schema, 1);
    EXPECT_EQ(manifest.path("model"), saved.place + "/model.safetensors");
    EXPECT_NO_THROW(load_model(saved.place));
    before["files"]["notes.txt"] = {{"bytes", 0}, {"xxh3", "0"}};
    saved.write(before);
    EXPECT_ERROR(load_model(saved.place), ErrorKind::bad_file, "unknown file 'notes.txt' in the manifest");
}

}  // namespace
}  // namespace lithe
