// What the run runs on: `auto` choices resolved once, and what is told about them.
#pragma once

#include <string>

#include "lithe/ops/torch.h"
#include "lithe/spec/config.h"

namespace lithe {

struct Machine {
    std::string cpu;
    int threads = 1;
    at::Device device = at::kCPU;
    at::ScalarType working = at::kFloat;
    Precision precision = Precision::fp32;  // never `automatic`
    std::string products;                   // how fp32 products are computed, in words
};

// What `auto` means on a CPU: bf16 where products of bf16 run in hardware and are faster than those of fp32. On Intel's
// processors they are only with AMX: AVX-512's instruction for pairs starts half as often there as that for fp32.
Precision precision_of_cpu();

// Resolves device, precision and threads of the configuration in place, sets the thread count and chooses the fp32
// product path. Throws when what is asked for is not there.
Machine set_up_machine(TrainConfig& train);

}  // namespace lithe
