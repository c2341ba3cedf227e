// The catalog's rows, each in its kernel's folder.
#pragma once

#include "lithe/kernels/catalog.h"

namespace lithe::kernels {

KernelRow recurrence_row();
KernelRow short_convolution_row();
KernelRow gated_row();
KernelRow diagonal_state_row();
KernelRow softmax_row();
KernelRow attention_row();
KernelRow dropout_row();
KernelRow cross_entropy_row();
KernelRow glu_row();
KernelRow norm_row();
KernelRow rotary_row();
KernelRow rms_norm_row();
KernelRow optimizer_row();
KernelRow table_row();
KernelRow coded_row();
KernelRow step_row();
KernelRow matrix_state_row();
KernelRow delta_state_row();

}  // namespace lithe::kernels
