// Brings elementwise ops of any shape, strides and dtypes to loops over contiguous elements.
//
// Operands that already are contiguous and of the dtype that the loop computes in are used where
// they lie; the others pass through buffers that stay in the first cache, gathered and converted.

#include <algorithm>
#include <cstring>

#include "kernels/api/convert.h"
#include "kernels/api/pointwise.h"
#include "kernels/api/strided_loop.h"
#include "kernels/elementwise/rows.h"
#include "taut/base/check.h"
#include "taut/base/parallel.h"

namespace taut::kernels {
namespace {

constexpr int64_t kGrain = 32768;  // elements: below this a second thread costs more than it brings
constexpr int64_t kBlock = 512;    // elements: six buffers of 4 KiB stay in the first cache

const RowTable* make_row_table() {
  static const RowTable* table = [] {
    auto* result = new RowTable;
    add_arithmetic_rows(*result);
    add_exponential_rows(*result);
    add_trigonometry_rows(*result);
    add_special_rows(*result);
    add_rounding_rows(*result);
    add_bitwise_rows(*result);
    add_compare_rows(*result);
    add_activation_rows(*result);
    add_loss_rows(*result);
    return result;
  }();
  return table;
}

// Set before the kernels are handed out.
const RowTable* row_table = nullptr;

// How one operand reaches the loop.
struct Feed {
  char* data;
  Dims strides;
  int64_t inner_stride;
  size_t size;        // bytes of an element in memory
  size_t row_size;    // bytes of an element in the loop
  ConvertFn convert;  // null when the dtypes agree; towards the loop, or from it for the result
};

struct Plan {
  RowFn row;
  const double* parameters;
  int count;
  Dims shape;  // simplified
  int64_t inner;
  Feed feeds[kMaxPointwiseOperands];
};

struct Buffers {
  alignas(64) char rows[kMaxPointwiseOperands][kBlock * 8];
  alignas(64) char raw[kBlock * 8];
  const char* splat_source[kMaxPointwiseOperands] = {};
};

Plan make_plan(const PointwiseArgs& args, RowFn row, DType result_dtype) {
  Plan plan;
  plan.row = row;
  plan.parameters = args.parameters;
  plan.count = args.count;
  StridedLoop loop{args.shape, {}, args.count};
  for (int k = 0; k < args.count; ++k) {
    const PointwiseOperand& operand = args.operands[k];
    Feed& feed = plan.feeds[k];
    const DType row_dtype = k == 0 ? result_dtype : args.compute;
    feed.data = static_cast<char*>(operand.data);
    feed.strides = operand.strides;
    feed.size = item_size(operand.dtype);
    feed.row_size = item_size(row_dtype);
    feed.convert = operand.dtype == row_dtype ? nullptr
                   : k == 0                   ? convert_row(row_dtype, operand.dtype)
                                              : convert_row(operand.dtype, row_dtype);
    loop.strides[k] = &feed.strides;
  }
  simplify(loop);
  plan.shape = loop.shape;
  plan.inner = plan.shape.rank() == 0 ? 1 : plan.shape.back();
  for (int k = 0; k < args.count; ++k) {
    Feed& feed = plan.feeds[k];
    feed.inner_stride = plan.shape.rank() == 0 ? 1 : feed.strides.back();
  }
  return plan;
}

// Where the element `position` of the whole loop lies.
char* locate(const Plan& plan, const Feed& feed, int64_t position) {
  int64_t offset = 0;
  for (int i = plan.shape.rank() - 1; i >= 0; --i) {
    offset += position % plan.shape[i] * feed.strides[i];
    position /= plan.shape[i];
  }
  return feed.data + offset * static_cast<int64_t>(feed.size);
}

// A stretch of elements that may run over several rows, through the row buffer of one operand.
template <class Visit>
void for_each_run(const Plan& plan, const Feed& feed, int64_t position, int64_t n, Visit visit) {
  int64_t done = 0;
  while (done < n) {
    const int64_t column = (position + done) % plan.inner;
    const int64_t length = std::min(plan.inner - column, n - done);
    visit(locate(plan, feed, position + done), done, length);
    done += length;
  }
}

bool is_splat(const Feed& feed) {
  for (int64_t stride : feed.strides) {
    if (stride != 0) return false;
  }
  return true;
}

void load(const Plan& plan, const Feed& feed, int64_t position, int64_t n, char* row, char* raw) {
  char* gathered = feed.convert == nullptr ? row : raw;
  for_each_run(plan, feed, position, n, [&](char* source, int64_t at, int64_t length) {
    gather_row(gathered + at * static_cast<int64_t>(feed.size), source, feed.inner_stride, length,
               feed.size);
  });
  if (feed.convert != nullptr) feed.convert(row, raw, n);
}

void store(const Plan& plan, const Feed& feed, int64_t position, int64_t n, char* row, char* raw) {
  const char* ready = row;
  if (feed.convert != nullptr) {
    feed.convert(raw, row, n);
    ready = raw;
  }
  for_each_run(plan, feed, position, n, [&](char* target, int64_t at, int64_t length) {
    scatter_row(target, feed.inner_stride, ready + at * static_cast<int64_t>(feed.size), length,
                feed.size);
  });
}

// A block of up to kBlock elements: operands that lie right are used in place.
void run_block(const Plan& plan, int64_t position, int64_t n, Buffers& buffers) {
  const bool one_row = position % plan.inner + n <= plan.inner;
  char* pointers[kMaxPointwiseOperands];
  bool stored = true;
  for (int k = 0; k < plan.count; ++k) {
    const Feed& feed = plan.feeds[k];
    if (feed.convert == nullptr && one_row && (feed.inner_stride == 1 || n == 1)) {
      pointers[k] = locate(plan, feed, position);
      continue;
    }
    pointers[k] = buffers.rows[k];
    if (k == 0) {
      stored = false;
    } else if (is_splat(feed)) {
      if (buffers.splat_source[k] == nullptr) {
        buffers.splat_source[k] = feed.data;
        load(plan, feed, 0, std::min(plan.shape.numel(), kBlock), buffers.rows[k], buffers.raw);
      }
    } else {
      load(plan, feed, position, n, buffers.rows[k], buffers.raw);
    }
  }
  plan.row(pointers, n, plan.parameters);
  if (!stored) store(plan, plan.feeds[0], position, n, buffers.rows[0], buffers.raw);
}

bool all_in_place(const Plan& plan) {
  for (int k = 0; k < plan.count; ++k) {
    if (plan.feeds[k].convert != nullptr || plan.feeds[k].inner_stride != 1) return false;
  }
  return true;
}

void run_range(const Plan& plan, int64_t begin, int64_t end) {
  Buffers buffers;
  // Long rows are cut at their ends, so that most of each lies right; short ones share a block.
  const bool by_rows = plan.inner >= kBlock / 4;
  const int64_t block = all_in_place(plan) && by_rows ? plan.inner : kBlock;
  while (begin < end) {
    int64_t n = std::min(block, end - begin);
    if (by_rows) n = std::min(n, plan.inner - begin % plan.inner);
    run_block(plan, begin, n, buffers);
    begin += n;
  }
}

// What a call computes with, whatever its operands look like.
struct Loop {
  RowFn row;
  DType result_dtype;
};

Loop find_loop(Pointwise op, int derivative, DType compute) {
  const FunctorRows& functor = row_table->functors[static_cast<int>(op)];
  const RowFn row = functor.rows[derivative][static_cast<int>(compute)];
  TAUT_ASSERT(row != nullptr);
  return {row, functor.gives_bool && derivative == 0 ? DType::bool_ : compute};
}

// A stretch of a flat call: the numbers among its operands stand in rows of kBlock copies.
void run_flat_range(const FlatPointwiseArgs& args, const Loop& loop, char* const* rows,
                    int64_t begin, int64_t end) {
  const int64_t in_size = static_cast<int64_t>(item_size(args.compute));
  const int64_t out_size = static_cast<int64_t>(item_size(loop.result_dtype));
  const int64_t block = args.numbers == 0 ? end - begin : kBlock;
  for (; begin < end; begin += block) {
    char* pointers[kMaxPointwiseOperands];
    for (int k = 0; k < args.count; ++k) {
      const bool number = (args.numbers >> k & 1) != 0;
      pointers[k] = number ? rows[k] : args.data[k] + begin * (k == 0 ? out_size : in_size);
    }
    loop.row(pointers, std::min(block, end - begin), args.parameters);
  }
}

// Rows of the numbers among the operands of a flat call.
struct NumberRows {
  alignas(64) char storage[kMaxPointwiseInputs][kBlock * 8];
  char* rows[kMaxPointwiseOperands];

  explicit NumberRows(const FlatPointwiseArgs& args) {
    const size_t size = item_size(args.compute);
    const int64_t n = std::min(args.n, kBlock);
    int used = 0;
    for (int k = 1; k < args.count; ++k) {
      if ((args.numbers >> k & 1) == 0) continue;
      rows[k] = storage[used++];
      gather_row(rows[k], args.data[k], 0, n, size);
    }
  }
};

void run_flat_parallel(const FlatPointwiseArgs& args, const Loop& loop, char* const* rows) {
  if (args.n <= kGrain) {
    run_flat_range(args, loop, rows, 0, args.n);
    return;
  }
  parallel_for(args.n, kGrain,
               [&](int64_t begin, int64_t end) { run_flat_range(args, loop, rows, begin, end); });
}

[[gnu::noinline]] void run_flat_with_numbers(const FlatPointwiseArgs& args, const Loop& loop) {
  const NumberRows numbers(args);
  run_flat_parallel(args, loop, numbers.rows);
}

void run_flat(const FlatPointwiseArgs& args) {
  const Loop loop = find_loop(args.op, args.derivative, args.compute);
  if (TAUT_LIKELY(args.numbers == 0 && args.n <= kGrain)) {
    loop.row(args.data, args.n, args.parameters);
  } else if (args.numbers != 0) {
    run_flat_with_numbers(args, loop);
  } else {
    run_flat_parallel(args, loop, nullptr);
  }
}

void run(const PointwiseArgs& args) {
  const Loop loop = find_loop(args.op, args.derivative, args.compute);
  const Plan plan = make_plan(args, loop.row, loop.result_dtype);
  const int64_t n = plan.shape.numel();
  parallel_for(n, kGrain, [&](int64_t begin, int64_t end) { run_range(plan, begin, end); });
}

}  // namespace

PointwiseKernels pointwise_kernels_cpu() {
  row_table = make_row_table();
  return {.run = run, .run_flat = run_flat};
}

}  // namespace taut::kernels
