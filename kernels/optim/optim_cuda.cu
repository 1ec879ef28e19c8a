// Optimizer steps on CUDA: one launch for a list of tensors; see Note [Tensor lists].

#include "kernels/api/optim.h"
#include "kernels/api/row_team.cuh"
#include "kernels/optim/update_launch_cuda.cuh"

namespace taut::kernels {
namespace {

using namespace cuda;

constexpr int kSumThreads = 1024;

/// Packs of each list that a thread loads before it uses the first.
template <class T>
constexpr int kPacks = sizeof(T) == 2 ? 1 : 2;

// The update of kUnroll packs of kPack elements, kThreads packs apart, as far as they lie before
// `end`. G: of the gradients and, where it is not T, of the parameters that are written beside.
template <int kPack, int kUnroll, class T, class G, class Update, int kCapacity>
__device__ inline void update_packs(const TensorTable<kCapacity>& table, const ListChunk& chunk,
                                    int64_t first, int64_t end, const Update& update,
                                    Compute<T> grad_factor, const Compute<T>* scalars) {
  using A = Compute<T>;
  constexpr int kLists = Update::kLists;
  constexpr int64_t kStep = int64_t{kThreads} * kPack;
  A x[kUnroll][kLists][kPack];
#pragma unroll
  for (int u = 0; u < kUnroll; ++u) {
#pragma unroll
    for (int k = 0; k < kLists; ++k) {
      const int64_t at = chunk.begin + first + u * kStep;
      if ((update.reads >> k & 1u) != 0 && first + u * kStep < end) {
        if (k == 1) {
          load_widened<kPack>(static_cast<const G*>(table.data[k][chunk.tensor]) + at, x[u][k]);
        } else {
          load_widened<kPack>(static_cast<const T*>(table.data[k][chunk.tensor]) + at, x[u][k]);
        }
      } else {
#pragma unroll
        for (int e = 0; e < kPack; ++e) x[u][k][e] = A(0);
      }
    }
  }
#pragma unroll
  for (int u = 0; u < kUnroll; ++u) {
    if (first + u * kStep >= end) continue;
#pragma unroll
    for (int e = 0; e < kPack; ++e) {
      A element[kLists];
#pragma unroll
      for (int k = 0; k < kLists; ++k) element[k] = x[u][k][e];
      if constexpr (kLists > 1) element[1] *= grad_factor;
      update(element, scalars);
#pragma unroll
      for (int k = 0; k < kLists; ++k) x[u][k][e] = element[k];
    }
#pragma unroll
    for (int k = 0; k < kLists; ++k) {
      if ((update.writes >> k & 1u) == 0) continue;
      T* to = static_cast<T*>(table.data[k][chunk.tensor]) + chunk.begin;
      store_narrowed<kPack>(to + first + u * kStep, x[u][k]);
    }
    if constexpr (!std::is_same_v<G, T>) {
      G* to = static_cast<G*>(table.data[kLowParam][chunk.tensor]) + chunk.begin;
      store_narrowed<kPack>(to + first + u * kStep, x[u][0]);
    }
  }
}

template <class T, class G, class Update, int kCapacity>
__global__ void __launch_bounds__(kThreads, 3)
    update_kernel(const __grid_constant__ TensorTable<kCapacity> table,
                  const __grid_constant__ Update update, const DeviceControl control) {
  wait_for_stream();
  using A = Compute<T>;
  constexpr int kPack = kPackCount<T>;
  const ListChunk chunk(table);
  A grad_factor, scalars[kMaxScalars];
  if (!begin_update(table, chunk, control, update, grad_factor, scalars)) return;
  const int64_t whole = table.aligned[chunk.tensor] ? chunk.size / kPack * kPack : 0;
  for (int64_t i = int64_t{threadIdx.x} * kPack; i < whole;
       i += int64_t{kThreads} * kPack * kPacks<T>) {
    update_packs<kPack, kPacks<T>, T, G>(table, chunk, i, whole, update, grad_factor, scalars);
  }
  for (int64_t i = whole + threadIdx.x; i < chunk.size; i += kThreads) {
    update_packs<1, 1, T, G>(table, chunk, i, chunk.size, update, grad_factor, scalars);
  }
}

template <class T, class Update, int kLists>
void launch_update(const ParamList& list, const void* const* const (&lists)[kLists],
                   const Update& update) {
  const DeviceControl control = control_of(list);
  for_updates<T>(list, lists, update,
                 [&]<int kCapacity, class G>(const TensorTable<kCapacity>& table, uint32_t chunks,
                                             TypeTag<G>) {
                   launch_chunks(list.launches, update_kernel<T, G, Update, kCapacity>, chunks,
                                 table, update, control);
                 });
}

void sgd(const SgdArgs& args) {
  if (args.momentum != 0.0 && args.state_format != StateFormat::plain) return small_sgd(args);
  visit_floating("sgd", args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const void* const* buffers = args.momentum != 0.0 ? args.momentum_buffers : nullptr;
    launch_update<T>(args, {args.params, args.grads, buffers}, SgdUpdate<Compute<T>>(args));
  });
  check_launch("sgd");
}

void adam(const AdamArgs& args) {
  if (args.state_format != StateFormat::plain) return small_adam(args);
  visit_floating("adam", args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const void* const* highest = args.amsgrad ? args.max_exp_avg_sqs : nullptr;
    launch_update<T>(args, {args.params, args.grads, args.exp_avgs, args.exp_avg_sqs, highest},
                     AdamUpdate<Compute<T>>(args));
  });
  check_launch("adam");
}

void rmsprop(const RmspropArgs& args) {
  visit_floating("rmsprop", args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const void* const* means = args.centered ? args.grad_avgs : nullptr;
    const void* const* buffers = args.momentum > 0.0 ? args.momentum_buffers : nullptr;
    launch_update<T>(args, {args.params, args.grads, args.square_avgs, means, buffers},
                     RmspropUpdate<Compute<T>>(args));
  });
  check_launch("rmsprop");
}

void adagrad(const AdagradArgs& args) {
  visit_floating("adagrad", args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    launch_update<T>(args, {args.params, args.grads, args.state_sums},
                     AdagradUpdate<Compute<T>>(args));
  });
  check_launch("adagrad");
}

void scale(const ScaleListArgs& args) {
  visit_floating("scale", args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const ParamList list{.sizes = args.sizes, .count = args.count};
    launch_update<T>(list, {args.tensors}, ScaleUpdate<Compute<T>>(args));
  });
  check_launch("scale");
}

// ---- Sums of squares ----------------------------------------------------------------------------

// Chunks are summed in the compute type by each thread, threads and chunks in double.
template <class T, int kCapacity>
__global__ void __launch_bounds__(kThreads)
    chunk_squares_kernel(const __grid_constant__ TensorTable<kCapacity> table, double* found) {
  wait_for_stream();
  using A = Compute<T>;
  const ListChunk chunk(table);
  const T* x = static_cast<const T*>(table.data[0][chunk.tensor]) + chunk.begin;
  constexpr int kPack = kPackCount<T>;
  const int64_t whole = table.aligned[chunk.tensor] ? chunk.size / kPack * kPack : 0;
  A sum = 0;
#pragma unroll 4
  for (int64_t i = int64_t{threadIdx.x} * kPack; i < whole; i += kThreads * kPack) {
    A values[kPack];
    load_widened<kPack>(x + i, values);
#pragma unroll
    for (int e = 0; e < kPack; ++e) sum = fma(values[e], values[e], sum);
  }
  for (int64_t i = whole + threadIdx.x; i < chunk.size; i += kThreads) {
    const A value = widen(x[i]);
    sum = fma(value, value, sum);
  }
  const double total = RowTeam(kThreads).fold(static_cast<double>(sum), Sum{});
  if (threadIdx.x == 0) found[blockIdx.x] = total;
}

__global__ void __launch_bounds__(kSumThreads)
    sum_chunks_kernel(const double* found, int64_t chunks, double* total) {
  wait_for_stream();
  double sum = 0;
  for (int64_t i = threadIdx.x; i < chunks; i += kSumThreads) sum += found[i];
  sum = RowTeam(kSumThreads).fold(sum, Sum{});
  if (threadIdx.x == 0) *total = sum;
}

void sum_squares(const SumSquaresArgs& args) {
  const int64_t chunks = count_chunks(args.sizes, args.count);
  const taut::cuda::Scratch scratch(static_cast<size_t>(chunks + 1) * sizeof(double));
  auto* found = scratch.as<double>();
  visit_floating("sum_squares", args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    for_list(
        args.sizes, args.count, {args.tensors},
        [&]<int kCapacity>(const TensorTable<kCapacity>& table, uint32_t count, int64_t before) {
          launch_kernel(chunk_squares_kernel<T, kCapacity>, {count, kThreads}, table,
                        found + before);
        });
  });
  launch_kernel(sum_chunks_kernel, {1, kSumThreads}, found, chunks, args.total);
  check_launch("sum_squares");
}

}  // namespace

OptimKernels optim_kernels_cuda() {
  return {.takes_low_params = true,
          .sgd = sgd,
          .adam = adam,
          .rmsprop = rmsprop,
          .adagrad = adagrad,
          .scale = scale,
          .sum_squares = sum_squares};
}

}  // namespace taut::kernels
