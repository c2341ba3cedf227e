#include "lithe/kernels/catalog.h"

#include "lithe/kernels/isa.h"
#include "lithe/kernels/rows.h"

namespace lithe::kernels {
namespace {

constexpr int64_t kSizes[] = {0, 1, 15, 17, 63, 500, 1029};

}  // namespace

void ParityResult::add(double error, double tolerance, const std::string& what) {
    if (error / tolerance > worst) {
        worst = error / tolerance;
        where = what;
    }
}

std::span<const KernelRow> catalog() {
    static const KernelRow rows[] = {recurrence_row(),   short_convolution_row(),
                                     gated_row(),        softmax_row(),
                                     attention_row(),    dropout_row(),
                                     norm_row(),         cross_entropy_row(),
                                     optimizer_row(),    table_row(),
                                     coded_row(),        step_row(),
                                     matrix_state_row(), delta_state_row(),
                                     rms_norm_row(),     glu_row(),
                                     rotary_row(),       diagonal_state_row()};
    return rows;
}

std::span<const int64_t> awkward_sizes() { return kSizes; }

std::vector<Implementation> implementations(const std::string& no_cuda_reason) {
    std::vector<Implementation> list;
    list.push_back(
        {"cuda", no_cuda_reason.empty(), no_cuda_reason.empty() ? "for tensors on the GPU" : no_cuda_reason});
    for (Isa isa : {Isa::avx512_bf16, Isa::avx512, Isa::avx2, Isa::portable}) {
        bool used = selected_isa() == isa;
        std::string reason = used                   ? "for tensors in memory"
                             : !isa_available(isa)  ? "this CPU lacks it"
                             : isa > selected_isa() ? "LITHE_ISA forces a narrower one"
                                                    : "a wider one is available";
        list.push_back({isa_name(isa), used, reason});
    }
    list.push_back({"reference", false, "for tests"});
    return list;
}

}  // namespace lithe::kernels
