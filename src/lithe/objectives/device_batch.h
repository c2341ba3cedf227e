// A batch's tensors, where the models are.
#pragma once

#include "lithe/data/batch.h"
#include "lithe/ops/torch.h"

namespace lithe {

struct DeviceBatch {
    Tensor ids_TB, targets_TB;
    Tensor flags_TB;                    // undefined: none
    Tensor source_SB, source_flags_SB;  // another sequence; undefined: none
    Tensor labels_B;                    // classes (int64) or numbers (fp64) of the rows; undefined: none
    int64_t rows() const { return ids_TB.size(1); }
    int64_t positions() const { return ids_TB.numel(); }

    // The one hand-over. On a CPU the tensors are views: `batch` must outlive them and stay as it is.
    static DeviceBatch of(const Batch& batch, at::Device device);
};

}  // namespace lithe
