// A state, or what goes with one: a vector of numbers, or on a GPU a number, in one part or two. Included where
// LITHE_ISA names the namespace and LITHE_CELL what stands before a function.

namespace lithe::kernels::LITHE_ISA {
namespace {

template <class V, int kParts> struct Number {
    V part[kParts] = {};

    // a s + x, where s is this
    LITHE_CELL Number after(const Number& a, V x_re, V x_im) const {
        if constexpr (kParts == 1) return {{a.part[0] * part[0] + x_re}};
        else
            return {{a.part[0] * part[0] + (x_re - a.part[1] * part[1]),
                     a.part[0] * part[1] + (a.part[1] * part[0] + x_im)}};
    }
    // conj(a) s: the gradient of w that a product a w had as s.
    LITHE_CELL Number back(const Number& a) const {
        if constexpr (kParts == 1) return {{a.part[0] * part[0]}};
        else return {{a.part[0] * part[0] + a.part[1] * part[1], a.part[0] * part[1] - a.part[1] * part[0]}};
    }
    // Re(c s), and what a slope of it adds to the gradient of either: slope conj(other).
    LITHE_CELL V read(const Number& c) const {
        if constexpr (kParts == 1) return c.part[0] * part[0];
        else return c.part[0] * part[0] - c.part[1] * part[1];
    }
    LITHE_CELL void add(V slope, const Number& other) {
        part[0] = part[0] + slope * other.part[0];
        if constexpr (kParts == 2) part[1] = part[1] - slope * other.part[1];
    }
    LITHE_CELL void add(const Number& other) {
        for (int i = 0; i < kParts; ++i) part[i] = part[i] + other.part[i];
    }
};

}  // namespace
}  // namespace lithe::kernels::LITHE_ISA
