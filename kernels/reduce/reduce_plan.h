#pragma once
// The order in which a reduction walks its input: kept and reduced dims apart, each sorted from the
// widest to the narrowest stride and merged where they lie end to end.

#include <cstdint>

#include "taut/core/dims.h"

namespace taut::kernels {

struct ReducePlan {
  Dims kept_shape;
  Dims kept_strides;
  Dims output_strides;  // of the kept dims, in the contiguous output
  Dims reduced_shape;
  Dims reduced_strides;  // not negative unless keeps_direction
  int64_t outputs = 1;
  int64_t count = 1;   // elements per output
  int64_t offset = 0;  // of the first element, where negative strides were turned round

  /// Whether neighbours in memory fall into the same output (then rows are reduced) or into
  /// neighbouring outputs (then columns are).
  bool is_rowwise = true;
};

/// Where the order of the reduced elements matters, `keeps_direction` leaves negative strides
/// alone.
ReducePlan plan_reduction(const Dims& shape, const Dims& strides, uint32_t reduced_dims,
                          bool keeps_direction = false);

/// Walks the offsets of a multi-index in row-major order.
class Odometer {
 public:
  Odometer(const Dims& shape, const Dims& strides, int64_t position)
      : shape_(shape), strides_(strides) {
    start(position);
  }
  int64_t offset() const { return offset_; }
  void next() {
    for (int d = shape_.rank() - 1; d >= 0; --d) {
      offset_ += strides_[d];
      if (++index_[d] < shape_[d]) return;
      offset_ -= shape_[d] * strides_[d];
      index_[d] = 0;
    }
  }

 private:
  void start(int64_t position);

  const Dims& shape_;
  const Dims& strides_;
  int64_t index_[kMaxRank];
  int64_t offset_ = 0;
};

}  // namespace taut::kernels
