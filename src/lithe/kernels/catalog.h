// The table of all kernels. A row alone brings parity tests over awkward sizes (every storage type, forward and
// backward, misaligned, outputs poisoned with NaN) and a benchmark against the memory ceiling.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace lithe::kernels {

struct ParityResult {
    double worst = 0;   // largest error as a multiple of its tolerance; at most 1 is good
    std::string where;  // the worst case, in words
    void add(double error, double tolerance, const std::string& what);
};

struct BenchmarkCase {
    std::string name;
    double bytes = 0;  // that must move at least
    std::function<void()> run;
    double flops = 0;  // 0: bound by memory alone
};

struct KernelRow {
    const char* name;
    const char* formula;
    // Compares the selected implementation with the reference at a size (columns, keys, elements …).
    ParityResult (*parity)(int64_t size);
    std::vector<BenchmarkCase> (*benchmarks)();
};

std::span<const KernelRow> catalog();

// The sizes that parity is tested at.
std::span<const int64_t> awkward_sizes();

// Every implementation, which one runs here, and why faster ones do not.
struct Implementation {
    std::string name;
    bool used = false;
    std::string reason;
};
std::vector<Implementation> implementations(const std::string& no_cuda_reason);

}  // namespace lithe::kernels
