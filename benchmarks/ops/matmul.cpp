// Matrix products by turns with a bare call of OpenBLAS on the same memory.

#include <cblas.h>
#include <omp.h>
#include <taut/taut.h>

#include <chrono>

#include "benchmarks/ops/alternate.h"

namespace {

using taut::Tensor;

// The threads of OpenBLAS's own pool watch for work for 2^28 cycles: 128 ms at 2.1 GHz.
constexpr std::chrono::milliseconds kPause(150);

void square(benchmark::State& state) {
  const int64_t n = state.range(0);
  const int threads = static_cast<int>(state.range(1));
  taut::set_num_threads(threads);
  // One build of OpenBLAS asks OpenMP, the other has threads of its own.
  omp_set_num_threads(threads);
  openblas_set_num_threads(threads);
  const Tensor a = taut::rand({n, n}), b = taut::rand({n, n}), c = taut::empty({n, n});
  const int size = static_cast<int>(n);
  const double operations =
      2.0 * static_cast<double>(n) * static_cast<double>(n) * static_cast<double>(n);
  taut::bench::alternate(
      state, operations, "GFLOP/s", [&] { benchmark::DoNotOptimize(taut::matmul(a, b)); },
      [&] {
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, size, size, size, 1.0f,
                    a.data_ptr<float>(), size, b.data_ptr<float>(), size, 0.0f, c.data_ptr<float>(),
                    size);
        benchmark::ClobberMemory();
      },
      kPause);
}
BENCHMARK(square)
    ->ArgsProduct({{64, 256, 1024, 2048}, {1, 2}})
    ->UseManualTime()
    ->Iterations(15)
    ->Unit(benchmark::kMicrosecond);

}  // namespace
