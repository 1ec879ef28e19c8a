// Elementwise ops on contiguous operands of one dtype, and numbers: straight to the loop.

#include <algorithm>

#include "kernels/api/convert.h"
#include "kernels/api/streaming.h"
#include "kernels/elementwise/rows.h"
#include "kernels/elementwise/streamed_row.h"
#include "taut/base/parallel.h"

namespace taut::kernels {
namespace {

constexpr int64_t kBlock = 1024;  // elements: the rows of numbers stay in the first cache

bool is_number(const FlatPointwiseArgs& args, int k) { return (args.numbers >> k & 1) != 0; }

// The numbers among the operands, each as a row of copies.
struct NumberRows {
  alignas(64) char storage[kMaxPointwiseInputs][kBlock * 8];
  char* rows[kMaxPointwiseOperands];

  explicit NumberRows(const FlatPointwiseArgs& args) {
    int used = 0;
    for (int k = 1; k < args.count; ++k) {
      if (!is_number(args, k)) continue;
      rows[k] = storage[used++];
      gather_row(rows[k], args.data[k], 0, std::min(args.n, kBlock), item_size(args.compute));
    }
  }
};

// How a large call is run: in stretches, each in blocks where there are numbers.
class FlatRun {
 public:
  FlatRun(const FlatPointwiseArgs& args, const Loop& loop, char* const* number_rows)
      : args_(args),
        loop_(loop),
        number_rows_(number_rows),
        in_size_(static_cast<int64_t>(item_size(args.compute))),
        out_size_(static_cast<int64_t>(item_size(loop.result_dtype))),
        streaming_(plan_streaming(args.op, args.derivative, args.compute, args.n * out_size_)) {}

  void run() const {
    if (args_.n <= kGrain) {
      run_range(0, args_.n);
    } else {
      parallel_for(args_.n, kGrain, [&](int64_t begin, int64_t end) { run_range(begin, end); });
    }
  }

 private:
  void run_range(int64_t begin, int64_t end) const {
    const int64_t block = args_.numbers == 0 ? end - begin : kBlock;
    for (; begin < end; begin += block) run_block(begin, std::min(block, end - begin));
    if (streaming_.streams) finish_streams();
  }

  void run_block(int64_t begin, int64_t n) const {
    char* pointers[kMaxPointwiseOperands];
    pointers[0] = args_.data[0] + begin * out_size_;
    for (int k = 1; k < args_.count; ++k) {
      pointers[k] = is_number(args_, k) ? number_rows_[k] : args_.data[k] + begin * in_size_;
    }
    if (streaming_.streams) {
      run_streamed_row(streaming_, loop_.row, pointers, args_.count, n, out_size_, in_size_,
                       args_.parameters);
    } else {
      loop_.row(pointers, n, args_.parameters);
    }
  }

  const FlatPointwiseArgs& args_;
  const Loop& loop_;
  char* const* number_rows_;
  int64_t in_size_;
  int64_t out_size_;
  Streaming streaming_;
};

[[gnu::noinline]] void run_with_numbers(const FlatPointwiseArgs& args, const Loop& loop) {
  const NumberRows numbers(args);
  FlatRun(args, loop, numbers.rows).run();
}

[[gnu::noinline]] void run_large(const FlatPointwiseArgs& args, const Loop& loop) {
  FlatRun(args, loop, nullptr).run();
}

}  // namespace

void run_flat(const FlatPointwiseArgs& args) {
  const Loop loop = find_loop(args.op, args.derivative, args.compute);
  if (TAUT_LIKELY(args.numbers == 0 && args.n <= kGrain)) {
    loop.row(args.data, args.n, args.parameters);
  } else if (args.numbers == 0) {
    run_large(args, loop);
  } else {
    run_with_numbers(args, loop);
  }
}

}  // namespace taut::kernels
