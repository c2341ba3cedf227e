#include "lithe/kernels/isa.h"

#include <atomic>
#include <cstdlib>
#include <fstream>

#include "lithe/base/error.h"

namespace lithe::kernels {
namespace {

constexpr Isa kIsas[] = {Isa::avx512_bf16, Isa::avx512, Isa::avx2, Isa::portable};

Isa widest() {
    for (Isa isa : kIsas)
        if (isa_available(isa)) return isa;
    return Isa::portable;
}

Isa from_environment() {
    const char* forced = std::getenv("LITHE_ISA");
    if (!forced || !*forced) return widest();
    for (Isa isa : kIsas) {
        if (std::string(forced) != isa_name(isa)) continue;
        if (isa_available(isa)) return isa;
        fail_usage(std::string("LITHE_ISA=") + forced + ": this machine has no " + forced, "environment");
    }
    fail_usage(std::string("LITHE_ISA=") + forced + ": expected portable, avx2, avx512 or avx512_bf16", "environment");
}

std::atomic<int>& selection() {
    static std::atomic<int> value{int(from_environment())};
    return value;
}

}  // namespace

Isa selected_isa() { return Isa(selection().load(std::memory_order_relaxed)); }

const char* isa_name(Isa isa) {
    switch (isa) {
        case Isa::avx512_bf16: return "avx512_bf16";
        case Isa::avx512: return "avx512";
        case Isa::avx2: return "avx2";
        default: return "portable";
    }
}

bool isa_available(Isa isa) {
#if defined(__x86_64__) && !LITHE_PORTABLE
#if LITHE_EMULATE_AVX512
    if (isa == Isa::avx512_bf16 || isa == Isa::avx512) return isa_available(Isa::avx2);
#endif
    if (isa == Isa::avx512_bf16)
        return isa_available(Isa::avx512) && __builtin_cpu_supports("avx512bf16") &&
               __builtin_cpu_supports("avx512vnni");
    if (isa == Isa::avx512)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("fma");
    if (isa == Isa::avx2) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    return true;
#else
    return isa == Isa::portable;
#endif
}

std::vector<Isa> available_isas() {
    std::vector<Isa> list;
    for (Isa isa : kIsas)
        if (isa_available(isa)) list.push_back(isa);
    return list;
}

void force_isa(Isa isa) {
    if (!isa_available(isa)) fail_usage(std::string("this machine has no ") + isa_name(isa), "kernels");
    selection() = int(isa);
}

bool has_bf16_products() {
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx512bf16");
#else
    return false;
#endif
}

std::string cpu_name() {
    std::ifstream info("/proc/cpuinfo");
    for (std::string line; std::getline(info, line);)
        if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
    return "unknown";
}

}  // namespace lithe::kernels
