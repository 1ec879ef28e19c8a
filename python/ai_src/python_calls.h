#pragma once
// Python functions that threads of C++ call, and C++ objects whose end waits for such threads.
//
// A thread that waits for the interpreter's lock while the interpreter ends never comes back. So
// every way into Python passes an Entry, and once leave() was called there are no new ones.

#include <pybind11/pybind11.h>

#include <memory>
#include <utility>

namespace taut::python {

/// Permission to run Python code on this thread. Throws ProviderError, cancelled, when the
/// interpreter is about to end.
class Entry {
 public:
  Entry();
  Entry(const Entry&) = delete;
  Entry& operator=(const Entry&) = delete;
  ~Entry();
};

/// Gives the lock up for a while. A thread that would take it back while the interpreter ends stays
/// here until the process is gone: there is nothing that it could go back to.
class Unlocked {
 public:
  Unlocked();
  Unlocked(const Unlocked&) = delete;
  Unlocked& operator=(const Unlocked&) = delete;
  ~Unlocked();

 private:
  PyThreadState* state_;
};

/// No more entries; waits up to so many seconds for those that are there, and says whether all are
/// gone. The lock must be free.
bool leave(double seconds);

/// A function of Python's, which any thread may drop: its end takes the lock.
class PythonFunction {
 public:
  explicit PythonFunction(pybind11::object function)
      : function_(std::make_shared<Holder>(std::move(function))) {}
  /// With the lock held.
  const pybind11::object& get() const { return function_->function; }

 private:
  struct Holder {
    explicit Holder(pybind11::object given) : function(std::move(given)) {}
    Holder(const Holder&) = delete;
    Holder& operator=(const Holder&) = delete;
    ~Holder();
    pybind11::object function;
  };
  std::shared_ptr<Holder> function_;
};

/// A value that is destroyed without the lock, because threads that need it may be waited for.
template <class T>
class WithoutLock {
 public:
  explicit WithoutLock(T value) : value_(std::move(value)) {}
  WithoutLock(const WithoutLock&) = default;
  WithoutLock(WithoutLock&&) noexcept = default;
  WithoutLock& operator=(const WithoutLock&) = delete;
  ~WithoutLock() {
    if (PyGILState_Check() == 0) return;
    const Unlocked unlocked;
    const T gone = std::move(value_);
  }
  const T& operator*() const { return value_; }
  const T* operator->() const { return &value_; }

 private:
  T value_;
};

}  // namespace taut::python
