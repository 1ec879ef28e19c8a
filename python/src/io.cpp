// Files of tensors and of numbers.

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "bindings.h"
#include "module_binding.h"
#include "taut/io/safetensors.h"
#include "taut/io/tables.h"

namespace py = pybind11;
using namespace py::literals;

namespace taut::python {
namespace {

StateDict tensors_from(const py::dict& items) {
  StateDict tensors;
  for (const auto& [name, item] : items) {
    if (!PyUnicode_Check(name.ptr())) {
      throw py::type_error(std::string("save_file: names must be str; got a ") +
                           Py_TYPE(name.ptr())->tp_name);
    }
    if (!is_tensor(item.ptr())) {
      throw py::type_error("save_file: '" + name.cast<std::string>() +
                           "' must be a Tensor; got a " + Py_TYPE(item.ptr())->tp_name);
    }
    tensors.insert(name.cast<std::string>(), tensor_of(item.ptr()));
  }
  return tensors;
}

}  // namespace

void bind_io(py::module_& module) {
  py::module_ io_module = module.def_submodule("_io");
  io_module.def(
      "save_file",
      [](const py::dict& tensors, const std::string& path, const Metadata& metadata) {
        const StateDict state = tensors_from(tensors);
        without_lock([&] { save(state, path, metadata); });
      },
      "tensors"_a, "path"_a, "metadata"_a);
  // The tensors and the words beside them.
  io_module.def(
      "load_file",
      [](const std::string& path) {
        Metadata metadata;
        const StateDict state = without_lock([&] { return load(path, metadata); });
        py::dict tensors;
        for (const auto& [name, tensor] : state) tensors[py::str(name)] = tensor;
        return py::make_tuple(tensors, metadata);
      },
      "path"_a);
  io_module.def(
      "load_idx",
      [](const std::string& path) { return without_lock([&] { return io::load_idx(path); }); },
      "path"_a);
  io_module.def(
      "load_csv",
      [](const std::string& path, char delimiter, int64_t skip_rows) {
        return without_lock([&] { return io::load_csv(path, delimiter, skip_rows); });
      },
      "path"_a, "delimiter"_a, "skip_rows"_a);
}

}  // namespace taut::python
