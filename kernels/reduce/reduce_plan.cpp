#include "kernels/reduce/reduce_plan.h"

namespace taut::kernels {
namespace {

int64_t magnitude(int64_t stride) { return stride < 0 ? -stride : stride; }

// Broadcast dims (stride 0) go outermost, where they do no harm to contiguous inner loops.
bool is_wider(int64_t a, int64_t b) {
  if ((a == 0) != (b == 0)) return a == 0;
  return magnitude(a) > magnitude(b);
}

// Dims sorted by their stride in the input, each with its stride in the output.
struct DimList {
  Dims shape, strides, output_strides;

  void insert_sorted(int64_t size, int64_t stride, int64_t output_stride) {
    int at = shape.rank();
    while (at > 0 && !is_wider(strides[at - 1], stride)) --at;
    shape.insert(at, size);
    strides.insert(at, stride);
    output_strides.insert(at, output_stride);
  }

  void coalesce() {
    for (int d = shape.rank() - 1; d > 0; --d) {
      const bool joins = strides[d - 1] == shape[d] * strides[d] &&
                         output_strides[d - 1] == shape[d] * output_strides[d];
      if (!joins) continue;
      shape[d - 1] *= shape[d];
      strides[d - 1] = strides[d];
      output_strides[d - 1] = output_strides[d];
      shape.erase(d);
      strides.erase(d);
      output_strides.erase(d);
    }
  }
};

}  // namespace

void Odometer::start(int64_t position) {
  for (int d = shape_.rank() - 1; d >= 0; --d) {
    index_[d] = position % shape_[d];
    position /= shape_[d];
    offset_ += index_[d] * strides_[d];
  }
}

ReducePlan plan_reduction(const Dims& shape, const Dims& strides, uint32_t reduced_dims,
                          bool keeps_direction) {
  ReducePlan plan;
  DimList kept, reduced;
  for (int d = shape.rank() - 1; d >= 0; --d) {
    if ((reduced_dims >> d & 1u) != 0) {
      plan.count *= shape[d];
      if (shape[d] == 1) continue;
      int64_t stride = strides[d];
      if (stride < 0 && shape[d] > 0 && !keeps_direction) {
        plan.offset += (shape[d] - 1) * stride;
        stride = -stride;
      }
      reduced.insert_sorted(shape[d], stride, 0);
    } else {
      if (shape[d] != 1) kept.insert_sorted(shape[d], strides[d], plan.outputs);
      plan.outputs *= shape[d];
    }
  }
  kept.coalesce();
  reduced.coalesce();
  const bool has_both = !kept.shape.empty() && !reduced.shape.empty();
  plan.is_rowwise = !has_both || !is_wider(reduced.strides.back(), kept.strides.back()) ||
                    kept.strides.back() == 0;
  plan.kept_shape = kept.shape;
  plan.kept_strides = kept.strides;
  plan.output_strides = kept.output_strides;
  plan.reduced_shape = reduced.shape;
  plan.reduced_strides = reduced.strides;
  return plan;
}

}  // namespace taut::kernels
