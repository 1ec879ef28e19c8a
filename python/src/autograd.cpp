// The tape in Python: modes, backward, hooks, functions of your own, derivatives of functions.

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>

#include "bindings.h"
#include "op.h"
#include "py_ref.h"
#include "taut/autograd/backward.h"
#include "taut/autograd/checkpoint.h"
#include "taut/autograd/function.h"
#include "taut/autograd/functional.h"
#include "taut/autograd/grad_mode.h"
#include "taut/autograd/gradcheck.h"
#include "taut/autograd/hooks.h"
#include "taut/autograd/node.h"
#include "taut/autograd/record.h"
#include "taut/autograd/saved_tensor.h"
#include "tensor_object.h"
#include "tensor_tuples.h"

namespace py = pybind11;

namespace taut::python {
namespace {

using autograd::Edge;
using autograd::FunctionContext;
using autograd::Node;
using autograd::TensorFunction;

/// Tensors from what a Python function returned: a tensor, or a sequence of tensors and None.
Tensors tensors_from(const py::handle& result, const char* what) {
  const auto read_one = [&](py::handle item) {
    if (item.is_none()) return Tensor();
    if (!is_tensor(item.ptr())) {
      throw py::type_error(std::string(what) + " must return tensors; got a " +
                           Py_TYPE(item.ptr())->tp_name);
    }
    return tensor_of(item.ptr());
  };
  if (!PyTuple_Check(result.ptr()) && !PyList_Check(result.ptr())) return {read_one(result)};
  Tensors tensors;
  for (py::handle item : result) tensors.push_back(read_one(item));
  return tensors;
}

/// A Python function of tensors as a C++ one, callable without the interpreter's lock.
TensorFunction function_of(const py::object& callable) {
  return [function = PyRef(callable)](TensorList inputs) {
    const Locked locked;
    const Tensors copies(inputs.begin(), inputs.end());
    return tensors_from(function.get()(*tuple_of(copies)), "the function");
  };
}

/// Runs a walk without the interpreter's lock.
template <class Walk>
auto unlocked(Walk walk) {
  const py::gil_scoped_release release;
  return walk();
}

// Nodes ------------------------------------------------------------------------------------------

struct NodeHandle {
  Ref<Node> node;
};

std::string node_name(const Node& node) {
  if (node.is_accumulator()) return "AccumulateGrad";
  std::string result;
  bool upper = true;
  for (const char* c = node.name(); *c != '\0'; ++c) {
    if (*c == '_') {
      upper = true;
      continue;
    }
    result += upper && *c >= 'a' && *c <= 'z' ? static_cast<char>(*c - 'a' + 'A') : *c;
    upper = false;
  }
  return result + "Backward0";
}

void bind_nodes(py::module_& module) {
  py::class_<NodeHandle>(module, "Node", "A recorded op on the tape, as tensor.grad_fn shows it.")
      .def(
          "name", [](const NodeHandle& self) { return node_name(*self.node); },
          "The name of the op, as in MulBackward0.")
      .def_property_readonly(
          "next_functions",
          [](const NodeHandle& self) {
            py::list result;
            for (const Edge& edge : self.node->edges()) {
              if (edge) {
                result.append(py::make_tuple(NodeHandle{edge.node}, edge.slot));
              } else {
                result.append(py::make_tuple(py::none(), 0));
              }
            }
            return py::tuple(result);
          },
          "Where the gradients of the inputs go: pairs of node and output.")
      .def_property_readonly("_sequence_nr",
                             [](const NodeHandle& self) { return self.node->sequence(); })
      .def("__eq__", [](const NodeHandle& a, const NodeHandle& b) { return a.node == b.node; })
      .def("__hash__",
           [](const NodeHandle& self) { return reinterpret_cast<intptr_t>(self.node.get()); })
      .def("__repr__", [](const NodeHandle& self) { return "<" + node_name(*self.node) + ">"; });
  module.def("_grad_fn", [](const Tensor& tensor) -> std::optional<NodeHandle> {
    const Edge edge = autograd::gradient_edge(tensor);
    if (!edge) return std::nullopt;
    return NodeHandle{edge.node};
  });
}

// Walks ------------------------------------------------------------------------------------------

void bind_walks(py::module_& module) {
  module.def(
      "_backward", [](const Tensors& tensors, const OptionalTensors& grads,
                      std::optional<bool> retain_graph, bool create_graph, const Tensors& inputs) {
        const Tensors grad_tensors = plain(grads);
        unlocked(
            [&] { autograd::backward(tensors, grad_tensors, retain_graph, create_graph, inputs); });
      });
  module.def("_grad", [](const Tensors& outputs, const Tensors& inputs,
                         const OptionalTensors& grads, std::optional<bool> retain_graph,
                         bool create_graph, bool allow_unused, bool materialize_grads) {
    const Tensors grad_outputs = plain(grads);
    return tuple_of(unlocked([&] {
      return autograd::grad(outputs, inputs, grad_outputs, retain_graph, create_graph, allow_unused,
                            materialize_grads);
    }));
  });
  const auto check = [](bool second) {
    return [second](const py::object& function, const Tensors& inputs, double eps, double atol,
                    double rtol, bool raise_exception) {
      const TensorFunction callable = function_of(function);
      const autograd::GradcheckOptions options{eps, atol, rtol, raise_exception};
      return unlocked([&] {
        return second ? autograd::gradgradcheck(callable, inputs, options)
                      : autograd::gradcheck(callable, inputs, options);
      });
    };
  };
  module.def("_gradcheck", check(false));
  module.def("_gradgradcheck", check(true));
  module.def("_vjp", [](const py::object& function, const Tensors& inputs, const OptionalTensors& v,
                        bool create_graph) {
    const TensorFunction callable = function_of(function);
    const Tensors vectors = plain(v);
    const auto [outputs, result] =
        unlocked([&] { return autograd::vjp(callable, inputs, vectors, create_graph); });
    return py::make_tuple(tuple_of(outputs), tuple_of(result));
  });
  module.def("_jvp", [](const py::object& function, const Tensors& inputs, const OptionalTensors& v,
                        bool create_graph) {
    const TensorFunction callable = function_of(function);
    const Tensors vectors = plain(v);
    const auto [outputs, result] =
        unlocked([&] { return autograd::jvp(callable, inputs, vectors, create_graph); });
    return py::make_tuple(tuple_of(outputs), tuple_of(result));
  });
  const auto matrix = [](const std::vector<Tensors>& rows) {
    py::tuple result(rows.size());
    for (size_t i = 0; i < rows.size(); ++i) result[i] = tuple_of(rows[i]);
    return result;
  };
  module.def(
      "_jacobian", [matrix](const py::object& function, const Tensors& inputs, bool create_graph) {
        const TensorFunction callable = function_of(function);
        return matrix(unlocked([&] { return autograd::jacobian(callable, inputs, create_graph); }));
      });
  module.def(
      "_hessian", [matrix](const py::object& function, const Tensors& inputs, bool create_graph) {
        const TensorFunction callable = function_of(function);
        return matrix(unlocked([&] { return autograd::hessian(callable, inputs, create_graph); }));
      });
  module.def("_checkpoint", [](const py::object& function, const Tensors& inputs) {
    const TensorFunction callable = function_of(function);
    return tuple_of(unlocked([&] { return autograd::checkpoint(callable, inputs); }));
  });
}

// Hooks ------------------------------------------------------------------------------------------

void bind_hooks(py::module_& module) {
  py::class_<HookHandle>(module, "RemovableHandle", "Takes a hook away again.")
      .def("remove", &HookHandle::remove, "Takes the hook away; a second time does nothing.")
      .def("__enter__", [](py::object self) { return self; })
      .def("__exit__", [](HookHandle& self, const py::args&) { self.remove(); });
  module.def("_register_hook", [](const Tensor& tensor, const py::object& hook) {
    return register_hook(tensor, [function = PyRef(hook)](const Tensor& grad) {
      const Locked locked;
      const py::object result = function.get()(grad);
      if (result.is_none()) return Tensor();
      if (!is_tensor(result.ptr())) {
        throw py::type_error(std::string("a hook must return a tensor or None; got a ") +
                             Py_TYPE(result.ptr())->tp_name);
      }
      return tensor_of(result.ptr());
    });
  });
  module.def("_register_post_accumulate_grad_hook", [](const Tensor& leaf, const py::object& hook) {
    return register_post_accumulate_grad_hook(leaf, [function = PyRef(hook)](const Tensor& tensor) {
      const Locked locked;
      function.get()(tensor);
    });
  });

  using autograd::SavedTensorsHooks;
  py::class_<SavedTensorsHooks>(module, "_SavedTensorsHooks")
      .def(py::init([](const py::object& pack, const py::object& unpack) {
        return std::make_unique<SavedTensorsHooks>(
            [pack_ref = PyRef(pack), unpack_ref = PyRef(unpack)](const Tensor& tensor) {
              const Locked locked;
              const PyRef packed(pack_ref.get()(tensor));
              return Callback<Tensor()>([packed, unpack_ref] {
                const Locked locked_again;
                const py::object result = unpack_ref.get()(packed.get());
                if (!is_tensor(result.ptr()))
                  throw py::type_error("an unpack hook must return a tensor");
                return tensor_of(result.ptr());
              });
            });
      }));
}

// Functions of your own --------------------------------------------------------------------------

/// The C++ context while forward or backward runs; Python's ctx object reaches it through this.
struct ContextHandle {
  FunctionContext* context = nullptr;

  FunctionContext& get() const {
    if (context == nullptr) {
      throw py::value_error("ctx can be asked for this inside forward and backward only");
    }
    return *context;
  }
};

/// Names of nodes live as long as the program.
const char* keep_name(const std::string& name) {
  static std::vector<std::unique_ptr<std::string>> names;
  for (const auto& known : names) {
    if (*known == name) return known->c_str();
  }
  names.push_back(std::make_unique<std::string>(name));
  return names.back()->c_str();
}

void bind_functions(py::module_& module) {
  py::class_<ContextHandle>(module, "_FunctionContext")
      .def("save_for_backward",
           [](ContextHandle& self, const OptionalTensors& tensors) {
             self.get().save_for_backward(plain(tensors));
           })
      .def("saved_tensors",
           [](ContextHandle& self) { return tuple_of(self.get().saved_tensors()); })
      .def("mark_non_differentiable",
           [](ContextHandle& self, const Tensors& outputs) {
             self.get().mark_non_differentiable(outputs);
           })
      .def("mark_dirty",
           [](ContextHandle& self, const Tensors& inputs) { self.get().mark_dirty(inputs); })
      .def("set_materialize_grads",
           [](ContextHandle& self, bool wanted) { self.get().set_materialize_grads(wanted); })
      .def("needs_input_grad", [](ContextHandle& self) {
        const std::vector<bool>& needs = self.get().needs_input_grad();
        return std::vector<bool>(needs);
      });
  // forward(handle) and backward(handle, grads) are closures of taut/autograd/function.py.
  module.def("_apply_function", [](const std::string& name, const Tensors& inputs,
                                   const py::object& forward, const py::object& backward) {
    return tuple_of(autograd::apply_function(
        keep_name(name), inputs,
        [&](FunctionContext& context) {
          const py::object handle = py::cast(ContextHandle{&context});
          const py::object result = forward(handle);
          handle.cast<ContextHandle&>().context = nullptr;
          return tensors_from(result, "forward");
        },
        [function = PyRef(backward)](FunctionContext& context, const Tensors& grads) {
          const Locked locked;
          const py::object handle = py::cast(ContextHandle{&context});
          const py::object result = function.get()(handle, tuple_of(grads));
          handle.cast<ContextHandle&>().context = nullptr;
          return tensors_from(result, "backward");
        }));
  });
}

// Modes ------------------------------------------------------------------------------------------

/// The innermost Python frame outside this package, for anomaly mode.
std::string python_call_site() {
  const Locked locked;
  try {
    return py::module_::import("taut.autograd").attr("_call_site")().cast<std::string>();
  } catch (const py::error_already_set&) {
    return {};
  }
}

void bind_modes(py::module_& module) {
  module.def("is_grad_enabled", [] { return is_grad_enabled(); });
  module.def("_set_grad_enabled", [](bool enabled) { set_grad_enabled(enabled); });
  module.def("_is_inference_mode", [] { return is_inference_mode_enabled(); });
  module.def("_set_inference_mode",
             [](bool enabled) { detail::thread_mode().inference = enabled; });
  using autograd::AnomalyMode;
  py::class_<AnomalyMode>(module, "_AnomalyMode").def(py::init<bool, bool>());
  module.def("is_anomaly_enabled", &AnomalyMode::is_enabled);
  module.def("is_anomaly_check_nan_enabled", &AnomalyMode::checks_nan);
  autograd::set_call_site_provider(python_call_site);
}

}  // namespace

void bind_autograd(py::module_& module) {
  bind_nodes(module);
  bind_walks(module);
  bind_hooks(module);
  bind_functions(module);
  bind_modes(module);
}

}  // namespace taut::python
