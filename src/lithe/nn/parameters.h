// All parameters of a model live in one store: name, role, fp32 master, working copy, gradient. Blocks hold handles.
//
// Masters and gradients (but those of tables) are views into one flat buffer each, so that the optimizer and clipping
// are single passes. With bf16 working precision, matrices and embeddings have bf16 copies (what products read) and
// vectors and scalars are used as they are; the optimizer writes the copies in its own pass.
//
// Parts of a batch that are computed side by side (ops/side_by_side.h) each have leaves of their own, over the same
// weights, so that their gradients are added in a fixed order.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "lithe/nn/coded_table.h"
#include "lithe/nn/lora.h"
#include "lithe/ops/torch.h"

namespace lithe {

// A table is looked up by rows and large: it lies outside the flat buffers and its gradient is a list of rows.
// A bias is a vector that is added; what is said of vectors holds for it, too.
enum class Role { matrix, head, embedding, table, vector, bias, scalar };
const char* role_name(Role role);
constexpr bool is_vector(Role role) { return role == Role::vector || role == Role::bias; }

// How a parameter starts. Values are drawn by counter from (seed, name), so that they depend on nothing else.
struct Init {
    enum class Kind { constant, uniform, normal, rows, drawn, orthogonal };
    Kind kind = Kind::constant;
    double value = 0;                     // constant: the value; uniform: +-value; normal: standard deviation;
                                          // orthogonal: length of rows, or of columns if they are fewer
    std::vector<double> row_values;       // rows: value of each first-axis row
    double (*of_unit)(double) = nullptr;  // drawn: what a number that is uniform in [0, 1) becomes
    static Init constant(double value) { return {Kind::constant, value, {}}; }
    static Init uniform(double bound) { return {Kind::uniform, bound, {}}; }
    static Init normal(double deviation) { return {Kind::normal, deviation, {}}; }
    static Init rows(std::vector<double> values) { return {Kind::rows, 0, std::move(values)}; }
    static Init drawn(double (*of_unit)(double)) { return {Kind::drawn, 0, {}, of_unit}; }
    static Init orthogonal(double gain) { return {Kind::orthogonal, gain, {}}; }  // Saxe et al. 2014
    static Init xavier(int64_t fan_in, int64_t fan_out, double scale = 1);        // uniform, Glorot & Bengio 2010
};

struct ParameterSpec {
    std::string name;
    std::vector<int64_t> shape;
    Role role = Role::matrix;
    Init init;
    int64_t stacked = 1;  // independent matrices that stand in one, along its rows: gates, keys and values
    int64_t count() const;
};

// Whether `name` is `path` or stands under it: "decoder.layers" has "decoder.layers.3.attention.query".
bool stands_under(const std::string& name, const std::string& path);

class ParameterStore;

// A handle; cheap to copy. The store must outlive it.
class Parameter {
 public:
    Parameter() = default;
    Parameter(const ParameterStore* store, size_t index) : store_(store), index_(index) {}
    const Tensor& tensor() const;     // what forward passes use: the working copy, a leaf that takes gradients
    const CodedTable* coded() const;  // instead of it, where the parameter is a table in a file; else null
    size_t index() const { return index_; }
    explicit operator bool() const { return store_ != nullptr; }

 private:
    const ParameterStore* store_ = nullptr;
    size_t index_ = 0;
};

// While it lives, this thread's forward passes use the leaves of part number `part` (ParameterStore::set_parts).
class PartScope {
 public:
    explicit PartScope(int64_t part);
    ~PartScope();
    PartScope(const PartScope&) = delete;
    PartScope& operator=(const PartScope&) = delete;
    // That of this thread.
    static int64_t current();

 private:
    int64_t before_;
};

class ParameterStore {
 public:
    // While it lives, names of added parameters begin with `path` and a dot: several models may have one store. Empty:
    // nothing. The store must outlive it.
    class Scope {
     public:
        Scope(ParameterStore& store, const std::string& path) : store_(&store), before_(store.scope_) {
            if (!path.empty()) store.scope_ += path + ".";
        }
        ~Scope() { store_->scope_ = before_; }
        Scope(const Scope&) = delete;
        Scope& operator=(const Scope&) = delete;

     private:
        ParameterStore* store_;
        std::string before_;
    };

    // Before materialize(). Throws when the name is taken.
    Parameter add(ParameterSpec spec);
    // With `share`: the parameter of this name if there is one already, of the same shape.
    Parameter add_shared(ParameterSpec spec, bool share = true);

    // Before materialize(). Parameters under these paths ("embeddings", "decoder.layers.0") stay as they are: they have
    // no gradient and no moments, and lie outside the flat buffers. Returns the paths under which there is none.
    // Without `biases` those are trained all the same (BitFit, Ben Zaken et al. 2022).
    std::vector<std::string> freeze(const std::vector<std::string>& paths, bool biases = true);
    // Before materialize(). Freezes the matrices under these paths and records an update of each (nn/lora.h) as a
    // parameter of its own. Returns the paths under which there is no matrix.
    std::vector<std::string> add_lora(const LoraOptions& options);
    const std::vector<LoraUpdate>& lora() const { return lora_; }
    bool has_lora(size_t index) const;
    // After masters were changed: writes what products read of the matrices with updates.
    void refresh_lora();
    bool all_frozen() const;
    bool frozen(size_t index) const { return frozen_[index]; }
    // Whether it lies in the flat buffers: neither a table nor frozen.
    bool flat(size_t index) const { return !frozen_[index] && specs_[index].role != Role::table; }

    // Allocates and draws the initial values from the seed; without one all are zero, to be loaded. `master` is fp32
    // (fp64 in tests); `working` is `master` or bf16.
    void materialize(at::ScalarType master, at::ScalarType working, at::Device device, std::optional<uint64_t> seed);
    bool materialized() const { return master_flat_.defined(); }

    // Before materialize(): this table is read from a file and has no master. The store cannot be trained then.
    void set_coded(size_t index, std::shared_ptr<const CodedTable> table) { coded_.at(index) = std::move(table); }
    const CodedTable* coded(size_t index) const { return coded_[index].get(); }
    // The rows of table number `table` of the store that are not as the seed draws them: what updates reached, and what
    // was loaded.
    RowSet own_rows(size_t table) const;
    void set_own_rows(size_t table, const RowSet& rows);
    // These rows [n] got an update.
    void mark_own_rows(size_t table, const Tensor& rows);
    // Writes the rows that are not `own` as materialize() draws them from this seed.
    void draw_other_rows(size_t table, const RowSet& own, uint64_t seed);
    Tensor drawn_first_row(size_t table, uint64_t seed) const;  // [width], in memory

    size_t size() const { return specs_.size(); }
    const ParameterSpec& spec(size_t index) const { return specs_[index]; }
    const Tensor& working(size_t index) const { return working_[index]; }
    // The leaf of the part that this thread computes; working() is that of part 0.
    const Tensor& leaf(size_t index) const;
    // After materialize(): how many parts of a batch may be computed side by side.
    void set_parts(int64_t parts);
    const Tensor& master(size_t index) const { return master_[index]; }
    // What lies in the flat buffers: a view of the gradient, the part of a buffer laid out like the master, its place.
    Tensor gradient(size_t index) const;
    Tensor master_view(const Tensor& flat, size_t index) const;
    int64_t offset(size_t index) const { return offsets_[index]; }
    const Tensor& master_flat() const { return master_flat_; }
    const Tensor& gradient_flat() const { return gradient_flat_; }
    const Tensor& working_flat() const { return working_flat_; }  // undefined without bf16 copies
    bool has_copy(size_t index) const;

    // Moves the gradients of the last backward passes into the flat buffer: overwriting it when `first`, else adding.
    void collect_gradients(bool first);
    // Forgets what a backward pass that broke off left in the leaves.
    void drop_gradients();
    // Whether a gradient reached the parameter since the last collect_gradients(true).
    bool touched(size_t index) const { return touched_[index]; }
    // Tables that are trained, by index, and the rows' gradients of the last pass: sparse, a row once for each time
    // that it was looked up; undefined: none.
    const std::vector<size_t>& tables() const { return tables_; }
    const Tensor& table_gradient(size_t table) const { return table_gradients_[table]; }
    // Exchanges all masters of the flat buffer with numbers that are laid out like them; writes the working copies
    // anew.
    void exchange(Tensor& flat);
    // After masters were changed from outside: writes the working copies anew.
    void refresh_working();

    int64_t count() const;                     // of numbers in all parameters
    int64_t count_without_embeddings() const;  // nor tables
    int64_t count_in_tables() const;
    int64_t count_in_flat() const;    // those that are trained, without tables
    int64_t count_trained() const;    // and with them
    int64_t count_with_lora() const;  // of those in matrices that have updates
    int64_t count_coded() const;      // of those in tables that are read from a file

 private:
    void lay_out();
    void collect_tables(std::vector<Tensor>& leaves, bool first);
    void collect(size_t index, bool first);
    void collect_lora();
    // Whether backward passes give it a gradient.
    bool takes_gradient(size_t index) const { return !frozen_[index] || has_lora(index); }

    std::vector<ParameterSpec> specs_;
    std::set<std::string> names_;
    std::string scope_;
    std::vector<bool> frozen_;
    std::vector<LoraUpdate> lora_;
    std::vector<int64_t> offsets_;
    std::vector<Tensor> master_, working_;
    std::vector<std::vector<Tensor>> more_leaves_;  // of parts 1, 2, ...
    std::vector<bool> touched_;
    std::vector<size_t> tables_;
    std::vector<Tensor> table_gradients_;
    std::vector<Tensor> own_rows_;  // by table: bytes [rows], 1 for one of its own; undefined: all are
    std::vector<std::shared_ptr<const CodedTable>> coded_;  // by parameter
    Tensor master_flat_, gradient_flat_, working_flat_;
    int64_t flat_size_ = 0;
    bool has_copies_ = false;
};

}  // namespace lithe
