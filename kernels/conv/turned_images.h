#pragma once
// Convolutions of few channels a group, with channels last: too few lie side by side to be copied
// so. Whole images are turned to planes.

#include <algorithm>
#include <cstdint>
#include <memory>

#include "kernels/conv/regions.h"

namespace taut::kernels::conv_cpu {

inline bool has_small_groups(const ConvShape& s) {
  constexpr int64_t kFew = 16;
  return s.groups > 1 && std::min(s.in_channels, s.out_channels) / s.groups < kFew;
}

/// Calls run(arguments of one image on planes, its source, its result) for each image, turned, and
/// turns the results back. `args` are those of a forward or of a gradient by the input.
template <class T, class Args, class Run>
void run_on_planes(const Args& args, const ConvAxes& axes, const Images<const T>& source,
                   const Filters<T>& filters, const Images<T>& result, const Run& run) {
  using C = compute_t<T>;
  const ConvShape& s = args.shape;
  const std::unique_ptr<C[]> weight = filters.template with_taps_last<C>(s.out_channels);
  const std::unique_ptr<C[]> bias(new C[static_cast<size_t>(result.channels)]);
  if (args.bias != nullptr) {
    std::copy_n(static_cast<const T*>(args.bias), result.channels, bias.get());
  }
  Args planes = args;
  planes.shape.batch = 1;
  planes.channels_last = false;
  planes.weight = weight.get();
  planes.bias = args.bias == nullptr ? nullptr : bias.get();
  const int64_t work = s.in_channels * (s.out_channels / s.groups) * axes.output_plane();
  for_items(s.batch, work * axes.taps(), [&](int64_t image) {
    ThreadScratch<C> read(ThreadMemory::conv_planes_read);
    ThreadScratch<C> written(ThreadMemory::conv_planes_written);
    const C* from = turned(source, image, 1, read.get(source.image_size())).data;
    C* const to = written.get(result.image_size());
    run(planes, from, to);
    from_planes(to, result.plane, result.channels, result.plane, result.at(image, 0),
                result.channels);
  });
}

}  // namespace taut::kernels::conv_cpu
