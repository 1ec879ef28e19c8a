// The client, its providers and their settings for Python.

#include "taut/ai/client.h"

#include <pybind11/stl.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "backends.h"
#include "calls.h"
#include "taut/ai/json_text.h"

namespace py = pybind11;

namespace taut::python {
namespace {

using HeldCall = WithoutLock<Call>;

/// A client that may be closed before it is collected, without the interpreter's lock.
class PythonClient {
 public:
  explicit PythonClient(ai::ClientOptions options)
      : client_(std::make_shared<ai::Client>(std::move(options))) {}
  PythonClient(const PythonClient&) = delete;
  PythonClient& operator=(const PythonClient&) = delete;
  ~PythonClient() { close(); }

  std::shared_ptr<ai::Client> get() const {
    if (!client_) throw ValueError("client: it is closed");
    return client_;
  }
  void close() {
    // Other threads see it closed before its end is waited for.
    std::shared_ptr<ai::Client> last = std::exchange(client_, nullptr);
    const Unlocked unlocked;
    last.reset();
  }
  bool is_closed() const { return client_ == nullptr; }

 private:
  std::shared_ptr<ai::Client> client_;
};

/// A provider, as itself and as a backend.
struct PythonProvider {
  std::shared_ptr<ai::Provider> provider;
};
using HeldProvider = WithoutLock<PythonProvider>;

template <class T>
Call json_call(ai::Pending<T> pending) {
  return Call(std::move(pending),
              [](const T& value) -> py::object { return py::str(ai::to_json(value)); });
}

template <class T>
Call json_call(ai::Pending<std::vector<T>> pending) {
  return Call(std::move(pending), [](const std::vector<T>& values) -> py::object {
    py::list texts;
    for (const T& value : values) texts.append(ai::to_json(value));
    return texts;
  });
}

template <class T>
void take(const py::dict& options, const char* name, T& into) {
  if (options.contains(name)) into = options[name].cast<T>();
}

/// A function that is told what happens on connections; what it raises is printed and forgotten.
Callback<void(std::string_view)> trace_of(const py::object& function) {
  const PythonFunction held(function);
  return [held](std::string_view line) {
    const Entry entry;
    const py::gil_scoped_acquire locked;
    try {
      // Servers may send bytes that are no UTF-8.
      held.get()(py::reinterpret_steal<py::str>(
          PyUnicode_DecodeUTF8(line.data(), static_cast<py::ssize_t>(line.size()), "replace")));
    } catch (py::error_already_set& error) {
      error.discard_as_unraisable("trace=");
    }
  };
}

ai::ClientOptions options_of(const py::dict& options) {
  ai::ClientOptions made;
  take(options, "max_retries", made.max_retries);
  take(options, "max_retry_after", made.max_retry_after);
  take(options, "connect_timeout", made.timeouts.connect);
  take(options, "first_byte_timeout", made.timeouts.first_byte);
  take(options, "whole_answer_timeout", made.timeouts.whole_answer);
  take(options, "idle_timeout", made.timeouts.idle);
  take(options, "keep_alive_timeout", made.timeouts.keep_alive_only);
  take(options, "timeout", made.timeouts.total);
  take(options, "max_answer_bytes", made.limits.json);
  take(options, "max_stream_bytes", made.limits.stream);
  take(options, "max_connections", made.max_connections);
  take(options, "max_connections_per_host", made.max_connections_per_host);
  take(options, "proxy", made.proxy);
  take(options, "ca_file", made.ca_file);
  take(options, "seed", made.seed);
  if (options.contains("trace")) made.trace = trace_of(options["trace"]);
  return made;
}

py::dict dict_of(const ai::ClientStatistics& statistics) {
  py::dict members;
  members["calls"] = statistics.calls;
  members["completed"] = statistics.completed;
  members["failed"] = statistics.failed;
  members["cancelled"] = statistics.cancelled;
  members["attempts"] = statistics.attempts;
  members["retries"] = statistics.retries;
  members["connections"] = statistics.connections;
  members["bytes_sent"] = statistics.bytes_sent;
  members["bytes_received"] = statistics.bytes_received;
  members["active"] = statistics.active;
  return members;
}

/// A key: text, or a function that is asked each time one is needed.
void set_key(ai::ProviderConfig& config, const py::object& key) {
  if (key.is_none()) {
    config.key = ai::Secret();
  } else if (py::isinstance<py::str>(key)) {
    config.key = ai::Secret::of(key.cast<std::string>());
  } else {
    const PythonFunction held(key);
    config.key = ai::Secret::from_callback([held] {
      const Entry entry;
      const py::gil_scoped_acquire locked;
      try {
        return held.get()().cast<std::string>();
      } catch (py::error_already_set&) {
        throw ValueError("key: the function that gives it raised an exception");
      } catch (const py::cast_error&) {
        throw ValueError("key: the function that gives it returned no string");
      }
    });
  }
}

ai::Protocol protocol_of(const std::string& api) {
  if (api == "chat") return ai::Protocol::openai_chat;
  if (api == "responses") return ai::Protocol::openai_responses;
  throw ValueError("api: got '" + api + "'; expected chat or responses");
}

ai::Vendor vendor_of(const std::string& server) {
  if (server == "vllm") return ai::Vendor::vllm;
  if (server == "ollama") return ai::Vendor::ollama;
  if (server == "llama.cpp") return ai::Vendor::llama_cpp;
  if (server == "other") return ai::Vendor::other;
  throw ValueError("server: got '" + server + "'; expected vllm, ollama, llama.cpp or other");
}

void bind_config(py::module_& module) {
  using Config = ai::ProviderConfig;
  py::class_<Config>(module, "ProviderConfig")
      .def_static("openai", [](const std::string& api) { return Config::openai(protocol_of(api)); })
      .def_static("anthropic", &Config::anthropic)
      .def_static("gemini", &Config::gemini)
      .def_static("xai", [](const std::string& api) { return Config::xai(protocol_of(api)); })
      .def_static("perplexity", &Config::perplexity)
      .def_static("compatible",
                  [](std::string name, std::string base_url, const std::string& server) {
                    return Config::compatible(std::move(name), std::move(base_url),
                                              vendor_of(server));
                  })
      .def_readwrite("name", &Config::name)
      .def_readwrite("base_url", &Config::base_url)
      .def_readwrite("api_version", &Config::api_version)
      .def_readwrite("organization", &Config::organization)
      .def_readwrite("project", &Config::project)
      .def_readwrite("beta", &Config::beta)
      .def_readwrite("headers", &Config::headers)
      .def_readwrite("extra_body", &Config::extra_body)
      .def_readwrite("allows_http", &Config::allows_http)
      .def_readwrite("requests_per_minute", &Config::requests_per_minute)
      .def_readwrite("tokens_per_minute", &Config::tokens_per_minute)
      .def_readwrite("max_concurrent", &Config::max_concurrent)
      .def_property_readonly("has_key", [](const Config& config) { return config.key.is_there(); })
      .def("set_key", set_key)
      .def(
          "set_key_file",
          [](Config& config, const std::string& path) { config.key = ai::Secret::from_file(path); })
      .def("set_key_environment",
           [](Config& config, const std::string& name) {
             config.key = ai::Secret::from_environment(name);
           })
      .def("add_capabilities",
           [](Config& config, std::string model, const std::string& capabilities) {
             config.capabilities.emplace_back(std::move(model),
                                              ai::capabilities_from_json(capabilities));
           })
      .def("copy", [](const Config& config) { return config; });
}

void bind_provider(py::module_& module) {
  py::class_<HeldProvider>(module, "Provider")
      .def("backend",
           [](const HeldProvider& held) {
             return HeldBackend(std::shared_ptr<ai::Backend>(held->provider));
           })
      .def("models",
           [](const HeldProvider& held) {
             const Unlocked unlocked;
             return HeldCall(json_call(held->provider->models()));
           })
      .def("create_batch",
           [](const HeldProvider& held, const std::string& request) {
             const Unlocked unlocked;
             return HeldCall(
                 json_call(held->provider->create_batch(ai::batch_request_from_json(request))));
           })
      .def("batch",
           [](const HeldProvider& held, const std::string& id) {
             const Unlocked unlocked;
             return HeldCall(json_call(held->provider->batch(id)));
           })
      .def("cancel_batch",
           [](const HeldProvider& held, const std::string& id) {
             const Unlocked unlocked;
             return HeldCall(json_call(held->provider->cancel_batch(id)));
           })
      .def("batch_results", [](const HeldProvider& held, const std::string& status) {
        const Unlocked unlocked;
        return HeldCall(
            json_call(held->provider->batch_results(ai::batch_status_from_json(status))));
      });
}

}  // namespace

void bind_client(py::module_& module) {
  bind_config(module);
  bind_provider(module);
  py::class_<PythonClient>(module, "Client")
      .def(py::init([](const py::dict& options) {
             return std::make_unique<PythonClient>(options_of(options));
           }),
           py::arg("options"))
      .def("provider",
           [](const PythonClient& client, const ai::ProviderConfig& config) {
             return HeldProvider({std::make_shared<ai::Provider>(client.get()->provider(config))});
           })
      .def("statistics",
           [](const PythonClient& client) { return dict_of(client.get()->statistics()); })
      .def("close", &PythonClient::close)
      .def_property_readonly("is_closed", &PythonClient::is_closed);
}

}  // namespace taut::python
