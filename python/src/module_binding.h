#pragma once
// What the bindings of modules share.

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <string>
#include <typeinfo>
#include <utility>

#include "gil.h"
#include "op_rows.h"
#include "taut/nn/functional/loss.h"
#include "taut/nn/module.h"
#include "taut/nn/modules/conv.h"
#include "taut/nn/modules/size_arg.h"

namespace taut::python {

/// The module behind an object. Where there is none yet, pybind11 would give raw memory.
/// @throws type_error for what is no module, attribute_error for one whose __init__ has not run.
nn::Module& made(const pybind11::object& self);
/// The tensors that a Python forward returned.
Tensors module_outputs(const pybind11::object& result);

/// The call of a module as Python makes it, with its hooks. @throws type_error unless it returns
/// tensors or, among several, None.
Tensors call_object(const pybind11::object& module, TensorList inputs,
                    const nn::NamedArguments& named);

/// Computes without the interpreter's lock.
template <class Work>
auto without_lock(Work work) {
  const pybind11::gil_scoped_release release;
  return work();
}

/// M as Python makes it: what the Python class overrides is called, M otherwise.
template <class M>
class Hosted final : public M, public pybind11::trampoline_self_life_support {
 public:
  using M::call;
  using M::forward;
  using M::M;

  Tensor forward(const Tensor& input) override {
    if (auto outputs = python_forward(TensorList(&input, 1))) return std::move(outputs->front());
    return M::forward(input);
  }
  Tensors forward_many(TensorList inputs) override {
    if (auto outputs = python_forward(inputs)) return std::move(*outputs);
    return M::forward_many(inputs);
  }
  Tensors call(TensorList inputs, const nn::NamedArguments& named) override {
    const Locked locked;
    return call_object(pybind11::cast(static_cast<const M*>(this)), inputs, named);
  }
  const std::type_info& forward_class() const override {
    const Locked locked;
    return pybind11::get_override(static_cast<const M*>(this), "forward") ? typeid(*this)
                                                                          : typeid(M);
  }
  void train(bool mode) override {
    {
      const Locked locked;
      const pybind11::object self = pybind11::cast(static_cast<const M*>(this));
      const pybind11::object own = pybind11::type::of(self).attr("train");
      if (!own.is(pybind11::type::of<nn::Module>().attr("train"))) {
        own(self, mode);
        return;
      }
    }
    M::train(mode);
  }
  std::string name() const override {
    const Locked locked;
    const pybind11::object self = pybind11::cast(static_cast<const M*>(this));
    return pybind11::type::of(self).attr("__name__").template cast<std::string>();
  }
  std::string extra_repr() const override {
    {
      const Locked locked;
      if (const auto function = pybind11::get_override(static_cast<const M*>(this), "extra_repr")) {
        return function().template cast<std::string>();
      }
    }
    return M::extra_repr();
  }

 private:
  std::optional<Tensors> python_forward(TensorList inputs) {
    const Locked locked;
    const auto function = pybind11::get_override(static_cast<const M*>(this), "forward");
    if (!function) return std::nullopt;
    pybind11::tuple arguments(inputs.size());
    for (size_t i = 0; i < inputs.size(); ++i) arguments[i] = pybind11::cast(inputs[i]);
    return module_outputs(function(*arguments));
  }
};

template <class M>
using Layer = pybind11::class_<M, nn::Module, Hosted<M>, pybind11::smart_holder>;

void bind_layers(pybind11::module_& module);
void bind_transformers(pybind11::module_& module);
void bind_layer_fields(pybind11::module_& module);

}  // namespace taut::python

namespace pybind11::detail {

template <>
struct type_caster<taut::nn::SizeArg> {
  // It has no default constructor, so that the usual macro does not fit.
  static constexpr auto name = const_name("int | Sequence[int]");
  template <class T>
  using cast_op_type = const taut::nn::SizeArg&;
  operator const taut::nn::SizeArg&() { return value; }

  bool load(handle source, bool) {
    taut::Dims dims;
    if (!taut::python::read(source.ptr(), dims)) {
      if (PyErr_Occurred() != nullptr) throw error_already_set();
      return false;
    }
    const bool is_list = PyTuple_Check(source.ptr()) || PyList_Check(source.ptr());
    value = is_list ? taut::nn::SizeArg(dims) : taut::nn::SizeArg(dims[0]);
    return true;
  }
  static handle cast(const taut::nn::SizeArg& size, return_value_policy, handle) {
    const taut::Dims& sizes = size.values();
    return sizes.rank() == 1 ? PyLong_FromLongLong(sizes[0]) : taut::python::to_object(sizes);
  }

  taut::nn::SizeArg value = 0;
};

template <>
struct type_caster<taut::nn::Padding> {
  static constexpr auto name = const_name("int | Sequence[int] | str");
  template <class T>
  using cast_op_type = const taut::nn::Padding&;
  operator const taut::nn::Padding&() { return value; }

  bool load(handle source, bool convert) {
    if (PyUnicode_Check(source.ptr())) {
      value = taut::nn::Padding(source.cast<std::string>().c_str());
      return true;
    }
    type_caster<taut::Dims> dims;
    if (!dims.load(source, convert)) return false;
    const auto& sizes = static_cast<taut::Dims&>(dims);
    value = PyLong_Check(source.ptr()) ? taut::nn::Padding(sizes[0]) : taut::nn::Padding(sizes);
    return true;
  }

  taut::nn::Padding value = 0;
};

template <>
struct type_caster<taut::nn::functional::Reduction> {
  PYBIND11_TYPE_CASTER(taut::nn::functional::Reduction, const_name("str"));
  bool load(handle source, bool) {
    if (!PyUnicode_Check(source.ptr())) return false;
    value = taut::nn::functional::parse_reduction(source.cast<std::string>());
    return true;
  }
  static handle cast(taut::nn::functional::Reduction reduction, return_value_policy, handle) {
    constexpr const char* kNames[] = {"none", "mean", "sum"};
    return PyUnicode_FromString(kNames[static_cast<int>(reduction)]);
  }
};

}  // namespace pybind11::detail
