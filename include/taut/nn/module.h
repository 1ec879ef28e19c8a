#pragma once
// Module: a computation with parameters, buffers and modules inside it.
//
//   struct Net : nn::Module {
//     std::shared_ptr<nn::Linear> hidden = register_module<nn::Linear>("hidden", 784, 128);
//     std::shared_ptr<nn::Linear> out = register_module<nn::Linear>("out", 128, 10);
//     Tensor forward(const Tensor& x) override { return (*out)(relu((*hidden)(x))); }
//   };
//   Net net;  Tensor y = net(x);
//
// A module owns its children and knows nothing of its parents, so that ownership has no cycles.
// Modules may be moved, not copied.

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <typeinfo>
#include <utility>
#include <vector>

#include "taut/autograd/hooks.h"
#include "taut/base/callback.h"
#include "taut/core/state_dict.h"
#include "taut/core/tensor.h"

namespace taut::nn {

class Module;

using NamedTensors = std::vector<std::pair<std::string, Tensor>>;
using NamedModules = std::vector<std::pair<std::string, std::shared_ptr<Module>>>;

/// Sees the inputs before forward; what it returns, if anything, takes their place.
using ForwardPreHook = Callback<std::optional<Tensors>(Module& module, TensorList inputs)>;
/// Sees inputs and outputs after forward; what it returns, if anything, takes the outputs' place.
using ForwardHook =
    Callback<std::optional<Tensors>(Module& module, TensorList inputs, TensorList outputs)>;

/// Stands around forward: returns the outputs for `inputs`, for which it calls proceed.
using Proceed = Callback<Tensors(TensorList inputs)>;
using ForwardWrapper = Callback<Tensors(Module& module, TensorList inputs, const Proceed& proceed)>;

/// An argument that a forward may take beside its inputs, such as a mask: a tensor, which may be
/// undefined, or a flag.
struct NamedArgument {
  const char* name;
  Tensor tensor;
  std::optional<bool> flag;

  NamedArgument(const char* name_in, const Tensor& tensor_in) : name(name_in), tensor(tensor_in) {}
  NamedArgument(const char* name_in, bool flag_in) : name(name_in), flag(flag_in) {}
};
using NamedArguments = std::vector<NamedArgument>;

/// What load_state_dict(strict = false) left out.
struct LoadReport {
  std::vector<std::string> missing_keys;
  std::vector<std::string> unexpected_keys;
};

class TAUT_API Module : public std::enable_shared_from_this<Module> {
 public:
  Module();
  Module(Module&& other) noexcept;
  Module& operator=(Module&&) = delete;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;
  virtual ~Module();

  // The computation ----------------------------------------------------------------------------
  /// The computation of a module with one input and one output. @throws NotImplementedError unless
  /// a subclass defines it.
  virtual Tensor forward(const Tensor& input);
  /// The computation for any number of inputs and outputs. Unless a subclass defines it, it takes
  /// one input and returns {forward(input)}.
  virtual Tensors forward_many(TensorList inputs);
  /// The computation with named arguments. @throws ValueError for a flag that is set, or a tensor,
  /// unless a subclass defines it.
  virtual Tensors forward_named(TensorList inputs, const NamedArguments& named);

  /// Hooks, forward, hooks. Call a module this way, not by forward.
  Tensor operator()(const Tensor& input);
  /// The same for several inputs; the first output is returned.
  template <class... More>
    requires(sizeof...(More) > 0)
  Tensor operator()(const Tensor& first, const More&... more) {
    const Tensor inputs[] = {first, more...};
    return std::move(call(inputs).front());
  }
  /// The same for lists.
  Tensors call(TensorList inputs);
  /// The same with named arguments, which hooks do not see.
  virtual Tensors call(TensorList inputs, const NamedArguments& named);
  /// Whether hooks stand around forward, or once did.
  bool has_hooks() const { return hooks_ != nullptr; }
  /// The class whose forward a call runs: a Python class that defines none is not one of its own.
  virtual const std::type_info& forward_class() const { return typeid(*this); }

  // Parts --------------------------------------------------------------------------------------
  /// All parameters, each once, those of this module first. recurse takes in the modules inside.
  Tensors parameters(bool recurse = true) const;
  /// The same with names as in the state dict: "hidden.weight". Without remove_duplicate what is
  /// shared comes under each of its names.
  NamedTensors named_parameters(const std::string& prefix = "", bool recurse = true,
                                bool remove_duplicate = true) const;
  Tensors buffers(bool recurse = true) const;
  NamedTensors named_buffers(const std::string& prefix = "", bool recurse = true,
                             bool remove_duplicate = true) const;
  std::vector<std::shared_ptr<Module>> children() const;
  const NamedModules& named_children() const { return children_; }
  /// This module and all inside it, each once, outer before inner. A module that no shared_ptr owns
  /// (one on the stack) stands in the list without being kept alive by it.
  std::vector<std::shared_ptr<Module>> modules() const;
  NamedModules named_modules(const std::string& prefix = "", bool remove_duplicate = true) const;
  /// By dotted name, as in "layers.0.weight". @throws ValueError when there is none.
  Tensor get_parameter(std::string_view name) const;
  Tensor get_buffer(std::string_view name) const;
  std::shared_ptr<Module> get_submodule(std::string_view name) const;

  /// Makes a tensor a parameter of this name, in place of one that had it: it will require grad, be
  /// trained and be saved. An undefined tensor keeps the place of a parameter that is not there.
  /// @throws ValueError for a name that is empty, holds a dot, or belongs to another part.
  Tensor register_parameter(std::string name, Tensor tensor, bool requires_grad = true);
  /// Makes a tensor part of the module without training it; a persistent one is saved.
  Tensor register_buffer(std::string name, Tensor tensor, bool persistent = true);
  /// Adds a module, in place of one of the same name. @throws ValueError when it holds this module.
  void add_module(std::string name, std::shared_ptr<Module> module);
  template <class M>
  std::shared_ptr<M> register_module(std::string name, std::shared_ptr<M> module) {
    add_module(std::move(name), module);
    return module;
  }
  /// A module made elsewhere: register_module("fc", nn::Linear(784, 10)).
  template <class M>
    requires std::is_base_of_v<Module, M>
  std::shared_ptr<M> register_module(std::string name, M&& module) {
    return register_module(std::move(name), std::make_shared<M>(std::forward<M>(module)));
  }
  /// A module made here: register_module<nn::Linear>("fc", 784, 10).
  template <class M, class... Args>
    requires std::is_constructible_v<M, Args...>
  std::shared_ptr<M> register_module(std::string name, Args&&... args) {
    return register_module(std::move(name), std::make_shared<M>(std::forward<Args>(args)...));
  }
  /// Takes away the parameter, buffer or module of this name; whether there was one.
  bool unregister(std::string_view name);

  /// This module's own parts, for attribute look-up; null when there is none of that name.
  const Tensor* find_parameter(std::string_view name) const;
  const Tensor* find_buffer(std::string_view name) const;
  std::shared_ptr<Module> find_child(std::string_view name) const;

  // State --------------------------------------------------------------------------------------
  /// Sets training mode here and in all modules inside: it changes what dropout and batch norm do.
  virtual void train(bool mode = true);
  void eval() { train(false); }
  bool is_training() const { return training_; }
  /// Clears the gradients of all parameters, or zeroes them.
  void zero_grad(bool set_to_none = true);
  void requires_grad_(bool requires_grad = true);
  /// Calls fn with every module, inner before outer, this one last.
  void apply(const Callback<void(Module&)>& fn);
  /// Moves floating parameters and buffers to a dtype, and all of them to a device. They stay the
  /// same tensors, so that optimizers made before keep working. @throws DTypeError unless floating.
  void to(DType dtype);
  void to(Device device);
  void to(const TensorOptions& options);
  /// Lays out the parameters and buffers of 4 and 5 dims in another order, as convolutions on GPUs
  /// like it: to(MemoryFormat::channels_last).
  void to(MemoryFormat format);

  /// Parameters and persistent buffers by name. The tensors share elements with the module's.
  StateDict state_dict(const std::string& prefix = "") const;
  /// Copies the tensors into this module's. All names and shapes are checked first: after an error
  /// nothing has changed.
  /// @throws ValueError that lists missing and unexpected names (strict) and differing shapes.
  LoadReport load_state_dict(const StateDict& state, bool strict = true);

  HookHandle register_forward_pre_hook(ForwardPreHook hook);
  HookHandle register_forward_hook(ForwardHook hook);
  /// Has calls go through a function that also sees forward fail, in place of an earlier one. The
  /// hooks lie outside it.
  void wrap_forward(ForwardWrapper wrapper);

  // What it looks like -------------------------------------------------------------------------
  /// The name of the class, without namespaces.
  virtual std::string name() const;
  /// What is printed between the parentheses.
  virtual std::string extra_repr() const;
  /// The module and those inside it, as PyTorch prints them.
  virtual std::string str() const;

 protected:
  /// For a field of the subclass: what is registered is the field itself, and an assignment to the
  /// field replaces the parameter.
  void register_parameter(std::string name, Tensor& field, Tensor tensor,
                          bool requires_grad = true);
  void register_buffer(std::string name, Tensor& field, Tensor tensor, bool persistent = true);
  /// For a field of the subclass, which is the module of this name as long as that is an M: null
  /// once another class of module, or none, has taken its place. A null module leaves the place
  /// free.
  template <class M>
  void register_module(std::string name, std::shared_ptr<M>& field, std::shared_ptr<M> module) {
    const auto assign = [](void* target, const std::shared_ptr<Module>& child) {
      *static_cast<std::shared_ptr<M>*>(target) = std::dynamic_pointer_cast<M>(child);
    };
    child_fields_.push_back({name, offset_of(&field), assign});
    if (module != nullptr) add_module(std::move(name), std::move(module));
  }

 private:
  struct Part;
  struct Hooks;
  struct ChildField {
    std::string name;
    std::ptrdiff_t offset;  // from the module, which is the same after a move
    void (*assign)(void* field, const std::shared_ptr<Module>& child);
  };

  Tensor& tensor_of(Part& part);
  const Tensor& tensor_of(const Part& part) const;
  Part& place_part(std::vector<Part>& parts, const char* kind, std::string name, Tensor* field);
  void check_name(const char* kind, const void* own_list, const std::string& name) const;
  const Tensor* find_part(const std::vector<Part>& parts, std::string_view name) const;
  NamedTensors named_parts(std::vector<Part> Module::*parts, const std::string& prefix,
                           bool recurse, bool remove_duplicate) const;
  Hooks& ensure_hooks();
  Tensors run(TensorList inputs, const NamedArguments& named);
  std::ptrdiff_t offset_of(const void* field) const {
    return static_cast<const char*>(field) - reinterpret_cast<const char*>(this);
  }
  void assign_field(std::string_view name, const std::shared_ptr<Module>& child);

  std::vector<Part> parameters_;
  std::vector<Part> buffers_;
  NamedModules children_;
  std::vector<ChildField> child_fields_;
  std::shared_ptr<Hooks> hooks_;  // made at first need
  bool training_ = true;
};

}  // namespace taut::nn
