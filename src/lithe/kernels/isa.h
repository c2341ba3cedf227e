// Which instruction set the CPU kernels use: the widest that this machine has, or what LITHE_ISA forces
// (portable, avx2, avx512, avx512_bf16; an unavailable one is an error).
#pragma once

#include <string>
#include <vector>

namespace lithe::kernels {

enum class Isa { portable, avx2, avx512, avx512_bf16 };

Isa selected_isa();
const char* isa_name(Isa isa);
bool isa_available(Isa isa);
std::vector<Isa> available_isas();
// For tests and benchmarks; throws when the machine lacks it.
void force_isa(Isa isa);
// Whether bf16 matrix products run in hardware.
bool has_bf16_products();
std::string cpu_name();

}  // namespace lithe::kernels
