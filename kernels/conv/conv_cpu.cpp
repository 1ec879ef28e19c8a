#include "kernels/conv/conv_kernels.h"

namespace taut::kernels {

ConvKernels conv_kernels_cpu() {
  ConvKernels table;
  table.forward = conv_cpu::forward;
  table.backward_input = conv_cpu::backward_input;
  table.backward_weight = conv_cpu::backward_weight;
  table.unfold = conv_cpu::unfold;
  table.fold = conv_cpu::fold;
  return table;
}

}  // namespace taut::kernels
