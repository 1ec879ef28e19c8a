#pragma once
// The formulas of optimizer steps, for one element: see kernels/api/optim.h. An update gets an
// element of each of its lists, the parameter and the gradient first, and changes what it writes.
// One that depends on the number of the step has scalars, which scalar(which, step) gives.

#include <cmath>

#include "kernels/api/optim.h"
#include "kernels/optim/tensor_list_cuda.cuh"

namespace taut::kernels::cuda {

constexpr unsigned kParam = 1, kGrad = 2, kFirstState = 4, kSecondState = 8, kThirdState = 16;

/// Lists of Update::kUnsigned have no sign, those of Update::kDrawn are rounded at random; see Note
/// [Small state].

/// The gradient as the formulas want it: its sign, and with the coupled weight decay.
template <class A>
struct DecayedGradient {
  bool maximize;
  A decay;
  __device__ A operator()(A grad, A param) const {
    const A signed_grad = maximize ? -grad : grad;
    return decay != A(0) ? fma(decay, param, signed_grad) : signed_grad;
  }
};

template <class A>
struct SgdUpdate {
  static constexpr int kLists = 3;
  static constexpr unsigned kUnsigned = 0, kDrawn = 0;
  unsigned reads, writes;
  DecayedGradient<A> gradient;
  A lr, momentum, undamped;
  bool has_momentum, nesterov, is_first_step;

  explicit SgdUpdate(const SgdArgs& args)
      : reads(kParam | kGrad),
        writes(kParam),
        gradient{args.maximize, static_cast<A>(args.weight_decay)},
        lr(static_cast<A>(args.lr)),
        momentum(static_cast<A>(args.momentum)),
        undamped(static_cast<A>(1.0 - args.dampening)),
        has_momentum(args.momentum != 0.0),
        nesterov(args.nesterov),
        is_first_step(args.is_first_step) {
    if (!has_momentum) return;
    writes |= kFirstState;
    if (!is_first_step) reads |= kFirstState;
  }
  __device__ void operator()(A (&x)[kLists], const A*) const {
    const A grad = gradient(x[1], x[0]);
    A step = grad;
    if (has_momentum) {
      if (!is_first_step) step = fma(undamped, grad, momentum * x[2]);
      x[2] = step;
      if (nesterov) step = fma(momentum, step, grad);
    }
    x[0] = fma(-lr, step, x[0]);
  }
};

template <class A>
struct AdamUpdate {
  static constexpr int kLists = 5;
  static constexpr unsigned kUnsigned = kSecondState | kThirdState, kDrawn = kSecondState;
  unsigned reads, writes;
  DecayedGradient<A> gradient;
  double given_lr, given_beta1, given_beta2;
  A shrink, rate1, beta2, rate2, eps;
  bool shrinks, amsgrad;

  explicit AdamUpdate(const AdamArgs& args)
      : reads(kParam | kGrad | kFirstState | kSecondState),
        writes(kParam | kFirstState | kSecondState),
        gradient{args.maximize, static_cast<A>(args.decoupled ? 0.0 : args.weight_decay)},
        given_lr(args.lr),
        given_beta1(args.beta1),
        given_beta2(args.beta2),
        shrink(static_cast<A>(1.0 - args.lr * args.weight_decay)),
        rate1(static_cast<A>(1.0 - args.beta1)),
        beta2(static_cast<A>(args.beta2)),
        rate2(static_cast<A>(1.0 - args.beta2)),
        eps(static_cast<A>(args.eps)),
        shrinks(args.decoupled && args.weight_decay != 0.0),
        amsgrad(args.amsgrad) {
    if (!amsgrad) return;
    reads |= kThirdState;
    writes |= kThirdState;
  }
  // The step size and the root of the second bias correction.
  __host__ __device__ double scalar(int which, double t) const {
    return which == 0 ? given_lr / (1.0 - pow(given_beta1, t)) : sqrt(1.0 - pow(given_beta2, t));
  }
  __device__ void operator()(A (&x)[kLists], const A* scalars) const {
    const A param = shrinks ? x[0] * shrink : x[0];
    const A grad = gradient(x[1], param);
    x[2] = fma(rate1, grad - x[2], x[2]);
    x[3] = fma(rate2 * grad, grad, beta2 * x[3]);
    A square = x[3];
    if (amsgrad) {
      // A NaN that is new must show, one that is old stays.
      square = x[4] > square || x[4] != x[4] ? x[4] : square;
      x[4] = square;
    }
    const A divisor = sqrt(square) / scalars[1] + eps;
    x[0] = fma(-scalars[0], x[2] / divisor, param);
  }
};

template <class A>
struct RmspropUpdate {
  static constexpr int kLists = 5;
  unsigned reads, writes;
  DecayedGradient<A> gradient;
  A alpha, rate, eps, momentum, lr;
  bool centered, has_momentum;

  explicit RmspropUpdate(const RmspropArgs& args)
      : reads(kParam | kGrad | kFirstState),
        writes(kParam | kFirstState),
        gradient{args.maximize, static_cast<A>(args.weight_decay)},
        alpha(static_cast<A>(args.alpha)),
        rate(static_cast<A>(1.0 - args.alpha)),
        eps(static_cast<A>(args.eps)),
        momentum(static_cast<A>(args.momentum)),
        lr(static_cast<A>(args.lr)),
        centered(args.centered),
        has_momentum(args.momentum > 0.0) {
    const unsigned more = (centered ? kSecondState : 0u) | (has_momentum ? kThirdState : 0u);
    reads |= more;
    writes |= more;
  }
  __device__ void operator()(A (&x)[kLists], const A*) const {
    const A grad = gradient(x[1], x[0]);
    A square = fma(rate * grad, grad, alpha * x[2]);
    x[2] = square;
    if (centered) {
      x[3] = fma(rate, grad - x[3], x[3]);
      square = fma(-x[3], x[3], square);
    }
    A step = grad / (sqrt(square) + eps);
    if (has_momentum) {
      step = fma(momentum, x[4], step);
      x[4] = step;
    }
    x[0] = fma(-lr, step, x[0]);
  }
};

template <class A>
struct AdagradUpdate {
  static constexpr int kLists = 3;
  unsigned reads = kParam | kGrad | kFirstState, writes = kParam | kFirstState;
  DecayedGradient<A> gradient;
  double lr, lr_decay;
  A eps;

  explicit AdagradUpdate(const AdagradArgs& args)
      : gradient{args.maximize, static_cast<A>(args.weight_decay)},
        lr(args.lr),
        lr_decay(args.lr_decay),
        eps(static_cast<A>(args.eps)) {}
  // The decayed learning rate.
  __host__ __device__ double scalar(int, double t) const {
    return lr / (1.0 + (t - 1.0) * lr_decay);
  }
  __device__ void operator()(A (&x)[kLists], const A* scalars) const {
    const A grad = gradient(x[1], x[0]);
    x[2] = fma(grad, grad, x[2]);
    x[0] = fma(-scalars[0], grad / (sqrt(x[2]) + eps), x[0]);
  }
};

/// x *= factor; tells of elements that were not finite.
template <class A>
struct ScaleUpdate {
  static constexpr int kLists = 1;
  unsigned reads = kParam, writes = kParam;
  double factor;
  const float* factor_pointer;
  float* non_finite;

  explicit ScaleUpdate(const ScaleListArgs& args)
      : factor(args.factor), factor_pointer(args.factor_pointer), non_finite(args.non_finite) {
    if (factor == 1.0 && factor_pointer == nullptr) writes = 0;
  }
  __device__ void operator()(A (&x)[kLists], const A*) const {
    // x - x is 0 for finite x alone.
    if (non_finite != nullptr && !(x[0] - x[0] == A(0))) *non_finite = 1.0f;
    const double given = factor_pointer == nullptr ? 1.0 : static_cast<double>(*factor_pointer);
    x[0] *= static_cast<A>(factor * given);
  }
};

}  // namespace taut::kernels::cuda
