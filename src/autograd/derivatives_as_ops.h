#pragma once
// For tracers of gradients: while a walk is recorded (create_graph), the derivative of an
// elementwise op is one op of its own, the functor's, and not the ops that it is made of. Second
// derivatives of what such a walk returns are not right.

#include "taut/base/macros.h"

namespace taut::autograd {

class TAUT_API DerivativesAsOps {
 public:
  DerivativesAsOps();
  DerivativesAsOps(const DerivativesAsOps&) = delete;
  DerivativesAsOps& operator=(const DerivativesAsOps&) = delete;
  ~DerivativesAsOps();

  /// On this thread.
  static bool is_on();

 private:
  bool previous_;
};

}  // namespace taut::autograd
