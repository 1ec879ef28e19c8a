#pragma once
// What an op works by the shapes of its tensors: floating-point operations, and the bytes that it
// cannot help but read and write.

#include "taut/autograd/record.h"

namespace taut::profiler {

struct OpCost {
  double flops = 0;  // a product and a sum count as two
  double bytes = 0;
};

/// Of the op itself, without the ops that it calls. FLOPs are counted of products (matmul, linear,
/// convolutions); ops that know better, as attention does, tell theirs by trace_cost(). Bytes are
/// those of inputs and outputs, each counted once, and 0 for views.
OpCost op_cost(const autograd::OpRecord& record);

/// Bytes of gradients that a backward function took and gave, and of what it had saved, as far as
/// it did not just hand a gradient on.
double backward_bytes(const autograd::BackwardRecord& record);

}  // namespace taut::profiler
