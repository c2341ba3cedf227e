#include "lithe/train/checkpoint_part.h"

#include <cstdio>

#include "lithe/base/json.h"
#include "lithe/model/parameter_files.h"
#include "lithe/spec/migrations.h"
#include "lithe/train/feed_position.h"
#include "lithe/train/optimizer.h"

namespace lithe {
namespace {

using Json = nlohmann::ordered_json;

class OptimizerPart : public CheckpointPart {
 public:
    OptimizerPart(Optimizer& optimizer, ParameterStore& store, uint64_t seed)
        : optimizer_(optimizer),
          store_(store),
          seed_(seed) {}
    std::string name() const override { return "optimizer"; }

    // While a checkpoint is written, the model has the average of the weights and the optimizer the weights.
    void save(std::vector<NamedTensor>& tensors) const override {
        for (const Optimizer::Moment& moment : optimizer_.moments()) tensors.push_back({moment.name, moment.value});
        for (NamedTensor& each : table_tensors(store_, seed_)) tensors.push_back(std::move(each));
        for (size_t table = 0; table < store_.tables().size(); ++table)
            if (has_sums(table))
                tensors.push_back({sum_name(table), optimizer_.table_sums()[table].index_select(0, own_rows(table))});
    }
    Json entry() const override { return {{"updates", optimizer_.updates()}}; }

    void load(SavedTensors& saved, const nlohmann::json& state) override {
        for (const Optimizer::Moment& moment : optimizer_.moments()) saved.take_into(moment.name, moment.value);
        for (size_t table = 0; table < store_.tables().size(); ++table) load_table_of(saved, table);
        const int64_t updates = whole(state.at("updates"));
        if (updates < 0) fail_file("damaged trainer state: a count of updates below zero", saved.path());
        optimizer_.set_updates(updates);
        if (optimizer_.average().defined()) store_.exchange(optimizer_.average());
    }

 private:
    std::string sum_name(size_t table) const { return "table_sum/" + store_.spec(store_.tables()[table]).name; }

    // A frozen table has none.
    bool has_sums(size_t table) const { return !store_.frozen(store_.tables()[table]); }

    // Of rows without an update the sum is 0.
    Tensor own_rows(size_t table) const {
        return at::tensor(store_.own_rows(table).list(), at::kLong).to(optimizer_.table_sums()[table].device());
    }

    void load_table_of(SavedTensors& saved, size_t table) {
        const Tensor& sums = optimizer_.table_sums()[table];
        if (load_table(store_, table, saved, seed_)) {
            if (!has_sums(table)) return;
            const Tensor rows = own_rows(table), read = at::empty({rows.numel()}, sums.options());
            saved.take_into(sum_name(table), read);
            sums.zero_().index_copy_(0, rows, read);
            return;
        }
        if (store_.own_rows(table).count() < store_.spec(store_.tables()[table]).shape[0])
            fail_file("the rows of the table '" + store_.spec(store_.tables()[table]).name + "' are missing",
                      saved.path());
        if (has_sums(table))
            saved.take_into(sum_name(table), sums);  // an earlier version's: the model's file had all rows
    }

    Optimizer& optimizer_;
    ParameterStore& store_;
    uint64_t seed_;
};

// "PREFIX2.0.memory:1:0" of a state's tensor "2.0.memory": the batch axis and the time axis.
std::string name_with_axes(const std::string& prefix, const std::string& path, const StateTensor& tensor) {
    return prefix + path + ":" + std::to_string(tensor.batch_axis) + ":" + std::to_string(tensor.time_axis);
}

void save_state(const State& state, const std::string& prefix, std::vector<NamedTensor>& tensors) {
    for (const auto& [path, tensor] : flatten(state))
        tensors.push_back({name_with_axes(prefix, path, tensor), tensor.value});
}

// Memories, which have a time axis, are kept in the type that the model computes in, which may be another one now.
Tensor in_type(const Tensor& value, int time_axis, at::ScalarType working) {
    return time_axis >= 0 && value.is_floating_point() ? value.to(working) : value;
}

State load_state(SavedTensors& saved, const std::string& prefix, at::Device device, at::ScalarType working) {
    std::vector<std::pair<std::string, StateTensor>> list;
    for (const std::string& name : saved.names(prefix)) {
        int batch_axis = 0, time_axis = -1;
        const size_t colon = name.find(':', prefix.size());
        if (colon == std::string::npos || std::sscanf(name.c_str() + colon, ":%d:%d", &batch_axis, &time_axis) != 2)
            fail_file("the state tensor '" + printable(name) + "' does not name its axes", saved.path());
        const Tensor value = in_type(saved.take(name), time_axis, working).to(device);
        list.emplace_back(name.substr(prefix.size(), colon - prefix.size()),
                          StateTensor{"", value, batch_axis, time_axis});
    }
    return unflatten(list);
}

constexpr const char* kCarried = "carried/";

class CarriedPart : public CheckpointPart {
 public:
    CarriedPart(StepRunner& step, at::Device device, at::ScalarType working)
        : step_(step),
          device_(device),
          working_(working) {}
    std::string name() const override { return "carried"; }
    void save(std::vector<NamedTensor>& tensors) const override {
        save_state(join_rows(step_.carried()), kCarried, tensors);
    }
    void load(SavedTensors& saved, const nlohmann::json&) override {
        step_.carry(load_state(saved, kCarried, device_, working_));
    }

 private:
    StepRunner& step_;
    at::Device device_;
    at::ScalarType working_;
};

constexpr const char* kSearch = "search/";
constexpr const char* kSearchCarried = "search/carried/";

class SearchPart : public CheckpointPart {
 public:
    SearchPart(SearchSteps& search, at::Device device, at::ScalarType working)
        : search_(search),
          device_(device),
          working_(working) {}
    std::string name() const override { return "search"; }

    void save(std::vector<NamedTensor>& tensors) const override {
        for (const NamedTensor& each : search_.architecture().state())
            tensors.push_back({kSearch + each.name, each.tensor});
        save_state(search_.carried(), kSearchCarried, tensors);
    }

    Json entry() const override {
        const SearchSteps::Progress& progress = search_.progress();
        return {{"begin", progress.begin},
                {"changed_at", progress.changed_at},
                {"likeliest", progress.likeliest},
                {"settled", progress.settled},
                {"data", to_json(search_.held_out() ? search_.held_out()->position() : FeedPosition())}};
    }

    void load(SavedTensors& saved, const nlohmann::json& state) override {
        for (const NamedTensor& each : search_.architecture().state()) {
            const std::string name = kSearch + each.name;
            if (!search_.architecture().load({each.name, saved.take(name)}))
                fail_file("the tensor '" + printable(name) + "' does not fit the search", saved.path());
        }
        search_.carried() = load_state(saved, kSearchCarried, device_, working_);
        SearchSteps::Progress& progress = search_.progress();
        progress.begin = whole(state.at("begin"));
        progress.changed_at = state.at("changed_at");
        progress.likeliest = whole_numbers<int64_t>(state.at("likeliest"));
        progress.settled = state.value("settled", false);
        if (search_.held_out()) search_.held_out()->seek(feed_position_from_json(state.at("data")));
        search_.run_likeliest();  // what a finished search is evaluated with
    }

 private:
    SearchSteps& search_;
    at::Device device_;
    at::ScalarType working_;
};

class CountersPart : public CheckpointPart {
 public:
    CountersPart(std::string name, std::function<Json()> save, std::function<void(const nlohmann::json&)> load)
        : name_(std::move(name)),
          save_(std::move(save)),
          load_(std::move(load)) {}
    std::string name() const override { return name_; }
    Json entry() const override { return save_(); }
    void load(SavedTensors&, const nlohmann::json& state) override { load_(state); }

 private:
    std::string name_;
    std::function<Json()> save_;
    std::function<void(const nlohmann::json&)> load_;
};

}  // namespace

std::unique_ptr<CheckpointPart> checkpoint_part_of(std::string name, std::function<Json()> save,
                                                   std::function<void(const nlohmann::json&)> load) {
    return std::make_unique<CountersPart>(std::move(name), std::move(save), std::move(load));
}

std::unique_ptr<CheckpointPart> checkpoint_part_of(Optimizer& optimizer, ParameterStore& store, uint64_t seed) {
    return std::make_unique<OptimizerPart>(optimizer, store, seed);
}

std::unique_ptr<CheckpointPart> checkpoint_part_of(StepRunner& step, at::Device device, at::ScalarType working) {
    return std::make_unique<CarriedPart>(step, device, working);
}

std::unique_ptr<CheckpointPart> checkpoint_part_of(SearchSteps& search, at::Device device, at::ScalarType working) {
    return std::make_unique<SearchPart>(search, device, working);
}

void migrate_optimizer_tensors(SavedTensors& saved, const ParameterStore& store) {
    const std::vector<size_t> order = order_of_schema_1(parameter_names(store));
    std::vector<std::string> tables;
    for (size_t i : order)
        if (store.spec(i).role == Role::table) tables.push_back(store.spec(i).name);
    for (const std::string& name : saved.names()) saved.rename(name, renamed_in_optimizer(name, tables));
    for (const FlatTensor& flat : flat_tensors_of_schema_1()) {
        if (!saved.has(flat.name)) continue;
        int64_t at = 0;
        for (size_t i : order) {
            const ParameterSpec& spec = store.spec(i);
            if (spec.role == Role::table) continue;
            saved.cut_out(flat.name, at, flat.prefix + spec.name, spec.shape);
            at += (spec.count() + kAlignmentOfSchema1 - 1) / kAlignmentOfSchema1 * kAlignmentOfSchema1;
        }
        if (saved.shape(flat.name) != std::vector<int64_t>{at})
            fail_file("the tensor '" + std::string(flat.name) + "' is not as long as the parameters", saved.path());
        saved.forget(flat.name);
    }
}

}  // namespace lithe
