#include "src/ops/tensor_lists.h"

#include "src/ops/allocate.h"
#include "src/ops/dispatch.h"
#include "taut/base/trace.h"
#include "taut/ops/ops.h"

namespace taut::ops {
namespace {

// The tensors as kernels take them: a copy stands for one that does not lie in one piece.
struct Pieces {
  Tensors tensors;
  std::vector<void*> pointers;
  std::vector<int64_t> sizes;

  explicit Pieces(const Tensors& originals) {
    for (const Tensor& original : originals) {
      const Tensor& piece =
          tensors.emplace_back(original.layout().is_dense() ? original : contiguous(original));
      pointers.push_back(piece.data_ptr());
      sizes.push_back(piece.numel());
    }
  }
  /// Tells a profiler that each element was gone over so many times.
  void trace(double times) const {
    if (!is_traced()) return;
    double bytes = 0;
    for (const Tensor& tensor : tensors) bytes += static_cast<double>(tensor.nbytes());
    trace_cost(0, times * bytes);
  }
  int64_t count() const { return static_cast<int64_t>(sizes.size()); }
  void write_back(const Tensors& originals) const {
    for (size_t i = 0; i < originals.size(); ++i) {
      if (tensors[i].is_same(originals[i])) {
        originals[i].storage()->bump_version();
      } else {
        originals[i].copy_(tensors[i]);
      }
    }
  }
};

float* float_or_null(const Tensor& number) {
  return number.defined() ? number.data_ptr<float>() : nullptr;
}

}  // namespace

Tensors gradients_of(TensorList parameters) {
  Tensors grads;
  for (const Tensor& parameter : parameters) {
    if (const Tensor grad = parameter.grad(); grad.defined()) grads.push_back(grad.detach());
  }
  return grads;
}

std::vector<Tensors> by_dtype_and_device(TensorList tensors) {
  std::vector<Tensors> lists;
  for (const Tensor& tensor : tensors) {
    Tensors* fitting = nullptr;
    for (Tensors& list : lists) {
      const bool fits = list[0].dtype() == tensor.dtype() && list[0].device() == tensor.device();
      if (fits) fitting = &list;
    }
    if (fitting == nullptr) fitting = &lists.emplace_back();
    fitting->push_back(tensor);
  }
  return lists;
}

void scale_list(const Tensors& tensors, const ListScale& scale) {
  if (tensors.empty()) return;
  const TraceScope scope(ScopeKind::op, "scale_list");
  const Pieces pieces(tensors);
  kernels::ScaleListArgs args;
  args.tensors = pieces.pointers.data();
  args.sizes = pieces.sizes.data();
  args.count = pieces.count();
  args.dtype = tensors[0].dtype();
  args.factor = scale.factor;
  args.factor_pointer = float_or_null(scale.factor_tensor);
  args.non_finite = float_or_null(scale.non_finite);
  kernels_of(tensors[0]).optim.scale(args);
  const bool is_written = scale.factor != 1.0 || scale.factor_tensor.defined();
  pieces.trace(is_written ? 2 : 1);
  if (is_written) pieces.write_back(tensors);
}

Tensor sum_squares_of_list(const Tensors& tensors) {
  const TraceScope scope(ScopeKind::op, "sum_squares_of_list");
  const Pieces pieces(tensors);
  Tensor total = allocate({}, kFloat64, tensors[0].device());
  kernels::SumSquaresArgs args;
  args.tensors = pieces.pointers.data();
  args.sizes = pieces.sizes.data();
  args.count = pieces.count();
  args.dtype = tensors[0].dtype();
  args.total = total.data_ptr<double>();
  kernels_of(tensors[0]).optim.sum_squares(args);
  pieces.trace(1);
  return total;
}

}  // namespace taut::ops
