#include "lithe/blocks/matrix_state_cell.h"

#include "lithe/blocks/look.h"
#include "lithe/kernels/matrix_state/matrix_state.h"

namespace lithe {

Tensor MatrixStateCell::run(ops::MatrixStateInput in, const State& before, const Call& call, State& after) const {
    in.heads = heads;
    in.key = key;
    in.value = value;
    in.scale = scale;
    in.start_BHKV = before.get("state");
    if (in.admit_TBH.defined()) in.start_sums_BHX = before.get("sums");
    in.flags_TB = call.pass.flags_TB();
    ops::MatrixStateOutput out = ops::matrix_state(in);
    after.put("state", out.state_BHKV, 0);
    if (out.sums_BHX.defined()) after.put("sums", out.sums_BHX, 0);
    const bool packed = in.packed_TBX.defined();
    if (is_mixture) show(call, {packed ? in.packed_TBX : in.v_TBHV, packed ? 2 * keys() : 0, out.out_TBX, heads});
    return out.out_TBX;
}

StepOutput MatrixStateCell::add_step(StepProgram& program, StepProgram::MatrixState in) const {
    in.heads = heads;
    in.key = key;
    in.value = value;
    in.scale = float(scale);
    float *out = program.vector(values()), *carried = program.matrix_state(in, out);
    const int64_t size = heads * key * value;
    return {out, [=](const State& state, int64_t row) { copy_state(state.get("state"), size, carried + row * size); }};
}

double MatrixStateCell::kept_per_token() const {
    return 2 * double(heads) * double(key) * double(value) / double(kernels::kStateBlock);
}

double first_dt_bias(double unit) {
    const double dt = 0.001 * std::pow(100.0, unit);
    return dt + std::log(-std::expm1(-dt));
}

double first_log_a(double unit) { return std::log(1 + 15 * unit); }

void check_heads(const std::string& where, const char* what, int64_t width, int64_t heads, Problems& problems) {
    if (width % heads)
        problems.add(where + ": " + what + " " + std::to_string(width) + " is no multiple of heads " +
                     std::to_string(heads));
}

}  // namespace lithe
