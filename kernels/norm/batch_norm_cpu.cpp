#include "kernels/api/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/norm/batch_norm_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/api/reduce.h"
#include "kernels/norm/norm_parts.h"
#include "kernels/norm/norm_runs-inl.h"

HWY_BEFORE_NAMESPACE();
namespace taut::kernels {
namespace HWY_NAMESPACE {

// Channels that are worked on together where spatial == 1.
constexpr int64_t kTileCols = 512;
// Rows that are summed in the compute type; rows of a chunk, of which threads take one each.
constexpr int64_t kBlockRows = 64;
constexpr int64_t kLeastChunkRows = 1024;
constexpr int64_t kMostChunks = 64;

// Per channel, in the compute type: y = (x - mean) scale + shift; for the backward
// grad_x = g scale + (x - mean) slope + shift.
template <class A>
struct ChannelTable {
  explicit ChannelTable(int64_t channels)
      : values(new A[static_cast<size_t>(4 * channels)]()),
        mean(values.get()),
        scale(mean + channels),
        shift(scale + channels),
        slope(shift + channels) {}
  std::unique_ptr<A[]> values;
  A *mean, *scale, *shift, *slope;
};

// Runs over channels side by side (spatial == 1), or over one run per (batch, channel).
template <class Rows, class Run>
void for_channels(int64_t batch, int64_t channels, int64_t spatial, Rows&& rows, Run&& run) {
  if (spatial == 1) {
    parallel_for(batch, grain_of(channels), [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) rows(b * channels);
    });
    return;
  }
  parallel_for(batch * channels, grain_of(spatial), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) run(i * spatial, i % channels);
  });
}

template <class T>
class BatchNorm {
 public:
  using A = compute_t<T>;

  explicit BatchNorm(const BatchNormArgs& args)
      : args_(args), channels_(args.channels), table_(args.channels) {}

  void run() {
    args_.is_training ? measure() : recall();
    const T* x = static_cast<const T*>(args_.input);
    T* y = static_cast<T*>(args_.output);
    const ChannelTable<A>& t = table_;
    const Lanes<T> d;
    for_channels(
        args_.batch, channels_, args_.spatial,
        [&](int64_t at) {
          for_vectors(d, channels_, [&](auto load, auto store) {
            const auto centered = hn::Sub(load(x + at), load(t.mean));
            store(hn::MulAdd(centered, load(t.scale), load(t.shift)), y + at);
          });
        },
        [&](int64_t at, int64_t c) {
          affine_run(x + at, args_.spatial, t.mean[c], t.scale[c], t.shift[c], y + at);
        });
  }

 private:
  void set_affine(int64_t c, A invstd, const Parameter<A>& weight, const Parameter<A>& bias) {
    table_.scale[c] = invstd * weight.at(c, A(1));
    table_.shift[c] = bias.at(c, A(0));
  }

  // The statistics of the batch; `slope` holds the variance meanwhile.
  void measure() {
    MomentArgs moments;
    moments.input = args_.input;
    moments.output = table_.slope;
    moments.mean_output = table_.mean;
    moments.input_dtype = args_.dtype;
    moments.output_dtype = dtype_of<A>;
    moments.shape = {args_.batch, channels_, args_.spatial};
    moments.strides = {channels_ * args_.spatial, args_.spatial, 1};
    moments.reduced_dims = 0b101;
    moments.correction = 0.0;
    static const auto var = reduce_kernels_cpu().var;
    var(moments);

    const Parameter<A> weight(args_.weight, args_.parameter_dtype, channels_);
    const Parameter<A> bias(args_.bias, args_.parameter_dtype, channels_);
    for (int64_t c = 0; c < channels_; ++c) {
      const double variance = static_cast<double>(table_.slope[c]);
      const A invstd = static_cast<A>(1.0 / std::sqrt(variance + args_.eps));
      set_affine(c, invstd, weight, bias);
      if (args_.saved_mean != nullptr) static_cast<A*>(args_.saved_mean)[c] = table_.mean[c];
      if (args_.saved_invstd != nullptr) static_cast<A*>(args_.saved_invstd)[c] = invstd;
    }
    const double n = static_cast<double>(args_.batch * args_.spatial);
    follow(args_.running_mean, table_.mean, 1.0);
    follow(args_.running_var, table_.slope, n / (n - 1.0));
  }

  // running += momentum (factor value - running).
  void follow(void* running, const A* values, double factor) const {
    if (running == nullptr) return;
    visit_dtype(Floating{}, args_.parameter_dtype, "batch_norm", [&]<class P>(Tag<P>) {
      P* to = static_cast<P*>(running);
      for (int64_t c = 0; c < channels_; ++c) {
        const double old = static_cast<double>(to[c]);
        const double step = factor * static_cast<double>(values[c]) - old;
        to[c] = static_cast<P>(static_cast<compute_t<P>>(old + args_.momentum * step));
      }
    });
  }

  void recall() {
    const Parameter<A> weight(args_.weight, args_.parameter_dtype, channels_);
    const Parameter<A> bias(args_.bias, args_.parameter_dtype, channels_);
    const Parameter<A> mean(args_.running_mean, args_.parameter_dtype, channels_);
    const Parameter<A> var(args_.running_var, args_.parameter_dtype, channels_);
    for (int64_t c = 0; c < channels_; ++c) {
      const double variance = static_cast<double>(var.at(c, A(1)));
      table_.mean[c] = mean.at(c, A(0));
      set_affine(c, static_cast<A>(1.0 / std::sqrt(variance + args_.eps)), weight, bias);
    }
  }

  const BatchNormArgs& args_;
  const int64_t channels_;
  ChannelTable<A> table_;
};

void batch_norm(const BatchNormArgs& args) {
  if (args.batch * args.channels * args.spatial == 0) return;
  visit_dtype(Floating{}, args.dtype, "batch_norm",
              [&]<class T>(Tag<T>) { BatchNorm<T>(args).run(); });
}

template <class T>
class BatchNormGradient {
 public:
  using A = compute_t<T>;

  explicit BatchNormGradient(const BatchNormBackwardArgs& args)
      : args_(args),
        channels_(args.channels),
        grad_(static_cast<const T*>(args.grad_output)),
        input_(static_cast<const T*>(args.input)),
        table_(args.channels),
        invstd_(new A[static_cast<size_t>(args.channels)]),
        sums_(new GradientSums[static_cast<size_t>(args.channels)]) {}

  void run() {
    load_statistics();
    const bool needs_sums =
        args_.is_training || args_.grad_weight != nullptr || args_.grad_bias != nullptr;
    if (needs_sums) args_.spatial == 1 ? sum_columns() : sum_runs();
    if (needs_sums) write_parameters();
    if (args_.grad_input != nullptr) write_grad_input();
  }

 private:
  void load_statistics() {
    const Parameter<A> mean(args_.running_mean, args_.parameter_dtype, channels_);
    const Parameter<A> var(args_.running_var, args_.parameter_dtype, channels_);
    for (int64_t c = 0; c < channels_; ++c) {
      if (args_.is_training) {
        table_.mean[c] = static_cast<const A*>(args_.saved_mean)[c];
        invstd_[static_cast<size_t>(c)] = static_cast<const A*>(args_.saved_invstd)[c];
      } else {
        const double variance = static_cast<double>(var.at(c, A(1)));
        table_.mean[c] = mean.at(c, A(0));
        invstd_[static_cast<size_t>(c)] = static_cast<A>(1.0 / std::sqrt(variance + args_.eps));
      }
    }
  }

  void sum_runs() {
    const int64_t n = args_.batch * args_.spatial;
    parallel_for(channels_, grain_of(n), [&](int64_t begin, int64_t end) {
      for (int64_t c = begin; c < end; ++c) {
        GradientSums total;
        for (int64_t b = 0; b < args_.batch; ++b) {
          const int64_t at = (b * channels_ + c) * args_.spatial;
          const GradientSums run =
              gradient_sums(grad_ + at, input_ + at, args_.spatial, table_.mean[c]);
          total.grad += run.grad;
          total.grad_centered += run.grad_centered;
        }
        sums_[static_cast<size_t>(c)] = total;
      }
    });
  }

  // Blocks of rows are summed in the compute type, blocks in double. Threads share chunks of rows
  // as well as tiles of channels: images with channels last have many rows and few channels.
  void sum_columns() {
    const int64_t tiles = (channels_ + kTileCols - 1) / kTileCols;
    const int64_t chunks = std::clamp<int64_t>(args_.batch / kLeastChunkRows, 1, kMostChunks);
    const int64_t rows =
        ((args_.batch + chunks - 1) / chunks + kBlockRows - 1) / kBlockRows * kBlockRows;
    std::vector<GradientSums> parts(static_cast<size_t>(chunks * channels_));
    parallel_for(tiles * chunks, grain_of(rows * kTileCols), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t chunk = i / tiles;
        sum_chunk(chunk * rows, std::min(args_.batch, (chunk + 1) * rows), i % tiles * kTileCols,
                  parts.data() + chunk * channels_);
      }
    });
    for (size_t i = 0; i < parts.size(); ++i) {
      GradientSums& sum = sums_[i % static_cast<size_t>(channels_)];
      sum.grad += parts[i].grad;
      sum.grad_centered += parts[i].grad_centered;
    }
  }

  void sum_chunk(int64_t begin, int64_t end, int64_t first, GradientSums* sums) const {
    HWY_ALIGN A grads[kTileCols];
    HWY_ALIGN A centered[kTileCols];
    const int64_t cols = std::min(kTileCols, channels_ - first);
    for (int64_t b = begin; b < end; b += kBlockRows) {
      sum_block(b, std::min(end, b + kBlockRows), first, cols, grads, centered);
      for (int64_t c = 0; c < cols; ++c) {
        sums[first + c].grad += static_cast<double>(grads[c]);
        sums[first + c].grad_centered += static_cast<double>(centered[c]);
      }
    }
  }

  void sum_block(int64_t begin, int64_t end, int64_t first, int64_t cols, A* grads,
                 A* centered) const {
    const Lanes<T> d;
    std::fill(grads, grads + cols, A(0));
    std::fill(centered, centered + cols, A(0));
    const A* mean = table_.mean + first;
    for (int64_t b = begin; b < end; ++b) {
      const T* g = grad_ + b * channels_ + first;
      const T* x = input_ + b * channels_ + first;
      for_vectors(d, cols, [&](auto load, auto store) {
        store(hn::Add(load(grads), load(g)), grads);
        store(hn::MulAdd(load(g), hn::Sub(load(x), load(mean)), load(centered)), centered);
      });
    }
  }

  void write_parameters() const {
    const std::unique_ptr<double[]> totals(new double[static_cast<size_t>(2 * channels_)]);
    double* grad_weight = totals.get();
    double* grad_bias = grad_weight + channels_;
    for (int64_t c = 0; c < channels_; ++c) {
      const GradientSums& sum = sums_[static_cast<size_t>(c)];
      grad_weight[c] = sum.grad_centered * static_cast<double>(invstd_[static_cast<size_t>(c)]);
      grad_bias[c] = sum.grad;
    }
    write_parameter(grad_weight, channels_, args_.grad_weight, args_.parameter_dtype);
    write_parameter(grad_bias, channels_, args_.grad_bias, args_.parameter_dtype);
  }

  void write_grad_input() {
    const Parameter<A> weight(args_.weight, args_.parameter_dtype, channels_);
    const double n = static_cast<double>(args_.batch * args_.spatial);
    for (int64_t c = 0; c < channels_; ++c) {
      const GradientSums& sum = sums_[static_cast<size_t>(c)];
      const double invstd = static_cast<double>(invstd_[static_cast<size_t>(c)]);
      const double scale = invstd * static_cast<double>(weight.at(c, A(1)));
      table_.scale[c] = static_cast<A>(scale);
      if (!args_.is_training) continue;
      table_.shift[c] = static_cast<A>(-scale * sum.grad / n);
      table_.slope[c] = static_cast<A>(-scale * invstd * invstd * sum.grad_centered / n);
    }
    const ChannelTable<A>& t = table_;
    T* grad_x = static_cast<T*>(args_.grad_input);
    const Lanes<T> d;
    for_channels(
        args_.batch, channels_, args_.spatial,
        [&](int64_t at) {
          for_vectors(d, channels_, [&](auto load, auto store) {
            const auto centered = hn::Sub(load(input_ + at), load(t.mean));
            const auto rest = hn::MulAdd(centered, load(t.slope), load(t.shift));
            store(hn::MulAdd(load(grad_ + at), load(t.scale), rest), grad_x + at);
          });
        },
        [&](int64_t at, int64_t c) {
          gradient_run(grad_ + at, input_ + at, args_.spatial, t.mean[c], t.scale[c], t.slope[c],
                       t.shift[c], grad_x + at);
        });
  }

  const BatchNormBackwardArgs& args_;
  const int64_t channels_;
  const T* grad_;
  const T* input_;
  ChannelTable<A> table_;
  std::unique_ptr<A[]> invstd_;
  std::unique_ptr<GradientSums[]> sums_;
};

void batch_norm_backward(const BatchNormBackwardArgs& args) {
  visit_dtype(Floating{}, args.dtype, "batch_norm_backward",
              [&]<class T>(Tag<T>) { BatchNormGradient<T>(args).run(); });
}

void fill_batch_norm(NormKernels& table) {
  table.batch_norm = batch_norm;
  table.batch_norm_backward = batch_norm_backward;
}

}  // namespace HWY_NAMESPACE
}  // namespace taut::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace taut::kernels {

HWY_EXPORT(fill_batch_norm);
void fill_batch_norm_kernels(NormKernels& table) { HWY_DYNAMIC_DISPATCH(fill_batch_norm)(table); }

}  // namespace taut::kernels
#endif
