#pragma once
// A Python object that C++ keeps, in a hook for instance. It may be dropped on any thread: the
// interpreter's lock is taken for it.

#include <pybind11/pybind11.h>

#include <memory>

#include "gil.h"

namespace taut::python {

class PyRef {
 public:
  explicit PyRef(pybind11::object object)
      : object_(new pybind11::object(std::move(object)), [](pybind11::object* held) {
          if (Py_IsInitialized() == 0) return;
          const Locked locked;
          delete held;
        }) {}
  const pybind11::object& get() const { return *object_; }

 private:
  std::shared_ptr<pybind11::object> object_;
};

}  // namespace taut::python
