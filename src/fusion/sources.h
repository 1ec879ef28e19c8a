#pragma once
// The text that every generated kernel begins with: the functors and what they are made of.

#include <set>
#include <string>

#include "kernels/api/pointwise.h"
#include "taut/base/macros.h"

namespace taut::fusion {

/// The name of a functor's struct: "Gelu".
const char* functor_struct(kernels::Pointwise op);

/// The functors of the themes that hold `ops`, for NVRTC.
TAUT_API std::string prelude(const std::set<kernels::Pointwise>& ops);

}  // namespace taut::fusion
