// Optimizers and schedules of learning rates.

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "bindings.h"
#include "module_binding.h"
#include "py_ref.h"
#include "taut/autograd/grad_mode.h"
#include "taut/optim/lr_scheduler.h"
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
  if (DType dtype; read(object.ptr(), dtype)) return std::string(name(dtype));
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

/// A dtype as it stands in the options of a group: by name.
std::optional<DType> state_dtype_of(const py::object& object) {
  if (object.is_none()) return std::nullopt;
  if (!py::isinstance<py::str>(object)) return object.cast<DType>();
  const auto text = object.cast<std::string>();
  for (DType dtype : {kFloat32, kBFloat16, kInt8}) {
    if (text == name(dtype)) return dtype;
  }
  throw ValueError(
      concat("state_dtype must be None, float32, bfloat16 or int8; got \"", text, '"'));
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
      .def(
          "keys",
          [](const GroupView& self) {
            py::dict all = dict_of(self.optimizer->defaults());
            all.attr("update")(dict_of(self.get().options));
            py::list names;
            names.append("params");
            for (const auto& entry : all) names.append(entry.first);
            return names;
          },
          "The names of all options, and params.")
      .def(
          "setdefault",
          [](const py::object& self, const std::string& name, const py::object& value) {
            if (!self.contains(name)) self.attr("__setitem__")(name, value);
            return self[py::str(name)];
          },
          "The value of an option, set first if it is not there.");
}

/// An optimizer whose step a Python class defines.
class HostedOptimizer final : public Optimizer, public py::trampoline_self_life_support {
 public:
  HostedOptimizer(std::vector<ParamGroup> groups, Values defaults)
      : Optimizer(std::move(groups), std::move(defaults)) {}
  void step() override {
    const Locked locked;
    const auto function = py::get_override(static_cast<const Optimizer*>(this), "step");
    TAUT_CHECK(static_cast<bool>(function), NotImplementedError,
               "Optimizer: a subclass needs a method step");
    function();
  }
  std::string name() const override {
    const Locked locked;
    const py::object self = py::cast(static_cast<const Optimizer*>(this));
    return py::type::of(self).attr("__name__").cast<std::string>();
  }
};

/// The states of all parameters, and the state of one, as the dicts that PyTorch has there.
struct StatesView {
  std::shared_ptr<Optimizer> optimizer;
};
struct StateView {
  std::shared_ptr<Optimizer> optimizer;
  Tensor parameter;
  Values& get() const { return optimizer->state_of(parameter); }
};

void bind_states(py::module_& m) {
  py::class_<StatesView>(m, "_States", "The state of each parameter, by the parameter.")
      .def("__getitem__", [](const StatesView& self, const Tensor& parameter) {
        self.optimizer->state_of(parameter);  // refuses what is no parameter
        return StateView{self.optimizer, parameter};
      });
  py::class_<StateView>(m, "_State", "The state of one parameter; read and written as a dict.")
      .def("__len__", [](const StateView& self) { return self.get().size(); })
      .def("__contains__",
           [](const StateView& self, const std::string& name) { return self.get().contains(name); })
      .def("__getitem__",
           [](const StateView& self, const std::string& name) {
             const Value* value = self.get().find(name);
             if (value == nullptr) throw py::key_error(name);
             return to_object_of(*value);
           })
      .def("__setitem__", [](const StateView& self, const std::string& name,
                             const py::object& value) { self.get().set(name, value_of(value)); })
      .def("__delitem__",
           [](const StateView& self, const std::string& name) {
             if (!self.get().erase(name)) throw py::key_error(name);
           })
      .def("__iter__",
           [](const StateView& self) { return py::iter(dict_of(self.get()).attr("keys")()); })
      .def("keys", [](const StateView& self) { return dict_of(self.get()).attr("keys")(); })
      .def("items", [](const StateView& self) { return dict_of(self.get()).attr("items")(); })
      .def(
          "get",
          [](const StateView& self, const std::string& name, const py::object& fallback) {
            const Value* value = self.get().find(name);
            return value == nullptr ? fallback : to_object_of(*value);
          },
          "name"_a, "default"_a = py::none());
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
  py::class_<Optimizer, HostedOptimizer, py::smart_holder>(m, "Optimizer", py::dynamic_attr())
      .def(py::init([](const py::object& params, const py::dict& defaults) {
             return new HostedOptimizer(groups_of(params), values_of(defaults));
           }),
           "params"_a, "defaults"_a)
      .def_property_readonly(
          "state", [](const std::shared_ptr<Optimizer>& self) { return StatesView{self}; },
          "What is kept for each parameter: state[parameter][\"exp_avg\"]. Numbers, words and "
          "tensors.")
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
          "closure"_a = py::none(),
          "Updates every parameter that has a gradient. A closure, which clears gradients, "
          "computes "
          "a loss and its gradients and returns the loss, is run first; its loss is returned.")
      .def("zero_grad", &Optimizer::zero_grad, "set_to_none"_a = true,
           "Forgets the gradients of all parameters, or zeroes them.")
      .def_property_readonly(
          "param_groups",
          [](const std::shared_ptr<Optimizer>& self) {
            py::list groups;
            for (size_t i = 0; i < self->param_groups().size(); ++i) {
              groups.append(GroupView{self, i});
            }
            return groups;
          },
          "The groups, whose options may be changed between steps: "
          "param_groups[0][\"lr\"] = 0.1.")
      .def(
          "add_param_group",
          [](Optimizer& self, const py::dict& group) {
            py::list one;
            one.append(group);
            self.add_param_group(groups_of(one).front());
          },
          "param_group"_a,
          "Adds a dict with \"params\" and options. Raises ValueError for a parameter that is in a "
          "group already.")
      .def_property_readonly(
          "defaults", [](const Optimizer& self) { return dict_of(self.defaults()); },
          "The options that a group has when it brings none.")
      .def("state_dict", &state_dict_of,
           "Options and state as dicts of numbers and tensors, parameters counted through all "
           "groups.")
      .def("load_state_dict", &load_state, "state_dict"_a,
           "Takes over options and state; tensors are cast to the dtype and device of their "
           "parameter. Raises ValueError when groups or their sizes differ; nothing has changed "
           "then.")
      .def("__repr__", &Optimizer::str);
}

using Pair = std::pair<double, double>;

void bind_optimizers(py::module_& m) {
  py::class_<optim::SGD, Optimizer, py::smart_holder>(m, "SGD").def(
      py::init([](const py::object& params, double lr, double momentum, double dampening,
                  double weight_decay, bool nesterov, bool maximize, bool master_weights,
                  const py::object& state_dtype, const py::kwargs&) {
        return std::make_unique<optim::SGD>(
            groups_of(params),
            optim::SGDOptions{lr, momentum, dampening, weight_decay, nesterov, maximize,
                              master_weights, state_dtype_of(state_dtype)});
      }),
      "params"_a, "lr"_a = 1e-3, "momentum"_a = 0.0, "dampening"_a = 0.0, "weight_decay"_a = 0.0,
      "nesterov"_a = false, "maximize"_a = false, "master_weights"_a = false,
      "state_dtype"_a = py::none());
  py::class_<optim::Adam, Optimizer, py::smart_holder>(m, "Adam").def(
      py::init([](const py::object& params, double lr, Pair betas, double eps, double weight_decay,
                  bool amsgrad, bool maximize, bool decoupled_weight_decay, bool master_weights,
                  const py::object& state_dtype, const py::kwargs&) {
        return std::make_unique<optim::Adam>(
            groups_of(params), optim::AdamOptions{lr, betas, eps, weight_decay, amsgrad, maximize,
                                                  decoupled_weight_decay, master_weights,
                                                  state_dtype_of(state_dtype)});
      }),
      "params"_a, "lr"_a = 1e-3, "betas"_a = Pair(0.9, 0.999), "eps"_a = 1e-8,
      "weight_decay"_a = 0.0, "amsgrad"_a = false, "maximize"_a = false,
      "decoupled_weight_decay"_a = false, "master_weights"_a = false, "state_dtype"_a = py::none());
  py::class_<optim::AdamW, optim::Adam, py::smart_holder>(m, "AdamW")
      .def(py::init([](const py::object& params, double lr, Pair betas, double eps,
                       double weight_decay, bool amsgrad, bool maximize, bool master_weights,
                       const py::object& state_dtype, const py::kwargs&) {
             return std::make_unique<optim::AdamW>(
                 groups_of(params),
                 optim::AdamWOptions{lr, betas, eps, weight_decay, amsgrad, maximize,
                                     master_weights, state_dtype_of(state_dtype)});
           }),
           "params"_a, "lr"_a = 1e-3, "betas"_a = Pair(0.9, 0.999), "eps"_a = 1e-8,
           "weight_decay"_a = 1e-2, "amsgrad"_a = false, "maximize"_a = false,
           "master_weights"_a = false, "state_dtype"_a = py::none());
  py::class_<optim::RMSprop, Optimizer, py::smart_holder>(m, "RMSprop")
      .def(py::init([](const py::object& params, double lr, double alpha, double eps,
                       double weight_decay, double momentum, bool centered, bool maximize,
                       bool master_weights, const py::kwargs&) {
             return std::make_unique<optim::RMSprop>(
                 groups_of(params), optim::RMSpropOptions{lr, alpha, eps, weight_decay, momentum,
                                                          centered, maximize, master_weights});
           }),
           "params"_a, "lr"_a = 1e-2, "alpha"_a = 0.99, "eps"_a = 1e-8, "weight_decay"_a = 0.0,
           "momentum"_a = 0.0, "centered"_a = false, "maximize"_a = false,
           "master_weights"_a = false);
  py::class_<optim::Adagrad, Optimizer, py::smart_holder>(m, "Adagrad")
      .def(py::init([](const py::object& params, double lr, double lr_decay, double weight_decay,
                       double initial_accumulator_value, double eps, bool maximize,
                       bool master_weights, const py::kwargs&) {
             return std::make_unique<optim::Adagrad>(
                 groups_of(params),
                 optim::AdagradOptions{lr, lr_decay, weight_decay, initial_accumulator_value, eps,
                                       maximize, master_weights});
           }),
           "params"_a, "lr"_a = 1e-2, "lr_decay"_a = 0.0, "weight_decay"_a = 0.0,
           "initial_accumulator_value"_a = 0.0, "eps"_a = 1e-10, "maximize"_a = false,
           "master_weights"_a = false);
}

// Schedules --------------------------------------------------------------------------------------

using optim::LRScheduler;

/// A schedule whose rates a Python class computes.
class HostedScheduler final : public LRScheduler, public py::trampoline_self_life_support {
 public:
  explicit HostedScheduler(Optimizer& optimizer) : LRScheduler(optimizer) {}
  using LRScheduler::base_lrs_;
  using LRScheduler::start;

 protected:
  std::vector<double> get_lr() override {
    const Locked locked;
    const auto function = py::get_override(static_cast<const LRScheduler*>(this), "get_lr");
    TAUT_CHECK(static_cast<bool>(function), NotImplementedError,
               "LRScheduler: a subclass needs a method get_lr");
    return function().cast<std::vector<double>>();
  }
};

optim::LambdaLR::Function rate_function(const py::object& function) {
  if (PyCallable_Check(function.ptr()) == 0) {
    throw py::type_error(std::string("lr_lambda must be a function of the epoch; got a ") +
                         Py_TYPE(function.ptr())->tp_name);
  }
  return [held = PyRef(function)](int64_t epoch) {
    const Locked locked;
    return held.get()(epoch).cast<double>();
  };
}

template <class Scheduler>
using SchedulerClass = py::class_<Scheduler, LRScheduler, py::smart_holder>;

/// A class whose constructor takes the optimizer, what the C++ one takes and PyTorch's last_epoch.
template <class Scheduler, class... A, class... Names>
void bind_schedule(py::module_& m, const char* name, const char* doc, const Names&... names) {
  SchedulerClass<Scheduler>(m, name, doc)
      .def(py::init([name](Optimizer& optimizer, A... arguments, int64_t last_epoch) {
             TAUT_CHECK(last_epoch == -1, NotImplementedError, name,
                        ": last_epoch is -1 here; load_state_dict goes on with an earlier run");
             return std::make_unique<Scheduler>(optimizer, std::move(arguments)...);
           }),
           py::keep_alive<1, 2>(), "optimizer"_a, names..., "last_epoch"_a = -1);
}

void bind_scheduler_base(py::module_& m) {
  py::class_<LRScheduler, HostedScheduler, py::smart_holder>(
      m, "LRScheduler", py::dynamic_attr(),
      "The base of schedules: it sets the learning rate of every group at each step(). A subclass "
      "defines get_lr(), which returns a rate for each group for the epoch `last_epoch`.")
      .def(py::init([](Optimizer& optimizer) { return new HostedScheduler(optimizer); }),
           py::keep_alive<1, 2>(), "optimizer"_a)
      .def("_start",
           [](LRScheduler& self) {
             if (auto* hosted = dynamic_cast<HostedScheduler*>(&self)) hosted->start();
           })
      .def("step", &LRScheduler::step, "Goes on by one, and sets the rate of every group.")
      .def("get_last_lr", &LRScheduler::get_last_lr, "The rates that were set last.")
      .def_property_readonly("last_epoch", &LRScheduler::last_epoch, "How often step() was called.")
      .def_readonly("base_lrs", &HostedScheduler::base_lrs_, "The rates of the start.")
      .def_property_readonly(
          "optimizer", [](const LRScheduler& self) -> Optimizer& { return self.optimizer(); },
          py::return_value_policy::reference, "The optimizer whose rates it sets.")
      .def(
          "state_dict", [](const LRScheduler& self) { return dict_of(self.state_dict()); },
          "What step() depends on; functions are not part of it.")
      .def(
          "load_state_dict",
          [](LRScheduler& self, const py::dict& state) { self.load_state_dict(values_of(state)); },
          "state_dict"_a, "Goes on where `state_dict` tells.");
}

void bind_schedules(py::module_& m) {
  constexpr double kThird = 1.0 / 3;
  SchedulerClass<optim::LambdaLR>(
      m, "LambdaLR", "The first rate times lr_lambda(epoch); one function, or one for each group.")
      .def(py::init([](Optimizer& optimizer, const py::object& lr_lambda, int64_t) {
             if (!PyList_Check(lr_lambda.ptr()) && !PyTuple_Check(lr_lambda.ptr())) {
               return std::make_unique<optim::LambdaLR>(optimizer, rate_function(lr_lambda));
             }
             std::vector<optim::LambdaLR::Function> functions;
             for (py::handle function : lr_lambda) {
               functions.push_back(rate_function(py::reinterpret_borrow<py::object>(function)));
             }
             return std::make_unique<optim::LambdaLR>(optimizer, std::move(functions));
           }),
           py::keep_alive<1, 2>(), "optimizer"_a, "lr_lambda"_a, "last_epoch"_a = -1);
  SchedulerClass<optim::MultiplicativeLR>(m, "MultiplicativeLR",
                                          "The rate times lr_lambda(epoch), each time.")
      .def(py::init([](Optimizer& optimizer, const py::object& lr_lambda, int64_t) {
             return std::make_unique<optim::MultiplicativeLR>(optimizer, rate_function(lr_lambda));
           }),
           py::keep_alive<1, 2>(), "optimizer"_a, "lr_lambda"_a, "last_epoch"_a = -1);
  bind_schedule<optim::StepLR, int64_t, double>(
      m, "StepLR", "The rate times gamma every step_size epochs.", "step_size"_a, "gamma"_a = 0.1);
  bind_schedule<optim::MultiStepLR, std::vector<int64_t>, double>(
      m, "MultiStepLR", "The rate times gamma at each of the milestones.", "milestones"_a,
      "gamma"_a = 0.1);
  bind_schedule<optim::ExponentialLR, double>(m, "ExponentialLR",
                                              "The rate times gamma, each time.", "gamma"_a);
  bind_schedule<optim::ConstantLR, double, int64_t>(
      m, "ConstantLR", "The rate times factor for total_iters epochs, then the rate.",
      "factor"_a = kThird, "total_iters"_a = 5);
  bind_schedule<optim::LinearLR, double, double, int64_t>(
      m, "LinearLR",
      "From the rate times start_factor to the rate times end_factor in total_iters equal steps.",
      "start_factor"_a = kThird, "end_factor"_a = 1.0, "total_iters"_a = 5);
  bind_schedule<optim::PolynomialLR, int64_t, double>(
      m, "PolynomialLR", "The rate times (1 - epoch / total_iters)^power, then 0.",
      "total_iters"_a = 5, "power"_a = 1.0);
  bind_schedule<optim::CosineAnnealingLR, int64_t, double>(
      m, "CosineAnnealingLR",
      "Half a cosine from the rate to eta_min in T_max epochs, and up again.", "T_max"_a,
      "eta_min"_a = 0.0);
  bind_schedule<optim::CosineAnnealingWarmRestarts, int64_t, int64_t, double>(
      m, "CosineAnnealingWarmRestarts",
      "Half a cosine from the rate to eta_min, again and again: T_0 epochs, then T_mult times as "
      "many each time.",
      "T_0"_a, "T_mult"_a = 1, "eta_min"_a = 0.0);
}

void bind_compound_schedules(py::module_& m) {
  using Count = std::optional<int64_t>;
  using Schedulers = std::vector<std::shared_ptr<LRScheduler>>;
  SchedulerClass<optim::OneCycleLR>(
      m, "OneCycleLR",
      "Up to max_lr and down to almost nothing, momentum (or the first beta) the other way round; "
      "to be stepped after every batch. The number of steps is total_steps, or epochs * "
      "steps_per_epoch; one step more is a ValueError.")
      .def(py::init([](Optimizer& optimizer, double max_lr, Count total_steps, Count epochs,
                       Count steps_per_epoch, double pct_start, std::string anneal_strategy,
                       bool cycle_momentum, double base_momentum, double max_momentum,
                       double div_factor, double final_div_factor, bool three_phase, int64_t) {
             return std::make_unique<optim::OneCycleLR>(
                 optimizer,
                 optim::OneCycleOptions{max_lr, total_steps.value_or(0), epochs.value_or(0),
                                        steps_per_epoch.value_or(0), pct_start,
                                        std::move(anneal_strategy), cycle_momentum, base_momentum,
                                        max_momentum, div_factor, final_div_factor, three_phase});
           }),
           py::keep_alive<1, 2>(), "optimizer"_a, "max_lr"_a, "total_steps"_a = py::none(),
           "epochs"_a = py::none(), "steps_per_epoch"_a = py::none(), "pct_start"_a = 0.3,
           "anneal_strategy"_a = "cos", "cycle_momentum"_a = true, "base_momentum"_a = 0.85,
           "max_momentum"_a = 0.95, "div_factor"_a = 25.0, "final_div_factor"_a = 1e4,
           "three_phase"_a = false, "last_epoch"_a = -1);
  bind_schedule<optim::SequentialLR, Schedulers, std::vector<int64_t>>(
      m, "SequentialLR",
      "One schedule after the other: the i-th takes over at milestones[i - 1]. They are made for "
      "the same optimizer, in their order.",
      "schedulers"_a, "milestones"_a);
  SchedulerClass<optim::ChainedScheduler>(m, "ChainedScheduler",
                                          "Steps all of its schedules, one on top of the other.")
      .def(py::init([](Schedulers schedulers, const py::object&) {
             return std::make_unique<optim::ChainedScheduler>(std::move(schedulers));
           }),
           py::keep_alive<1, 2>(), "schedulers"_a, "optimizer"_a = py::none());
}

void bind_plateau(py::module_& m) {
  using optim::ReduceLROnPlateau;
  py::class_<ReduceLROnPlateau, py::smart_holder>(
      m, "ReduceLROnPlateau",
      "The rate times factor when the metric given to step() has not become better for more than "
      "`patience` epochs.")
      .def(py::init([](Optimizer& optimizer, std::string mode, double factor, int64_t patience,
                       double threshold, std::string threshold_mode, int64_t cooldown,
                       double min_lr, double eps) {
             return std::make_unique<ReduceLROnPlateau>(
                 optimizer,
                 optim::PlateauOptions{std::move(mode), factor, patience, threshold,
                                       std::move(threshold_mode), cooldown, min_lr, eps});
           }),
           py::keep_alive<1, 2>(), "optimizer"_a, "mode"_a = "min", "factor"_a = 0.1,
           "patience"_a = 10, "threshold"_a = 1e-4, "threshold_mode"_a = "rel", "cooldown"_a = 0,
           "min_lr"_a = 0.0, "eps"_a = 1e-8)
      .def(
          "step",
          [](ReduceLROnPlateau& self, const Scalar& metrics) { self.step(metrics.to_double()); },
          "metrics"_a, "Looks at the metric of one more epoch.")
      .def("get_last_lr", &ReduceLROnPlateau::get_last_lr, "The rates that were set last.")
      .def_property_readonly("best", &ReduceLROnPlateau::best, "The best metric so far.")
      .def_property_readonly("num_bad_epochs", &ReduceLROnPlateau::num_bad_epochs,
                             "Epochs since the metric was better than before.")
      .def(
          "state_dict", [](const ReduceLROnPlateau& self) { return dict_of(self.state_dict()); },
          "What step() depends on.")
      .def(
          "load_state_dict",
          [](ReduceLROnPlateau& self, const py::dict& state) {
            self.load_state_dict(values_of(state));
          },
          "state_dict"_a, "Goes on where `state_dict` tells.");
}

}  // namespace

void bind_optim(py::module_& module) {
  py::module_ optim_module = module.def_submodule("_optim");
  bind_group(optim_module);
  bind_states(optim_module);
  bind_optimizer(optim_module);
  bind_optimizers(optim_module);
  py::module_ schedules = optim_module.def_submodule("_lr_scheduler");
  bind_scheduler_base(schedules);
  bind_schedules(schedules);
  bind_compound_schedules(schedules);
  bind_plateau(schedules);
}

}  // namespace taut::python
