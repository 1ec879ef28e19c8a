#pragma once
// What saving a tensor asks about recomputation; see Note [Recomputation].

#include <atomic>

#include "taut/base/callback.h"
#include "taut/core/tensor.h"

namespace taut::autograd {

/// Whether any result was ever marked: read for each saved tensor.
extern std::atomic<bool> has_remade_tensors;

/// recompute_when_saved() with any way to make the output again, in the same layout.
void remake_when_saved(const Tensor& output, Callback<Tensor()> remake);

/// What gives the tensor again; null for one that is to be kept itself.
Callback<Tensor()> way_to_remake(const Tensor& tensor);

}  // namespace taut::autograd
