// Cross entropy on CUDA, from the logits to the losses and back without a probability in memory. A
// team of threads takes a row; see kernels/api/row_team.cuh.

#include "kernels/softmax/online_cuda.cuh"
#include "kernels/softmax/softmax_parts_cuda.h"
#include "kernels/softmax/softmax_plan_cuda.cuh"

namespace taut::kernels::cuda {
namespace {

constexpr int kSumThreads = 1024;
/// Classes of a row to a thread, as long as there are threads.
constexpr int64_t kClassesPerThread = 8;

/// Elements that a thread loads before it uses the first.
template <int kPack>
constexpr int kBatch = kPack == 1 ? 4 : kPack;

template <class T>
struct Losses {
  const T* logits;
  const int64_t* targets;
  const T* weight;
  T* losses;
  Compute<T>* log_sum_exp;
  Compute<T>* kept;  // the losses unrounded, for their sum
  int64_t rows, classes, ignore_index;
  Compute<T> smoothing;
  FaultReport report;
};

template <class T>
__device__ inline Compute<T> weight_of(const T* weight, int64_t c) {
  return weight == nullptr ? Compute<T>(1) : widen(weight[c]);
}

// Where there are many rows, more and smaller teams: then some load while others are at a barrier.
TeamPlan plan_losses(int64_t rows, int64_t classes) {
  const int64_t threads = (classes + kClassesPerThread - 1) / kClassesPerThread;
  constexpr int64_t kSmaller = 256;
  const bool are_many = rows >= int64_t{8} * multiprocessors();
  return plan_teams(rows, are_many && threads > kSmaller ? kSmaller : threads);
}

// kBatch<kPack> elements of a row that start at `at` and step by packs of the team's other lanes;
// `filler` past the end.
template <int kPack, class T>
__device__ inline void load_batch(const RowTeam& team, const T* row, int64_t at, int64_t n,
                                  Compute<T> filler, Compute<T> (&values)[kBatch<kPack>]) {
  if constexpr (kPack > 1) {
    load_widened<kPack>(row + at, values);
  } else {
#pragma unroll
    for (int e = 0; e < kBatch<kPack>; ++e) {
      const int64_t c = at + int64_t{e} * team.lanes;
      values[e] = c < n ? widen(row[c]) : filler;
    }
  }
}

/// The class of element e of such a batch.
template <int kPack>
__device__ inline int64_t class_of(const RowTeam& team, int64_t at, int e) {
  return kPack > 1 ? at + e : at + int64_t{e} * team.lanes;
}

template <class T, int kPack>
__global__ void __launch_bounds__(kMaxLanes, 1)
    cross_entropy_kernel(const __grid_constant__ Losses<T> of, int lanes) {
  wait_for_stream();
  using A = Compute<T>;
  const RowTeam team(lanes);
  const int64_t n = of.classes;
  const bool is_counted = team.row < of.rows && of.targets[team.row] != of.ignore_index;
  const int64_t target = is_counted ? of.targets[team.row] : 0;
  const bool is_valid = is_counted && target >= 0 && target < n;
  if (is_counted && !is_valid && team.lane == 0) of.report(target, n, team.row);

  const T* row = of.logits + team.row * n;
  MaxSum<A> mine = MaxSum<A>::nothing();
  A weighted = 0, total = 0;
  for (int64_t at = int64_t{team.lane} * kPack; is_valid && at < n;
       at += int64_t{team.lanes} * kBatch<kPack>) {
    A values[kBatch<kPack>];
    load_batch<kPack>(team, row, at, n, lowest<A>(), values);
    mine.take(values);
    if (of.smoothing == 0) continue;
#pragma unroll
    for (int e = 0; e < kBatch<kPack>; ++e) {
      const int64_t c = class_of<kPack>(team, at, e);
      if (c >= n) continue;
      const A w = weight_of(of.weight, c);
      weighted += w * values[e];
      total += w;
    }
  }
  mine = team.fold(mine, Merge{});
  if (of.smoothing != 0) {
    weighted = team.fold(weighted, Sum{});
    total = team.fold(total, Sum{});
  }
  if (team.lane != 0 || team.row >= of.rows) return;
  const A log_sum_exp = is_valid ? mine.highest + log(mine.sum) : A(0);
  A loss = 0;
  if (is_valid) {
    loss = weight_of(of.weight, target) * (log_sum_exp - widen(row[target]));
    if (of.smoothing != 0) {
      const A smooth = total * log_sum_exp - weighted;
      loss = (A(1) - of.smoothing) * loss + of.smoothing / static_cast<A>(n) * smooth;
    }
  }
  if (of.log_sum_exp != nullptr) of.log_sum_exp[team.row] = log_sum_exp;
  if (of.losses != nullptr) of.losses[team.row] = narrow<T>(loss);
  if (of.kept != nullptr) of.kept[team.row] = loss;
}

// One block: the same order whatever the grid of the kernel before.
template <class T>
__global__ void __launch_bounds__(kSumThreads)
    sum_losses_kernel(const __grid_constant__ Losses<T> of, Compute<T>* sums) {
  wait_for_stream();
  double loss = 0, weight = 0;
  for (int64_t row = threadIdx.x; row < of.rows; row += kSumThreads) {
    const int64_t target = of.targets[row];
    if (target == of.ignore_index || target < 0 || target >= of.classes) continue;
    loss += static_cast<double>(of.kept[row]);
    weight += static_cast<double>(weight_of(of.weight, target));
  }
  const RowTeam block(kSumThreads);
  loss = block.fold(loss, Sum{});
  weight = block.fold(weight, Sum{});
  if (threadIdx.x != 0) return;
  sums[0] = static_cast<Compute<T>>(loss);
  sums[1] = static_cast<Compute<T>>(weight);
}

// Whether packs start aligned in every row.
template <class T>
bool has_packs(int64_t classes, const void* logits, const void* grad_logits) {
  return is_packable<T>(classes, logits, grad_logits);
}

template <class T>
void launch_cross_entropy(const CrossEntropyArgs& args) {
  using A = Compute<T>;
  const bool keeps = args.sums != nullptr;
  const taut::cuda::Scratch kept(keeps ? static_cast<size_t>(args.rows + 1) * sizeof(A) : 1);
  const Losses<T> of{static_cast<const T*>(args.logits),
                     args.targets,
                     static_cast<const T*>(args.weight),
                     static_cast<T*>(args.losses),
                     static_cast<A*>(args.log_sum_exp),
                     keeps ? kept.as<A>() : nullptr,
                     args.rows,
                     args.classes,
                     args.ignore_index,
                     static_cast<A>(args.label_smoothing),
                     FaultReport("cross_entropy")};
  if (args.rows > 0) {
    const TeamPlan plan = plan_losses(args.rows, args.classes);
    const auto kernel = has_packs<T>(args.classes, args.logits, nullptr)
                            ? &cross_entropy_kernel<T, kPackCount<T>>
                            : &cross_entropy_kernel<T, 1>;
    launch_kernel(kernel, {plan.blocks, plan.threads}, of, plan.lanes);
  }
  if (keeps) {
    launch_kernel(sum_losses_kernel<T>, {1, kSumThreads}, of, static_cast<A*>(args.sums));
  }
}

CrossEntropyResult cross_entropy(const CrossEntropyArgs& args) {
  visit_floating("cross_entropy", args.dtype,
                 [&](auto tag) { launch_cross_entropy<typename decltype(tag)::type>(args); });
  check_launch("cross_entropy");
  return {};
}

// ---- The gradient -------------------------------------------------------------------------------

template <class T>
struct LossGradients {
  const T* logits;
  const int64_t* targets;
  const T* weight;
  const Compute<T>* log_sum_exp;
  const Compute<T>* grad_losses;
  int64_t grad_stride;
  const Compute<T>* divisor;
  const Compute<T>* total_weight;  // null: as many as there are classes
  T* grad_logits;
  int64_t rows, classes, ignore_index;
  Compute<T> smoothing;
};

template <class T>
__global__ void __launch_bounds__(kSumThreads)
    total_weight_kernel(const T* weight, int64_t n, Compute<T>* total) {
  wait_for_stream();
  Compute<T> sum = 0;
  for (int64_t c = threadIdx.x; c < n; c += kSumThreads) sum += widen(weight[c]);
  sum = RowTeam(kSumThreads).fold(sum, Sum{});
  if (threadIdx.x == 0) *total = sum;
}

// grad = a p - b w at every class, where a = g ((1 - e) w[y] + e / classes W) and b = g e /
// classes; the target's class loses g (1 - e) w[y] more. A row without a valid target gets zeros.
template <class T, int kPack>
__global__ void __launch_bounds__(kMaxLanes, 1)
    cross_entropy_gradient_kernel(const __grid_constant__ LossGradients<T> of, int lanes) {
  wait_for_stream();
  using A = Compute<T>;
  const RowTeam team(lanes);
  if (team.row >= of.rows) return;
  const int64_t n = of.classes;
  const int64_t target = of.targets[team.row];
  const bool is_valid = target != of.ignore_index && target >= 0 && target < n;
  A log_sum_exp = 0, a = 0, b = 0, at_target = 0;
  if (is_valid) {
    const A divisor = of.divisor != nullptr ? *of.divisor : A(1);
    const A g = of.grad_losses[team.row * of.grad_stride] / divisor;
    const A share = of.smoothing / static_cast<A>(n);
    const A total = of.total_weight != nullptr ? *of.total_weight : static_cast<A>(n);
    log_sum_exp = of.log_sum_exp[team.row];
    at_target = g * (A(1) - of.smoothing) * weight_of(of.weight, target);
    a = at_target + (of.smoothing == 0 ? A(0) : g * share * total);
    b = of.smoothing == 0 ? A(0) : g * share;
  }
  const T* row = of.logits + team.row * n;
  T* grad = of.grad_logits + team.row * n;
  const T* smoothed_weight = of.smoothing == 0 ? nullptr : of.weight;
  for (int64_t at = int64_t{team.lane} * kPack; at < n; at += int64_t{team.lanes} * kBatch<kPack>) {
    A values[kBatch<kPack>];
    load_batch<kPack>(team, row, at, n, A(0), values);
#pragma unroll
    for (int e = 0; e < kBatch<kPack>; ++e) {
      const int64_t c = class_of<kPack>(team, at, e);
      if (c >= n) continue;
      A value = a * exp(values[e] - log_sum_exp) - b * weight_of(smoothed_weight, c);
      if (c == target) value -= at_target;
      values[e] = is_valid ? value : A(0);
      if constexpr (kPack == 1) grad[c] = narrow<T>(values[e]);
    }
    if constexpr (kPack > 1) store_narrowed<kPack>(grad + at, values);
  }
}

template <class T>
void launch_cross_entropy_backward(const CrossEntropyBackwardArgs& args) {
  using A = Compute<T>;
  const auto* weight = static_cast<const T*>(args.weight);
  const taut::cuda::Scratch total(sizeof(A));
  const bool needs_total = weight != nullptr && args.label_smoothing > 0;
  if (needs_total) {
    launch_kernel(total_weight_kernel<T>, {1, kSumThreads}, weight, args.classes, total.as<A>());
  }
  const LossGradients<T> of{static_cast<const T*>(args.logits),
                            args.targets,
                            weight,
                            static_cast<const A*>(args.log_sum_exp),
                            static_cast<const A*>(args.grad_losses),
                            args.grad_stride,
                            static_cast<const A*>(args.divisor),
                            needs_total ? total.as<A>() : nullptr,
                            static_cast<T*>(args.grad_logits),
                            args.rows,
                            args.classes,
                            args.ignore_index,
                            static_cast<A>(args.label_smoothing)};
  const TeamPlan plan = plan_losses(args.rows, args.classes);
  const auto kernel = has_packs<T>(args.classes, args.logits, args.grad_logits)
                          ? &cross_entropy_gradient_kernel<T, kPackCount<T>>
                          : &cross_entropy_gradient_kernel<T, 1>;
  launch_kernel(kernel, {plan.blocks, plan.threads}, of, plan.lanes);
}

void cross_entropy_backward(const CrossEntropyBackwardArgs& args) {
  if (args.rows * args.classes == 0) return;
  visit_floating("cross_entropy_backward", args.dtype, [&](auto tag) {
    launch_cross_entropy_backward<typename decltype(tag)::type>(args);
  });
  check_launch("cross_entropy_backward");
}

}  // namespace

void fill_cross_entropy(SoftmaxKernels& table) {
  table.cross_entropy = cross_entropy;
  table.cross_entropy_backward = cross_entropy_backward;
}

}  // namespace taut::kernels::cuda
