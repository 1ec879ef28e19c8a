#pragma once
// Modules whose calls a module around them may replace by an op that computes the same.

#include <memory>
#include <typeinfo>

#include "taut/nn/module.h"

namespace taut::nn {

/// The module as an M, if a call of it is M::forward and no more: no hooks, and no forward of a
/// class derived from M. Null otherwise.
template <class M>
M* as_plain(const std::shared_ptr<Module>& module) {
  const bool is_plain =
      module != nullptr && !module->has_hooks() && module->forward_class() == typeid(M);
  return is_plain ? static_cast<M*>(module.get()) : nullptr;
}

/// The first output of a module that stands for one of ours. @throws ValueError without one.
inline Tensor first_output(const Module& module, const Tensors& outputs) {
  TAUT_CHECK(!outputs.empty() && outputs[0].defined(), ValueError, module.name(),
             ": expected a tensor from forward; got none");
  return outputs[0];
}

}  // namespace taut::nn
