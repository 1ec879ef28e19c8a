// Masks: counting and listing what is not zero, selecting and replacing where a mask is true. Each
// works in blocks of fixed size: the blocks are counted first, then each knows where it writes.

#include <cstring>

#include "kernels/api/visit_dtype.h"
#include "kernels/index/index_kernels.h"
#include "kernels/index/index_walk.h"

namespace taut::kernels::index_cpu {
namespace {

constexpr int64_t kBlock = 16 * 1024;

template <class T>
int64_t count_range(const T* input, int64_t begin, int64_t end) {
  int64_t count = 0;
  for (int64_t i = begin; i < end; ++i) {
    if constexpr (std::is_same_v<T, bool>) {
      count += reinterpret_cast<const uint8_t*>(input)[i] != 0;
    } else {
      count += static_cast<compute_t<T>>(input[i]) != compute_t<T>(0);
    }
  }
  return count;
}

// before[b] = how many elements before block b are not zero; the last entry is the total.
template <class T>
std::unique_ptr<int64_t[]> count_blocks(const T* input, int64_t n) {
  const int64_t blocks = (n + kBlock - 1) / kBlock;
  std::unique_ptr<int64_t[]> before(new int64_t[static_cast<size_t>(blocks + 1)]);
  before[0] = 0;
  parallel_for(blocks, 2, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      before[static_cast<size_t>(b + 1)] =
          count_range(input, b * kBlock, std::min(n, (b + 1) * kBlock));
    }
  });
  for (int64_t b = 0; b < blocks; ++b)
    before[static_cast<size_t>(b + 1)] += before[static_cast<size_t>(b)];
  return before;
}

template <class T>
int64_t count_all(const T* input, int64_t n) {
  if (n <= kBlock) return count_range(input, 0, n);
  return count_blocks(input, n)[static_cast<size_t>((n + kBlock - 1) / kBlock)];
}

// Calls visit(i, rank) for every i whose element is not zero, where rank counts those before it.
template <class T, class Visit>
void visit_nonzero(const T* input, int64_t n, const Visit& visit) {
  const std::unique_ptr<int64_t[]> before = count_blocks(input, n);
  const int64_t blocks = (n + kBlock - 1) / kBlock;
  parallel_for(blocks, 2, [&](int64_t begin, int64_t end) {
    int64_t rank = before[static_cast<size_t>(begin)];
    const int64_t stop = std::min(n, end * kBlock);
    for (int64_t i = begin * kBlock; i < stop; ++i) {
      if (static_cast<compute_t<T>>(input[i]) != compute_t<T>(0)) visit(i, rank++);
    }
  });
}

void write_coordinates(const NonzeroArgs& args, int64_t i, int64_t rank) {
  int64_t* row = args.output + rank * args.row_stride;
  for (int d = args.size.rank() - 1; d > 0; --d) {
    row[d * args.col_stride] = i % args.size[d];
    i /= args.size[d];
  }
  if (!args.size.empty()) row[0] = i;
}

template <class E>
void select(const MaskedSelectArgs& args) {
  const E* input = static_cast<const E*>(args.input);
  E* output = static_cast<E*>(args.output);
  visit_nonzero(static_cast<const bool*>(args.mask), args.n,
                [&](int64_t i, int64_t rank) { output[rank] = input[i]; });
}

template <class E>
void replace(const MaskedScatterArgs& args) {
  const E* source = static_cast<const E*>(args.source);
  E* self = static_cast<E*>(args.self);
  visit_nonzero(static_cast<const bool*>(args.mask), args.n,
                [&](int64_t i, int64_t rank) { self[i] = source[rank]; });
}

}  // namespace

int64_t count_nonzero(const CountNonzeroArgs& args) {
  int64_t count = 0;
  visit_dtype(All{}, args.dtype, "count_nonzero", [&]<class T>(Tag<T>) {
    count = count_all(static_cast<const T*>(args.input), args.n);
  });
  return count;
}

void nonzero(const NonzeroArgs& args) {
  visit_dtype(All{}, args.dtype, "nonzero", [&]<class T>(Tag<T>) {
    visit_nonzero(static_cast<const T*>(args.input), args.size.numel(),
                  [&](int64_t i, int64_t rank) { write_coordinates(args, i, rank); });
  });
}

void masked_select(const MaskedSelectArgs& args) {
  switch (item_size(args.dtype)) {
    case 1: return select<uint8_t>(args);
    case 2: return select<uint16_t>(args);
    case 4: return select<uint32_t>(args);
    default: return select<uint64_t>(args);
  }
}

int64_t masked_scatter(const MaskedScatterArgs& args) {
  const int64_t count = count_all(static_cast<const bool*>(args.mask), args.n);
  if (count > args.source_count) return count;
  switch (item_size(args.dtype)) {
    case 1: replace<uint8_t>(args); break;
    case 2: replace<uint16_t>(args); break;
    case 4: replace<uint32_t>(args); break;
    default: replace<uint64_t>(args); break;
  }
  return count;
}

}  // namespace taut::kernels::index_cpu
