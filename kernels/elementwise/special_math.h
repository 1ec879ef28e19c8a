#pragma once
// Gamma and inverse error functions of one number, which the C++ library lacks or has not on CUDA.

#include <cstdint>

#include "kernels/api/scalar_math.h"

namespace taut::kernels {

/// Winitzki's closed form as a start, then two steps of Halley's method on erf(y) - x, which
/// squares the error twice to that of erf itself.
TAUT_HD inline double erfinv(double x) {
  if (!(x > -1 && x < 1)) {
    if (x == 1 || x == -1) return x * std::numeric_limits<double>::infinity();
    return std::numeric_limits<double>::quiet_NaN();
  }
  // sqrt(pi)/2 x (1 + pi/12 x^2 + ...); the start below would be 0.
  if (std::abs(x) < 1e-8) return x * 0.88622692545275801365;
  constexpr double kTwoOverPiA = 4.3307467508;  // 2 / (pi a), a = 0.147
  constexpr double kInverseA = 6.8027210884;
  const double logarithm = std::log1p(-x * x);
  const double half = kTwoOverPiA + 0.5 * logarithm;
  double y = std::sqrt(std::sqrt(half * half - logarithm * kInverseA) - half);
  if (x < 0) y = -y;
  for (int step = 0; step < 3; ++step) {
    // erfc keeps the digits that 1 - erf would lose near +-1, erf those near 0.
    const double error = std::abs(x) < 0.5 ? std::erf(y) - x
                         : y > 0           ? (1 - x) - std::erfc(y)
                                           : std::erfc(-y) - (1 + x);
    const double slope = 1.1283791670955125739 * std::exp(-y * y);
    const double newton = error / slope;
    y -= newton / (1 + y * newton);
  }
  return y;
}
TAUT_HD inline float erfinv(float x) { return static_cast<float>(erfinv(double{x})); }

#if defined(__CUDA_ARCH__)
TAUT_HD inline double lgamma(double x) { return ::lgamma(x); }
TAUT_HD inline float lgamma(float x) { return ::lgammaf(x); }
#else
// lgamma_r: lgamma itself writes the sign to a global.
inline double lgamma(double x) {
  int sign;
  return ::lgamma_r(x, &sign);
}
inline float lgamma(float x) {
  int sign;
  return ::lgammaf_r(x, &sign);
}
#endif

/// The recurrence up to x >= 10, then the asymptotic series (Abramowitz and Stegun, 6.3.18);
/// reflection below 0.
TAUT_HD inline double digamma(double x) {
  constexpr double kPi = 3.14159265358979323846;
  if (x == 0) return copysign(std::numeric_limits<double>::infinity(), -x);
  double result = 0;
  if (x < 0) {
    if (x == std::floor(x)) return std::numeric_limits<double>::quiet_NaN();
    // The fraction first: tan(pi x) of a large x would lose all digits.
    const double fraction = x - std::floor(x);
    result = -kPi / std::tan(kPi * fraction);
    x = 1 - x;
  }
  while (x < 10) {
    result -= 1 / x;
    x += 1;
  }
  const double w = 1 / (x * x);
  const double series =
      w * (1.0 / 12 - w * (1.0 / 120 -
                           w * (1.0 / 252 -
                                w * (1.0 / 240 - w * (1.0 / 132 - w * (691.0 / 32760 - w / 12))))));
  return result + std::log(x) - 0.5 / x - series;
}
TAUT_HD inline float digamma(float x) { return static_cast<float>(digamma(double{x})); }

/// Hurwitz's zeta(s, q) for s > 1, q > 0: the first terms one by one, the tail by Euler-Maclaurin
/// (Abramowitz and Stegun, 23.2.7 with 3.6.28).
TAUT_HD inline double hurwitz_zeta(double s, double q) {
  // B_2k / (2k)!
  constexpr double kBernoulli[] = {1.0 / 12,          -1.0 / 720,
                                   1.0 / 30240,       -1.0 / 1209600,
                                   1.0 / 47900160,    -691.0 / 1307674368000,
                                   1.0 / 74724249600, -3617.0 / 10670622842880000};
  constexpr int kDirect = 12;
  double sum = 0;
  for (int i = 0; i < kDirect; ++i) sum += std::pow(q + i, -s);
  const double x = q + kDirect;
  double power = std::pow(x, -s);
  sum += power * x / (s - 1) + 0.5 * power;
  double factor = s;  // s (s+1) ... (s+2k-2)
  power /= x;
  for (int k = 0; k < 8; ++k) {
    sum += kBernoulli[k] * factor * power;
    factor *= (s + 2 * k + 1) * (s + 2 * k + 2);
    power /= x * x;
  }
  return sum;
}

/// psi^(n)(x) = (-1)^(n+1) n! zeta(n + 1, x); below 0 through the recurrence.
TAUT_HD inline double polygamma(int64_t n, double x) {
  if (n == 0) return digamma(x);
  if (x <= 0 && x == std::floor(x)) {
    return n % 2 == 1 ? std::numeric_limits<double>::infinity()
                      : std::numeric_limits<double>::quiet_NaN();
  }
  const double order = static_cast<double>(n);
  double zeta = 0;
  while (x < 1) {
    zeta += std::pow(x, static_cast<int>(-(n + 1)));
    x += 1;
  }
  zeta += hurwitz_zeta(order + 1, x);
  const double factorial = std::exp(lgamma(order + 1));
  return (n % 2 == 1 ? 1 : -1) * factorial * zeta;
}
TAUT_HD inline float polygamma(int64_t n, float x) {
  return static_cast<float>(polygamma(n, double{x}));
}

}  // namespace taut::kernels
