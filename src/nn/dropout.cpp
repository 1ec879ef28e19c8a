#include "taut/nn/modules/dropout.h"

#include "taut/ops/random.h"

namespace taut::nn {
namespace {

void check_probability(const char* layer, double p) {
  TAUT_CHECK(p >= 0 && p <= 1, ValueError, layer, ": p must be in 0..1; got ", p);
}

}  // namespace

Dropout::Dropout(double p_in, bool inplace_in) : p(p_in), inplace(inplace_in) {
  check_probability("Dropout", p);
}
Tensor Dropout::forward(const Tensor& input) {
  return functional::dropout(input, p, is_training());
}
std::string Dropout::extra_repr() const { return concat("p=", p, ", inplace=", inplace); }

Dropout2d::Dropout2d(double p_in, bool inplace_in) : p(p_in), inplace(inplace_in) {
  check_probability("Dropout2d", p);
}
Tensor Dropout2d::forward(const Tensor& input) {
  return functional::dropout2d(input, p, is_training());
}
std::string Dropout2d::extra_repr() const { return concat("p=", p, ", inplace=", inplace); }

}  // namespace taut::nn
