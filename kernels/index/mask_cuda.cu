// Masks: counting and listing what is not zero, selecting and replacing where a mask is true.
//
// Elements are taken in tiles: the tiles are counted first, the counts scanned, and then each tile
// knows where it writes. An element of any dtype is non-zero when its bits, less a float's sign,
// are: only unsigned words are looked at.

#include <cub/device/device_scan.cuh>

#include "kernels/api/cuda_launch.cuh"
#include "kernels/api/group_reduce.cuh"
#include "kernels/api/strided_offset.cuh"
#include "kernels/index/index_cuda.h"

namespace taut::kernels::cuda {
namespace {

constexpr int kRounds = 8;
constexpr int kWarps = kThreads / kWarp;
constexpr int kWarpTile = kWarp * kRounds;
constexpr int64_t kTile = int64_t{kThreads} * kRounds;

// The elements of a warp's part of a tile that are non-zero, a bit each.
template <class Word>
struct WarpBits {
  unsigned rounds[kRounds];

  __device__ WarpBits(const Word* input, Word mask, int64_t begin, int64_t n) {
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
#pragma unroll
    for (int r = 0; r < kRounds; ++r) {
      const int64_t i = begin + r * kWarp + lane;
      const bool is_nonzero = i < n && (input[i] & mask) != 0;
      rounds[r] = __ballot_sync(kAllLanes, is_nonzero);
    }
  }
  __device__ int count() const {
    int sum = 0;
#pragma unroll
    for (int r = 0; r < kRounds; ++r) sum += __popc(rounds[r]);
    return sum;
  }
};

template <class Word>
__global__ void __launch_bounds__(kThreads)
    count_tiles_kernel(const Word* input, Word mask, int64_t n, int64_t* counts, int64_t tiles) {
  wait_for_stream();
  __shared__ int warp_counts[kWarps];
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  for (int64_t tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
    const WarpBits<Word> bits(input, mask, tile * kTile + warp * kWarpTile, n);
    if (threadIdx.x % kWarp == 0) warp_counts[warp] = bits.count();
    __syncthreads();
    if (threadIdx.x == 0) {
      int sum = 0;
      for (int w = 0; w < kWarps; ++w) sum += warp_counts[w];
      counts[tile] = sum;
    }
    __syncthreads();
  }
}

// Calls visit(i, rank) for every i whose element is not zero, where rank counts those before it.
template <class Word, class Visit>
__global__ void __launch_bounds__(kThreads)
    visit_nonzero_kernel(const Word* input, Word mask, int64_t n, const int64_t* before,
                         int64_t tiles, Visit visit) {
  wait_for_stream();
  __shared__ int warp_counts[kWarps];
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  for (int64_t tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
    const int64_t begin = tile * kTile + warp * kWarpTile;
    const WarpBits<Word> bits(input, mask, begin, n);
    if (lane == 0) warp_counts[warp] = bits.count();
    __syncthreads();
    int64_t rank = before[tile];
    for (int w = 0; w < warp; ++w) rank += warp_counts[w];
#pragma unroll
    for (int r = 0; r < kRounds; ++r) {
      const unsigned round = bits.rounds[r];
      if ((round >> lane & 1u) != 0) {
        visit(begin + r * kWarp + lane, rank + __popc(round & ((1u << lane) - 1u)));
      }
      rank += __popc(round);
    }
    __syncthreads();
  }
}

// How many elements before each tile are not zero, and at last how many are.
class NonzeroTiles {
 public:
  NonzeroTiles(const char* op, DType dtype, const void* input, int64_t n)
      : op_(op),
        dtype_(dtype),
        input_(input),
        n_(n),
        tiles_(ceil_divide(n, kTile)),
        before_(static_cast<size_t>(tiles_ + 1) * sizeof(int64_t)) {
    count();
    size_t bytes = 0;
    int64_t* counts = before_.as<int64_t>();
    check(op, cub::DeviceScan::ExclusiveSum(nullptr, bytes, counts, counts, tiles_ + 1, stream()));
    const taut::cuda::Scratch scratch(bytes);
    check(op, cub::DeviceScan::ExclusiveSum(scratch.data(), bytes, counts, counts, tiles_ + 1,
                                            stream()));
  }

  int64_t wait_for_total() const {
    taut::cuda::check_can_wait(op_);
    int64_t total = 0;
    check(op_, cudaMemcpyAsync(&total, before_.as<int64_t>() + tiles_, sizeof(total),
                               cudaMemcpyDeviceToHost, stream()));
    check(op_, cudaStreamSynchronize(stream()));
    return total;
  }

  template <class Visit>
  void visit(const Visit& visit) const {
    visit_words([&]<class Word>(TypeTag<Word>, Word mask) {
      launch_kernel(visit_nonzero_kernel<Word, Visit>, {grid(), kThreads},
                    static_cast<const Word*>(input_), mask, n_, before_.as<int64_t>(), tiles_,
                    visit);
    });
    check_launch(op_);
  }

 private:
  void count() const {
    visit_words([&]<class Word>(TypeTag<Word>, Word mask) {
      launch_kernel(count_tiles_kernel<Word>, {grid(), kThreads}, static_cast<const Word*>(input_),
                    mask, n_, before_.as<int64_t>(), tiles_);
    });
    // What the scan reads last does not count.
    check(op_, cudaMemsetAsync(before_.as<int64_t>() + tiles_, 0, sizeof(int64_t), stream()));
    check_launch(op_);
  }

  template <class Body>
  void visit_words(const Body& body) const {
    visit_width(dtype_, [&]<class Word>(TypeTag<Word> tag) {
      const Word all_bits = static_cast<Word>(~Word(0));
      body(tag, is_floating_point(dtype_) ? static_cast<Word>(all_bits >> 1) : all_bits);
    });
  }

  unsigned grid() const { return static_cast<unsigned>(tiles_ < kMaxBlocks ? tiles_ : kMaxBlocks); }

  const char* op_;
  DType dtype_;
  const void* input_;
  int64_t n_;
  int64_t tiles_;
  taut::cuda::Scratch before_;
};

struct WriteCoordinates {
  int rank;
  int64_t size[kMaxRank];
  int64_t* output;
  int64_t row_stride;
  int64_t col_stride;

  __device__ void operator()(int64_t i, int64_t at) const {
    if (rank == 0) return;
    int64_t* row = output + at * row_stride;
#pragma unroll 1
    for (int d = rank - 1; d > 0; --d) {
      int64_t coordinate;
      i = divide(i, size[d], coordinate);
      row[d * col_stride] = coordinate;
    }
    row[0] = i;
  }
};

template <class E>
struct Select {
  const E* input;
  E* output;
  __device__ void operator()(int64_t i, int64_t at) const { output[at] = input[i]; }
};

template <class E>
struct Replace {
  const E* source;
  E* self;
  __device__ void operator()(int64_t i, int64_t at) const { self[i] = source[at]; }
};

}  // namespace

int64_t count_nonzero(const CountNonzeroArgs& args) {
  if (args.n == 0) return 0;
  return NonzeroTiles("nonzero", args.dtype, args.input, args.n).wait_for_total();
}

void nonzero(const NonzeroArgs& args) {
  const int64_t n = args.size.numel();
  if (n == 0) return;
  WriteCoordinates write{args.size.rank(), {}, args.output, args.row_stride, args.col_stride};
  for (int d = 0; d < write.rank; ++d) write.size[d] = args.size[d];
  NonzeroTiles("nonzero", args.dtype, args.input, n).visit(write);
}

void masked_select(const MaskedSelectArgs& args) {
  if (args.n == 0) return;
  const NonzeroTiles tiles("masked_select", DType::bool_, args.mask, args.n);
  visit_width(args.dtype, [&]<class E>(TypeTag<E>) {
    tiles.visit(Select<E>{static_cast<const E*>(args.input), static_cast<E*>(args.output)});
  });
}

int64_t masked_scatter(const MaskedScatterArgs& args) {
  if (args.n == 0) return 0;
  const NonzeroTiles tiles("masked_scatter", DType::bool_, args.mask, args.n);
  const int64_t count = tiles.wait_for_total();
  if (count > args.source_count || count == 0) return count;
  visit_width(args.dtype, [&]<class E>(TypeTag<E>) {
    tiles.visit(Replace<E>{static_cast<const E*>(args.source), static_cast<E*>(args.self)});
  });
  return count;
}

}  // namespace taut::kernels::cuda
