#include "src/ops/index_address.h"

#include "src/ops/allocate.h"
#include "src/ops/dispatch.h"

namespace taut::ops {

void check_result(const char* op, const kernels::IndexResult& result) {
  TAUT_CHECK(result.ok, IndexError, op, ": index ", result.index,
             " is out of range for a dim of size ", result.size, "; it stands at position ",
             result.position, " of index tensor ", result.operand);
}

namespace {

template <class Args>
void set_access(Args& args, const char* op, const Tensor& self, const Access& access) {
  args.op = op;
  args.dtype = self.dtype();
  args.index_dtype = kInt64;
  args.wrap_negative = access.wrap_negative;
  args.size = access.size;
  args.self = self.data_ptr();
  args.self_strides = access.self_strides;
  args.index_count = access.index_count;
  for (int i = 0; i < access.index_count; ++i) args.indices[i] = access.indices[i];
}

}  // namespace

Tensor run_get(const char* op, const Tensor& self, const Access& access) {
  Tensor output = allocate(access.size, self.dtype(), self.device());
  if (output.numel() == 0) return output;
  kernels::IndexGetArgs args;
  set_access(args, op, self, access);
  args.output = output.data_ptr();
  args.output_strides = output.strides();
  check_result(op, kernels_of(self).index.get(args));
  return output;
}

void run_put(const char* op, const Tensor& self, const Access& access, const void* source,
             const Dims& source_strides, kernels::PutMode mode, double alpha, bool include_self) {
  if (access.size.numel() == 0) return;
  kernels::IndexPutArgs args;
  set_access(args, op, self, access);
  args.mode = mode;
  args.include_self = include_self;
  args.alpha = alpha;
  args.source = source;
  args.source_strides = source_strides;
  check_result(op, kernels_of(self).index.put(args));
}

}  // namespace taut::ops
