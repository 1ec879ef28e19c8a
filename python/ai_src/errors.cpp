#include "errors.h"

#include "taut/ai/error.h"
#include "taut/ai/json_text.h"

namespace py = pybind11;

namespace taut::python {
namespace {

/// Classes of Python stand in the package; it is loaded by now, because it loads this module.
void raise(const char* module, const char* name, const char* message) {
  const py::object type = py::module_::import(module).attr(name);
  PyErr_SetString(type.ptr(), message);
}

void raise_provider_error(const ai::ProviderError& error) {
  const py::object made = py::module_::import("taut.ai._errors")
                              .attr("from_json")(error.what(), ai::to_json(error.details()));
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(made.ptr())), made.ptr());
}

void translate(std::exception_ptr thrown) {
  try {
    std::rethrow_exception(std::move(thrown));
  } catch (const ai::ProviderError& error) {
    raise_provider_error(error);
  } catch (const ValueError& error) {
    raise("taut", "ValueError", error.what());
  } catch (const FormatError& error) {
    raise("taut", "FormatError", error.what());
  } catch (const IoError& error) {
    raise("taut", "IoError", error.what());
  } catch (const Error& error) {
    raise("taut", "Error", error.what());
  }
}

}  // namespace

void bind_errors(py::module_&) { py::register_local_exception_translator(translate); }

}  // namespace taut::python
