// Indexed writes: scatter, scatter_reduce, index_add, index_copy, index_fill, index_put, put.
//
// All indices are checked and turned into offsets of self before anything is written. Threads share
// the work by lanes: along a dim of the walk in which self has a stride, different coordinates are
// different elements whatever the indices are, so that each thread owns a range of such a dim and
// every element is written by one thread, in row-major order.

#include <cmath>
#include <type_traits>

#include "kernels/api/visit_dtype.h"
#include "kernels/index/index_kernels.h"
#include "kernels/index/index_walk.h"

namespace taut::kernels::index_cpu {
namespace {

template <class T>
bool is_nan(T value) {
  if constexpr (std::is_integral_v<T>) {
    return false;
  } else {
    return std::isnan(static_cast<compute_t<T>>(value));
  }
}

// Integers wrap: their arithmetic is done unsigned.
template <class T>
using Wrapping = std::conditional_t<std::is_integral_v<T>, uint64_t, compute_t<T>>;

struct Assign {
  template <class T>
  T operator()(T, T value) const {
    return value;
  }
};

template <class A>
struct Sum {
  A alpha;
  template <class T>
  T operator()(T self, T value) const {
    using C = Wrapping<T>;
    return static_cast<T>(static_cast<C>(self) + static_cast<C>(alpha) * static_cast<C>(value));
  }
  bool operator()(bool self, bool value) const { return self || value; }
};

struct Product {
  template <class T>
  T operator()(T self, T value) const {
    using C = Wrapping<T>;
    return static_cast<T>(static_cast<C>(self) * static_cast<C>(value));
  }
};

struct Largest {
  template <class T>
  T operator()(T self, T value) const {
    return is_nan(self) || !(is_nan(value) || value > self) ? self : value;
  }
};

struct Smallest {
  template <class T>
  T operator()(T self, T value) const {
    return is_nan(self) || !(is_nan(value) || value < self) ? self : value;
  }
};

// A share of a walk: the range [begin, end) of one lane dim, or all of it.
struct Share {
  int lane;
  int64_t begin;
  int64_t end;
};

IndexWalk walk_of_share(const IndexWalk& walk, const Share& share) {
  IndexWalk part = walk;
  part.size[share.lane] = share.end - share.begin;
  return part;
}

// Calls visit(element of self, element of source) in row-major order of a share of the walk.
// `visit` goes by value: what it holds cannot then change with what is written to self.
template <class T, class Visit>
void visit_share(const IndexWalk& walk, const Share& share, T* self, const int64_t* offsets,
                 const T* source, const Visit& visit) {
  const IndexWalk part = walk_of_share(walk, share);
  self += share.begin * walk.self[share.lane];
  source += share.begin * walk.other[share.lane];
  offsets += share.begin * walk.index[share.lane];
  const int last = part.rank - 1;
  const int64_t length = part.size[last];
  const int64_t self_step = part.self[last];
  const int64_t source_step = part.other[last];
  const int64_t index_step = part.index[last];
  const int64_t rows = part.numel() / length;
  RowCursor row(part, 0);
  for (int64_t r = 0; r < rows; ++r, row.next()) {
    T* to = self + row.self;
    const T* from = source + row.other;
    const int64_t* at = offsets + row.index;
    if (index_step == 0 && self_step == 1 && source_step == 1) {
      T* run = to + *at;
      for (int64_t i = 0; i < length; ++i) visit(run[i], from[i]);
    } else if (index_step == 0 && self_step == 1 && source_step == 0) {
      T* run = to + *at;
      const T value = *from;
      for (int64_t i = 0; i < length; ++i) visit(run[i], value);
    } else {
      for (int64_t i = 0; i < length; ++i) {
        visit(to[i * self_step + at[i * index_step]], from[i * source_step]);
      }
    }
  }
}

// The dim to share out: the longest in which self has a stride; outer ones first.
int lane_dim(const IndexWalk& walk) {
  int lane = -1;
  for (int d = 0; d < walk.rank; ++d) {
    if (walk.self[d] != 0 && (lane < 0 || walk.size[d] > walk.size[lane])) lane = d;
  }
  return lane;
}

template <class Body>
void for_shares(const IndexWalk& walk, const Body& body) {
  const int lane = lane_dim(walk);
  if (lane < 0) return body(Share{0, 0, walk.size[0]});
  const int64_t elements_each = walk.numel() / walk.size[lane];
  // Runs shorter than a cache line would make threads write to the same one.
  const int64_t least = lane == walk.rank - 1 ? 32 : 1;
  const int64_t grain = std::max(least, kIndexGrain / std::max<int64_t>(1, elements_each));
  parallel_for(walk.size[lane], grain,
               [&](int64_t begin, int64_t end) { body(Share{lane, begin, end}); });
}

template <class T, class Combine>
void put_all(const IndexWalk& walk, const IndexPutArgs& args, const int64_t* offsets,
             const Combine& combine) {
  for_shares(walk, [&](const Share& share) {
    visit_share(walk, share, static_cast<T*>(args.self), offsets,
                static_cast<const T*>(args.source),
                [combine](T& self, const T& value) { self = combine(self, value); });
  });
}

template <class T>
T divided(T sum, int64_t count) {
  if constexpr (std::is_integral_v<T>) {
    const int64_t wide = static_cast<int64_t>(sum);
    const int64_t quotient = wide / count;
    return static_cast<T>(wide % count != 0 && wide < 0 ? quotient - 1 : quotient);
  } else {
    return static_cast<T>(static_cast<compute_t<T>>(sum) / static_cast<compute_t<T>>(count));
  }
}

// How many elements of memory self spans, and where in it self begins.
struct Extent {
  int64_t size = 1;
  int64_t start = 0;
  void add(int64_t n, int64_t stride) {
    size += (n - 1) * std::abs(stride);
    if (stride < 0) start += (n - 1) * -stride;
  }
};

// The combinations that need to know how often an element was written: a count stands beside each.
template <class T, class Combine>
void put_counted(const IndexWalk& walk, const IndexPutArgs& args, const int64_t* offsets,
                 const Combine& combine) {
  Extent extent;
  for (int d = 0; d < walk.rank; ++d) extent.add(walk.size[d], walk.self[d]);
  for (int j = 0; j < args.index_count; ++j) {
    extent.add(args.indices[j].dim_size, args.indices[j].dim_stride);
  }
  const std::unique_ptr<int32_t[]> counts(new int32_t[static_cast<size_t>(extent.size)]());
  const T* origin = static_cast<const T*>(args.self) - extent.start;
  for_shares(walk, [&](const Share& share) {
    T* self_data = static_cast<T*>(args.self);
    const T* source = static_cast<const T*>(args.source);
    visit_share(walk, share, self_data, offsets, source, [&](T& self, const T& value) {
      const bool first = counts[static_cast<size_t>(&self - origin)]++ == 0;
      self = first && !args.include_self ? value : combine(self, value);
    });
    if (args.mode != PutMode::mean) return;
    visit_share(walk, share, self_data, offsets, source, [&](T& self, const T&) {
      int32_t& count = counts[static_cast<size_t>(&self - origin)];
      if (count == 0) return;
      self = divided(self, count + (args.include_self ? 1 : 0));
      count = 0;
    });
  });
}

template <class T, class Combine>
void put_with(const IndexWalk& walk, const IndexPutArgs& args, const int64_t* offsets,
              const Combine& combine) {
  if (args.mode == PutMode::mean || !args.include_self) {
    put_counted<T>(walk, args, offsets, combine);
  } else {
    put_all<T>(walk, args, offsets, combine);
  }
}

void put_assign(const IndexWalk& walk, const IndexPutArgs& args, const int64_t* offsets) {
  switch (item_size(args.dtype)) {
    case 1: return put_all<uint8_t>(walk, args, offsets, Assign{});
    case 2: return put_all<uint16_t>(walk, args, offsets, Assign{});
    case 4: return put_all<uint32_t>(walk, args, offsets, Assign{});
    default: return put_all<uint64_t>(walk, args, offsets, Assign{});
  }
}

void put_sum(const IndexWalk& walk, const IndexPutArgs& args, const int64_t* offsets) {
  visit_dtype(All{}, args.dtype, "index_put", [&]<class T>(Tag<T>) {
    using A = std::conditional_t<std::is_integral_v<T>, int64_t, compute_t<T>>;
    put_with<T>(walk, args, offsets, Sum<A>{static_cast<A>(args.alpha)});
  });
}

void put_mode(const IndexWalk& walk, const IndexPutArgs& args, const int64_t* offsets) {
  switch (args.mode) {
    case PutMode::assign: return put_assign(walk, args, offsets);
    case PutMode::sum: return put_sum(walk, args, offsets);
    default: break;
  }
  visit_dtype(Arithmetic{}, args.dtype, "scatter_reduce", [&]<class T>(Tag<T>) {
    switch (args.mode) {
      case PutMode::prod: return put_with<T>(walk, args, offsets, Product{});
      case PutMode::amax: return put_with<T>(walk, args, offsets, Largest{});
      case PutMode::amin: return put_with<T>(walk, args, offsets, Smallest{});
      default: return put_with<T>(walk, args, offsets, Sum<int>{1});
    }
  });
}

}  // namespace

IndexResult put(const IndexPutArgs& args) {
  if (args.size.numel() == 0) return {};
  ResolvedIndex resolved;
  const IndexResult result = resolve_indices(args.index_dtype, args.size, args.index_count,
                                             args.indices, args.wrap_negative, resolved);
  if (!result.ok) return result;
  IndexWalk walk;
  walk.rank = args.size.rank();
  for (int d = 0; d < walk.rank; ++d) {
    walk.size[d] = args.size[d];
    walk.self[d] = args.self_strides[d];
    walk.other[d] = args.source_strides[d];
    walk.index[d] = resolved.strides[d];
  }
  collapse(walk);
  put_mode(walk, args, resolved.offsets.get());
  return {};
}

}  // namespace taut::kernels::index_cpu
