#pragma once
// ActivationArg: what stands between two linear layers, as activation="gelu" or activation=F::silu.

#include <concepts>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "taut/base/callback.h"
#include "taut/nn/module.h"

namespace taut::nn {

/// A name ("relu", "gelu", or "gelu_tanh" for the approximation), a function of a tensor, or a
/// module, which becomes a part of the layer that is given it.
class TAUT_API ActivationArg {
 public:
  using Function = Callback<Tensor(const Tensor&)>;

  /// @throws ValueError for any other name.
  ActivationArg(std::string name);
  ActivationArg(const char* name) : ActivationArg(std::string(name)) {}
  template <class F>
    requires std::is_invocable_r_v<Tensor, std::decay_t<F>&, const Tensor&>
  ActivationArg(F&& function) : function_(std::forward<F>(function)) {
    check_given();
  }
  template <std::derived_from<Module> M>
  ActivationArg(std::shared_ptr<M> module) : module_(std::move(module)) {
    check_given();
  }

  /// One of the three is there.
  const std::string& name() const { return name_; }
  const Function& function() const { return function_; }
  const std::shared_ptr<Module>& module() const { return module_; }

  /// What a name or a function gives.
  Tensor operator()(const Tensor& input, bool recompute) const;

 private:
  void check_given() const;

  std::string name_;
  Function function_;
  std::shared_ptr<Module> module_;
};

}  // namespace taut::nn
