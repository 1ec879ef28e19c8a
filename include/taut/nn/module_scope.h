#pragma once
// The call of a module as a profiler sees it.

#include <optional>

#include "taut/base/trace.h"

namespace taut::nn {

class Module;

/// A scope of kind module from here to the end of the block. Its name is the path of the module
/// from the outermost one that is being called, which goes by the name of its class:
/// "Gpt2.blocks.0.norm". While nobody watches it costs one branch.
class TAUT_API ModuleScope {
 public:
  explicit ModuleScope(const Module& module) {
    if (TAUT_UNLIKELY(is_traced())) open(module);
  }
  ModuleScope(const ModuleScope&) = delete;
  ModuleScope& operator=(const ModuleScope&) = delete;
  ~ModuleScope() {
    if (TAUT_UNLIKELY(scope_.has_value())) close();
  }

 private:
  void open(const Module& module);
  void close();

  std::optional<TraceScope> scope_;
};

}  // namespace taut::nn
