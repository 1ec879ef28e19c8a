#pragma once
// Modules that hold modules or parameters.
//   nn::Sequential model(nn::Linear(784, 128), nn::ReLU(), nn::Linear(128, 10));

#include "taut/nn/module.h"

namespace taut::nn {

namespace detail {

template <class M>
  requires std::is_base_of_v<Module, M>
std::shared_ptr<Module> own(M&& module) {
  return std::make_shared<M>(std::forward<M>(module));
}
inline std::shared_ptr<Module> own(std::shared_ptr<Module> module) { return module; }
template <class M>
concept Ownable = requires(M&& module) { own(std::forward<M>(module)); };

}  // namespace detail

/// One module after the other, named "0", "1" and so on unless they bring names.
class TAUT_API Sequential : public Module {
 public:
  Sequential() = default;
  /// Modules made in place, or shared pointers to modules.
  template <detail::Ownable... Modules>
    requires(sizeof...(Modules) > 0)
  explicit Sequential(Modules&&... modules) {
    (push_back(std::forward<Modules>(modules)), ...);
  }
  explicit Sequential(NamedModules modules);

  Tensor forward(const Tensor& input) override;
  /// Hands all inputs to the first module, and all outputs of each to the next.
  Tensors forward_many(TensorList inputs) override;

  template <detail::Ownable M>
  void push_back(M&& module) {
    append(detail::own(std::forward<M>(module)));
  }
  template <detail::Ownable M>
  void push_back(std::string name, M&& module) {
    add_module(std::move(name), detail::own(std::forward<M>(module)));
  }
  void append(std::shared_ptr<Module> module);
  size_t size() const { return named_children().size(); }
  /// Counts from the end when negative. @throws IndexError out of range.
  std::shared_ptr<Module> at(int64_t index) const;
  std::shared_ptr<Module> operator[](int64_t index) const { return at(index); }
};

/// Modules by position; the subclass that holds it says what to compute with them.
class TAUT_API ModuleList : public Module {
 public:
  ModuleList() = default;
  explicit ModuleList(std::vector<std::shared_ptr<Module>> modules);

  template <detail::Ownable M>
  void push_back(M&& module) {
    append(detail::own(std::forward<M>(module)));
  }
  void append(std::shared_ptr<Module> module);
  void extend(const std::vector<std::shared_ptr<Module>>& modules);
  /// Before the position `index`.
  void insert(int64_t index, std::shared_ptr<Module> module);
  size_t size() const { return named_children().size(); }
  std::shared_ptr<Module> at(int64_t index) const;
  std::shared_ptr<Module> operator[](int64_t index) const { return at(index); }
  /// The module at a position, as what it is. @throws ValueError when it is something else.
  template <class M>
  M& get(int64_t index) const {
    M* module = dynamic_cast<M*>(at(index).get());
    TAUT_CHECK(module != nullptr, ValueError, "ModuleList: module ", index, " is a ",
               at(index)->name());
    return *module;
  }
  /// Runs of modules that print the same are printed once, with their number.
  std::string str() const override;
};

/// Modules by name, in the order in which they came.
class TAUT_API ModuleDict : public Module {
 public:
  ModuleDict() = default;
  explicit ModuleDict(NamedModules modules);

  void insert(std::string key, std::shared_ptr<Module> module) {
    add_module(std::move(key), std::move(module));
  }
  size_t size() const { return named_children().size(); }
  bool contains(std::string_view key) const { return find_child(key) != nullptr; }
  /// @throws IndexError for a key that is not there.
  std::shared_ptr<Module> at(std::string_view key) const;
  std::shared_ptr<Module> operator[](std::string_view key) const { return at(key); }
  void clear();
  std::vector<std::string> keys() const;
};

/// Parameters by position.
class TAUT_API ParameterList : public Module {
 public:
  ParameterList() = default;
  explicit ParameterList(const Tensors& parameters);

  void append(const Tensor& parameter);
  size_t size() const { return parameters(false).size(); }
  Tensor at(int64_t index) const;
  Tensor operator[](int64_t index) const { return at(index); }
  std::string str() const override;
};

}  // namespace taut::nn
