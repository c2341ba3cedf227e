#include "lithe/model/parameter_files.h"

#include <algorithm>
#include <set>

#include "lithe/base/parallel.h"
#include "lithe/base/text.h"
#include "lithe/model/cost.h"
#include "lithe/spec/migrations.h"

namespace lithe {
namespace {

constexpr int64_t kPiece = 1 << 18;  // numbers of a table that are in memory a second time

// Under today's names.
SavedTensors todays_tensors(const ParameterStore& store, const TensorFiles& files) {
    SavedTensors tensors(files);
    for (const auto& [before, now] : renamed_parameters(parameter_names(store), tensors.names()))
        tensors.rename(before, now);
    return tensors;
}

bool is_coded(const SavedTensors& tensors, const std::string& name) { return tensors.has(CodedTableNames(name).codes); }

bool is_coded(const SavedTensors& tensors, const ParameterSpec& spec) {
    return spec.role == Role::table && is_coded(tensors, spec.name);
}

CodedTableParts coded_parts(const SavedTensors& tensors, const std::string& name) {
    return read_coded_table(
        name,
        [&](const std::string& part) {
            return tensors.has(part) ? std::optional(tensors.mapped(part).tensor) : std::nullopt;
        },
        tensors.path());
}

std::shared_ptr<const CodedTable> coded_table(const SavedTensors& tensors, const std::string& name) {
    CodedTableParts parts = coded_parts(tensors, name);
    return std::make_shared<CodedTable>(std::move(parts.kept), parts.width, parts.scales, parts.codes,
                                        tensors.mapped(CodedTableNames(name).codes).file);
}

bool has_lora(const SavedTensors& tensors, const std::string& matrix) { return tensors.has(LoraNames(matrix).scale); }

// An update in the files, or a problem. A matrix of the file that holds several has one for each.
void check_lora(const SavedTensors& tensors, const ParameterSpec& matrix, Problems& problems) {
    const LoraNames names(matrix.name);
    const bool whole = tensors.has(names.up) && tensors.has(names.down) && tensors.shape(names.scale).empty();
    const auto sizes = [&](const std::string& name) {
        return whole && tensors.shape(name).size() == 2 ? tensors.shape(name) : std::vector<int64_t>{-1, -1};
    };
    const auto up = sizes(names.up), down = sizes(names.down);
    if (up[0] != matrix.shape[0] || down[1] != matrix.shape[1] || down[0] != matrix.stacked * up[1] || up[1] < 1)
        problems.add("the low-rank update of '" + matrix.name + "' does not fit it");
}

void merge_lora(const ParameterStore& store, size_t index, SavedTensors& tensors, const std::string& name) {
    const LoraNames names(name);
    ParameterSpec in_file = store.spec(index);
    in_file.name = name;
    Problems problems;
    check_lora(tensors, in_file, problems);
    check_fit(problems, tensors.path(), "the file is damaged");
    const Tensor& to = store.master(index);
    const auto take = [&](const std::string& part) { return tensors.take(part).to(to.options()); };
    const Tensor up = take(names.up), down = take(names.down);
    to.add_(lora_product(up, down, store.spec(index).stacked, take(names.scale).item<double>()));
}

// As files have them; the rest of an update is a parameter like any other.
void add_lora_scales(const ParameterStore& store, std::vector<NamedTensor>& tensors) {
    for (const LoraUpdate& each : store.lora())
        tensors.push_back({LoraNames(store.spec(each.matrix).name).scale, at::scalar_tensor(each.scale, at::kFloat)});
}

void check_shapes(const ParameterStore& store, const SavedTensors& tensors) {
    Problems problems;
    std::set<std::string> wanted;
    for (size_t i = 0; i < store.size(); ++i) {
        const ParameterSpec& spec = store.spec(i);
        std::vector<int64_t> shape;
        if (is_coded(tensors, spec)) {
            const CodedTableNames names(spec.name);
            wanted.insert({names.shape, names.kept, names.scales, names.codes});
            const CodedTableParts parts = coded_parts(tensors, spec.name);
            shape = {parts.rows, parts.width};
        } else {
            wanted.insert(spec.name);
            if (!tensors.has(spec.name)) {
                problems.add("parameter '" + spec.name + "' is missing");
                continue;
            }
            shape = tensors.shape(spec.name);
            if (has_lora(tensors, spec.name)) {
                const LoraNames names(spec.name);
                wanted.insert({names.up, names.down, names.scale});
                check_lora(tensors, spec, problems);
            }
        }
        if (shape != spec.shape)
            problems.add("parameter '" + spec.name + "' has shape " + ops::shape_of(shape) +
                         ", the configuration needs " + ops::shape_of(spec.shape));
    }
    for (const std::string& name : tensors.names())
        if (!wanted.count(name)) problems.add("tensor '" + printable(name) + "' belongs to no parameter");
    check_fit(problems, tensors.path(), "take the configuration that they were trained with: config.json beside them");
}

std::shared_ptr<const MadeTensor> made(DType dtype, std::vector<int64_t> shape, Pieces pieces) {
    return std::make_shared<const MadeTensor>(MadeTensor{dtype, std::move(shape), std::move(pieces)});
}

// Calls `use` with the first and the number of a few rows of so many at a time.
template <class F> void each_piece(int64_t rows, int64_t width, const F& use) {
    const int64_t step = std::max<int64_t>(1, kPiece / std::max<int64_t>(1, width));
    for (int64_t begin = 0; begin < rows; begin += step) use(begin, std::min(step, rows - begin));
}

Tensor bits_of(const RowSet& rows) {
    const std::vector<std::byte> bits = rows.bits();
    Tensor tensor = at::empty({int64_t(bits.size())}, at::kByte);
    std::copy(bits.begin(), bits.end(), static_cast<std::byte*>(tensor.data_ptr()));
    return tensor;
}

// Codes are made twice, for their hash and for the file; scales, which are few, once.
void add_coded(const ParameterStore& store, size_t table, std::vector<NamedTensor>& tensors) {
    const size_t index = store.tables()[table];
    const ParameterSpec& spec = store.spec(index);
    const CodedTableNames names(spec.name);
    // nothing marks what a training reads of a frozen one
    const RowSet own = store.frozen(index) ? RowSet::all(spec.shape[0]) : store.own_rows(table);
    const Tensor numbers = store.master(index).detach().to(at::kCPU, at::kFloat).contiguous();
    const auto list = std::make_shared<const std::vector<int64_t>>(own.list());
    const int64_t kept = own.count(), width = spec.shape[1];
    const Tensor scales = at::empty({kept}, at::kBFloat16);
    const auto encode = [=](int64_t begin, int64_t count, int8_t* codes) {
        auto* scale = static_cast<kernels::bfloat16*>(scales.data_ptr()) + begin;
        kernels::encode_rows({numbers.data_ptr<float>(), list->data() + begin, count, width, codes, scale});
    };
    const auto each_code = [=](const std::function<void(const void*, size_t)>& use) {
        each_piece(kept, width, [&](int64_t begin, int64_t count) {
            std::vector<int8_t> codes(static_cast<size_t>(count * width));
            encode(begin, count, codes.data());
            use(codes.data(), codes.size());
        });
    };
    each_code([](const void*, size_t) {});
    tensors.push_back({names.shape, at::tensor({spec.shape[0], width}, at::kLong)});
    tensors.push_back({names.kept, bits_of(own)});
    tensors.push_back({names.scales, scales});
    tensors.push_back({names.codes, {}, made(DType::i8, {kept, width}, each_code)});
}

// Rows of a table in memory as they stand in a file, one after another.
Pieces gathered(const Tensor& table, std::shared_ptr<const std::vector<int64_t>> list) {
    const int64_t bytes = table.size(1) * int64_t(table.element_size());
    return [=](const std::function<void(const void*, size_t)>& use) {
        const auto* from = static_cast<const char*>(table.data_ptr());
        each_piece(int64_t(list->size()), table.size(1), [&](int64_t begin, int64_t count) {
            std::vector<char> piece(static_cast<size_t>(count * bytes));
            for (int64_t k = 0; k < count; ++k)
                std::copy_n(from + (*list)[size_t(begin + k)] * bytes, bytes, piece.data() + k * bytes);
            use(piece.data(), piece.size());
        });
    };
}

// The rows of a file to their places in a table in memory; what was read needs no memory any more.
void scatter(const SavedTensors::Mapped& from, const std::vector<int64_t>& list, const Tensor& to) {
    const int64_t bytes = to.size(1) * int64_t(to.element_size());
    each_piece(int64_t(list.size()), to.size(1), [&](int64_t begin, int64_t count) {
        const auto piece = from.tensor.bytes.subspan(size_t(begin * bytes), size_t(count * bytes));
        for (int64_t k = 0; k < count; ++k)
            std::copy_n(piece.data() + k * bytes, bytes,
                        static_cast<std::byte*>(to.data_ptr()) + list[size_t(begin + k)] * bytes);
        from.file->release(piece);
    });
}

// The kept rows of a coded table to their places.
void unpack(const CodedTable& table, const Tensor& master) {
    const Tensor to =
        master.is_cpu() && master.scalar_type() == at::kFloat ? master : at::zeros(master.sizes(), at::kFloat);
    const std::vector<int64_t> list = table.kept().list();
    parallel_for(int64_t(list.size()), 1024, [&](int64_t begin, int64_t end) {
        for (int64_t k = begin; k < end; ++k)
            table.look_up(&list[size_t(k)], 1, to.data_ptr<float>() + list[size_t(k)] * table.width());
    });
    if (!to.is_same(master)) master.copy_(to);
}

void take_table(ParameterStore& store, size_t table, SavedTensors& tensors, const std::string& name,
                const LoadOptions& options) {
    const size_t index = store.tables()[table];
    if (store.coded(index)) return;
    if (!is_coded(tensors, name)) {
        tensors.take_into(name, store.master(index));
        store.set_own_rows(table, RowSet::all(store.spec(index).shape[0]));
        return;
    }
    if (!options.coded_tables) {
        store.set_own_rows(table, RowSet::none(store.spec(index).shape[0]));
        return;
    }
    const auto coded = coded_table(tensors, name);
    unpack(*coded, store.master(index));
    store.set_own_rows(table, coded->kept());
    if (options.seed) store.draw_other_rows(table, coded->kept(), *options.seed);
}

void load_all(ParameterStore& store, SavedTensors& tensors, const LoadOptions& options) {
    for (size_t i = 0; i < store.size(); ++i) {
        LoadOptions own = options;
        own.merge_lora = !store.has_lora(i);
        take_parameter(store, i, tensors, store.spec(i).name, own);
    }
    store.refresh_working();
}

// Another version may draw otherwise, and the rows that no file has would be other ones.
void check_drawn(const ParameterStore& store, size_t table, SavedTensors& saved, uint64_t seed) {
    const std::string name = "drawn/" + store.spec(store.tables()[table]).name;
    const Tensor now = store.drawn_first_row(table, seed), before = saved.take(name);
    if (before.sizes() == now.sizes() && at::allclose(before.to(now.scalar_type()), now, 1e-5, 1e-9)) return;
    fail_file("the tensor '" + name + "' is not what this version of lithe draws from train.seed", saved.path(),
              "go on with the version that saved it; any version evaluates and generates");
}

}  // namespace

std::vector<NamedTensor> model_tensors(const ParameterStore& store) {
    std::vector<NamedTensor> tensors;
    for (size_t i = 0; i < store.size(); ++i)
        if (store.spec(i).role != Role::table) tensors.push_back({store.spec(i).name, store.master(i)});
    add_lora_scales(store, tensors);
    for (size_t table = 0; table < store.tables().size(); ++table) add_coded(store, table, tensors);
    return tensors;
}

std::vector<SavedParameter> saved_parameters(const SavedTensors& tensors) {
    std::vector<SavedParameter> list;
    std::set<std::string> of_others;
    constexpr std::string_view kCodes = ".codes";
    for (const std::string& name : tensors.names()) {
        if (!name.ends_with(kCodes)) continue;
        const std::string table = name.substr(0, name.size() - kCodes.size());
        const CodedTableNames names(table);
        if (!tensors.has(names.kept)) continue;
        of_others.insert({names.shape, names.kept, names.scales, names.codes});
        const CodedTableParts parts = coded_parts(tensors, table);
        list.push_back({table, {parts.rows, parts.width}, true});
    }
    for (const std::string& name : tensors.names())
        if (has_lora(tensors, name)) {
            const LoraNames names(name);
            of_others.insert({names.up, names.down, names.scale});
        }
    for (const std::string& name : tensors.names())
        if (!of_others.count(name)) list.push_back({name, tensors.shape(name)});
    return list;
}

void take_parameter(ParameterStore& store, size_t index, SavedTensors& tensors, const std::string& name,
                    const LoadOptions& options) {
    const at::NoGradGuard no_grad;
    const auto& tables = store.tables();
    const auto found = std::find(tables.begin(), tables.end(), index);
    if (found != tables.end()) return take_table(store, size_t(found - tables.begin()), tensors, name, options);
    tensors.take_into(name, store.master(index));
    if (options.merge_lora && has_lora(tensors, name)) merge_lora(store, index, tensors, name);
}

std::vector<NamedTensor> table_tensors(const ParameterStore& store, uint64_t seed) {
    std::vector<NamedTensor> tensors;
    for (size_t table = 0; table < store.tables().size(); ++table) {
        const size_t index = store.tables()[table];
        const std::string& name = store.spec(index).name;
        const RowSet own = store.own_rows(table);
        const Tensor numbers = store.master(index).detach().cpu().contiguous();
        const auto list = std::make_shared<const std::vector<int64_t>>(own.list());
        tensors.push_back({"drawn/" + name, store.drawn_first_row(table, seed)});
        tensors.push_back({"weights/" + name + ".kept", bits_of(own)});
        tensors.push_back(
            {"weights/" + name + ".rows",
             {},
             made(file_type(numbers.scalar_type()), {own.count(), numbers.size(1)}, gathered(numbers, list))});
    }
    return tensors;
}

bool load_table(ParameterStore& store, size_t table, SavedTensors& saved, uint64_t seed) {
    const size_t index = store.tables()[table];
    const std::string name = "weights/" + store.spec(index).name, kept = name + ".kept", rows = name + ".rows";
    if (!saved.has(kept)) return false;
    const Tensor& master = store.master(index);
    const SavedTensors::Mapped bits = saved.mapped(kept), numbers = saved.mapped(rows);
    const bool fits = numbers.tensor.dtype == file_type(master.scalar_type()) && numbers.tensor.shape.size() == 2 &&
                      numbers.tensor.shape[1] == master.size(1);
    if (!fits) fail_file("the tensor '" + rows + "' does not fit the table", saved.path());
    const RowSet own = read_kept_rows(kept, bits.tensor, master.size(0), numbers.tensor.shape[0], saved.path());
    check_drawn(store, table, saved, seed);
    saved.note_taken(kept);
    saved.note_taken(rows);
    const at::NoGradGuard no_grad;
    const Tensor memory = master.is_cpu() ? master : at::zeros(master.sizes(), master.scalar_type());
    scatter(numbers, own.list(), memory);
    if (!master.is_cpu()) master.copy_(memory);
    store.draw_other_rows(table, own, seed);
    store.set_own_rows(table, own);
    return true;
}

void check_parameters(const ParameterStore& store, const TensorFiles& files) {
    check_shapes(store, todays_tensors(store, files));
}

void load_parameters(ParameterStore& store, const TensorFiles& files, const LoadOptions& options) {
    SavedTensors tensors = todays_tensors(store, files);
    check_shapes(store, tensors);
    load_all(store, tensors, options);
}

void open_parameters(LanguageModel& model, const TensorFiles& files, at::ScalarType working, at::Device device) {
    ParameterStore& store = model.parameters();
    SavedTensors tensors = todays_tensors(store, files);
    check_shapes(store, tensors);
    for (const size_t index : store.tables())
        if (device.is_cpu() && is_coded(tensors, store.spec(index)))
            store.set_coded(index, coded_table(tensors, store.spec(index).name));
    check_weights_fit(model, working, device);
    model.materialize(at::kFloat, working, device, std::nullopt);
    load_all(store, tensors, {});
}

}  // namespace lithe
