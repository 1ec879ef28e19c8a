// Counting values into bins. Counts are integers, which atomics add up to the same in any order;
// weights are sorted by bin and added up in their order.

#include "kernels/api/sorted_put.h"
#include "kernels/sort/sort_cuda.h"
#include "kernels/sort/sort_key.cuh"

namespace taut::kernels::cuda {
namespace {

// Counters of so many bins are held in shared memory.
constexpr int64_t kSharedBins = 4096;

/// A bin of integers in [0, bins), or -1 and a report.
template <class T>
struct ValueBin {
  const T* input;
  int64_t bins;
  FaultReport report;

  __device__ int64_t operator()(int64_t i) const {
    const int64_t value = static_cast<int64_t>(input[i]);
    if (value >= 0 && value < bins) return value;
    report(value, bins, i);
    return -1;
  }
};

// Bins are computed in floating point.
template <class T>
using BinValue = std::conditional_t<std::is_integral_v<T>, double, Compute<T>>;

/// The bin of a value in equal parts of [low, high], as PyTorch computes it; -1 outside.
template <class T>
struct UniformBin {
  using C = BinValue<T>;
  const T* input;
  C low;
  C high;
  int64_t bins;

  __device__ int64_t operator()(int64_t i) const {
    const C value = static_cast<C>(widen(input[i]));
    if (!(value >= low && value <= high)) return -1;
    const int64_t bin = static_cast<int64_t>((value - low) * static_cast<C>(bins) / (high - low));
    return bin < bins ? bin : bins - 1;
  }
};

template <class T>
struct EdgedBin {
  const T* input;
  const T* edges;
  int64_t bins;

  __device__ int64_t operator()(int64_t i) const {
    const T value = input[i];
    if (!(value >= edges[0] && value <= edges[bins])) return -1;
    int64_t low = 0, high = bins + 1;  // the first edge above the value
    while (low < high) {
      const int64_t middle = low + (high - low) / 2;
      if (edges[middle] <= value) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low - 1 < bins ? low - 1 : bins - 1;
  }
};

__device__ inline void add_to(int64_t* counter, unsigned long long amount) {
  atomicAdd(reinterpret_cast<unsigned long long*>(counter), amount);
}

template <class Bin>
__global__ void __launch_bounds__(kThreads)
    count_shared_kernel(Bin bin_of, int64_t n, int64_t bins, int64_t* counts) {
  wait_for_stream();
  __shared__ unsigned counters[kSharedBins];
  for (int b = static_cast<int>(threadIdx.x); b < bins; b += kThreads) counters[b] = 0;
  __syncthreads();
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += step) {
    const int64_t bin = bin_of(i);
    if (bin >= 0) atomicAdd(&counters[bin], 1u);
  }
  __syncthreads();
  for (int b = static_cast<int>(threadIdx.x); b < bins; b += kThreads) {
    if (counters[b] > 0) add_to(&counts[b], counters[b]);
  }
}

template <class Bin>
__global__ void __launch_bounds__(kThreads) count_kernel(Bin bin_of, int64_t n, int64_t* counts) {
  wait_for_stream();
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += step) {
    const int64_t bin = bin_of(i);
    if (bin >= 0) add_to(&counts[bin], 1);
  }
}

template <class Bin>
void count(const char* op, const Bin& bin_of, int64_t n, int64_t bins, int64_t* counts) {
  check(op, cudaMemsetAsync(counts, 0, static_cast<size_t>(bins) * sizeof(int64_t), stream()));
  if (n == 0) return;
  if (bins <= kSharedBins) {
    // Few blocks, each with many elements for its counters, that fill the chip; a 32-bit counter
    // overflows for none of them.
    const int64_t wanted = int64_t{8} * multiprocessors();
    const int64_t least = n / (int64_t{1} << 31) + 1;
    const int64_t full = blocks_for(n, 4);
    const int64_t blocks = full < wanted ? full : wanted < least ? least : wanted;
    launch_kernel(count_shared_kernel<Bin>, {static_cast<unsigned>(blocks), kThreads}, bin_of, n,
                  bins, counts);
  } else {
    launch_kernel(count_kernel<Bin>, {blocks_for(n), kThreads}, bin_of, n, counts);
  }
  check_launch(op);
}

template <class Bin, class K, class P>
__global__ void __launch_bounds__(kThreads)
    bin_keys_kernel(Bin bin_of, int64_t bins, K* keys, P* positions, int64_t n) {
  wait_for_stream();
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += step) {
    const int64_t bin = bin_of(i);
    keys[i] = static_cast<K>(bin < 0 ? bins : bin);
    positions[i] = static_cast<P>(i);
  }
}

template <class K, class P, class Bin>
void put_weights(const SortedPut& put, const Bin& bin_of, int64_t n, int64_t bins) {
  const taut::cuda::Scratch memory(static_cast<size_t>(n) * 2 * (sizeof(K) + sizeof(P)));
  const SortBuffer<K> keys{memory.as<K>(), memory.as<K>() + n};
  P* positions = reinterpret_cast<P*>(memory.as<K>() + 2 * n);
  launch_kernel(bin_keys_kernel<Bin, K, P>, {blocks_for(n), kThreads}, bin_of, bins, keys.data,
                positions, n);
  check_launch(put.op);
  put_sorted(put, keys, SortBuffer<P>{positions, positions + n});
}

// output[b] = the sum of the weights in bin b. dtype: of both.
template <class Bin>
void add_weights(const char* op, DType dtype, const Bin& bin_of, int64_t n, int64_t bins,
                 const void* weights, void* output) {
  check(op, cudaMemsetAsync(output, 0, static_cast<size_t>(bins) * item_size(dtype), stream()));
  if (n == 0) return;
  SortedPut put;
  put.op = op;
  put.dtype = dtype;
  put.mode = PutMode::sum;
  put.include_self = false;
  put.self = output;
  put.source = weights;
  put.keyed.push_back(n, 0, 1);
  put.left_out = static_cast<uint64_t>(bins);
  constexpr int64_t kShort = int64_t{1} << 31;
  if (n < kShort && bins < kShort) {
    put_weights<uint32_t, uint32_t>(put, bin_of, n, bins);
  } else {
    put_weights<uint64_t, int64_t>(put, bin_of, n, bins);
  }
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    convert_counts_kernel(const int64_t* counts, T* output, int64_t bins) {
  wait_for_stream();
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t b = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; b < bins; b += step) {
    output[b] = narrow<T>(static_cast<Compute<T>>(counts[b]));
  }
}

template <class T, class Bin>
void fill_histogram(const HistogramArgs& args, const Bin& bin_of) {
  constexpr const char* kOp = "histogram";
  if constexpr (std::is_floating_point_v<T>) {
    if (args.weights != nullptr) {
      return add_weights(kOp, args.dtype, bin_of, args.n, args.bins, args.weights, args.output);
    }
  }
  const taut::cuda::Scratch counts(static_cast<size_t>(args.bins) * sizeof(int64_t));
  count(kOp, bin_of, args.n, args.bins, counts.as<int64_t>());
  launch_kernel(convert_counts_kernel<T>, {blocks_for(args.bins), kThreads}, counts.as<int64_t>(),
                static_cast<T*>(args.output), args.bins);
  check_launch(kOp);
}

}  // namespace

IndexResult bincount(const BincountArgs& args) {
  if (args.bins == 0) return {};
  const FaultReport report(args.op);
  visit_numeric("bincount", args.dtype, [&]<class T>(TypeTag<T>) {
    if constexpr (std::is_integral_v<T>) {
      const ValueBin<T> bin_of{static_cast<const T*>(args.input), args.bins, report};
      if (args.weights == nullptr) {
        count(args.op, bin_of, args.n, args.bins, static_cast<int64_t*>(args.output));
      } else {
        add_weights(args.op, args.weights_dtype, bin_of, args.n, args.bins, args.weights,
                    args.output);
      }
    }
  });
  return {};
}

void histogram(const HistogramArgs& args) {
  if (args.bins == 0) return;
  visit_numeric("histogram", args.dtype, [&]<class T>(TypeTag<T>) {
    const T* input = static_cast<const T*>(args.input);
    if constexpr (std::is_floating_point_v<T>) {
      if (args.edges != nullptr) {
        const EdgedBin<T> bin_of{input, static_cast<const T*>(args.edges), args.bins};
        return fill_histogram<T>(args, bin_of);
      }
    }
    using C = BinValue<T>;
    const UniformBin<T> bin_of{input, static_cast<C>(args.low), static_cast<C>(args.high),
                               args.bins};
    fill_histogram<T>(args, bin_of);
  });
}

}  // namespace taut::kernels::cuda
