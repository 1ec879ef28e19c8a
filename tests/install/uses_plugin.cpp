// Loads the plugin that is given and differentiates its op.
#include <taut/taut.h>

#include <cstdio>

int main(int, char** arguments) {
  taut::load_library(arguments[1]);
  const taut::CustomOp square = taut::CustomOp::find("outside::square");
  const taut::Tensor x = taut::full({1}, 3.0, taut::kFloat64).requires_grad_();
  const taut::Tensor y = square({x})[0];
  y.backward();
  std::printf("outside::square(3) = %g, derivative %g\n", y.item<double>(),
              x.grad().item<double>());
  const auto function = [&](taut::TensorList inputs) { return square(inputs); };
  taut::autograd::gradgradcheck(function, {x.detach().requires_grad_()});
  return y.item<double>() == 9 && x.grad().item<double>() == 6 ? 0 : 1;
}
