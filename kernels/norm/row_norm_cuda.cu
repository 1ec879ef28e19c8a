// Layer, RMS and group norm forward on CUDA. Rows that do not fit registers go by steps (see Note
// [Norms by steps]).

#include "kernels/norm/norm_steps_cuda.h"
#include "kernels/norm/row_norm_cuda.cuh"

namespace taut::kernels::cuda {
namespace {

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

// ---- Slots --------------------------------------------------------------------------------------

template <NormKind kKind>
void layer_norm_of(const LayerNormArgs& args) {
  if (args.rows * args.cols == 0) return;
  constexpr bool kIsRms = kKind == NormKind::rms;
  if (args.residual != nullptr) return kIsRms ? add_rms_norm(args) : add_layer_norm(args);
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
    launch_rows<T, kKind>(norm_rows<T, kIsRms>(args, args.input), packs);
  });
  check_launch(name);
}

}  // namespace

void layer_norm(const LayerNormArgs& args) { layer_norm_of<NormKind::layer>(args); }
void rms_norm(const LayerNormArgs& args) { layer_norm_of<NormKind::rms>(args); }

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
    const NormRows<T> of{static_cast<const T*>(args.input),
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
    launch_rows<T, NormKind::group>(of, packs);
  });
  check_launch("group_norm");
}

}  // namespace taut::kernels::cuda
