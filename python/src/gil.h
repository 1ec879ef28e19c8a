#pragma once
// Letting other Python threads run while Taut computes.

#include <Python.h>

#include <cstdint>

namespace taut::python {

/// Elements from which an op takes long enough (a few microseconds) to give the interpreter's lock
/// away.
inline constexpr int64_t kLargeWork = 16384;

/// Gives the interpreter's lock away for a scope, if asked to.
class Unlocked {
 public:
  explicit Unlocked(bool wanted) : state_(wanted ? PyEval_SaveThread() : nullptr) {}
  Unlocked(const Unlocked&) = delete;
  Unlocked& operator=(const Unlocked&) = delete;
  ~Unlocked() {
    if (state_ != nullptr) PyEval_RestoreThread(state_);
  }

 private:
  PyThreadState* state_;
};

/// Holds the interpreter's lock for a scope, whoever holds it now.
class Locked {
 public:
  Locked() : state_(PyGILState_Ensure()) {}
  Locked(const Locked&) = delete;
  Locked& operator=(const Locked&) = delete;
  ~Locked() { PyGILState_Release(state_); }

 private:
  PyGILState_STATE state_;
};

}  // namespace taut::python
