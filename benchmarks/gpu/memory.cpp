// The speed of large ops on the GPU, in bytes moved each second, beside a copy of the same memory.

#include <cstdio>

#include "benchmarks/gpu/rate.h"
#include "taut/taut.h"

namespace {

using taut::Tensor;
namespace F = taut::nn::functional;

double copy_rate = 0;

void report(const std::string& name, double bytes, const std::function<void()>& run) {
  const double rate = bytes / seconds_of(run, 30) / 1e9;
  std::printf("%-44s %8.1f GB/s %6.2f of a copy\n", name.c_str(), rate, rate / copy_rate);
}

double bytes_of(const Tensor& tensor) { return static_cast<double>(tensor.nbytes()); }

void run_elementwise() {
  const auto options = taut::TensorOptions(taut::kFloat32).device(taut::kCUDA);
  const Tensor x = taut::rand({int64_t{1} << 28}, options);
  const Tensor y = taut::rand({int64_t{1} << 28}, options);
  const double bytes = bytes_of(x);
  copy_rate = 2 * bytes / seconds_of([&] { x.clone(); }, 30) / 1e9;
  report("copy, 1 GiB", 2 * bytes, [&] { x.clone(); });
  report("fill", bytes, [&] { x.fill_(0.5); });
  report("add", 3 * bytes, [&] { x.add(y); });
  report("add a number", 2 * bytes, [&] { x.add(1.5); });
  report("exp", 2 * bytes, [&] { taut::exp(x); });
  report("log1p", 2 * bytes, [&] { taut::log1p(x); });
  report("sigmoid", 2 * bytes, [&] { taut::sigmoid(x); });
  report("gelu", 2 * bytes, [&] { F::gelu(x); });
  report("sum of all", bytes, [&] { x.sum(); });
  report("max of all", bytes, [&] { x.max(); });
  const Tensor matrix = x.view({16384, 16384});
  report("sum of rows", bytes, [&] { matrix.sum(taut::Dims{1}); });
  report("sum of columns", bytes, [&] { matrix.sum(taut::Dims{0}); });
  report("add a row", 2 * bytes, [&] { matrix.add(y.slice(0, 0, 16384)); });
  report("transposed copy", 2 * bytes, [&] { matrix.t().contiguous(); });
  report("to bfloat16", 1.5 * bytes, [&] { x.to(taut::kBFloat16); });
  const Tensor half = x.to(taut::kBFloat16);
  report("add, bfloat16", 3 * bytes_of(half), [&] { half.add(half); });
  report("gelu, bfloat16", 2 * bytes_of(half), [&] { F::gelu(half); });
  report("cumsum of rows", 2 * bytes, [&] { matrix.cumsum(1); });
}

void run_rows() {
  for (const taut::DType dtype : {taut::kBFloat16, taut::kFloat32}) {
    const Tensor x = taut::randn({16384, 4096}, taut::TensorOptions(dtype).device(taut::kCUDA));
    const Tensor w = taut::ones({4096}, x.options());
    const Tensor b = taut::zeros({4096}, x.options());
    const double bytes = bytes_of(x);
    const char* suffix = dtype == taut::kBFloat16 ? "bfloat16" : "float32";
    const auto name = [&](const char* op) { return taut::concat(op, ", 16384 x 4096, ", suffix); };
    report(name("softmax"), 2 * bytes, [&] { taut::softmax(x, -1); });
    report(name("log_softmax"), 2 * bytes, [&] { taut::log_softmax(x, -1); });
    report(name("layer_norm"), 2 * bytes, [&] { F::layer_norm(x, {4096}, w, b); });
    report(name("rms_norm"), 2 * bytes, [&] { F::rms_norm(x, {4096}, w); });
    report(name("sum of rows"), bytes, [&] { x.sum(taut::Dims{1}); });
    const Tensor leaf = x.clone().requires_grad_();
    const Tensor weight = w.clone().requires_grad_();
    const Tensor bias = b.clone().requires_grad_();
    const Tensor inputs[] = {leaf, weight, bias};
    const taut::TensorList x_list(&x, 1);
    const Tensor y = F::layer_norm(leaf, {4096}, weight, bias);
    report(name("layer_norm backward"), 3 * bytes,
           [&] { taut::autograd::grad(taut::TensorList(&y, 1), inputs, x_list, true); });
    const Tensor s = taut::softmax(leaf, -1);
    report(name("softmax backward"), 3 * bytes, [&] {
      taut::autograd::grad(taut::TensorList(&s, 1), taut::TensorList(inputs, 1), x_list, true);
    });
  }
}

// GPT-2's 124 million parameters in 148 tensors.
void run_adamw() {
  taut::Tensors params;
  const auto add = [&](const taut::Dims& shape) {
    const Tensor tensor = taut::randn(shape, taut::TensorOptions(taut::kCUDA)).requires_grad_();
    tensor.set_grad(taut::randn(shape, taut::TensorOptions(taut::kCUDA)));
    params.push_back(tensor);
  };
  add({50257, 768});
  add({1024, 768});
  for (int layer = 0; layer < 12; ++layer) {
    for (const taut::Dims& shape :
         {taut::Dims{768}, taut::Dims{768}, taut::Dims{2304, 768}, taut::Dims{2304},
          taut::Dims{768, 768}, taut::Dims{768}, taut::Dims{768}, taut::Dims{768},
          taut::Dims{3072, 768}, taut::Dims{3072}, taut::Dims{768, 3072}, taut::Dims{768}}) {
      add(shape);
    }
  }
  add({768});
  add({768});
  double bytes = 0;
  for (const Tensor& param : params) bytes += bytes_of(param);
  const std::string name = taut::concat("AdamW, ", params.size(), " tensors");
  taut::optim::AdamW optimizer(params, {.lr = 1e-4});
  // Reads parameter, gradient and two moments; writes all but the gradient.
  report(name, 7 * bytes, [&] { optimizer.step(); });
}

}  // namespace

int main() {
  if (!taut::cuda::is_available()) {
    std::puts("no GPU");
    return 0;
  }
  std::printf("%s\n", taut::cuda::device_properties().name.c_str());
  run_elementwise();
  run_rows();
  run_adamw();
  return 0;
}
