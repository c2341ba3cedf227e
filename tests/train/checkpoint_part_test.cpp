// Parts of a run in its checkpoints: by name, whatever the order.
#include "lithe/train/checkpoint_part.h"

#include <gtest/gtest.h>

#include "lithe/model/parameter_files.h"
#include "lithe/train/optimizer.h"
#include "support/errors.h"
#include "support/files.h"
#include "support/waves.h"

namespace lithe {
namespace {

using testing::TemporaryFolder;
using testing::wave;

// An optimizer over parameters in an order that is given, after an update.
struct Trained {
    ParameterStore store;
    std::unique_ptr<Optimizer> optimizer;
    std::unique_ptr<CheckpointPart> part;

    Trained(const std::vector<std::string>& order, const OptimizerConfig& config) {
        for (const std::string& name : order) {
            if (name == "table") store.add({name, {4, 2}, Role::table, Init::normal(1)});
            else if (name == "matrix") store.add({name, {3, 5}, Role::matrix, Init::normal(1)});
            else store.add({name, {7}, Role::vector, Init::normal(1)});
        }
        store.materialize(at::kFloat, at::kFloat, at::kCPU, 1);
        optimizer = std::make_unique<Optimizer>(config, store);
        part = checkpoint_part_of(*optimizer, store, 1);
    }
    void update() {
        for (size_t i = 0; i < store.size(); ++i) {
            const Tensor& leaf = store.working(i);
            const Tensor weights = wave(leaf.sizes(), 0.7, 0.3, 1.0).to(at::kFloat);
            if (store.spec(i).role == Role::table) {
                const Tensor rows = at::tensor({1, 2}, at::kLong);
                leaf.mutable_grad() = at::sparse_coo_tensor(rows.unsqueeze(0), weights.narrow(0, 0, 2), leaf.sizes());
            } else leaf.mutable_grad() = weights;
        }
        store.collect_gradients(true);
        optimizer->step(0.01, 1);
    }
    std::map<std::string, Tensor> moments() const {
        std::map<std::string, Tensor> all;
        for (const auto& [name, value] : optimizer->moments()) all[name] = value;
        return all;
    }
};

OptimizerConfig everything() {
    OptimizerConfig config;
    config.lookahead_steps = 2;
    config.average = 0.9;
    return config;
}

std::vector<NamedTensor> saved(const Trained& trained, nlohmann::ordered_json& state) {
    std::vector<NamedTensor> tensors;
    trained.part->save(tensors);
    state = trained.part->entry();
    return tensors;
}

TEST(CheckpointPart, MomentsAreNamedByTheirParameters) {
    Trained trained({"matrix", "vector", "table"}, everything());
    std::set<std::string> names;
    for (const auto& [name, value] : trained.moments()) names.insert(name);
    EXPECT_EQ(names, (std::set<std::string>{"first_moment/matrix", "first_moment/vector", "second_moment/matrix",
                                            "second_moment/vector", "slow/matrix", "slow/vector", "weights/matrix",
                                            "weights/vector"}));
    std::set<std::string> of_table;
    nlohmann::ordered_json state;
    for (const NamedTensor& each : saved(trained, state))
        if (!names.count(each.name)) of_table.insert(each.name);
    EXPECT_EQ(of_table,
              (std::set<std::string>{"drawn/table", "table_sum/table", "weights/table.kept", "weights/table.rows"}));
    OptimizerConfig muon;
    muon.name = OptimizerKind::muon;
    EXPECT_FALSE(Trained({"matrix", "vector"}, muon).moments().count("second_moment/matrix")) << "Muon has none";
    OptimizerConfig sgd;
    sgd.name = OptimizerKind::sgd;
    EXPECT_FALSE(Trained({"matrix", "vector"}, sgd).moments().count("second_moment/vector"));
}

TEST(CheckpointPart, TheOptimizerIsLoadedWhateverTheOrderOfParameters) {
    const TemporaryFolder folder;
    Trained one({"matrix", "vector", "table"}, everything());
    one.update();
    nlohmann::ordered_json state;
    write_tensors(folder.file("o"), saved(one, state));
    EXPECT_EQ(state, (nlohmann::ordered_json{{"updates", 1}}));
    Trained other({"table", "vector", "matrix"}, everything());
    SavedTensors tensors(folder.file("o"));
    other.part->load(tensors, nlohmann::json(state));
    EXPECT_NO_THROW(tensors.check_all_taken());
    EXPECT_EQ(other.optimizer->updates(), 1);
    const auto expected = one.moments(), got = other.moments();
    for (const auto& [name, value] : expected) {
        if (name.rfind("weights/", 0) == 0) continue;
        EXPECT_TRUE(at::equal(got.at(name), value)) << name;
        EXPECT_GT(value.abs().max().item<double>(), 0) << name;
    }
    const Tensor& sums = other.optimizer->table_sums()[0];
    EXPECT_TRUE(at::equal(sums, one.optimizer->table_sums()[0]));
    EXPECT_EQ(sums.gt(0).sum().item<int64_t>(), 2);
    const Tensor &table = other.store.master(other.store.tables()[0]),
                 &before = one.store.master(one.store.tables()[0]);
    EXPECT_TRUE(at::equal(table, before)) << "every bit, of rows without an update too";
    // the file of a model has the average; the weights, which go on, come from here
    for (size_t i = 0; i < other.store.size(); ++i)
        if (other.store.spec(i).role != Role::table) {
            EXPECT_TRUE(at::equal(other.store.master(i), expected.at("weights/" + other.store.spec(i).name)));
        }
}

TEST(CheckpointPart, WhatIsMissingUnknownOrOfAnotherShapeIsTold) {
    const TemporaryFolder folder;
    Trained one({"matrix", "vector"}, OptimizerConfig());
    nlohmann::ordered_json state;
    std::vector<NamedTensor> tensors = saved(one, state);
    auto load = [&](const std::vector<NamedTensor>& list) {
        write_tensors(folder.file("o"), list);
        SavedTensors read(folder.file("o"));
        one.part->load(read, nlohmann::json(state));
        read.check_all_taken();
    };
    EXPECT_NO_THROW(load(tensors));
    auto fewer = tensors;
    fewer.pop_back();
    EXPECT_ERROR(load(fewer), ErrorKind::bad_file, "the tensor '" + tensors.back().name + "' is missing");
    auto more = tensors;
    more.push_back({"third_moment/vector", at::zeros({7})});
    EXPECT_ERROR(load(more), ErrorKind::bad_file, "unknown tensor 'third_moment/vector'");
    auto other = tensors;
    other[0].tensor = at::zeros({2});
    EXPECT_ERROR(load(other), ErrorKind::bad_file, "expected shape [3, 5], got [2]");
}

// Until schema 2 the model's file had the whole table, and this one a sum for each row.
TEST(CheckpointPart, ATableOfAnEarlierVersionComesFromTheModelsFile) {
    const TemporaryFolder folder;
    Trained one({"vector", "table"}, OptimizerConfig()), other({"vector", "table"}, OptimizerConfig());
    one.update();
    nlohmann::ordered_json state;
    std::vector<NamedTensor> tensors;
    for (const NamedTensor& each : saved(one, state))
        if (each.name.find("table") == std::string::npos) tensors.push_back(each);
    tensors.push_back({"table_sum/table", one.optimizer->table_sums()[0]});
    write_tensors(folder.file("o"), tensors);
    SavedTensors earlier(folder.file("o"));
    EXPECT_ERROR(other.part->load(earlier, nlohmann::json(state)), ErrorKind::bad_file,
                 "the rows of the table 'table' are missing");
    const NamedTensor vector{"vector", one.store.master(0)}, table{"table", one.store.master(1)};
    write_tensors(folder.file("m"), {vector, table});
    other.store.set_own_rows(0, RowSet::none(4));
    load_parameters(other.store, folder.file("m"), {.coded_tables = false});
    SavedTensors again(folder.file("o"));
    other.part->load(again, nlohmann::json(state));
    EXPECT_TRUE(at::equal(other.store.master(1), one.store.master(1)));
    EXPECT_TRUE(at::equal(other.optimizer->table_sums()[0], one.optimizer->table_sums()[0]));
    EXPECT_EQ(other.store.own_rows(0).count(), 4) << "which of them were drawn is not known any more";
}

// Schema 1 laid moments out flat, each parameter's begin at a multiple of 32 numbers.
TEST(CheckpointPart, FlatMomentsOfSchema1AreCutIntoParameters) {
    const TemporaryFolder folder;
    // today's order may be another one: then embeddings came first, and the head last
    Trained one({"head.bias", "decoder.norm.gain", "embeddings.tokens"}, OptimizerConfig());
    const Tensor flat = at::arange(96, at::kFloat);
    write_tensors(folder.file("o"), {{"m", flat}, {"v", flat + 100}, {"0.c:0:-1", at::zeros({1})}});
    SavedTensors tensors(folder.file("o"));
    migrate_optimizer_tensors(tensors, one.store);
    EXPECT_EQ(tensors.names("carried/"), std::vector<std::string>{"carried/0.c:0:-1"});
    one.part->load(tensors, {{"updates", 4}});
    const auto got = one.moments();
    EXPECT_TRUE(at::equal(got.at("first_moment/embeddings.tokens"), flat.narrow(0, 0, 7)));
    EXPECT_TRUE(at::equal(got.at("first_moment/decoder.norm.gain"), flat.narrow(0, 32, 7)));
    EXPECT_TRUE(at::equal(got.at("second_moment/head.bias"), flat.narrow(0, 64, 7) + 100));
    write_tensors(folder.file("short"), {{"m", at::zeros({128})}});
    SavedTensors other(folder.file("short"));
    EXPECT_ERROR(migrate_optimizer_tensors(other, one.store), ErrorKind::bad_file, "not as long as the parameters");
}

}  // namespace
}  // namespace lithe
