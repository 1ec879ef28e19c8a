// Strided copies on CUDA: by the widest words that the layout allows, by tiles where it is a
// transposition, and converted in packs where both sides are contiguous.

#include "kernels/api/copy.h"
#include "kernels/api/packs.cuh"
#include "kernels/api/strided_loop.h"
#include "kernels/copy/convert_cuda.cuh"
#include "kernels/copy/fill_cuda.h"
#include "kernels/copy/transpose_cuda.cuh"
#include "kernels/copy/transpose_packs_cuda.cuh"

namespace taut::kernels {
namespace {

using cuda::FastDivider;
using cuda::FastIndex;
using cuda::kMaxItems;
using cuda::kThreads;
using cuda::Pack;

unsigned blocks_of(int64_t items) {
  return static_cast<unsigned>((items + kThreads - 1) / kThreads);
}

__device__ inline uint32_t item_of_thread() { return blockIdx.x * kThreads + threadIdx.x; }

// ---- Elements of one dtype ----------------------------------------------------------------------

template <class Word>
__global__ void __launch_bounds__(kThreads)
    copy_words_kernel(Word* target, const Word* source, const __grid_constant__ FastIndex<2> index,
                      uint32_t n) {
  cuda::wait_for_stream();
  const uint32_t i = item_of_thread();
  if (i >= n) return;
  int64_t at[2];
  index.locate(i, at);
  target[at[0]] = source[at[1]];
}

// How many elements may be moved as one word of 16 bytes or less.
int64_t word_elements(const CopyArgs& args) {
  const int inner = args.shape.rank() - 1;
  if (args.target_strides[inner] != 1 || args.source_strides[inner] != 1) return 1;
  const int64_t size = static_cast<int64_t>(item_size(args.target_dtype));
  int64_t elements = 16 / size;
  const auto fits = [&] {
    const auto bytes = static_cast<uintptr_t>(elements * size);
    bool result = args.shape[inner] % elements == 0 && cuda::is_aligned(args.target, bytes) &&
                  cuda::is_aligned(args.source, bytes);
    for (int i = 0; i < inner; ++i) {
      result = result && args.target_strides[i] % elements == 0 &&
               args.source_strides[i] % elements == 0;
    }
    return result;
  };
  while (elements > 1 && !fits()) elements /= 2;
  return elements;
}

template <class Word>
void launch_words(const CopyArgs& args) {
  const FastIndex<2> index(args.shape, {&args.target_strides, &args.source_strides});
  const int64_t n = args.shape.numel();
  cuda::launch_kernel(copy_words_kernel<Word>, {blocks_of(n), kThreads},
                      static_cast<Word*>(args.target), static_cast<const Word*>(args.source), index,
                      static_cast<uint32_t>(n));
}

void copy_words(CopyArgs& args) {
  const int64_t elements = word_elements(args);
  const int inner = args.shape.rank() - 1;
  if (elements > 1) {
    args.shape[inner] /= elements;
    for (int i = 0; i < inner; ++i) {
      args.target_strides[i] /= elements;
      args.source_strides[i] /= elements;
    }
  }
  switch (elements * static_cast<int64_t>(item_size(args.target_dtype))) {
    case 1: return launch_words<uint8_t>(args);
    case 2: return launch_words<uint16_t>(args);
    case 4: return launch_words<uint32_t>(args);
    case 8: return launch_words<uint64_t>(args);
    default: return launch_words<uint4>(args);
  }
}

// ---- Transpositions -----------------------------------------------------------------------------

// The dim along which the source is contiguous, when that is not the target's innermost and both
// are long enough for tiles; -1 otherwise.
int transposed_dim(const CopyArgs& args) {
  constexpr int64_t kShortest = 8;
  const int inner = args.shape.rank() - 1;
  if (args.target_strides[inner] != 1 || args.source_strides[inner] == 1) return -1;
  if (args.shape[inner] < kShortest) return -1;
  for (int i = 0; i < inner; ++i) {
    if (args.source_strides[i] == 1 && args.shape[i] >= kShortest) return i;
  }
  return -1;
}

// Whether the matrices can be read and written in packs of `pack` elements.
bool has_transposed_packs(const CopyArgs& args, int row_dim, int64_t pack) {
  const int inner = args.shape.rank() - 1;
  const auto bytes = static_cast<uintptr_t>(pack) * item_size(args.target_dtype);
  bool fits = cuda::is_aligned(args.target, bytes) && cuda::is_aligned(args.source, bytes) &&
              args.shape[row_dim] % pack == 0 && args.shape[inner] % pack == 0;
  for (int i = 0; i < args.shape.rank(); ++i) {
    if (i != inner) fits = fits && args.target_strides[i] % pack == 0;
    if (i != row_dim) fits = fits && args.source_strides[i] % pack == 0;
  }
  return fits;
}

template <class T>
void launch_transpose(const CopyArgs& args, int row_dim) {
  using PackTile = cuda::PackTile<T>;
  const bool packs = has_transposed_packs(args, row_dim, PackTile::kPack);
  const int64_t tile = packs ? PackTile::kTile : cuda::kTransposeTile<T>;
  const int inner = args.shape.rank() - 1;
  cuda::TransposeParams params;
  params.target = args.target;
  params.source = args.source;
  params.rows = args.shape[row_dim];
  params.cols = args.shape[inner];
  params.target_row = args.target_strides[row_dim];
  params.source_col = args.source_strides[inner];
  const int64_t row_tiles = (params.rows + tile - 1) / tile;
  const int64_t col_tiles = (params.cols + tile - 1) / tile;
  params.row_tiles = FastDivider(row_tiles);
  params.col_tiles = FastDivider(col_tiles);
  Dims batch, target_strides, source_strides;
  for (int i = 0; i < inner; ++i) {
    if (i == row_dim) continue;
    batch.push_back(args.shape[i]);
    target_strides.push_back(args.target_strides[i]);
    source_strides.push_back(args.source_strides[i]);
  }
  params.batch = FastIndex<2>(batch, {&target_strides, &source_strides});
  const auto blocks = static_cast<unsigned>(batch.numel() * row_tiles * col_tiles);
  if (packs) {
    cuda::launch_kernel(cuda::transpose_packs_kernel<T>, {blocks, PackTile::kThreads}, params);
    return;
  }
  cuda::launch_kernel(cuda::transpose_kernel<T>,
                      {blocks, dim3(cuda::kTransposeLanes, cuda::kTransposeWarps)}, params);
}

// ---- Conversions --------------------------------------------------------------------------------

template <class To, class From>
__global__ void __launch_bounds__(kThreads)
    convert_packed_kernel(To* target, const From* source, int64_t n) {
  cuda::wait_for_stream();
  constexpr int kWidest = sizeof(To) > sizeof(From) ? sizeof(To) : sizeof(From);
  constexpr int kCount = kWidest == 1 ? 8 : 16 / kWidest;
  const int64_t begin = (int64_t{blockIdx.x} * kThreads + threadIdx.x) * kCount;
  if (begin >= n) return;
  if (n - begin >= kCount) {
    const Pack<From, kCount> in = cuda::load_pack<kCount>(source + begin);
    Pack<To, kCount> out;
#pragma unroll
    for (int e = 0; e < kCount; ++e) {
      out.values[e] = cuda::convert_element<To>(in.values[e]);
    }
    cuda::store_pack<kCount>(target + begin, out);
  } else {
    for (int64_t i = begin; i < n; ++i) target[i] = cuda::convert_element<To>(source[i]);
  }
}

template <class To, class From>
void convert_packed(const CopyArgs& args, int64_t n) {
  constexpr int64_t kWidest = sizeof(To) > sizeof(From) ? sizeof(To) : sizeof(From);
  constexpr int64_t kCount = kWidest == 1 ? 8 : 16 / kWidest;
  cuda::launch_kernel(convert_packed_kernel<To, From>,
                      {blocks_of((n + kCount - 1) / kCount), kThreads},
                      static_cast<To*>(args.target), static_cast<const From*>(args.source), n);
}

// Integers pass through int64 and floats through double, so that no value of either is lost.
template <class Through>
__global__ void __launch_bounds__(kThreads)
    convert_strided_kernel(void* target, DType target_dtype, const void* source, DType source_dtype,
                           const __grid_constant__ FastIndex<2> index, uint32_t n) {
  cuda::wait_for_stream();
  const uint32_t i = item_of_thread();
  if (i >= n) return;
  int64_t at[2];
  index.locate(i, at);
  cuda::store_converted(target, target_dtype, at[0],
                        cuda::load_as<Through>(source, source_dtype, at[1]));
}

void convert_strided(const CopyArgs& args) {
  const FastIndex<2> index(args.shape, {&args.target_strides, &args.source_strides});
  const auto n = static_cast<uint32_t>(args.shape.numel());
  const auto kernel = is_floating_point(args.source_dtype) ? &convert_strided_kernel<double>
                                                           : &convert_strided_kernel<int64_t>;
  cuda::launch_kernel(kernel, {blocks_of(n), kThreads}, args.target, args.target_dtype, args.source,
                      args.source_dtype, index, n);
}

// ---- The choice ---------------------------------------------------------------------------------

void copy_strided(CopyArgs& args) {
  if (args.target_dtype != args.source_dtype) return convert_strided(args);
  const int row_dim = transposed_dim(args);
  if (row_dim < 0) return copy_words(args);
  cuda::visit_width(args.target_dtype, [&](auto tag) {
    launch_transpose<typename decltype(tag)::type>(args, row_dim);
  });
}

// A copy of more items than a launch takes goes in parts along its longest dim.
void copy_in_parts(const CopyArgs& args) {
  if (args.shape.numel() <= kMaxItems) {
    CopyArgs part = args;
    return copy_strided(part);
  }
  int longest = 0;
  for (int i = 1; i < args.shape.rank(); ++i) {
    if (args.shape[i] > args.shape[longest]) longest = i;
  }
  const int64_t half = args.shape[longest] / 2;
  const int64_t first = half < 64 ? half : half / 64 * 64;
  CopyArgs part = args;
  part.shape[longest] = first;
  copy_in_parts(part);
  part.shape[longest] = args.shape[longest] - first;
  part.target =
      static_cast<char*>(part.target) +
      first * args.target_strides[longest] * static_cast<int64_t>(item_size(args.target_dtype));
  part.source =
      static_cast<const char*>(part.source) +
      first * args.source_strides[longest] * static_cast<int64_t>(item_size(args.source_dtype));
  copy_in_parts(part);
}

bool is_flat(const CopyArgs& args) {
  const int rank = args.shape.rank();
  return rank == 0 || (rank == 1 && args.target_strides[0] == 1 && args.source_strides[0] == 1);
}

void copy_flat(const CopyArgs& args, int64_t n) {
  if (args.target_dtype == args.source_dtype) {
    const size_t bytes = static_cast<size_t>(n) * item_size(args.target_dtype);
    cuda::check("copy", cudaMemcpyAsync(args.target, args.source, bytes, cudaMemcpyDeviceToDevice,
                                        cuda::stream()));
    return;
  }
  cuda::visit_all("copy", args.target_dtype, [&](auto to) {
    cuda::visit_all("copy", args.source_dtype, [&](auto from) {
      using To = typename decltype(to)::type;
      using From = typename decltype(from)::type;
      if constexpr (!std::is_same_v<To, From>) convert_packed<To, From>(args, n);
    });
  });
}

void copy(const CopyArgs& given) {
  CopyArgs args = given;
  StridedLoop loop{args.shape, {&args.target_strides, &args.source_strides}, 2};
  simplify(loop);
  args.shape = loop.shape;
  const int64_t n = args.shape.numel();
  if (n == 0) return;
  const bool aligned = cuda::is_aligned(args.target) && cuda::is_aligned(args.source);
  if (is_flat(args) && (aligned || args.target_dtype == args.source_dtype)) {
    copy_flat(args, n);
  } else {
    if (args.shape.rank() == 0) {
      args.shape.push_back(1);
      args.target_strides.push_back(1);
      args.source_strides.push_back(1);
    }
    copy_in_parts(args);
  }
  cuda::check_launch("copy");
}

}  // namespace

CopyKernels copy_kernels_cuda() {
  return {.copy = copy, .fill = cuda::fill, .arange = cuda::arange};
}

}  // namespace taut::kernels
