// Indexed reads: gather, index_select, embedding, take, advanced indexing. Elements move by size.

#include <cstring>

#include "kernels/index/index_kernels.h"
#include "kernels/index/index_walk.h"

namespace taut::kernels::index_cpu {
namespace {

// How one index names positions of self.
struct Lookup {
  int64_t dim_size;
  int64_t dim_stride;
  bool wrap_negative;
  bool is_checked;  // offsets, resolved and checked, with dim_stride 1

  // The position that an index names; false when there is none.
  bool find(int64_t given, int64_t& at) const {
    at = wrap_negative && given < 0 ? given + dim_size : given;
    return is_checked || static_cast<uint64_t>(at) < static_cast<uint64_t>(dim_size);
  }
};

template <class E>
void copy_run(const E* from, int64_t from_stride, E* to, int64_t to_stride, int64_t n) {
  if (from_stride == 1 && to_stride == 1) {
    std::memcpy(to, from, static_cast<size_t>(n) * sizeof(E));
    return;
  }
  for (int64_t i = 0; i < n; ++i) to[i * to_stride] = from[i * from_stride];
}

// The part [first, stop) of a row of a walk, from the row's start in each tensor.
template <class E, class I>
struct RowPart {
  const E* self;
  const I* index;
  E* output;
  int64_t first;
  int64_t stop;
};

// Returns where in the row a bad index stands, or -1.
template <class E, class I>
int64_t read_row(const IndexWalk& walk, const Lookup& lookup, const RowPart<E, I>& part) {
  const int last = walk.rank - 1;
  const int64_t index_step = walk.index[last];
  const int64_t self_step = walk.self[last];
  const int64_t output_step = walk.other[last];
  int64_t at = 0;
  if (index_step == 0) {
    if (!lookup.find(*part.index, at)) return part.first;
    copy_run(part.self + at * lookup.dim_stride + part.first * self_step, self_step,
             part.output + part.first * output_step, output_step, part.stop - part.first);
    return -1;
  }
  for (int64_t i = part.first; i < part.stop; ++i) {
    if (!lookup.find(part.index[i * index_step], at)) return i;
    part.output[i * output_step] = part.self[i * self_step + at * lookup.dim_stride];
  }
  return -1;
}

// Reads the elements [begin, end) of a walk; stops at the first bad index.
template <class E, class I>
void read_range(const IndexWalk& walk, const Lookup& lookup, const E* self, const I* index,
                E* output, int64_t begin, int64_t end, FirstBadIndex& bad) {
  const int64_t length = walk.size[walk.rank - 1];
  RowCursor row(walk, begin / length);
  int64_t first = begin % length;
  for (int64_t start = begin - first; start < end; start += length, row.next()) {
    const RowPart<E, I> part{self + row.self, index + row.index, output + row.other, first,
                             std::min(length, end - start)};
    const int64_t failed = read_row(walk, lookup, part);
    if (failed >= 0) {
      const int64_t given = part.index[failed * walk.index[walk.rank - 1]];
      return bad.report(start + failed, given, lookup.dim_size, 0);
    }
    first = 0;
  }
}

template <class E, class I>
IndexResult read_all(const IndexWalk& walk, const Lookup& lookup, const void* self,
                     const void* index, void* output) {
  FirstBadIndex bad;
  parallel_for(walk.numel(), kIndexGrain, [&](int64_t begin, int64_t end) {
    read_range(walk, lookup, static_cast<const E*>(self), static_cast<const I*>(index),
               static_cast<E*>(output), begin, end, bad);
  });
  return bad.result();
}

template <class I>
IndexResult read_sized(size_t bytes, const IndexWalk& walk, const Lookup& lookup, const void* self,
                       const void* index, void* output) {
  switch (bytes) {
    case 1: return read_all<uint8_t, I>(walk, lookup, self, index, output);
    case 2: return read_all<uint16_t, I>(walk, lookup, self, index, output);
    case 4: return read_all<uint32_t, I>(walk, lookup, self, index, output);
    default: return read_all<uint64_t, I>(walk, lookup, self, index, output);
  }
}

IndexWalk walk_of(const IndexGetArgs& args, const int64_t* index_strides) {
  IndexWalk walk;
  walk.rank = args.size.rank();
  for (int d = 0; d < walk.rank; ++d) {
    walk.size[d] = args.size[d];
    walk.self[d] = args.self_strides[d];
    walk.other[d] = args.output_strides[d];
    walk.index[d] = index_strides[d];
  }
  collapse(walk);
  return walk;
}

}  // namespace

IndexResult get(const IndexGetArgs& args) {
  if (args.size.numel() == 0) return {};
  const size_t bytes = item_size(args.dtype);
  if (args.index_count == 1) {
    const IndexedDim& indexed = args.indices[0];
    const IndexWalk walk = walk_of(args, indexed.strides.data());
    const Lookup lookup{indexed.dim_size, indexed.dim_stride, args.wrap_negative, false};
    return args.index_dtype == DType::int32
               ? read_sized<int32_t>(bytes, walk, lookup, args.self, indexed.index, args.output)
               : read_sized<int64_t>(bytes, walk, lookup, args.self, indexed.index, args.output);
  }
  ResolvedIndex resolved;
  const IndexResult result = resolve_indices(args.index_dtype, args.size, args.index_count,
                                             args.indices, args.wrap_negative, resolved);
  if (!result.ok) return result;
  const IndexWalk walk = walk_of(args, resolved.strides);
  return read_sized<int64_t>(bytes, walk, {0, 1, false, true}, args.self, resolved.offsets.get(),
                             args.output);
}

}  // namespace taut::kernels::index_cpu
