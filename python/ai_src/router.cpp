// The router for Python.

#include "taut/ai/router.h"

#include <pybind11/stl.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "backends.h"

namespace py = pybind11;

namespace taut::python {
namespace {

using HeldRouter = WithoutLock<std::shared_ptr<ai::Router>>;

template <class T>
void take(const py::dict& options, const char* name, T& into) {
  if (options.contains(name)) into = options[name].cast<T>();
}

ai::Target target_of(const py::dict& given) {
  ai::Target target;
  target.backend = *given["backend"].cast<const HeldBackend&>();
  take(given, "model", target.model);
  take(given, "name", target.name);
  take(given, "order", target.order);
  take(given, "weight", target.weight);
  take(given, "is_enabled", target.is_enabled);
  take(given, "context_window", target.context_window);
  take(given, "tasks", target.tasks);
  take(given, "max_concurrent", target.max_concurrent);
  take(given, "requests_per_minute", target.requests_per_minute);
  take(given, "tokens_per_minute", target.tokens_per_minute);
  return target;
}

ai::Strategy strategy_of(const std::string& word) {
  constexpr ai::Strategy kAll[] = {ai::Strategy::priority, ai::Strategy::weighted,
                                   ai::Strategy::least_inflight, ai::Strategy::lowest_latency,
                                   ai::Strategy::lowest_cost};
  for (ai::Strategy strategy : kAll) {
    if (ai::name(strategy) == word) return strategy;
  }
  throw ValueError("router: strategy: got '" + word +
                   "'; expected priority, weighted, least_inflight, lowest_latency or lowest_cost");
}

ai::RouterOptions options_of(const py::dict& given) {
  ai::RouterOptions options;
  std::string strategy(ai::name(options.strategy));
  take(given, "strategy", strategy);
  options.strategy = strategy_of(strategy);
  take(given, "name", options.name);
  take(given, "seed", options.seed);
  take(given, "deadline", options.deadline);
  take(given, "max_targets", options.max_targets);
  take(given, "hedge_after", options.hedge_after);
  take(given, "allow_desperate", options.allow_desperate);
  take(given, "fallback_on_content_policy", options.fallback_on_content_policy);
  take(given, "restart_streams", options.restart_streams);
  take(given, "budget", options.budget);
  take(given, "cache", options.cache);
  std::shared_ptr<ai::PriceTable> prices;
  take(given, "prices", prices);
  options.prices = std::move(prices);
  if (given.contains("last_resort")) {
    options.last_resort = *given["last_resort"].cast<const HeldBackend&>();
  }
  return options;
}

py::dict dict_of(const ai::TargetStatus& status) {
  py::dict members;
  members["name"] = status.name;
  members["is_open"] = status.is_open;
  members["seconds_until_probe"] = status.seconds_until_probe;
  members["in_flight"] = status.in_flight;
  members["calls"] = status.calls;
  members["failures"] = status.failures;
  members["latency"] = status.latency;
  return members;
}

}  // namespace

void bind_router(py::module_& module) {
  py::class_<HeldRouter>(module, "Router")
      .def(py::init([](const std::vector<py::dict>& targets, const py::dict& options) {
             std::vector<ai::Target> made;
             for (const py::dict& target : targets) made.push_back(target_of(target));
             return std::make_unique<HeldRouter>(
                 ai::Router::create(std::move(made), options_of(options)));
           }),
           py::arg("targets"), py::arg("options"))
      .def("backend",
           [](const HeldRouter& router) {
             return HeldBackend(std::shared_ptr<ai::Backend>(*router));
           })
      .def("targets",
           [](const HeldRouter& router) {
             py::list all;
             for (const ai::TargetStatus& status : (*router)->targets())
               all.append(dict_of(status));
             return all;
           })
      .def("last_report",
           [](const HeldRouter& router) { return ai::to_json((*router)->last_report()); })
      .def("reset",
           [](const HeldRouter& router, const std::string& target) { (*router)->reset(target); });
}

}  // namespace taut::python
