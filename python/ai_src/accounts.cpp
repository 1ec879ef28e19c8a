// Prices, budgets, caches and logs for Python.

#include <pybind11/stl.h>

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "backends.h"
#include "taut/ai/budget.h"
#include "taut/ai/cache.h"
#include "taut/ai/call_log.h"
#include "taut/ai/json_text.h"
#include "taut/ai/prices.h"

namespace py = pybind11;

namespace taut::python {
namespace {

using Limit = std::pair<std::optional<double>, std::optional<int64_t>>;  // dollars, tokens
using NamedLimits = std::map<std::string, Limit>;

ai::BudgetLimit limit_of(const Limit& limit) { return {limit.first, limit.second}; }

std::vector<std::pair<std::string, ai::BudgetLimit>> limits_of(const NamedLimits& limits) {
  std::vector<std::pair<std::string, ai::BudgetLimit>> all;
  for (const auto& [name, limit] : limits) all.emplace_back(name, limit_of(limit));
  return all;
}

py::dict dict_of(const ai::Spending& spending) {
  py::dict members;
  members["dollars"] = spending.dollars;
  members["tokens"] = spending.tokens;
  members["reserved_dollars"] = spending.reserved_dollars;
  members["reserved_tokens"] = spending.reserved_tokens;
  members["calls"] = spending.calls;
  members["calls_of_unknown_cost"] = spending.calls_of_unknown_cost;
  return members;
}

py::dict dict_of(const ai::CacheStatistics& statistics) {
  py::dict members;
  members["entries"] = statistics.entries;
  members["bytes"] = statistics.bytes;
  members["hits"] = statistics.hits;
  members["misses"] = statistics.misses;
  return members;
}

void bind_prices(py::module_& module) {
  py::class_<ai::PriceTable, std::shared_ptr<ai::PriceTable>>(module, "PriceTable")
      .def_static("from_json",
                  [](const std::string& text) {
                    return std::make_shared<ai::PriceTable>(ai::PriceTable::from_json(text));
                  })
      .def_static("from_file",
                  [](const std::string& path) {
                    return std::make_shared<ai::PriceTable>(ai::PriceTable::from_file(path));
                  })
      .def_property_readonly("date", &ai::PriceTable::date)
      .def("__len__", &ai::PriceTable::size)
      .def("cost",
           [](const ai::PriceTable& prices, const std::string& provider, const std::string& model,
              const std::string& usage) {
             return prices.cost(provider, model, ai::usage_from_json(usage));
           })
      .def("estimate", [](const ai::PriceTable& prices, const std::string& provider,
                          const std::string& request) {
        const ai::ChatRequest wanted = ai::chat_request_from_json(request);
        const ai::CostEstimate estimate = prices.estimate(provider, wanted.model, wanted);
        return py::make_tuple(estimate.input_tokens, estimate.output_tokens, estimate.cost);
      });
}

void bind_budget(py::module_& module) {
  py::class_<ai::Budget, std::shared_ptr<ai::Budget>>(module, "Budget")
      .def(py::init([](const Limit& run, const NamedLimits& providers, const NamedLimits& tasks) {
             return ai::Budget::create({limit_of(run), limits_of(providers), limits_of(tasks)});
           }),
           py::arg("run"), py::arg("providers"), py::arg("tasks"))
      .def("spent", [](const ai::Budget& budget) { return dict_of(budget.spent()); })
      .def("spent_by_provider",
           [](const ai::Budget& budget, const std::string& name) {
             return dict_of(budget.spent_by_provider(name));
           })
      .def("spent_by_task", [](const ai::Budget& budget, const std::string& name) {
        return dict_of(budget.spent_by_task(name));
      });
}

}  // namespace

void bind_accounts(py::module_& module) {
  bind_prices(module);
  bind_budget(module);
  py::class_<ai::ResponseCache, std::shared_ptr<ai::ResponseCache>>(module, "ResponseCache")
      .def(py::init([](std::string path, int64_t max_bytes, std::optional<double> max_age,
                       bool rebuild_if_broken) {
             const Unlocked unlocked;
             return ai::ResponseCache::open(
                 {std::move(path), max_bytes, max_age, rebuild_if_broken});
           }),
           py::arg("path"), py::arg("max_bytes"), py::arg("max_age"), py::arg("rebuild_if_broken"))
      .def("clear", &ai::ResponseCache::clear, py::call_guard<Unlocked>())
      .def("statistics",
           [](const ai::ResponseCache& cache) { return dict_of(cache.statistics()); });
  py::class_<ai::CallLog, std::shared_ptr<ai::CallLog>>(module, "CallLog")
      .def(py::init([](const std::string& path, bool include_texts) {
             return ai::CallLog::open(path, include_texts);
           }),
           py::arg("path"), py::arg("include_texts"));
}

}  // namespace taut::python
