// Mixed precision: autocast and the precision of float32 products.

#include <pybind11/pybind11.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "bindings.h"
#include "module_binding.h"
#include "taut/amp/grad_scaler.h"
#include "taut/autograd/autocast_mode.h"
#include "taut/ops/matmul.h"
#include "values.h"

namespace py = pybind11;
using namespace py::literals;

namespace taut::python {
namespace {

DeviceType device_type_of(std::string_view name) {
  if (name == "cpu") return DeviceType::cpu;
  TAUT_CHECK(name == "cuda", DeviceError,
             "autocast: expected device_type \"cuda\" or \"cpu\"; got \"", name, "\"");
  return DeviceType::cuda;
}

/// A scope of autocast that Python opens and closes.
struct AutocastScope {
  std::unique_ptr<AutocastMode> mode;
};

std::unique_ptr<AutocastScope> open_scope(const std::string& device_type, const py::object& dtype,
                                          bool enabled, const std::optional<bool>& cache_enabled) {
  std::optional<DType> wanted;
  if (!dtype.is_none()) {
    DType given{};
    if (!read(dtype.ptr(), given)) throw py::type_error("autocast: dtype is no taut.dtype");
    wanted = given;
  }
  return std::make_unique<AutocastScope>(AutocastScope{
      std::make_unique<AutocastMode>(device_type_of(device_type), wanted, enabled,
                                     cache_enabled.value_or(is_autocast_cache_enabled()))});
}

void bind_autocast(py::module_& module) {
  py::class_<AutocastScope>(module, "_AutocastScope")
      .def(py::init(&open_scope), "device_type"_a, "dtype"_a, "enabled"_a, "cache_enabled"_a)
      .def("close", [](AutocastScope& self) { self.mode.reset(); });
  module.def("_check_autocast_device", [](const std::string& name) { device_type_of(name); });
  module.def("_is_autocast_enabled",
             [](const std::string& name) { return is_autocast_enabled(device_type_of(name)); });
  module.def("_get_autocast_dtype", [](const std::string& name) {
    return py::reinterpret_steal<py::object>(to_object(get_autocast_dtype(device_type_of(name))));
  });
  module.def("is_autocast_cache_enabled", &is_autocast_cache_enabled,
             "Whether autocast keeps the casts of weights, on this thread.");
  module.def("clear_autocast_cache", &clear_autocast_cache,
             "Forgets the casts of weights that autocast keeps, on this thread.");
}

// Gradient scaling -------------------------------------------------------------------------------

using amp::GradScaler;
using optim::Optimizer;

/// A tensor, or tensors in nested lists and other iterables, each times the scale.
py::object scaled(GradScaler& self, const py::handle& outputs) {
  if (!self.is_enabled()) return py::reinterpret_borrow<py::object>(outputs);
  if (is_tensor(outputs.ptr())) return py::cast(self.scale(tensor_of(outputs.ptr())));
  if (!PySequence_Check(outputs.ptr()) && !PyIter_Check(outputs.ptr())) {
    throw py::value_error("scale: outputs must be a tensor or an iterable of tensors");
  }
  py::list results;
  for (const py::handle item : outputs) results.append(scaled(self, item));
  return PyTuple_Check(outputs.ptr()) ? py::object(py::tuple(results)) : py::object(results);
}

py::object step(GradScaler& self, const py::object& optimizer, const py::args& args,
                const py::kwargs& kwargs) {
  const py::object own_step = optimizer.attr("step");
  if (!self.is_enabled()) return own_step(*args, **kwargs);
  if (kwargs.contains("closure")) {
    throw std::runtime_error("step: a closure cannot be used while the GradScaler is enabled");
  }
  auto& native = optimizer.cast<Optimizer&>();
  // The optimizers of Taut look at the gradients on the device, a step in Python cannot.
  const bool is_native =
      py::type::of(optimizer).attr("step").is(py::type::of<Optimizer>().attr("step"));
  if (is_native && args.empty() && kwargs.empty()) {
    without_lock([&] { self.step(native); });
    return py::none();
  }
  py::object result = py::none();
  self.step(native, [&] { result = own_step(*args, **kwargs); });
  return result;
}

py::dict dict_of(const optim::Values& values) {
  py::dict result;
  for (const auto& [name, value] : values) {
    if (const auto* number = std::get_if<double>(&value)) result[py::str(name)] = *number;
    if (const auto* count = std::get_if<int64_t>(&value)) result[py::str(name)] = *count;
  }
  return result;
}

void load_state(GradScaler& self, const py::dict& state) {
  optim::Values values;
  for (const auto& [name, value] : state)
    values.set(name.cast<std::string>(), value.cast<double>());
  self.load_state_dict(values);
}

std::unique_ptr<GradScaler> make_scaler(const std::string& device, double init_scale,
                                        double growth_factor, double backoff_factor,
                                        int64_t growth_interval, bool enabled) {
  const Device where{std::string_view(device)};
  auto scaler = std::make_unique<GradScaler>(
      where.type(),
      amp::GradScalerOptions{init_scale, growth_factor, backoff_factor, growth_interval, enabled});
  if (enabled && !scaler->is_enabled() &&
      PyErr_WarnEx(PyExc_UserWarning, "GradScaler: there is no GPU; it is disabled", 1) != 0) {
    throw py::error_already_set();
  }
  return scaler;
}

void bind_grad_scaler(py::module_& module) {
  py::class_<GradScaler>(module, "GradScaler", py::dynamic_attr())
      .def(py::init(&make_scaler), "device"_a = "cuda", "init_scale"_a = 65536.0,
           "growth_factor"_a = 2.0, "backoff_factor"_a = 0.5, "growth_interval"_a = 2000,
           "enabled"_a = true)
      .def("scale", &scaled, "outputs"_a,
           "outputs times the scale: a tensor, or an iterable of them.")
      .def("unscale_", &GradScaler::unscale_, "optimizer"_a,
           py::call_guard<py::gil_scoped_release>(),
           "Divides the gradients of an optimizer's parameters by the scale, so that they may be "
           "clipped or looked at before step().\n\nRuntimeError when that was done since the last "
           "update(), or after the step; ValueError for gradients in float16.")
      .def("step", &step, "optimizer"_a,
           "optimizer.step() with gradients divided by the scale, unless one of them is not "
           "finite; further arguments go to that step.\n\nRuntimeError for a second step without "
           "update() between, for a closure, and when there is no gradient.")
      .def(
          "update",
          [](GradScaler& self, const py::object& new_scale) {
            if (new_scale.is_none()) {
              self.update();
            } else if (is_tensor(new_scale.ptr())) {
              self.update(tensor_of(new_scale.ptr()));
            } else {
              self.update(new_scale.cast<double>());
            }
          },
          "new_scale"_a = py::none(),
          "Adapts the scale to what the steps since the last update() found, or sets it.")
      .def("get_scale", &GradScaler::get_scale, "The scale, 1 when disabled. Waits for the device.")
      .def("get_growth_factor", &GradScaler::get_growth_factor,
           "What the scale is multiplied by after growth_interval good steps.")
      .def("set_growth_factor", &GradScaler::set_growth_factor, "new_factor"_a,
           "Sets the growth factor.")
      .def("get_backoff_factor", &GradScaler::get_backoff_factor,
           "What the scale is multiplied by after a step whose gradients were not finite.")
      .def("set_backoff_factor", &GradScaler::set_backoff_factor, "new_factor"_a,
           "Sets the backoff factor.")
      .def("get_growth_interval", &GradScaler::get_growth_interval,
           "How many good steps in a row make the scale grow.")
      .def("set_growth_interval", &GradScaler::set_growth_interval, "new_interval"_a,
           "Sets the growth interval.")
      .def("is_enabled", &GradScaler::is_enabled, "Whether the scaler does anything.")
      .def(
          "state_dict", [](const GradScaler& self) { return dict_of(self.state_dict()); },
          "Scale, factors, interval and the count of good steps as a dict; empty when disabled.")
      .def("load_state_dict", &load_state, "state_dict"_a,
           "Takes over a state. RuntimeError for an empty one.");
}

}  // namespace

void bind_amp(py::module_& module) {
  bind_autocast(module);
  py::module_ amp_module = module.def_submodule("_amp");
  bind_grad_scaler(amp_module);
  module.def(
      "set_float32_matmul_precision",
      [](const std::string& precision) { set_float32_matmul_precision(precision); }, "precision"_a,
      "How exactly GPUs multiply float32 matrices and convolve: \"highest\" (the default) as "
      "float32 says, \"high\" with factors rounded to tf32 (10 bits of mantissa), \"medium\" to "
      "bfloat16 (7 bits), each faster than the one before. Sums are in float32; the CPU is always "
      "exact.\n\nValueError for other names.");
  module.def(
      "get_float32_matmul_precision", [] { return std::string(get_float32_matmul_precision()); },
      "What set_float32_matmul_precision chose.");
}

}  // namespace taut::python
