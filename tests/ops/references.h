#pragma once
// What elementwise functions are, in double, written without Taut: one row for each name in
// include/taut/ops/lists/. tests/lint/op_completeness.py fails for a name without a row.

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <string>

namespace taut::testing {

using UnaryReference = double (*)(double);
using BinaryReference = double (*)(double, double);

inline constexpr double kPi = 3.14159265358979323846;

inline double sigmoid_reference(double x) { return 1 / (1 + std::exp(-x)); }
inline double softplus_reference(double x) {
  return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x)));
}

/// The inverse of erf by bisection.
inline double erfinv_reference(double y) {
  if (std::abs(y) == 1) return y * std::numeric_limits<double>::infinity();
  if (!(std::abs(y) < 1)) return std::numeric_limits<double>::quiet_NaN();
  double low = -7, high = 7;
  for (int i = 0; i < 200; ++i) {
    const double middle = (low + high) / 2;
    (std::erf(middle) < y ? low : high) = middle;
  }
  return (low + high) / 2;
}

/// The derivative of lgamma by a five-point difference.
inline double digamma_reference(double x) {
  const double h = 1e-3;
  return (std::lgamma(x - 2 * h) - 8 * std::lgamma(x - h) + 8 * std::lgamma(x + h) -
          std::lgamma(x + 2 * h)) /
         (12 * h);
}

inline const std::map<std::string, UnaryReference>& unary_references() {
  static const std::map<std::string, UnaryReference> rows = {
      {"abs", [](double x) { return std::fabs(x); }},
      {"neg", [](double x) { return -x; }},
      {"square", [](double x) { return x * x; }},
      {"sgn", [](double x) { return x > 0   ? 1.0
                                    : x < 0 ? -1.0
                                            : 0.0; }},
      {"sign", [](double x) { return x > 0   ? 1.0
                                     : x < 0 ? -1.0
                                             : 0.0; }},
      {"reciprocal", [](double x) { return 1 / x; }},
      {"sqrt", [](double x) { return std::sqrt(x); }},
      {"rsqrt", [](double x) { return 1 / std::sqrt(x); }},
      {"deg2rad", [](double x) { return x * kPi / 180; }},
      {"rad2deg", [](double x) { return x * 180 / kPi; }},
      {"exp", [](double x) { return std::exp(x); }},
      {"exp2", [](double x) { return std::exp2(x); }},
      {"expm1", [](double x) { return std::expm1(x); }},
      {"log", [](double x) { return std::log(x); }},
      {"log10", [](double x) { return std::log10(x); }},
      {"log1p", [](double x) { return std::log1p(x); }},
      {"log2", [](double x) { return std::log2(x); }},
      {"sigmoid", sigmoid_reference},
      {"sin", [](double x) { return std::sin(x); }},
      {"cos", [](double x) { return std::cos(x); }},
      {"tan", [](double x) { return std::tan(x); }},
      {"asin", [](double x) { return std::asin(x); }},
      {"acos", [](double x) { return std::acos(x); }},
      {"atan", [](double x) { return std::atan(x); }},
      {"sinh", [](double x) { return std::sinh(x); }},
      {"cosh", [](double x) { return std::cosh(x); }},
      {"tanh", [](double x) { return std::tanh(x); }},
      {"asinh", [](double x) { return std::asinh(x); }},
      {"acosh", [](double x) { return std::acosh(x); }},
      {"atanh", [](double x) { return std::atanh(x); }},
      {"sinc", [](double x) { return x == 0 ? 1.0 : std::sin(kPi * x) / (kPi * x); }},
      {"erf", [](double x) { return std::erf(x); }},
      {"erfc", [](double x) { return std::erfc(x); }},
      {"erfinv", erfinv_reference},
      {"lgamma", [](double x) { return std::lgamma(x); }},
      {"digamma", digamma_reference},
      {"floor", [](double x) { return std::floor(x); }},
      {"ceil", [](double x) { return std::ceil(x); }},
      {"trunc", [](double x) { return std::trunc(x); }},
      {"frac", [](double x) { return x - std::trunc(x); }},
      {"relu", [](double x) { return std::isnan(x) ? x : std::max(x, 0.0); }},
      {"relu6", [](double x) { return std::isnan(x) ? x : std::min(std::max(x, 0.0), 6.0); }},
      {"selu",
       [](double x) {
         return 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * std::expm1(x));
       }},
      {"silu", [](double x) { return x * sigmoid_reference(x); }},
      {"mish", [](double x) { return x * std::tanh(softplus_reference(x)); }},
      {"hardsigmoid",
       [](double x) { return std::isnan(x) ? x : std::clamp(x / 6 + 0.5, 0.0, 1.0); }},
      {"hardswish",
       [](double x) { return x * (std::isnan(x) ? x : std::clamp(x + 3, 0.0, 6.0)) / 6; }},
      {"logsigmoid", [](double x) { return -softplus_reference(-x); }},
      {"softsign", [](double x) { return x / (1 + std::abs(x)); }},
      {"tanhshrink", [](double x) { return x - std::tanh(x); }},
      {"isnan", [](double x) { return std::isnan(x) ? 1.0 : 0.0; }},
      {"isinf", [](double x) { return std::isinf(x) ? 1.0 : 0.0; }},
      {"isfinite", [](double x) { return std::isfinite(x) ? 1.0 : 0.0; }},
      {"isposinf", [](double x) { return std::isinf(x) && x > 0 ? 1.0 : 0.0; }},
      {"isneginf", [](double x) { return std::isinf(x) && x < 0 ? 1.0 : 0.0; }},
      {"signbit", [](double x) { return std::signbit(x) ? 1.0 : 0.0; }},
      {"logical_not", [](double x) { return x == 0 ? 1.0 : 0.0; }},
  };
  return rows;
}

inline int64_t whole(double x) { return static_cast<int64_t>(x); }

inline const std::map<std::string, BinaryReference>& binary_references() {
  static const std::map<std::string, BinaryReference> rows = {
      {"mul", [](double a, double b) { return a * b; }},
      {"maximum",
       [](double a, double b) { return std::isnan(a) || std::isnan(b) ? NAN : std::max(a, b); }},
      {"minimum",
       [](double a, double b) { return std::isnan(a) || std::isnan(b) ? NAN : std::min(a, b); }},
      {"fmax", [](double a, double b) { return std::fmax(a, b); }},
      {"fmin", [](double a, double b) { return std::fmin(a, b); }},
      {"fmod", [](double a, double b) { return std::fmod(a, b); }},
      {"remainder", [](double a, double b) { return a - b * std::floor(a / b); }},
      {"floor_divide", [](double a, double b) { return std::floor(a / b); }},
      {"true_divide", [](double a, double b) { return a / b; }},
      {"pow", [](double a, double b) { return std::pow(a, b); }},
      {"xlogy",
       [](double a, double b) { return a == 0 && !std::isnan(b) ? 0.0 : a * std::log(b); }},
      {"logaddexp", [](double a, double b) { return std::log(std::exp(a) + std::exp(b)); }},
      {"logaddexp2", [](double a, double b) { return std::log2(std::exp2(a) + std::exp2(b)); }},
      {"atan2", [](double a, double b) { return std::atan2(a, b); }},
      {"hypot", [](double a, double b) { return std::hypot(a, b); }},
      {"copysign", [](double a, double b) { return std::copysign(a, b); }},
      {"heaviside", [](double a, double b) { return a == 0  ? b
                                                    : a > 0 ? 1.0
                                                            : 0.0; }},
      {"bitwise_and", [](double a, double b) { return static_cast<double>(whole(a) & whole(b)); }},
      {"bitwise_or", [](double a, double b) { return static_cast<double>(whole(a) | whole(b)); }},
      {"bitwise_xor", [](double a, double b) { return static_cast<double>(whole(a) ^ whole(b)); }},
      {"bitwise_left_shift", [](double a, double b) { return a * std::exp2(b); }},
      {"bitwise_right_shift", [](double a, double b) { return std::floor(a / std::exp2(b)); }},
      {"gcd", [](double a, double b) { return static_cast<double>(std::gcd(whole(a), whole(b))); }},
      {"lcm", [](double a, double b) { return static_cast<double>(std::lcm(whole(a), whole(b))); }},
      {"eq", [](double a, double b) { return a == b ? 1.0 : 0.0; }},
      {"ne", [](double a, double b) { return a != b ? 1.0 : 0.0; }},
      {"lt", [](double a, double b) { return a < b ? 1.0 : 0.0; }},
      {"le", [](double a, double b) { return a <= b ? 1.0 : 0.0; }},
      {"gt", [](double a, double b) { return a > b ? 1.0 : 0.0; }},
      {"ge", [](double a, double b) { return a >= b ? 1.0 : 0.0; }},
      {"logical_and", [](double a, double b) { return a != 0 && b != 0 ? 1.0 : 0.0; }},
      {"logical_or", [](double a, double b) { return a != 0 || b != 0 ? 1.0 : 0.0; }},
      {"logical_xor", [](double a, double b) { return (a != 0) != (b != 0) ? 1.0 : 0.0; }},
  };
  return rows;
}

}  // namespace taut::testing
