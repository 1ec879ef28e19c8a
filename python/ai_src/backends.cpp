#include "backends.h"

#include <pybind11/stl.h>

#include <optional>
#include <string>

#include "calls.h"
#include "taut/ai/cache.h"
#include "taut/ai/call_log.h"
#include "taut/ai/json_text.h"
#include "taut/ai/prices.h"
#include "taut/ai/recording.h"

namespace py = pybind11;

namespace taut::python {
namespace {

using HeldCall = WithoutLock<Call>;
using HeldStream = WithoutLock<ai::ChatStream>;

/// The function gives (True, response) or (False, error), as JSON text: no Python exception crosses
/// a thread of C++.
ai::ChatResponse answer_of(const PythonFunction& function, const ai::ChatRequest& request) {
  bool is_answer = false;
  std::string text;
  {
    const Entry entry;
    const py::gil_scoped_acquire locked;
    try {
      const auto given = function.get()(ai::to_json(request)).cast<py::tuple>();
      is_answer = given[0].cast<bool>();
      text = given[1].cast<std::string>();
    } catch (py::error_already_set& error) {
      throw ValueError(error.what());  // without what would need the lock when it is dropped
    }
  }
  if (is_answer) return ai::chat_response_from_json(text);
  throw ai::ProviderError(ai::error_details_from_json(text));
}

HeldBackend local_backend(std::string name, py::object function) {
  const PythonFunction held(std::move(function));
  return HeldBackend(ai::local_backend(std::move(name), [held](const ai::ChatRequest& request) {
    return answer_of(held, request);
  }));
}

}  // namespace

void bind_backends(py::module_& module) {
  py::class_<HeldBackend>(module, "Backend")
      .def_property_readonly("name", [](const HeldBackend& backend) { return (*backend)->name(); })
      .def_property_readonly("is_ready",
                             [](const HeldBackend& backend) { return (*backend)->is_ready(); })
      .def("chat",
           [](const HeldBackend& backend, const std::string& request) {
             const Unlocked unlocked;
             return HeldCall(call_of((*backend)->chat(ai::chat_request_from_json(request))));
           })
      .def("stream",
           [](const HeldBackend& backend, const std::string& request) {
             const Unlocked unlocked;
             return HeldStream((*backend)->stream(ai::chat_request_from_json(request)));
           })
      .def("embed",
           [](const HeldBackend& backend, const std::string& request) {
             const Unlocked unlocked;
             return HeldCall(call_of((*backend)->embed(ai::embedding_request_from_json(request))));
           })
      .def("capabilities", [](const HeldBackend& backend, const std::string& model) {
        return ai::to_json((*backend)->capabilities(model));
      });

  module.def("local_backend", local_backend, py::arg("name"), py::arg("answer"));
  module.def("recorded", [](const HeldBackend& backend, const std::string& path) {
    return HeldBackend(ai::recorded(*backend, path));
  });
  module.def("replayed", [](const std::string& path, std::string name, bool repeats) {
    return HeldBackend(ai::replayed(path, {.name = std::move(name), .repeats = repeats}));
  });
  module.def("cached",
             [](const HeldBackend& backend, const std::shared_ptr<ai::ResponseCache>& cache) {
               return HeldBackend(ai::cached(*backend, cache));
             });
  module.def("metered", [](const HeldBackend& backend, std::shared_ptr<ai::PriceTable> prices,
                           std::shared_ptr<ai::Budget> budget, std::shared_ptr<ai::CallLog> log) {
    return HeldBackend(ai::metered(
        *backend,
        {.prices = std::move(prices), .budget = std::move(budget), .log = std::move(log)}));
  });
  module.def("request_key", [](const std::string& provider, const std::string& request) {
    return ai::request_key(provider, ai::chat_request_from_json(request));
  });
}

}  // namespace taut::python
