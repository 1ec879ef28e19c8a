// Optimizers.

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "bindings.h"
#include "module_binding.h"
#include "py_ref.h"
#include "taut/autograd/grad_mode.h"
#include "taut/optim/optimizers.h"

namespace py = pybind11;
using namespace py::literals;

namespace taut::python {
namespace {

using optim::Optimizer;
using optim::ParamGroup;
using optim::Value;
using optim::Values;

py::object to_object_of(const Value& value) {
  return std::visit(
      [](const auto& item) -> py::object {
        using T = std::remove_cvref_t<decltype(item)>;
        if constexpr (std::is_same_v<T, std::monostate>) {
          return py::none();
        } else if constexpr (std::is_same_v<T, std::vector<double>>) {
          return py::tuple(py::cast(item));
        } else {
          return py::cast(item);
        }
      },
      value);
}

Value value_of(const py::handle& object) {
  Scalar number;
  if (object.is_none()) return std::monostate();
  if (PyUnicode_Check(object.ptr())) return object.cast<std::string>();
  if (is_tensor(object.ptr())) return tensor_of(object.ptr());
  if (PyTuple_Check(object.ptr()) || PyList_Check(object.ptr())) {
    return object.cast<std::vector<double>>();
  }
  if (!read(object.ptr(), number)) {
    if (PyErr_Occurred() != nullptr) throw py::error_already_set();
    throw py::type_error(std::string("an option of an optimizer cannot be a ") +
                         Py_TYPE(object.ptr())->tp_name);
  }
  if (number.is_boolean()) return number.to_bool();
  if (number.is_integral()) return number.to_int64();
  return number.to_double();
}

Values values_of(const py::dict& dict) {
  Values values;
  for (const auto& [name, item] : dict) values.set(name.cast<std::string>(), value_of(item));
  return values;
}

py::dict dict_of(const Values& values) {
  py::dict result;
  for (const auto& [name, value] : values) result[py::str(name)] = to_object_of(value);
  return result;
}

/// Parameters as PyTorch takes them: tensors, (name, tensor) pairs, or dicts with "params" and
/// options.
std::vector<ParamGroup> groups_of(const py::object& params) {
  std::vector<ParamGroup> groups;
  ParamGroup all;
  if (is_tensor(params.ptr())) {
    throw py::type_error("params must be a list of tensors or of dicts; got one tensor");
  }
  for (py::handle item : params) {
    if (py::isinstance<py::dict>(item)) {
      const py::dict options = py::dict(py::reinterpret_borrow<py::dict>(item).attr("copy")());
      ParamGroup group;
      const py::object members = options.attr("pop")("params");
      if (is_tensor(members.ptr())) {
        group.params.push_back(tensor_of(members.ptr()));
      } else {
        for (py::handle tensor : members) group.params.push_back(tensor.cast<Tensor>());
      }
      group.options = values_of(options);
      groups.push_back(std::move(group));
    } else if (PyTuple_Check(item.ptr()) && PyTuple_GET_SIZE(item.ptr()) == 2) {
      all.params.push_back(item[py::int_(1)].cast<Tensor>());
    } else {
      all.params.push_back(item.cast<Tensor>());
    }
  }
  if (groups.empty() || !all.params.empty()) groups.insert(groups.begin(), std::move(all));
  return groups;
}

/// One group of a living optimizer, as the dict that PyTorch has there.
struct GroupView {
  std::shared_ptr<Optimizer> optimizer;
  size_t index;
  ParamGroup& get() const { return optimizer->param_groups().at(index); }
};

void bind_group(py::module_& m) {
  py::class_<GroupView>(m, "ParamGroup",
                        "Parameters that share options; read and written as a dict.")
      .def("__getitem__",
           [](const GroupView& self, const std::string& name) -> py::object {
             if (name == "params") return py::cast(self.get().params);
             const Value* value = self.get().options.find(name);
             if (value == nullptr) value = self.optimizer->defaults().find(name);
             if (value == nullptr) throw py::key_error(name);
             return to_object_of(*value);
           })
      .def("__setitem__",
           [](const GroupView& self, const std::string& name, const py::object& value) {
             if (name == "params") {
               throw py::key_error("params: add_param_group adds parameters");
             }
             self.get().options.set(name, value_of(value));
           })
      .def("__contains__",
           [](const GroupView& self, const std::string& name) {
             return name == "params" || self.get().options.contains(name) ||
                    self.optimizer->defaults().contains(name);
           })
      .def("keys",
           [](const GroupView& self) {
             py::dict all = dict_of(self.optimizer->defaults());
             all.attr("update")(dict_of(self.get().options));
             py::list names;
             names.append("params");
             for (const auto& entry : all) names.append(entry.first);
             return names;
           })
      .def("setdefault",
           [](const py::object& self, const std::string& name, const py::object& value) {
             if (!self.contains(name)) self.attr("__setitem__")(name, value);
             return self[py::str(name)];
           });
}

py::dict state_dict_of(const Optimizer& self) {
  const optim::OptimizerState state = self.state_dict();
  py::dict entries;
  for (const auto& [index, values] : state.state) entries[py::int_(index)] = dict_of(values);
  py::list groups;
  for (const auto& group : state.param_groups) {
    py::dict entry = dict_of(group.options);
    entry["params"] = group.params;
    groups.append(entry);
  }
  return py::dict("state"_a = entries, "param_groups"_a = groups);
}

void load_state(Optimizer& self, const py::dict& source) {
  optim::OptimizerState state;
  for (const auto& [index, values] : source["state"].cast<py::dict>()) {
    state.state.emplace_back(index.cast<int64_t>(), values_of(values.cast<py::dict>()));
  }
  for (py::handle item : source["param_groups"]) {
    const py::dict options = py::dict(py::reinterpret_borrow<py::dict>(item).attr("copy")());
    optim::OptimizerState::Group group;
    group.params = options.attr("pop")("params").cast<std::vector<int64_t>>();
    group.options = values_of(options);
    state.param_groups.push_back(std::move(group));
  }
  self.load_state_dict(state);
}

void bind_optimizer(py::module_& m) {
  py::class_<Optimizer, py::smart_holder>(m, "Optimizer", py::dynamic_attr())
      .def(
          "step",
          [](Optimizer& self, const py::object& closure) -> py::object {
            if (closure.is_none()) {
              without_lock([&] { self.step(); });
              return py::none();
            }
            const Callback<Tensor()> callback([function = PyRef(closure)] {
              const Locked locked;
              const EnableGradGuard enabled;
              return function.get()().cast<Tensor>();
            });
            return py::cast(without_lock([&] { return self.step(callback); }));
          },
          "closure"_a = py::none())
      .def("zero_grad", &Optimizer::zero_grad, "set_to_none"_a = true)
      .def_property_readonly("param_groups",
                             [](const std::shared_ptr<Optimizer>& self) {
                               py::list groups;
                               for (size_t i = 0; i < self->param_groups().size(); ++i) {
                                 groups.append(GroupView{self, i});
                               }
                               return groups;
                             })
      .def(
          "add_param_group",
          [](Optimizer& self, const py::dict& group) {
            py::list one;
            one.append(group);
            self.add_param_group(groups_of(one).front());
          },
          "param_group"_a)
      .def_property_readonly("defaults",
                             [](const Optimizer& self) { return dict_of(self.defaults()); })
      .def("state_dict", &state_dict_of)
      .def("load_state_dict", &load_state, "state_dict"_a)
      .def("__repr__", &Optimizer::str);
}

using Pair = std::pair<double, double>;

void bind_optimizers(py::module_& m) {
  py::class_<optim::SGD, Optimizer, py::smart_holder>(m, "SGD").def(
      py::init([](const py::object& params, double lr, double momentum, double dampening,
                  double weight_decay, bool nesterov, bool maximize, const py::kwargs&) {
        return std::make_unique<optim::SGD>(
            groups_of(params),
            optim::SGDOptions{lr, momentum, dampening, weight_decay, nesterov, maximize});
      }),
      "params"_a, "lr"_a = 1e-3, "momentum"_a = 0.0, "dampening"_a = 0.0, "weight_decay"_a = 0.0,
      "nesterov"_a = false, "maximize"_a = false);
  py::class_<optim::Adam, Optimizer, py::smart_holder>(m, "Adam").def(
      py::init([](const py::object& params, double lr, Pair betas, double eps, double weight_decay,
                  bool amsgrad, bool maximize, bool decoupled_weight_decay, const py::kwargs&) {
        return std::make_unique<optim::Adam>(
            groups_of(params), optim::AdamOptions{lr, betas, eps, weight_decay, amsgrad, maximize,
                                                  decoupled_weight_decay});
      }),
      "params"_a, "lr"_a = 1e-3, "betas"_a = Pair(0.9, 0.999), "eps"_a = 1e-8,
      "weight_decay"_a = 0.0, "amsgrad"_a = false, "maximize"_a = false,
      "decoupled_weight_decay"_a = false);
  py::class_<optim::AdamW, optim::Adam, py::smart_holder>(m, "AdamW")
      .def(py::init([](const py::object& params, double lr, Pair betas, double eps,
                       double weight_decay, bool amsgrad, bool maximize, const py::kwargs&) {
             return std::make_unique<optim::AdamW>(
                 groups_of(params),
                 optim::AdamWOptions{lr, betas, eps, weight_decay, amsgrad, maximize});
           }),
           "params"_a, "lr"_a = 1e-3, "betas"_a = Pair(0.9, 0.999), "eps"_a = 1e-8,
           "weight_decay"_a = 1e-2, "amsgrad"_a = false, "maximize"_a = false);
  py::class_<optim::RMSprop, Optimizer, py::smart_holder>(m, "RMSprop")
      .def(py::init([](const py::object& params, double lr, double alpha, double eps,
                       double weight_decay, double momentum, bool centered, bool maximize,
                       const py::kwargs&) {
             return std::make_unique<optim::RMSprop>(
                 groups_of(params),
                 optim::RMSpropOptions{lr, alpha, eps, weight_decay, momentum, centered, maximize});
           }),
           "params"_a, "lr"_a = 1e-2, "alpha"_a = 0.99, "eps"_a = 1e-8, "weight_decay"_a = 0.0,
           "momentum"_a = 0.0, "centered"_a = false, "maximize"_a = false);
  py::class_<optim::Adagrad, Optimizer, py::smart_holder>(m, "Adagrad")
      .def(py::init([](const py::object& params, double lr, double lr_decay, double weight_decay,
                       double initial_accumulator_value, double eps, bool maximize,
                       const py::kwargs&) {
             return std::make_unique<optim::Adagrad>(
                 groups_of(params),
                 optim::AdagradOptions{lr, lr_decay, weight_decay, initial_accumulator_value, eps,
                                       maximize});
           }),
           "params"_a, "lr"_a = 1e-2, "lr_decay"_a = 0.0, "weight_decay"_a = 0.0,
           "initial_accumulator_value"_a = 0.0, "eps"_a = 1e-10, "maximize"_a = false);
}

}  // namespace

void bind_optim(py::module_& module) {
  py::module_ optim_module = module.def_submodule("_optim");
  bind_group(optim_module);
  bind_optimizer(optim_module);
  bind_optimizers(optim_module);
}

}  // namespace taut::python
