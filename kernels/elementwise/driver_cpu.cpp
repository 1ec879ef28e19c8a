// Brings elementwise ops of any shape, strides and dtypes to loops over contiguous elements.
//
// Operands that already are contiguous and of the dtype that the loop computes in are used where
// they lie; the others pass through buffers that stay in the first cache, gathered and converted.

#include <algorithm>
#include <cstring>

#include "kernels/api/convert.h"
#include "kernels/api/pointwise.h"
#include "kernels/api/streaming.h"
#include "kernels/api/strided_loop.h"
#include "kernels/elementwise/rows.h"
#include "kernels/elementwise/streamed_row.h"
#include "taut/base/check.h"
#include "taut/base/parallel.h"

namespace taut::kernels {
namespace {

constexpr int64_t kBlockBytes = 4096;  // six buffers of that stay in the first cache

// How one operand reaches the loop.
struct Feed {
  char* data;
  Dims strides;
  int64_t inner_stride;
  bool is_dense;      // the elements lie end to end in the order of the loop
  bool repeats;       // every run along the last dim is the same
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
  int64_t block;  // elements that fit a buffer, before and after conversion
  Streaming streaming;
  Feed feeds[kMaxPointwiseOperands];
};

struct Buffers {
  alignas(64) char rows[kMaxPointwiseOperands][kBlockBytes];
  alignas(64) char raw[kBlockBytes];
  // How many elements rows[k] holds of an operand that repeats, from the start of a run on.
  int64_t held[kMaxPointwiseOperands] = {};
};

bool is_dense(const Dims& shape, const Dims& strides) {
  int64_t dense = 1;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    if (strides[i] != dense) return false;
    dense *= shape[i];
  }
  return true;
}

bool repeats(const Dims& strides) {
  for (int i = 0; i < strides.rank() - 1; ++i) {
    if (strides[i] != 0) return false;
  }
  return true;
}

Plan make_plan(const PointwiseArgs& args, RowFn row, DType result_dtype) {
  Plan plan;
  plan.row = row;
  plan.parameters = args.parameters;
  plan.count = args.count;
  plan.block = kBlockBytes;
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
    const int64_t widest = static_cast<int64_t>(std::max(feed.size, feed.row_size));
    plan.block = std::min(plan.block, kBlockBytes / widest);
    loop.strides[k] = &feed.strides;
  }
  simplify(loop);
  plan.shape = loop.shape;
  plan.inner = plan.shape.rank() == 0 ? 1 : plan.shape.back();
  for (int k = 0; k < args.count; ++k) {
    Feed& feed = plan.feeds[k];
    feed.inner_stride = plan.shape.rank() == 0 ? 1 : feed.strides.back();
    feed.is_dense = is_dense(plan.shape, feed.strides);
    feed.repeats = repeats(feed.strides);
  }
  return plan;
}

// Where the element `position` of the whole loop lies.
char* locate(const Plan& plan, const Feed& feed, int64_t position) {
  if (feed.is_dense) return feed.data + position * static_cast<int64_t>(feed.size);
  int64_t offset = 0;
  for (int i = plan.shape.rank() - 1; i >= 0; --i) {
    offset += position % plan.shape[i] * feed.strides[i];
    position /= plan.shape[i];
  }
  return feed.data + offset * static_cast<int64_t>(feed.size);
}

// Calls visit(where, length) for the runs along the last dim that the n elements from `position` on
// consist of, for one operand.
template <class Visit>
void for_each_run(const Plan& plan, const Feed& feed, int64_t position, int64_t n, Visit visit) {
  const int64_t size = static_cast<int64_t>(feed.size);
  const int outer = plan.shape.rank() - 1;
  int64_t column = position % plan.inner;
  int64_t row = position / plan.inner;
  char* start = feed.data;
  int64_t index[kMaxRank];
  for (int i = outer - 1; i >= 0; --i) {
    index[i] = row % plan.shape[i];
    row /= plan.shape[i];
    start += index[i] * feed.strides[i] * size;
  }
  while (true) {
    const int64_t length = std::min(plan.inner - column, n);
    visit(start + column * feed.inner_stride * size, length);
    n -= length;
    if (n == 0) return;
    column = 0;
    for (int i = outer - 1; i >= 0; --i) {
      start += feed.strides[i] * size;
      if (++index[i] < plan.shape[i]) break;
      start -= index[i] * feed.strides[i] * size;
      index[i] = 0;
    }
  }
}

// Runs shorter than this are not worth a call each.
constexpr int64_t kShortRun = 16;

template <class T>
void gather_short_runs(const Plan& plan, const Feed& feed, int64_t position, int64_t n, char* row) {
  T* out = reinterpret_cast<T*>(row);
  const int64_t stride = feed.inner_stride;
  for_each_run(plan, feed, position, n, [&](char* where, int64_t length) {
    const T* source = reinterpret_cast<const T*>(where);
    for (int64_t i = 0; i < length; ++i) out[i] = source[i * stride];
    out += length;
  });
}

void gather_runs(const Plan& plan, const Feed& feed, int64_t position, int64_t n, char* row) {
  if (plan.inner < kShortRun) {
    switch (feed.size) {
      case 1: gather_short_runs<uint8_t>(plan, feed, position, n, row); return;
      case 2: gather_short_runs<uint16_t>(plan, feed, position, n, row); return;
      case 4: gather_short_runs<uint32_t>(plan, feed, position, n, row); return;
      default: gather_short_runs<uint64_t>(plan, feed, position, n, row); return;
    }
  }
  for_each_run(plan, feed, position, n, [&](char* source, int64_t length) {
    gather_row(row, source, feed.inner_stride, length, feed.size);
    row += length * static_cast<int64_t>(feed.size);
  });
}

void scatter_runs(const Plan& plan, const Feed& feed, int64_t position, int64_t n,
                  const char* row) {
  for_each_run(plan, feed, position, n, [&](char* target, int64_t length) {
    scatter_row(target, feed.inner_stride, row, length, feed.size);
    row += length * static_cast<int64_t>(feed.size);
  });
}

// Whether n elements from `position` on lie side by side.
bool is_run(const Plan& plan, const Feed& feed, int64_t position, int64_t n) {
  if (feed.is_dense) return true;
  return feed.inner_stride == 1 && position % plan.inner + n <= plan.inner;
}

void load(const Plan& plan, const Feed& feed, int64_t position, int64_t n, char* row, char* raw) {
  if (feed.convert != nullptr && is_run(plan, feed, position, n)) {
    feed.convert(row, locate(plan, feed, position), n);
    return;
  }
  char* gathered = feed.convert == nullptr ? row : raw;
  gather_runs(plan, feed, position, n, gathered);
  if (feed.convert != nullptr) feed.convert(row, raw, n);
}

void store(const Plan& plan, const Feed& feed, int64_t position, int64_t n, char* row, char* raw) {
  if (feed.convert != nullptr && is_run(plan, feed, position, n)) {
    feed.convert(locate(plan, feed, position), row, n);
    return;
  }
  const char* ready = row;
  if (feed.convert != nullptr) {
    feed.convert(raw, row, n);
    ready = raw;
  }
  scatter_runs(plan, feed, position, n, ready);
}

// A block of up to plan.block elements: operands that lie right are used in place.
void run_block(const Plan& plan, int64_t position, int64_t n, Buffers& buffers) {
  char* pointers[kMaxPointwiseOperands];
  bool stored = true;
  for (int k = 0; k < plan.count; ++k) {
    const Feed& feed = plan.feeds[k];
    if (feed.convert == nullptr && (n == 1 || is_run(plan, feed, position, n))) {
      pointers[k] = locate(plan, feed, position);
      continue;
    }
    pointers[k] = buffers.rows[k];
    if (k == 0) {
      stored = false;
    } else if (feed.repeats && (feed.inner_stride == 0 || position % plan.inner == 0)) {
      if (buffers.held[k] < n) load(plan, feed, position, n, buffers.rows[k], buffers.raw);
      buffers.held[k] = std::max(buffers.held[k], n);
    } else {
      load(plan, feed, position, n, buffers.rows[k], buffers.raw);
      buffers.held[k] = 0;
    }
  }
  if (plan.streaming.streams && stored) {
    run_streamed_row(plan.streaming, plan.row, pointers, plan.count, n,
                     static_cast<int64_t>(plan.feeds[0].row_size),
                     static_cast<int64_t>(plan.feeds[plan.count - 1].row_size), plan.parameters);
  } else {
    plan.row(pointers, n, plan.parameters);
  }
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
  // Long rows are cut at their ends, so that most of each lies right; short ones share a block,
  // whole, so that what repeats is the same in each.
  const bool by_rows = plan.inner >= plan.block / 4;
  const int64_t whole = all_in_place(plan) ? plan.inner : plan.block;
  const int64_t block = by_rows ? whole : plan.block - plan.block % plan.inner;
  while (begin < end) {
    const int64_t column = begin % plan.inner;
    int64_t n = std::min(block, end - begin);
    if (by_rows || column != 0) n = std::min(n, plan.inner - column);
    run_block(plan, begin, n, buffers);
    begin += n;
  }
  if (plan.streaming.streams) finish_streams();
}

void run(const PointwiseArgs& args) {
  const Loop loop = find_loop(args.op, args.derivative, args.compute);
  Plan plan = make_plan(args, loop.row, loop.result_dtype);
  const int64_t n = plan.shape.numel();
  plan.streaming = plan_streaming(args.op, args.derivative, args.compute,
                                  n * static_cast<int64_t>(plan.feeds[0].size));
  parallel_for(n, kGrain, [&](int64_t begin, int64_t end) { run_range(plan, begin, end); });
}

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

}  // namespace

const RowTable* row_table = nullptr;

PointwiseKernels pointwise_kernels_cpu() {
  row_table = make_row_table();
  return {.run = run, .run_flat = run_flat};
}

}  // namespace taut::kernels
