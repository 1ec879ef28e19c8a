#include "taut/profiler/peaks.h"

#include <algorithm>
#include <map>
#include <mutex>

#include "kernels/api/precision.h"
#include "src/ops/precision.h"
#include "src/profiler/recorder.h"
#include "taut/autograd/grad_mode.h"
#include "taut/base/check.h"
#include "taut/base/parallel.h"
#include "taut/core/cuda.h"
#include "taut/ops/ops.h"

namespace taut::profiler {
namespace {

// Operations a clock of one multiprocessor, a product and a sum counting as two.
struct MultiprocessorRate {
  int capability;  // 90 for 9.0
  double half;     // float16 and bfloat16 in tensor cores, sums in float32
  double tf32;
  double single;
  double twice;  // float64, in tensor cores where there are some for it
};

// NVIDIA's architecture whitepapers: V100, T4, A100, GA102, Ada, H100, Blackwell (B200, RTX).
constexpr MultiprocessorRate kRates[] = {
    {70, 1024, 128, 128, 64},    {75, 1024, 128, 128, 4},  {80, 2048, 1024, 128, 128},
    {86, 512, 256, 256, 4},      {89, 1024, 512, 256, 4},  {90, 4096, 2048, 256, 256},
    {100, 8192, 4096, 256, 128}, {120, 1024, 512, 256, 4},
};

const MultiprocessorRate* rate_of(const cuda::DeviceProperties& properties) {
  const int capability = 10 * properties.major + properties.minor;
  for (const MultiprocessorRate& rate : kRates) {
    if (rate.capability == capability) return &rate;
  }
  return nullptr;
}

double operations_a_clock(const MultiprocessorRate& rate, DType dtype) {
  switch (dtype) {
    case DType::float16:
    case DType::bfloat16: return rate.half;
    case DType::float32:
      return ops::float32_precision() == kernels::Float32Precision::highest ? rate.single
                                                                            : rate.tf32;
    case DType::float64: return rate.twice;
    default: return 0;
  }
}

double gpu_flops(Device device, DType dtype) {
  const cuda::DeviceProperties properties = cuda::device_properties(device);
  const MultiprocessorRate* rate = rate_of(properties);
  if (rate == nullptr) return 0;
  return operations_a_clock(*rate, dtype) * properties.multi_processor_count *
         properties.clock_rate;
}

// The shortest of a few runs, in seconds; the first warms up.
template <class Work>
double shortest_time(const Work& work) {
  work();
  int64_t shortest = INT64_MAX;
  for (int i = 0; i < 3; ++i) {
    const int64_t start = clock_now();
    work();
    shortest = std::min(shortest, clock_now() - start);
  }
  return 1e-9 * static_cast<double>(std::max<int64_t>(1, shortest));
}

constexpr int64_t kSide = 1024;
constexpr int64_t kCopied = int64_t{64} << 20;

double measured_flops(DType dtype) {
  const NoGradGuard no_grad;
  const Tensor a = ones({kSide, kSide}, TensorOptions(dtype));
  const double seconds = shortest_time([&] { matmul(a, a); });
  return 2.0 * kSide * kSide * kSide / seconds;
}

double measured_bandwidth() {
  const NoGradGuard no_grad;
  const Tensor source = zeros({kCopied}, TensorOptions(kUInt8));
  const Tensor target = empty({kCopied}, TensorOptions(kUInt8));
  return 2.0 * kCopied / shortest_time([&] { copy_(target, source); });
}

// What the CPU was measured to do, each once.
class CpuPeaks {
 public:
  double flops(DType dtype) {
    if (!is_floating_point(dtype)) return 0;
    const std::lock_guard lock(mutex_);
    double& rate = flops_[dtype];
    if (rate == 0) rate = measured_flops(dtype);
    return rate;
  }
  double bandwidth() {
    const std::lock_guard lock(mutex_);
    if (bandwidth_ == 0) bandwidth_ = measured_bandwidth();
    return bandwidth_;
  }

 private:
  std::mutex mutex_;
  std::map<DType, double> flops_;
  double bandwidth_ = 0;
};

CpuPeaks& cpu_peaks() {
  static CpuPeaks peaks;
  return peaks;
}

}  // namespace

double peak_flops(Device device, DType dtype) {
  return device.is_cpu() ? cpu_peaks().flops(dtype) : gpu_flops(device, dtype);
}

double peak_bandwidth(Device device) {
  return device.is_cpu() ? cpu_peaks().bandwidth()
                         : cuda::device_properties(device).memory_bandwidth;
}

std::string peak_source(Device device) {
  if (device.is_cpu()) {
    return concat("cpu: measured with ", get_num_threads(), " threads: a product of ", kSide, " x ",
                  kSide, " matrices in the op's dtype, and a copy of ", kCopied >> 20, " MiB");
  }
  const cuda::DeviceProperties properties = cuda::device_properties(device);
  const std::string chip =
      concat(device, " (", properties.name, "): ", properties.multi_processor_count,
             " multiprocessors at ", properties.clock_rate / 1e6, " MHz");
  if (rate_of(properties) == nullptr) {
    return concat(chip, ", compute capability ", properties.major, ".", properties.minor,
                  ", of which no rate is known");
  }
  return concat(chip, ": ", gpu_flops(device, kBFloat16) / 1e12, " TFLOP/s in bfloat16, ",
                gpu_flops(device, kFloat32) / 1e12, " in float32; memory ",
                properties.memory_bandwidth / 1e9, " GB/s by its clock and width");
}

}  // namespace taut::profiler
