// Tables of models in files: coded, mapped, unpacked, and bit by bit in a training part.
#include "lithe/model/parameter_files.h"

#include <filesystem>

#include "lithe/infer/step_model.h"
#include "lithe/spec/config_io.h"
#include "support/errors.h"
#include "support/files.h"
#include "support/waves.h"

namespace lithe {
namespace {

using testing::TemporaryFolder;

constexpr const char* kName = "embeddings.ngrams.table";

// 2 x 37 rows of 11 numbers: no multiple of any vector.
std::unique_ptr<LanguageModel> make(std::optional<uint64_t> seed = 3) {
    auto model = std::make_unique<LanguageModel>(
        parse_config("[model]\nwidth = 16\nlayout = \"ru\"\nmemory = 8\nngrams = {lengths = \"2-3\", rows = 37, "
                     "width = 11}\n"
                     "[train]\nlength = 8",
                     "test"),
        32);
    if (seed) model->materialize(at::kFloat, at::kFloat, at::kCPU, seed);
    return model;
}

size_t table_of(const ParameterStore& store) { return store.tables().at(0); }

// As updates of these rows leave the store.
void reach(ParameterStore& store, const std::vector<int64_t>& rows) {
    const at::NoGradGuard no_grad;
    const Tensor list = at::tensor(rows, at::kLong), master = store.master(table_of(store));
    const Tensor values = testing::wave({int64_t(rows.size()), master.size(1)}, 0.7, 0.3, 0.4).to(at::kFloat);
    master.index_copy_(0, list, values);
    store.mark_own_rows(0, list);
}

// What a file that keeps `rows` gives back: within half a step of 1/127 of the largest; zeros elsewhere.
void expect_close(const Tensor& got, const Tensor& table, const RowSet& rows) {
    for (int64_t row = 0; row < table.size(0); ++row) {
        const double largest = table[row].abs().max().item<double>();
        if (rows.rank(row) < 0) EXPECT_EQ(got[row].abs().max().item<double>(), 0) << row;
        else EXPECT_LE((got[row] - table[row]).abs().max().item<double>(), 0.51 * largest / 126) << row;
    }
}

const std::vector<std::vector<int64_t>> kReached = {{}, {0}, {73}, {5, 6, 7, 64, 70}};

TEST(ParameterFiles, TablesComeBackWithinHalfAStep) {
    const TemporaryFolder folder;
    for (const auto& rows : kReached) {
        const auto model = make();
        reach(model->parameters(), rows);
        write_tensors(folder.file("m"), model_tensors(model->parameters()));
        const auto other = make(std::nullopt);
        other->materialize(at::kFloat, at::kFloat, at::kCPU, std::nullopt);
        load_parameters(other->parameters(), folder.file("m"));
        const ParameterStore &before = model->parameters(), &after = other->parameters();
        EXPECT_TRUE(at::equal(before.master_flat(), after.master_flat()));
        EXPECT_EQ(after.own_rows(0).list(), rows);
        expect_close(after.master(table_of(after)), before.master(table_of(before)), before.own_rows(0));
    }
}

TEST(ParameterFiles, WithoutUpdatesThatAreKnownAllRowsAreKept) {
    const TemporaryFolder folder;
    const auto model = make(), loaded = make(std::nullopt);
    loaded->materialize(at::kFloat, at::kFloat, at::kCPU, std::nullopt);
    const at::NoGradGuard no_grad;
    const Tensor &from = model->parameters().master(table_of(model->parameters())),
                 &to = loaded->parameters().master(table_of(loaded->parameters()));
    to.copy_(from);
    write_tensors(folder.file("m"), model_tensors(loaded->parameters()));
    const auto read = make(std::nullopt);
    read->materialize(at::kFloat, at::kFloat, at::kCPU, std::nullopt);
    load_parameters(read->parameters(), folder.file("m"));
    EXPECT_EQ(read->parameters().own_rows(0).count(), 74);
    expect_close(read->parameters().master(table_of(read->parameters())), from, RowSet::all(74));
}

// The mapped table and the same rows in fp32, by the tensors' path and by single steps.
TEST(ParameterFiles, AMappedTableGivesTheBitsOfItsRowsInFp32) {
    const TemporaryFolder folder;
    for (const at::ScalarType working : {at::kFloat, at::kBFloat16}) {
        const auto model = make();
        std::vector<int64_t> odd;
        for (int64_t row = 1; row < 74; row += 2) odd.push_back(row);
        reach(model->parameters(), odd);
        write_tensors(folder.file("m"), model_tensors(model->parameters()));
        const auto unpacked = make(std::nullopt), mapped = make(std::nullopt);
        unpacked->materialize(at::kFloat, working, at::kCPU, std::nullopt);
        load_parameters(unpacked->parameters(), folder.file("m"));
        open_parameters(*mapped, folder.file("m"), working, at::kCPU);
        EXPECT_NE(mapped->parameters().coded(table_of(mapped->parameters())), nullptr);
        EXPECT_FALSE(mapped->parameters().master(table_of(mapped->parameters())).defined());
        const at::NoGradGuard no_grad;
        const Tensor ids = (at::arange(40, at::kLong) * 7919 % 32).view({20, 2});
        const auto logits = [&](const LanguageModel& of) { return of.forward(ids, {}, of.pass(false)).logits_TBV; };
        EXPECT_TRUE(at::equal(logits(*unpacked), logits(*mapped)));
        const auto one = StepModel::make(*unpacked, {.memory = 8}), two = StepModel::make(*mapped, {.memory = 8});
        const State state = unpacked->forward(ids.narrow(1, 0, 1), {}, unpacked->pass(false)).state;
        one->load(state, 0, 20);
        two->load(state, 0, 20);
        for (int64_t token : {3, 1, 4, 1, 5, 9, 2, 6}) {
            const float *expected = one->next({{token}}), *got = two->next({{token}});
            EXPECT_TRUE(std::equal(expected, expected + 32, got)) << token;
        }
    }
}

TEST(ParameterFiles, RowsThatNoFileHasAreDrawnFromASeed) {
    const TemporaryFolder folder;
    const auto model = make(3), drawn = make(8), read = make(std::nullopt);
    reach(model->parameters(), {5, 6});
    write_tensors(folder.file("m"), model_tensors(model->parameters()));
    read->materialize(at::kFloat, at::kFloat, at::kCPU, std::nullopt);
    load_parameters(read->parameters(), folder.file("m"), {.seed = 8});
    const Tensor &got = read->parameters().master(table_of(read->parameters())),
                 &expected = drawn->parameters().master(table_of(drawn->parameters()));
    EXPECT_TRUE(at::equal(got.narrow(0, 0, 5), expected.narrow(0, 0, 5)));
    EXPECT_TRUE(at::equal(got.narrow(0, 7, 67), expected.narrow(0, 7, 67)));
    EXPECT_FALSE(at::equal(got.narrow(0, 5, 2), expected.narrow(0, 5, 2)));
}

TEST(ParameterFiles, ATrainingPartHasEveryBit) {
    const TemporaryFolder folder;
    for (const auto& rows : kReached) {
        const auto model = make(3), other = make(std::nullopt);
        reach(model->parameters(), rows);
        write_tensors(folder.file("o"), table_tensors(model->parameters(), 3));
        other->materialize(at::kFloat, at::kFloat, at::kCPU, std::nullopt);
        SavedTensors saved(folder.file("o"));
        ASSERT_TRUE(load_table(other->parameters(), 0, saved, 3));
        EXPECT_NO_THROW(saved.check_all_taken());
        const ParameterStore &before = model->parameters(), &after = other->parameters();
        EXPECT_TRUE(at::equal(before.master(table_of(before)), after.master(table_of(after))));
        EXPECT_EQ(after.own_rows(0).list(), rows);
        SavedTensors again(folder.file("o"));
        EXPECT_ERROR(load_table(other->parameters(), 0, again, 4), ErrorKind::bad_file,
                     "is not what this version of lithe draws from train.seed");
    }
}

TEST(ParameterFiles, ADamagedTrainingPartIsRefused) {
    const TemporaryFolder folder;
    const auto model = make();
    ParameterStore& store = model->parameters();
    reach(store, {5, 6});
    write_tensors(folder.file("whole"), table_tensors(store, 3));
    const auto told = [&](const std::string& name, const Tensor& tensor, const std::string& words) {
        std::vector<NamedTensor> tensors = read_tensors(folder.file("whole"));
        for (NamedTensor& each : tensors)
            if (each.name == name) each.tensor = tensor;
        write_tensors(folder.file("o"), tensors);
        SavedTensors saved(folder.file("o"));
        EXPECT_ERROR(load_table(store, 0, saved, 3), ErrorKind::bad_file, words);
    };
    const std::string rows = std::string("weights/") + kName + ".rows",
                      kept = std::string("weights/") + kName + ".kept";
    told(rows, at::zeros({3, 11}), "keeps 2 rows, and there are 3");
    told(rows, at::zeros({2, 12}), "does not fit the table");
    told(rows, at::zeros({2, 11}, at::kDouble), "does not fit the table");
    told(rows, at::zeros({22}), "does not fit the table");
    told(kept, at::zeros({9}, at::kByte), "does not have a bit for each of 74 rows");
    told(kept, at::full({10}, 255, at::kByte), "does not have a bit for each of 74 rows");
    told(std::string("drawn/") + kName, at::zeros({11}), "is not what this version of lithe draws");
}

TEST(ParameterFiles, WhatDoesNotFitIsToldWithShapes) {
    const TemporaryFolder folder;
    const auto model = make();
    write_tensors(folder.file("m"), model_tensors(model->parameters()));
    const auto config = parse_config(
        "[model]\nwidth = 16\nlayout = \"ru\"\nmemory = 8\nngrams = {lengths = \"2-3\", rows = 38, width = 11}\n"
        "[train]\nlength = 8",
        "test");
    LanguageModel other(config, 32);
    EXPECT_ERROR(check_parameters(other.parameters(), folder.file("m")), ErrorKind::bad_file,
                 "has shape [74, 11], the configuration needs [76, 11]");
    std::vector<NamedTensor> tensors = read_tensors(folder.file("m"));
    std::erase_if(tensors, [](const NamedTensor& each) { return each.name == std::string(kName) + ".kept"; });
    write_tensors(folder.file("m"), tensors);
    EXPECT_ERROR(check_parameters(model->parameters(), folder.file("m")), ErrorKind::bad_file, ".kept' is missing");
}

TEST(ParameterFiles, NumbersThatAreNotFiniteReadAsNotANumber) {
    const TemporaryFolder folder;
    const auto model = make(), read = make(std::nullopt);
    ParameterStore& store = model->parameters();
    reach(store, {5, 6});
    store.master(table_of(store)).data_ptr<float>()[5 * 11 + 3] = INFINITY;
    write_tensors(folder.file("m"), model_tensors(store));
    read->materialize(at::kFloat, at::kFloat, at::kCPU, std::nullopt);
    load_parameters(read->parameters(), folder.file("m"));
    const Tensor got = read->parameters().master(table_of(read->parameters()));
    EXPECT_TRUE(got[5].isnan().all().item<bool>());
    EXPECT_TRUE(got[6].isfinite().all().item<bool>());
}

}  // namespace
}  // namespace lithe
