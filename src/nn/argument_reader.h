#pragma once
// Reads the named arguments of a forward.

#include <cstddef>
#include <string>
#include <string_view>

#include "taut/nn/module.h"

namespace taut::nn {

class ArgumentReader {
 public:
  ArgumentReader(const Module& module, const NamedArguments& named)
      : module_(module), named_(named) {}

  /// Undefined when it was not given.
  Tensor tensor(std::string_view name) const {
    const NamedArgument* found = find(name);
    if (found == nullptr) return {};
    TAUT_CHECK(!found->flag, ValueError, module_.name(), ": ", name,
               " must be a tensor; got a flag");
    return found->tensor;
  }
  bool flag(std::string_view name, bool otherwise = false) const {
    const NamedArgument* found = find(name);
    if (found == nullptr) return otherwise;
    TAUT_CHECK(found->flag, ValueError, module_.name(), ": ", name,
               " must be a flag; got a tensor");
    return *found->flag;
  }
  /// @throws ValueError for another number of inputs.
  void check_inputs(TensorList inputs, size_t expected) const {
    TAUT_CHECK(inputs.size() == expected, ValueError, module_.name(), ": expected ", expected,
               expected == 1 ? " tensor" : " tensors", " before the named arguments; got ",
               inputs.size());
  }
  /// @throws ValueError for an argument that nobody asked for.
  void check_all() const {
    if (found_ == named_.size()) return;
    std::string names;
    for (const NamedArgument& argument : named_) names += concat(" ", argument.name);
    TAUT_CHECK(false, ValueError, module_.name(), ": forward does not take all of the arguments",
               names);
  }

 private:
  const NamedArgument* find(std::string_view name) const {
    for (const NamedArgument& argument : named_) {
      if (name != argument.name) continue;
      ++found_;
      return &argument;
    }
    return nullptr;
  }

  const Module& module_;
  const NamedArguments& named_;
  mutable size_t found_ = 0;
};

}  // namespace taut::nn
