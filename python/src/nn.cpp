// Modules: C++ layers in Python, and Python subclasses that C++ can call.
//
// Every module made from Python is a Hosted<M>: its virtual functions ask the Python object first.
// So a Python class may override forward of Module or of any layer, and stand inside a C++
// Sequential.

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "bindings.h"
#include "gil.h"
#include "module_binding.h"
#include "op_rows.h"
#include "py_ref.h"
#include "taut/nn/modules/container.h"
#include "taut/nn/utils/clip_grad.h"

namespace py = pybind11;

namespace taut::python {
namespace {

PyTypeObject* parameter_type = nullptr;
PyTypeObject* module_type = nullptr;

/// A parameter as a taut.nn.Parameter, also one that C++ made.
py::object as_parameter(const Tensor& tensor) {
  if (!tensor.defined()) return py::none();
  if (parameter_type == nullptr || tensor.impl()->python_object != nullptr) {
    return py::reinterpret_steal<py::object>(wrap(tensor));
  }
  return py::reinterpret_steal<py::object>(wrap_as(parameter_type, tensor));
}

py::list named(const nn::NamedTensors& tensors, bool parameters) {
  py::list result;
  for (const auto& [name, tensor] : tensors) {
    result.append(py::make_tuple(name, parameters ? as_parameter(tensor) : py::cast(tensor)));
  }
  return result;
}

py::object single_or_tuple(const Tensors& outputs) {
  if (outputs.size() == 1) return py::cast(outputs[0]);
  py::tuple result(outputs.size());
  for (size_t i = 0; i < outputs.size(); ++i) result[i] = py::cast(outputs[i]);
  return result;
}

Tensors tensors_of(const py::args& args) {
  Tensors result;
  for (py::handle item : args) {
    if (!is_tensor(item.ptr())) {
      throw py::type_error(
          std::string("a module of C++, and one with hooks, takes tensors; got a ") +
          Py_TYPE(item.ptr())->tp_name);
    }
    result.push_back(tensor_of(item.ptr()));
  }
  return result;
}

py::tuple as_tuple(TensorList tensors) {
  py::tuple result(tensors.size());
  for (size_t i = 0; i < tensors.size(); ++i) result[i] = py::cast(tensors[i]);
  return result;
}

StateDict state_from(const py::dict& state) {
  StateDict result;
  for (const auto& [key, value] : state) {
    result.insert(py::cast<std::string>(key), py::cast<Tensor>(value));
  }
  return result;
}

std::string class_name(const py::object& self) {
  return py::type::of(self).attr("__name__").cast<std::string>();
}

/// Whether __init__ has run, so that there is a module behind the object.
bool is_made(const py::object& self) {
  return reinterpret_cast<py::detail::instance*>(self.ptr())
      ->get_value_and_holder()
      .holder_constructed();
}

}  // namespace

nn::Module& made(const py::object& self) {
  if (PyObject_TypeCheck(self.ptr(), module_type) == 0) {
    throw py::type_error(concat("expected a Module; got a ", Py_TYPE(self.ptr())->tp_name));
  }
  if (!is_made(self)) {
    throw py::attribute_error(class_name(self) +
                              ": call super().__init__() before the module is used");
  }
  return self.cast<nn::Module&>();
}

namespace {

void bind_module_class(py::module_& module) {
  using nn::Module;
  py::class_<Module, Hosted<Module>, py::smart_holder> type(module, "Module", py::dynamic_attr());
  module_type = reinterpret_cast<PyTypeObject*>(type.ptr());
  type.def(py::init([] { return new Hosted<Module>(); }))
      .def("_call",
           [](const py::object& object, const py::args& args) {
             Module& self = made(object);
             const Tensors inputs = tensors_of(args);
             return single_or_tuple(without_lock([&] { return self.call(inputs); }));
           })
      .def(
          "forward",
          [](Module& self, const py::args& args) {
            const Tensors inputs = tensors_of(args);
            return single_or_tuple(without_lock([&] { return self.forward_many(inputs); }));
          },
          "The computation; a subclass defines it. Call the module instead, which runs its hooks "
          "too.")
      .def("_find",
           [](const py::object& object, const std::string& name) -> py::object {
             const Module& self = made(object);
             if (const Tensor* found = self.find_parameter(name)) return as_parameter(*found);
             if (const Tensor* found = self.find_buffer(name)) return py::cast(*found);
             if (auto child = self.find_child(name)) return py::cast(child);
             return py::reinterpret_borrow<py::object>(Py_NotImplemented);
           })
      .def("_kind",
           [](const py::object& object, const std::string& name) {
             if (!is_made(object)) return "";  // plain attributes may be set before
             const Module& self = made(object);
             if (self.find_parameter(name) != nullptr) return "parameter";
             if (self.find_buffer(name) != nullptr) return "buffer";
             return self.find_child(name) != nullptr ? "module" : "";
           })
      .def("_unregister", [](const py::object& self,
                             const std::string& name) { return made(self).unregister(name); })
      .def(
          "register_parameter",
          [](const py::object& self, const std::string& name, const std::optional<Tensor>& tensor) {
            made(self).register_parameter(name, tensor.value_or(Tensor()),
                                          tensor && tensor->requires_grad());
          },
          py::arg("name"), py::arg("param").none(true))
      .def(
          "register_buffer",
          [](const py::object& self, const std::string& name, const std::optional<Tensor>& tensor,
             bool persistent) {
            made(self).register_buffer(name, tensor.value_or(Tensor()), persistent);
          },
          py::arg("name"), py::arg("tensor").none(true), py::arg("persistent") = true)
      .def(
          "add_module",
          [](const py::object& self, const std::string& name,
             const std::shared_ptr<Module>& child) { made(self).add_module(name, child); },
          py::arg("name"), py::arg("module"),
          "Adds a module under `name`, in place of one of that name. Raises ValueError when it "
          "holds this module.")
      .def(
          "_named_parameters",
          [](const py::object& self, const std::string& prefix, bool recurse,
             bool remove_duplicate) {
            return named(made(self).named_parameters(prefix, recurse, remove_duplicate), true);
          },
          py::arg("prefix"), py::arg("recurse"), py::arg("remove_duplicate") = true)
      .def(
          "_named_buffers",
          [](const py::object& self, const std::string& prefix, bool recurse,
             bool remove_duplicate) {
            return named(made(self).named_buffers(prefix, recurse, remove_duplicate), false);
          },
          py::arg("prefix"), py::arg("recurse"), py::arg("remove_duplicate") = true)
      .def("_named_children", [](const py::object& self) { return made(self).named_children(); })
      .def(
          "_named_modules",
          [](const py::object& self, const std::string& prefix, bool remove_duplicate) {
            return made(self).named_modules(prefix, remove_duplicate);
          },
          py::arg("prefix"), py::arg("remove_duplicate") = true)
      .def(
          "get_parameter",
          [](const Module& self, const std::string& name) {
            return as_parameter(self.get_parameter(name));
          },
          py::arg("target"),
          "A parameter by dotted name, as in \"layers.0.weight\". Raises ValueError when there is "
          "none.")
      .def(
          "get_buffer",
          [](const Module& self, const std::string& name) { return self.get_buffer(name); },
          py::arg("target"), "A buffer by dotted name. Raises ValueError when there is none.")
      .def(
          "get_submodule",
          [](const Module& self, const std::string& name) { return self.get_submodule(name); },
          py::arg("target"), "A module by dotted name. Raises ValueError when there is none.")
      .def("_train", [](const py::object& self, bool mode) { made(self).Module::train(mode); })
      .def_property_readonly("_training", &Module::is_training)
      .def("zero_grad", &Module::zero_grad, py::arg("set_to_none") = true,
           "Forgets the gradients of all parameters, or zeroes them.")
      .def("_requires_grad_", &Module::requires_grad_)
      .def("_to",
           [](Module& self, std::optional<DType> dtype, std::optional<Device> device) {
             self.to(TensorOptions().dtype(dtype).device(device));
           })
      .def("_to_format",
           [](Module& self, const py::object& given) {
             MemoryFormat format = MemoryFormat::contiguous;
             if (!read(given.ptr(), format)) {
               throw py::type_error("to: expected a memory format, as taut.channels_last; got " +
                                    std::string(py::repr(given)));
             }
             self.to(format);
           })
      .def("_state_dict",
           [](const Module& self, const std::string& prefix) {
             py::dict result;
             for (const auto& [name, tensor] : self.state_dict(prefix)) {
               result[py::str(name)] = tensor.detach();
             }
             return result;
           })
      .def("_load_state_dict",
           [](Module& self, const py::dict& state, bool strict) {
             const nn::LoadReport report = self.load_state_dict(state_from(state), strict);
             return py::make_tuple(report.missing_keys, report.unexpected_keys);
           })
      // For callers in C++: Python's own calls run the hooks by themselves.
      .def("_wrap_forward",
           [](Module& self, const py::object& wrapper) {
             self.wrap_forward([call = PyRef(wrapper)](Module& owner, TensorList inputs,
                                                       const nn::Proceed& proceed) {
               const Locked locked;
               const auto forward = py::cpp_function([&](const py::args& args) {
                 const Tensors values = tensors_of(args);
                 return single_or_tuple(without_lock([&] { return proceed(values); }));
               });
               return module_outputs(
                   call.get()(py::cast(&owner), forward, as_tuple(inputs), py::dict()));
             });
           })
      .def("_get_name", [](const Module& self) { return self.name(); })
      .def(
          "extra_repr", [](const Module& self) { return self.extra_repr(); },
          "What is printed between the parentheses; a subclass may define it.")
      .def("__repr__", [](const py::object& self) {
        if (is_made(self)) return self.cast<const Module&>().str();
        return concat("<", class_name(self), " before its __init__>");
      });
  module.def("_set_parameter_type", [](const py::type& cls) {
    parameter_type = reinterpret_cast<PyTypeObject*>(cls.inc_ref().ptr());
  });
}

void bind_containers(py::module_& module) {
  using nn::Module;
  using Child = std::shared_ptr<Module>;
  py::class_<nn::Sequential, Module, Hosted<nn::Sequential>, py::smart_holder>(module, "Sequential")
      .def(py::init([](const py::args& modules) {
        auto* result = new Hosted<nn::Sequential>();
        if (modules.size() == 1 && py::isinstance<py::dict>(modules[0])) {
          for (const auto& [name, child] : modules[0].cast<py::dict>()) {
            result->add_module(name.cast<std::string>(), child.cast<Child>());
          }
          return result;
        }
        for (py::handle child : modules) result->append(child.cast<Child>());
        return result;
      }))
      .def(
          "append",
          [](py::object self, const Child& child) {
            self.cast<nn::Sequential&>().append(child);
            return self;
          },
          py::arg("module"), "Adds a module at the end.")
      .def("__len__", &nn::Sequential::size)
      .def("_at", &nn::Sequential::at);
  py::class_<nn::ModuleList, Module, Hosted<nn::ModuleList>, py::smart_holder>(module, "ModuleList")
      .def(py::init([](const std::optional<std::vector<Child>>& modules) {
             auto* result = new Hosted<nn::ModuleList>();
             if (modules) result->extend(*modules);
             return result;
           }),
           py::arg("modules") = py::none())
      .def(
          "append",
          [](py::object self, const Child& child) {
            self.cast<nn::ModuleList&>().append(child);
            return self;
          },
          py::arg("module"), "Adds a module at the end.")
      .def(
          "extend",
          [](py::object self, const std::vector<Child>& modules) {
            self.cast<nn::ModuleList&>().extend(modules);
            return self;
          },
          py::arg("modules"), "Adds modules at the end.")
      .def("insert", &nn::ModuleList::insert, py::arg("index"), py::arg("module"),
           "Adds a module before the position `index`.")
      .def("__len__", &nn::ModuleList::size)
      .def("_at", &nn::ModuleList::at);
  py::class_<nn::ModuleDict, Module, Hosted<nn::ModuleDict>, py::smart_holder>(module, "ModuleDict")
      .def(py::init([](const py::object& modules) {
             auto* result = new Hosted<nn::ModuleDict>();
             if (!modules.is_none()) {
               for (const auto& [name, child] : py::dict(modules)) {
                 result->insert(name.cast<std::string>(), child.cast<Child>());
               }
             }
             return result;
           }),
           py::arg("modules") = py::none())
      .def("__len__", &nn::ModuleDict::size)
      .def("__contains__",
           [](const nn::ModuleDict& self, const std::string& key) { return self.contains(key); })
      .def("__getitem__",
           [](const nn::ModuleDict& self, const std::string& key) {
             if (!self.contains(key)) throw py::key_error(key);
             return self.at(key);
           })
      .def("__setitem__", [](nn::ModuleDict& self, const std::string& key,
                             const Child& child) { self.insert(key, child); })
      .def("__delitem__",
           [](nn::ModuleDict& self, const std::string& key) {
             if (!self.unregister(key)) throw py::key_error(key);
           })
      .def("clear", &nn::ModuleDict::clear, "Takes all modules away.")
      .def("keys", &nn::ModuleDict::keys, "The names, in the order in which they came.");
  py::class_<nn::ParameterList, Module, Hosted<nn::ParameterList>, py::smart_holder>(
      module, "ParameterList")
      .def(py::init([](const py::object& values) {
             auto* result = new Hosted<nn::ParameterList>();
             if (!values.is_none()) {
               for (py::handle value : values) result->append(value.cast<Tensor>());
             }
             return result;
           }),
           py::arg("values") = py::none())
      .def(
          "append",
          [](py::object self, const Tensor& value) {
            self.cast<nn::ParameterList&>().append(value);
            return self;
          },
          py::arg("value"), "Adds a tensor as a parameter at the end.")
      .def(
          "extend",
          [](py::object self, const py::iterable& values) {
            for (py::handle value : values) {
              self.cast<nn::ParameterList&>().append(value.cast<Tensor>());
            }
            return self;
          },
          py::arg("values"), "Adds tensors as parameters at the end.")
      .def("__len__", &nn::ParameterList::size)
      .def("_at", [](const nn::ParameterList& self, int64_t index) {
        return as_parameter(self.at(index));
      });
}

}  // namespace

Tensors module_outputs(const py::object& result) {
  if (is_tensor(result.ptr())) return {tensor_of(result.ptr())};
  if (PyTuple_Check(result.ptr()) || PyList_Check(result.ptr())) return result.cast<Tensors>();
  throw py::type_error(std::string("inside a C++ module forward must return tensors; got a ") +
                       Py_TYPE(result.ptr())->tp_name);
}

Tensors call_object(const py::object& module, TensorList inputs, const nn::NamedArguments& named) {
  py::dict keywords;
  for (const nn::NamedArgument& argument : named) {
    keywords[argument.name] = argument.flag ? py::cast(*argument.flag) : py::cast(argument.tensor);
  }
  const py::object result = module(*as_tuple(inputs), **keywords);
  if (!PyTuple_Check(result.ptr())) return module_outputs(result);
  Tensors outputs;
  for (py::handle item : result.cast<py::tuple>()) {
    if (!item.is_none() && !is_tensor(item.ptr())) {
      throw py::type_error(concat(class_name(module), ": expected tensors from forward; got a ",
                                  Py_TYPE(item.ptr())->tp_name));
    }
    outputs.push_back(item.is_none() ? Tensor() : tensor_of(item.ptr()));
  }
  return outputs;
}

void bind_utils(py::module_& module) {
  using Parameters = Tensors;
  module.def("clip_grad_norm_", [](const Parameters& parameters, double max_norm, double norm_type,
                                   bool error_if_nonfinite) {
    return without_lock([&] {
      return nn::utils::clip_grad_norm_(parameters, max_norm, norm_type, error_if_nonfinite);
    });
  });
  module.def("clip_grad_value_", [](const Parameters& parameters, double clip_value) {
    without_lock([&] { nn::utils::clip_grad_value_(parameters, clip_value); });
  });
  module.def("get_total_norm", [](const Parameters& tensors, double norm_type) {
    return without_lock([&] { return nn::utils::get_total_norm(tensors, norm_type); });
  });
  module.def("parameters_to_vector", [](const Parameters& parameters) {
    return nn::utils::parameters_to_vector(parameters);
  });
  module.def("vector_to_parameters", [](const Tensor& vector, const Parameters& parameters) {
    nn::utils::vector_to_parameters(vector, parameters);
  });
}

void bind_nn(py::module_& module) {
  py::module_ nn_module = module.def_submodule("_nn");
  bind_module_class(nn_module);
  bind_containers(nn_module);
  bind_layers(nn_module);
  bind_transformers(nn_module);
  bind_layer_fields(nn_module);
  py::module_ utils = module.def_submodule("_nn_utils");
  bind_utils(utils);
}

}  // namespace taut::python
