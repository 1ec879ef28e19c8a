// Layer, RMS and group norm forward on CUDA. Rows that fit the registers of a team of threads are
// read once and written once; longer ones go by steps (see Note [Norms by steps]).

#include "kernels/api/fast_index.cuh"
#include "kernels/api/row_team.cuh"
#include "kernels/norm/norm_steps_cuda.h"
#include "kernels/norm/parameter_cuda.cuh"

namespace taut::kernels::cuda {
namespace {

enum class Kind : uint8_t { layer, rms, group };

constexpr int kFew = 8;
template <class T>
constexpr int kMany = sizeof(T) == 8 ? 16 : 32;

template <class T>
struct Rows {
  const T* input;
  T* output;
  Compute<T>* mean;  // may be null, as rstd
  Compute<T>* rstd;
  Parameter<T> weight, bias;
  int64_t rows;
  int n;
  Compute<T> eps;
  // Of group norm: a row is a group's channels.
  int64_t groups, per_group;
  FastDivider by_spatial;
};

// Weights and biases of the elements from `at` on.
template <Kind kKind, int kPack, class T>
__device__ inline void load_parameters(const Rows<T>& of, int64_t row, int at,
                                       Compute<T> (&weight)[kPack], Compute<T> (&bias)[kPack]) {
  using A = Compute<T>;
  if constexpr (kKind == Kind::group) {
    const int64_t channel =
        row % of.groups * of.per_group + of.by_spatial.quotient(static_cast<uint32_t>(at));
    const A of_weight = of.weight.at(channel, A(1)), of_bias = of.bias.at(channel, A(0));
#pragma unroll
    for (int e = 0; e < kPack; ++e) {
      weight[e] = of_weight;
      bias[e] = of_bias;
    }
  } else if constexpr (kKind == Kind::rms) {
    of.weight.load(at, A(1), weight);
  } else {
    typename Parameter<T>::template Run<kPack> weights, biases;
    of.weight.load_run(at, weights);
    of.bias.load_run(at, biases);
    of.weight.widen_run(weights, A(1), weight);
    of.bias.widen_run(biases, A(0), bias);
  }
}

template <class T, Kind kKind, int kItems, int kPack>
__global__ void __launch_bounds__(kMaxLanes, 1)
    row_norm_kernel(const __grid_constant__ Rows<T> of, int lanes) {
  wait_for_stream();
  using A = Compute<T>;
  const RowTeam team(lanes);
  const bool exists = team.row < of.rows;
  const int n = exists ? of.n : 0;
  const T* row = of.input + team.row * of.n;
  A values[kItems];
  load_row<kPack>(team, row, n, A(0), values);

  const A count = static_cast<A>(of.n);
  A mean = 0;
  if constexpr (kKind != Kind::rms) {
#pragma unroll
    for (int e = 0; e < kItems; ++e) mean += values[e];
    mean = team.fold(mean, Sum{}) / count;
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
  square = team.fold(square, Sum{});
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
    load_parameters<kKind>(of, team.row, at, weight, bias);
#pragma unroll
    for (int e = 0; e < kPack; ++e) {
      const A normal = values[j * kPack + e] * rstd * weight[e];
      weight[e] = kKind == Kind::rms ? normal : normal + bias[e];
    }
    store_narrowed<kPack>(output + at, weight);
  }
}

template <class T, Kind kKind, int kItems, int kPack>
void launch_rows(const Rows<T>& of) {
  const TeamPlan plan = plan_teams(of.rows, (of.n + kItems - 1) / kItems);
  launch_kernel(row_norm_kernel<T, kKind, kItems, kPack>, {plan.blocks, plan.threads}, of,
                plan.lanes);
}

template <class T, Kind kKind>
void launch_rows(const Rows<T>& of, bool packs) {
  const bool prefers_many = packs && of.n > kFew * kWarp && fills_chip(of.rows, of.n, kMany<T>);
  if (of.n > kFew * kMaxLanes || prefers_many) {
    launch_rows<T, kKind, kMany<T>, kPackCount<T>>(of);
  } else if (packs) {
    launch_rows<T, kKind, kFew, kPackCount<T>>(of);
  } else {
    launch_rows<T, kKind, kFew, 1>(of);
  }
}

// Long rows only in packs: single elements would take more registers than there are.
bool fits_registers(DType dtype, int64_t n, bool packs) {
  const int most = dtype == DType::float64 ? kMany<double> : kMany<float>;
  return n <= kMaxLanes * (packs ? most : kFew);
}

// ---- Long rows ----------------------------------------------------------------------------------

// Statistics that the caller does not keep.
class Kept {
 public:
  Kept(void* given, bool wanted, int64_t n, DType dtype)
      : scratch_(given == nullptr && wanted
                     ? static_cast<size_t>(n) * item_size(compute_dtype(dtype))
                     : 1),
        data_(given == nullptr && wanted ? scratch_.data() : given) {}
  void* data() const { return data_; }

 private:
  taut::cuda::Scratch scratch_;
  void* data_;
};

// Each of `rows` contiguous rows of n elements is a channel of one sample.
void norm_by_steps(const NormalizeCall& given, int64_t rows, int64_t n, void* mean, void* rstd,
                   double eps, bool is_rms) {
  const Kept means(mean, !is_rms, rows, given.dtype), rstds(rstd, true, rows, given.dtype);
  find_statistics({.dtype = given.dtype,
                   .shape = {1, rows, n, 0},
                   .input = given.input,
                   .mean = is_rms ? nullptr : means.data(),
                   .rstd = rstds.data(),
                   .eps = eps,
                   .is_rms = is_rms});
  NormalizeCall call = given;
  call.mean = is_rms ? nullptr : means.data();
  call.rstd = rstds.data();
  normalize(call);
}

int64_t pack_count(DType dtype) { return 16 / static_cast<int64_t>(item_size(dtype)); }

// ---- Slots --------------------------------------------------------------------------------------

template <Kind kKind>
void layer_norm_of(const LayerNormArgs& args) {
  if (args.rows * args.cols == 0) return;
  constexpr bool kIsRms = kKind == Kind::rms;
  const void* bias = kIsRms ? nullptr : args.bias;
  void* mean = kIsRms ? nullptr : args.mean;
  const char* name = kIsRms ? "rms_norm" : "layer_norm";
  const bool packs = args.cols % pack_count(args.dtype) == 0 && is_aligned(args.input) &&
                     is_aligned(args.output) && is_aligned(args.weight) && is_aligned(bias);
  if (!fits_registers(args.dtype, args.cols, packs)) {
    const NormalizeCall call{args.dtype,
                             {args.rows, args.cols, 1, args.cols},
                             args.input,
                             args.output,
                             nullptr,
                             nullptr,
                             args.weight,
                             bias,
                             args.parameter_dtype};
    norm_by_steps(call, args.rows, args.cols, mean, args.rstd, args.eps, kIsRms);
    return check_launch(name);
  }
  visit_floating(name, args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    using A = Compute<T>;
    const Rows<T> of{static_cast<const T*>(args.input),
                     static_cast<T*>(args.output),
                     static_cast<A*>(mean),
                     static_cast<A*>(args.rstd),
                     {args.weight, args.parameter_dtype},
                     {bias, args.parameter_dtype},
                     args.rows,
                     static_cast<int>(args.cols),
                     static_cast<A>(args.eps),
                     1,
                     1,
                     FastDivider(1)};
    launch_rows<T, kKind>(of, packs);
  });
  check_launch(name);
}

}  // namespace

void layer_norm(const LayerNormArgs& args) { layer_norm_of<Kind::layer>(args); }
void rms_norm(const LayerNormArgs& args) { layer_norm_of<Kind::rms>(args); }

void group_norm(const GroupNormArgs& args) {
  if (args.batch * args.channels * args.spatial == 0) return;
  const int64_t per_group = args.channels / args.groups;
  const int64_t rows = args.batch * args.groups, n = per_group * args.spatial;
  const bool packs = args.spatial % pack_count(args.dtype) == 0 && is_aligned(args.input) &&
                     is_aligned(args.output);
  if (!fits_registers(args.dtype, n, packs)) {
    const NormalizeCall call{args.dtype,
                             {args.batch, args.channels, args.spatial, per_group},
                             args.input,
                             args.output,
                             nullptr,
                             nullptr,
                             args.weight,
                             args.bias,
                             args.parameter_dtype};
    norm_by_steps(call, rows, n, args.mean, args.rstd, args.eps, false);
    return check_launch("group_norm");
  }
  visit_floating("group_norm", args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    using A = Compute<T>;
    const Rows<T> of{static_cast<const T*>(args.input),
                     static_cast<T*>(args.output),
                     static_cast<A*>(args.mean),
                     static_cast<A*>(args.rstd),
                     {args.weight, args.parameter_dtype},
                     {args.bias, args.parameter_dtype},
                     rows,
                     static_cast<int>(n),
                     static_cast<A>(args.eps),
                     args.groups,
                     per_group,
                     FastDivider(args.spatial)};
    launch_rows<T, Kind::group>(of, packs);
  });
  check_launch("group_norm");
}

}  // namespace taut::kernels::cuda
