#pragma once
// The kernel of layer, RMS and group norm forward for rows that fit the registers of a team of
// threads: read once and written once. It may add a residual to each row first.

#include "kernels/api/fast_index.cuh"
#include "kernels/api/norm.h"
#include "kernels/api/row_team.cuh"
#include "kernels/norm/parameter_cuda.cuh"

namespace taut::kernels::cuda {
enum class NormKind : uint8_t { layer, rms, group };

constexpr int kFewItems = 8;
template <class T>
constexpr int kManyItems = sizeof(T) == 8 ? 16 : 32;

template <class T>
struct NormRows {
  const T* input;  // where a branch is added: the residual
  T* output;
  Compute<T>* mean;  // may be null, as rstd
  Compute<T>* rstd;
  Parameter<T> weight, bias;
  int64_t rows;
  int n;
  Compute<T> eps;
  // Of group norm: a row is a group's channels.
  int64_t groups = 1, per_group = 1;
  FastDivider by_spatial{1};
  // With kAdds: what is added to the input first, and where the sum goes.
  const void* branch = nullptr;
  DType branch_dtype = DType::float32;  // T's, or a 16-bit float where T is float
  T* sum = nullptr;
};

// Adds a row of `branch` to the values, rounds to T as the sum is in memory, and writes that.
template <int kPack, int kItems, class T, class Branch>
__device__ inline void add_row(const RowTeam& team, const Branch* branch, T* sum, int n,
                               Compute<T> (&values)[kItems]) {
  using A = Compute<T>;
  A more[kItems];
  load_row<kPack>(team, branch, n, A(0), more);
#pragma unroll
  for (int e = 0; e < kItems; ++e) values[e] = widen(narrow<T>(more[e] + values[e]));
  store_row<kPack>(team, sum, n, values);
}

template <int kPack, int kItems, class T>
__device__ inline void add_branch(const NormRows<T>& of, const RowTeam& team, int n,
                                  Compute<T> (&values)[kItems]) {
  const int64_t start = team.row * of.n;
  T* sum = of.sum + start;
  if constexpr (std::is_same_v<T, float>) {
    if (of.branch_dtype == DType::bfloat16) {
      return add_row<kPack>(team, static_cast<const __nv_bfloat16*>(of.branch) + start, sum, n,
                            values);
    }
    if (of.branch_dtype == DType::float16) {
      return add_row<kPack>(team, static_cast<const __half*>(of.branch) + start, sum, n, values);
    }
  }
  add_row<kPack>(team, static_cast<const T*>(of.branch) + start, sum, n, values);
}

// Weights and biases of the elements from `at` on.
template <NormKind kKind, int kPack, class T>
__device__ inline void load_parameters(const NormRows<T>& of, int64_t row, int at,
                                       Compute<T> (&weight)[kPack], Compute<T> (&bias)[kPack]) {
  using A = Compute<T>;
  if constexpr (kKind == NormKind::group) {
    const int64_t channel =
        row % of.groups * of.per_group + of.by_spatial.quotient(static_cast<uint32_t>(at));
    const A of_weight = of.weight.at(channel, A(1)), of_bias = of.bias.at(channel, A(0));
#pragma unroll
    for (int e = 0; e < kPack; ++e) {
      weight[e] = of_weight;
      bias[e] = of_bias;
    }
  } else if constexpr (kKind == NormKind::rms) {
    of.weight.load(at, A(1), weight);
  } else {
    typename Parameter<T>::template Run<kPack> weights, biases;
    of.weight.load_run(at, weights);
    of.bias.load_run(at, biases);
    of.weight.widen_run(weights, A(1), weight);
    of.bias.widen_run(biases, A(0), bias);
  }
}

// The same where all parameters that the kind has are there, of T: nothing decides on the way, so
// that the loads of several packs are under way at once.
template <NormKind kKind, int kPack, class T>
__device__ inline void load_own_parameters(const NormRows<T>& of, int at,
                                           Compute<T> (&weight)[kPack], Compute<T> (&bias)[kPack]) {
  using Word = typename AccessWord<kPack* static_cast<int>(sizeof(T))>::type;
  const auto word_at = [at](const Parameter<T>& parameter) {
    return *reinterpret_cast<const Word*>(static_cast<const T*>(parameter.data) + at);
  };
  widen_words<T>(word_at(of.weight), weight);
  if constexpr (kKind == NormKind::layer) widen_words<T>(word_at(of.bias), bias);
}

// kOwn: the parameters are as load_own_parameters() wants them.
template <class T, NormKind kKind, bool kAdds, bool kOwn, int kItems, int kPack>
__global__ void __launch_bounds__(kMaxLanes, 1)
    row_norm_kernel(const __grid_constant__ NormRows<T> of, int lanes) {
  wait_for_stream();
  using A = Compute<T>;
  const RowTeam team(lanes);
  const bool exists = team.row < of.rows;
  const int n = exists ? of.n : 0;
  const T* row = of.input + team.row * of.n;
  A values[kItems];
  load_row<kPack>(team, row, n, A(0), values);
  if constexpr (kAdds) add_branch<kPack>(of, team, n, values);

  const A count = static_cast<A>(of.n);
  A mean = 0;
  if constexpr (kKind != NormKind::rms) {
#pragma unroll
    for (int e = 0; e < kItems; ++e) mean += values[e];
    mean = team.fold(mean, Sum{}, 0) / count;
  }
  A square = 0;
#pragma unroll
  for (int j = 0; j < kItems / kPack; ++j) {
    if ((j * team.lanes + team.lane) * kPack >= n) continue;
#pragma unroll
    for (int e = 0; e < kPack; ++e) {
      values[j * kPack + e] -= mean;
      square += values[j * kPack + e] * values[j * kPack + e];
    }
  }
  square = team.fold(square, Sum{}, 1);
  const A rstd = A(1) / sqrt(square / count + of.eps);
  if (exists && team.lane == 0) {
    if (of.mean != nullptr) of.mean[team.row] = mean;
    if (of.rstd != nullptr) of.rstd[team.row] = rstd;
  }

  T* output = of.output + team.row * of.n;
#pragma unroll
  for (int j = 0; j < kItems / kPack; ++j) {
    const int at = (j * team.lanes + team.lane) * kPack;
    if (at >= n) continue;
    A weight[kPack], bias[kPack];
    if constexpr (kOwn) {
      load_own_parameters<kKind>(of, at, weight, bias);
    } else {
      load_parameters<kKind>(of, team.row, at, weight, bias);
    }
#pragma unroll
    for (int e = 0; e < kPack; ++e) {
      const A normal = values[j * kPack + e] * rstd * weight[e];
      weight[e] = kKind == NormKind::rms ? normal : normal + bias[e];
    }
    store_narrowed<kPack>(output + at, weight);
  }
}

template <NormKind kKind, class T>
bool has_own_parameters(const NormRows<T>& of) {
  const auto is_own = [](const Parameter<T>& parameter) {
    return parameter.data != nullptr && parameter.is_narrow == (sizeof(T) == 2);
  };
  return is_own(of.weight) && (kKind == NormKind::rms || is_own(of.bias));
}

template <class T, NormKind kKind, bool kAdds, int kItems, int kPack>
void launch_rows(const NormRows<T>& of) {
  const TeamPlan plan = plan_teams(of.rows, (of.n + kItems - 1) / kItems);
  if constexpr (kKind != NormKind::group && kPack > 1) {
    if (has_own_parameters<kKind>(of)) {
      launch_kernel(row_norm_kernel<T, kKind, kAdds, true, kItems, kPack>,
                    {plan.blocks, plan.threads}, of, plan.lanes);
      return;
    }
  }
  launch_kernel(row_norm_kernel<T, kKind, kAdds, false, kItems, kPack>, {plan.blocks, plan.threads},
                of, plan.lanes);
}

template <class T, NormKind kKind, bool kAdds = false>
void launch_rows(const NormRows<T>& of, bool packs) {
  const bool prefers_many =
      packs && of.n > kFewItems * kWarp && fills_chip(of.rows, of.n, kManyItems<T>);
  if (of.n > kFewItems * kMaxLanes || prefers_many) {
    launch_rows<T, kKind, kAdds, kManyItems<T>, kPackCount<T>>(of);
  } else if (packs) {
    launch_rows<T, kKind, kAdds, kFewItems, kPackCount<T>>(of);
  } else {
    launch_rows<T, kKind, kAdds, kFewItems, 1>(of);
  }
}

// Long rows only in packs: single elements would take more registers than there are.
inline bool fits_registers(DType dtype, int64_t n, bool packs) {
  const int most = dtype == DType::float64 ? kManyItems<double> : kManyItems<float>;
  return n <= kMaxLanes * (packs ? most : kFewItems);
}

inline int64_t pack_count(DType dtype) { return 16 / static_cast<int64_t>(item_size(dtype)); }

/// What layer and RMS norm (kIsRms) have in common; `input`: what is normalised, or the residual.
template <class T, bool kIsRms>
NormRows<T> norm_rows(const LayerNormArgs& args, const void* input) {
  using A = Compute<T>;
  return {static_cast<const T*>(input),
          static_cast<T*>(args.output),
          kIsRms ? nullptr : static_cast<A*>(args.mean),
          static_cast<A*>(args.rstd),
          {args.weight, args.parameter_dtype},
          {kIsRms ? nullptr : args.bias, args.parameter_dtype},
          args.rows,
          static_cast<int>(args.cols),
          static_cast<A>(args.eps)};
}

}  // namespace taut::kernels::cuda
