#include "calls.h"

#include <pybind11/stl.h>

#include "taut/ai/json_text.h"
#include "taut/ai/route_report.h"

namespace py = pybind11;

namespace taut::python {

bool Call::wait(double seconds) const {
  const Unlocked unlocked;
  return wait_(seconds);
}

void Call::cancel() const {
  // What it waits for may need the lock.
  const Unlocked unlocked;
  cancel_();
}

void Call::on_done(py::object function) const {
  const PythonFunction held(std::move(function));
  const Unlocked unlocked;
  then_([held] {
    try {
      const Entry entry;
      const py::gil_scoped_acquire locked;
      try {
        held.get()();
      } catch (py::error_already_set& error) {
        error.discard_as_unraisable("a callback of taut.ai");
      }
    } catch (const ai::ProviderError&) {  // nobody is there to be told any more
    }
  });
}

py::tuple texts_of(const ai::ChatResponse& response) {
  py::object route = py::none();
  if (response.route) route = py::str(ai::to_json(*response.route));
  return py::make_tuple(ai::to_json(response), route);
}

Call call_of(ai::Pending<ai::ChatResponse> pending) {
  return Call(std::move(pending),
              [](const ai::ChatResponse& response) -> py::object { return texts_of(response); });
}

Call call_of(ai::Pending<ai::EmbeddingResponse> pending) {
  return Call(std::move(pending), [](ai::EmbeddingResponse response) -> py::object {
    const std::vector<std::vector<float>> vectors = std::move(response.embeddings);
    response.embeddings.clear();
    return py::make_tuple(ai::to_json(response), vectors);
  });
}

Call call_of(ai::Pending<std::optional<ai::StreamEvent>> pending) {
  return Call(std::move(pending), [](const std::optional<ai::StreamEvent>& event) -> py::object {
    if (!event) return py::none();
    return py::str(ai::to_json(*event));
  });
}

void bind_calls(py::module_& module) {
  using HeldCall = WithoutLock<Call>;
  py::class_<HeldCall>(module, "Call")
      .def("wait", [](const HeldCall& call, double seconds) { return call->wait(seconds); })
      .def("result", [](const HeldCall& call) { return call->result(); })
      .def("cancel", [](const HeldCall& call) { call->cancel(); })
      .def("on_done",
           [](const HeldCall& call, py::object function) { call->on_done(std::move(function)); });

  using HeldStream = WithoutLock<ai::ChatStream>;
  py::class_<HeldStream>(module, "Stream")
      .def("next_event",
           [](const HeldStream& stream) {
             const Unlocked unlocked;
             return HeldCall(call_of(stream->next_event()));
           })
      .def("response", [](const HeldStream& stream) { return texts_of(stream->response()); })
      .def("cancel", [](const HeldStream& stream) {
        const Unlocked unlocked;
        stream->cancel();
      });
}

}  // namespace taut::python
