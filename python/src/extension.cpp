// taut.cuda.Kernel, taut.CustomOp and taut.load_library.

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <optional>

#include "bindings.h"
#include "gil.h"
#include "py_ref.h"
#include "taut/extension/custom_op.h"
#include "taut/extension/kernel.h"
#include "taut/extension/plugin.h"
#include "tensor_object.h"
#include "tensor_tuples.h"
#include "values.h"

namespace py = pybind11;
using namespace py::literals;

namespace taut::python {
namespace {

// ---- kernels ----------------------------------------------------------------------------------

cuda::LaunchSize launch_size(const py::handle& size) {
  int64_t sizes[3] = {1, 1, 1};
  if (read(size.ptr(), sizes[0])) return {sizes[0], 1, 1};
  const bool is_sequence = PyTuple_Check(size.ptr()) || PyList_Check(size.ptr());
  const size_t count = is_sequence ? py::len(size) : 0;
  if (count < 1 || count > 3) {
    throw py::type_error("grid and block are an int or one to three of them in a tuple; got " +
                         py::repr(size).cast<std::string>());
  }
  for (size_t i = 0; i < count; ++i) {
    const py::object item = size[py::int_(i)];
    if (!read(item.ptr(), sizes[i])) {
      throw py::type_error("grid and block hold ints; got " + py::repr(item).cast<std::string>());
    }
  }
  return {sizes[0], sizes[1], sizes[2]};
}

cuda::KernelArgument kernel_argument(const py::handle& argument) {
  if (argument.is_none()) return Tensor();
  if (is_tensor(argument.ptr())) return tensor_of(argument.ptr());
  if (PyBytes_Check(argument.ptr())) {
    return cuda::KernelArgument::bytes(PyBytes_AS_STRING(argument.ptr()),
                                       static_cast<size_t>(PyBytes_GET_SIZE(argument.ptr())));
  }
  Scalar number;
  if (read(argument.ptr(), number)) return number;
  if (PyErr_Occurred() != nullptr) throw py::error_already_set();
  throw py::type_error(
      std::string("a kernel takes tensors, numbers and the bytes of structs; got a ") +
      Py_TYPE(argument.ptr())->tp_name);
}

void bind_kernel(py::module_& module) {
  using cuda::Kernel;
  py::class_<Kernel>(
      module, "Kernel",
      "A __global__ function of CUDA C++ source, compiled at run time and launched on tensors.\n\n"
      "`name` names the function: \"scale\", or \"scale<float>\" of a template; `options` go to "
      "NVRTC. It is compiled at its first launch on a kind of GPU and kept on the disk "
      "($TAUT_CACHE_DIR, or ~/.cache/taut). With `strided` tensors need not be contiguous. A "
      "kernel "
      "has no derivative: taut.CustomOp gives it one.\n\n"
      "    scale = taut.cuda.Kernel(source, \"scale\")\n"
      "    scale(blocks, 256, (x, y, 2.0, x.numel()))")
      .def(py::init([](std::string source, std::string name, std::vector<std::string> options,
                       bool strided) {
             return Kernel(std::move(source), std::move(name), {std::move(options), strided});
           }),
           "source"_a, "name"_a, "options"_a = std::vector<std::string>(), "strided"_a = false)
      .def(
          "__call__",
          [](const Kernel& self, const py::object& grid, const py::object& block,
             const py::iterable& args, int64_t shared_memory) {
            if (is_tensor(args.ptr())) {
              throw py::type_error("args is a tuple of arguments; got a tensor");
            }
            std::vector<cuda::KernelArgument> arguments;
            for (const py::handle& argument : args) arguments.push_back(kernel_argument(argument));
            const cuda::LaunchSize grid_size = launch_size(grid);
            const cuda::LaunchSize block_size = launch_size(block);
            const py::gil_scoped_release release;
            self.launch(grid_size, block_size, arguments, shared_memory);
          },
          "grid"_a, "block"_a, "args"_a, "shared_memory"_a = 0,
          "Launches it on the current stream of the tensors' GPU: `grid` blocks of `block` "
          "threads, "
          "each an int or up to three, and `shared_memory` bytes for each block. Every argument is "
          "checked against the parameters first; a tensor passed for a pointer to what is not "
          "const "
          "counts as written in place.")
      .def(
          "compile",
          [](const Kernel& self, const std::string& architecture) {
            const py::gil_scoped_release release;
            return self.compile(architecture);
          },
          "architecture"_a,
          "Compiles it now for an architecture such as \"sm_90\", without a GPU; returns the types "
          "of "
          "its parameters. CudaError with the compiler's log.")
      .def_property_readonly("name", &Kernel::name, "What names the function in the source.")
      .def("__repr__", [](const Kernel& self) { return "<taut.cuda.Kernel " + self.name() + ">"; });
}

// ---- custom ops -------------------------------------------------------------------------------

py::tuple numbers_of(const std::vector<Scalar>& values) {
  py::tuple result(values.size());
  for (size_t i = 0; i < values.size(); ++i) result[i] = py::cast(values[i]);
  return result;
}

/// The C++ call while a function of it runs; Python's ctx object reaches it through this.
struct CallHandle {
  CustomCall* call = nullptr;

  CustomCall& get() const {
    if (call == nullptr) throw py::value_error("ctx can be used inside forward and backward only");
    return *call;
  }
};

/// Python's handle of a call for a scope; a ctx that outlives it finds nothing.
class ScopedHandle {
 public:
  explicit ScopedHandle(CustomCall& call)
      : object_(py::cast(CallHandle{&call})), handle_(object_.cast<CallHandle&>()) {}
  ScopedHandle(const ScopedHandle&) = delete;
  ScopedHandle& operator=(const ScopedHandle&) = delete;
  ~ScopedHandle() { handle_.call = nullptr; }
  const py::object& object() const { return object_; }

 private:
  py::object object_;
  CallHandle& handle_;  // in the object
};

// A function of python/taut/_custom_op.py: (handle, tensors, values) -> tuple of tensors and None.
py::object call_python(const PyRef& function, CustomCall& call, const Tensors& tensors) {
  const ScopedHandle handle(call);
  return function.get()(handle.object(), tuple_of(tensors), numbers_of(call.attributes()));
}

CustomFunction function_of(const py::object& callable) {
  if (callable.is_none()) return {};
  return [function = PyRef(callable)](CustomCall& call, const Tensors& tensors) {
    const Locked locked;
    return plain(call_python(function, call, tensors).cast<OptionalTensors>());
  };
}

CustomCheck check_of(const py::object& callable) {
  if (callable.is_none()) return {};
  return [function = PyRef(callable)](CustomCall& call, const Tensors& tensors) {
    const Locked locked;
    call_python(function, call, tensors);
  };
}

AutocastPolicy policy_of(const std::optional<std::string>& name) {
  if (!name) return AutocastPolicy::as_they_are;
  if (*name == "lower_dtype") return AutocastPolicy::lower_dtype;
  if (*name == "float32") return AutocastPolicy::float32;
  if (*name == "widest_dtype") return AutocastPolicy::widest_dtype;
  throw ValueError(concat("autocast: got '", *name,
                          "'; expected 'lower_dtype', 'float32', 'widest_dtype' or None"));
}

// What calls and definitions give by keyword.
CustomAttributes attributes_of(const std::string& op, const py::dict& values) {
  CustomAttributes result;
  for (const auto& [name, value] : values) {
    Scalar number;
    if (!read(value.ptr(), number)) {
      if (PyErr_Occurred() != nullptr) throw py::error_already_set();
      throw py::type_error(concat(op, ": ", name.cast<std::string>(), " is a ",
                                  Py_TYPE(value.ptr())->tp_name,
                                  "; attributes are bools, ints and floats"));
    }
    result.push_back({name.cast<std::string>(), number});
  }
  return result;
}

Tensors inputs_of(const std::string& op, const py::sequence& items) {
  Tensors result;
  for (const py::handle item : items) {
    if (!item.is_none() && !is_tensor(item.ptr())) {
      throw py::type_error(concat(op, ": input ", result.size(), " is a ",
                                  Py_TYPE(item.ptr())->tp_name, "; expected a tensor"));
    }
    result.push_back(item.is_none() ? Tensor() : tensor_of(item.ptr()));
  }
  return result;
}

py::dict dict_of(const CustomAttributes& attributes) {
  py::dict result;
  for (const auto& [name, value] : attributes) result[py::str(name)] = py::cast(value);
  return result;
}

void bind_custom_ops(py::module_& module) {
  py::class_<CallHandle>(module, "_CustomCall")
      .def("save_for_backward",
           [](CallHandle& self, const OptionalTensors& tensors) {
             self.get().save_for_backward(plain(tensors));
           })
      .def("saved_tensors", [](CallHandle& self) { return tuple_of(self.get().saved_tensors()); })
      .def("mark_non_differentiable",
           [](CallHandle& self, const Tensors& outputs) {
             self.get().mark_non_differentiable(outputs);
           })
      .def("needs_input_grad", [](CallHandle& self, size_t inputs) {
        py::tuple result(inputs);
        for (size_t i = 0; i < inputs; ++i) {
          result[i] = py::bool_(self.get().needs_input_grad(i));
        }
        return result;
      });

  py::class_<CustomOp>(module, "_CustomOp")
      .def(
          py::init([](std::string name, std::vector<std::string> inputs, const py::dict& attributes,
                      const py::object& check, const py::object& composed,
                      const py::object& backward, bool differentiable_backward,
                      const std::optional<std::string>& autocast, std::string place) {
            CustomAttributes defaults = attributes_of(name, attributes);
            return CustomOp({.name = std::move(name),
                             .inputs = std::move(inputs),
                             .attributes = std::move(defaults),
                             .check = check_of(check),
                             .composed = function_of(composed),
                             .backward = function_of(backward),
                             .differentiable_backward = differentiable_backward,
                             .autocast = policy_of(autocast)},
                            std::move(place));
          }))
      .def_static("find", [](const std::string& name) { return CustomOp::find(name); })
      .def_static("names", &CustomOp::names)
      .def("implement",
           [](const CustomOp& self, const std::string& device, const py::object& forward,
              const py::object& backward, std::string place) {
             self.implement(Device(device).type(), {function_of(forward), function_of(backward)},
                            std::move(place));
           })
      .def("__call__",
           [](const CustomOp& self, const py::sequence& inputs, const py::dict& attributes) {
             const Tensors tensors = inputs_of(self.name(), inputs);
             const CustomAttributes given = attributes_of(self.name(), attributes);
             Tensors outputs;
             {
               const py::gil_scoped_release release;
               outputs = self(tensors, given);
             }
             return tuple_of(outputs);
           })
      .def_property_readonly("name", &CustomOp::name)
      .def_property_readonly("inputs",
                             [](const CustomOp& self) { return self.definition().inputs; })
      .def_property_readonly(
          "attributes", [](const CustomOp& self) { return dict_of(self.definition().attributes); });
}

}  // namespace

void bind_extension(py::module_& module) {
  py::module_ cuda_module = module.attr("_cuda");
  bind_kernel(cuda_module);
  bind_custom_ops(module);
  module.def("_load_library", [](const std::string& path) {
    const py::gil_scoped_release release;
    return load_library(path);
  });
}

}  // namespace taut::python
