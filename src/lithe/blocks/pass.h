// What a call of a stack knows: the Pass, which all of its blocks share, and a Place, which is one block's own.
#pragma once

#include <memory>
#include <string_view>
#include <typeindex>
#include <utility>
#include <vector>

#include "lithe/base/rng.h"
#include "lithe/blocks/bag.h"
#include "lithe/nn/norm.h"
#include "lithe/ops/dropout.h"

namespace lithe {

// By what a call draws random numbers.
struct DrawKeys {
    uint64_t update = 0;       // of (seed, update): what all micro-batches of an update share
    uint64_t micro_batch = 0;  // which of them
    uint64_t rows = 0;         // of what each row draws for itself (dropout)
    int64_t first_row = 0;     // the number, in the update, of the first row that is here
    Tensor salt;               // more of `rows`, where the tensors are (ops/dropout.h); undefined: none
    int64_t updates = 0;       // done so far: how far schedules of draws are
};

// What units around units (dropped layers, searched places …) draw or set for a call, each under a type of its own that
// nobody else knows. Cheap to copy; entries do not change.
class PassEntries {
 public:
    // Null when there is none of this type.
    template <class T> std::shared_ptr<const T> find() const {
        for (const auto& [type, value] : list_)
            if (type == typeid(T)) return std::static_pointer_cast<const T>(value);
        return nullptr;
    }
    // Replaces one of the same type.
    template <class T> void put(std::shared_ptr<const T> entry) {
        for (auto& [type, value] : list_)
            if (type == typeid(T)) return void(value = std::move(entry));
        list_.emplace_back(typeid(T), std::move(entry));
    }
    template <class T> void put(T entry) { put(std::make_shared<const T>(std::move(entry))); }

 private:
    std::vector<std::pair<std::type_index, std::shared_ptr<const void>>> list_;
};

// What flags say of positions, made once for all blocks of a call.
struct PositionMarks {
    Tensor flags_TB;    // uint8: bits of base/position_flags.h
    Tensor begin_BT;    // int32: where in the segment the position's document begins; -1: in an earlier segment
    Tensor padding_BT;  // uint8
    explicit PositionMarks(const Tensor& flags_TB);
};

struct Pass;
// Each token's position in its document, [T][B] int64: counted on from position_B, anew where a document begins.
Tensor positions_of(const Pass& pass, int64_t steps, int64_t rows, at::Device device);

// What is true of every block and every time step of a call. A stack has one for each call and changes nothing in it.
struct Pass {
    bool training = false;
    bool causal = true;             // false: every position sees all of its segment
    int64_t memory = 0;             // earlier positions that attention keeps for the next segment
    int64_t window = -1;            // per-query rule: position p sees [p - window, p]; -1: the paper's per-segment rule
    int64_t clamp_length = -1;      // of relative positions, instead of the block's own; -1: its own
    bool keep_projections = false;  // inference: keep keys and values instead of inputs, nothing is projected twice
    std::shared_ptr<const PositionMarks> marks;  // null: no padding, and no document begins
    Tensor position_B;                           // int64 position of the first step per row; undefined: 0
    DrawKeys keys;
    PassEntries entries;

    // Undefined flags are none.
    void set_flags(const Tensor& flags_TB) {
        marks = flags_TB.defined() ? std::make_shared<const PositionMarks>(flags_TB) : nullptr;
    }
    Tensor flags_TB() const { return marks ? marks->flags_TB : Tensor(); }

    // This pass with another entry.
    template <class T> Pass with(T entry) const {
        Pass other = *this;
        other.entries.put(std::move(entry));
        return other;
    }
};

// Where a block stands.
struct Place {
    uint64_t path = 0;   // of this application: "decoder.layers.3.attention" as a number
    int occurrence = 0;  // which application of a block this is, of how many in the stack
    int occurrences = 1;
    // Under pre-norm: what enters the layer and the norm that the block's input went through. A memory of inputs holds
    // the former and takes today's norm (Transformer-XL's order).
    Tensor entering_TBD;
    const StackNorm* norm = nullptr;
    bool last() const { return occurrence + 1 == occurrences; }
};

// What a block is called with beside its input and state. A pass alone is the call of a stack's only block.
struct Call {
    const Pass& pass;
    Place place;
    const Bag& bag;
    Call(const Pass& pass_, Place place_ = {}, const Bag& bag_ = no_bag())
        : pass(pass_),
          place(std::move(place_)),
          bag(bag_) {}

    Tensor entering(const Tensor& x_TBD) const { return place.norm ? place.entering_TBD : x_TBD; }
    Tensor normed(const Tensor& memory_MBD) const { return place.norm ? (*place.norm)(memory_MBD) : memory_MBD; }
    // Key of one dropout place inside a block.
    ops::DropoutKey site(std::string_view name) const {
        return {combine_key(combine_key(pass.keys.rows, place.path), name), pass.keys.salt, pass.keys.first_row};
    }

 private:
    static const Bag& no_bag() {
        static const Bag none;
        return none;
    }
};
// Of a dropout place that stands outside of blocks, or that all of them share.
inline ops::DropoutKey shared_site(const Pass& pass, std::string_view name) {
    return {combine_key(pass.keys.rows, name), pass.keys.salt, pass.keys.first_row};
}

}  // namespace lithe
