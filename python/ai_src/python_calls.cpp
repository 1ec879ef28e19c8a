#include "python_calls.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "taut/ai/error.h"

namespace py = pybind11;

namespace taut::python {
namespace {

struct Door {
  std::mutex mutex;
  std::condition_variable changed;
  bool is_closed = false;
  int inside = 0;
  std::thread::id closed_by;  // the thread that ends the interpreter

  /// Whether this thread may still go in. Called with the mutex held.
  bool lets_in() const { return !is_closed || closed_by == std::this_thread::get_id(); }
};

/// Never destroyed: threads may knock until the process ends.
Door& door() {
  static Door* const the_door = new Door();
  return *the_door;
}

}  // namespace

Entry::Entry() {
  const std::lock_guard lock(door().mutex);
  if (!door().lets_in()) {
    ai::ErrorDetails details;
    details.kind = ai::ErrorKind::cancelled;
    details.message = "the interpreter is about to end";
    throw ai::ProviderError(std::move(details));
  }
  ++door().inside;
}

Entry::~Entry() {
  const std::lock_guard lock(door().mutex);
  --door().inside;
  door().changed.notify_all();
}

Unlocked::Unlocked() : state_(PyEval_SaveThread()) {}

Unlocked::~Unlocked() {
  try {
    const Entry entry;
    PyEval_RestoreThread(state_);
  } catch (const ai::ProviderError&) {
    for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
  }
}

bool leave(double seconds) {
  std::unique_lock lock(door().mutex);
  door().is_closed = true;
  door().closed_by = std::this_thread::get_id();
  return door().changed.wait_for(lock, std::chrono::duration<double>(seconds),
                                 [] { return door().inside == 0; });
}

PythonFunction::Holder::~Holder() {
  try {
    const Entry entry;
    const py::gil_scoped_acquire locked;
    function = py::object();
  } catch (const ai::ProviderError&) {
    function.release();  // the interpreter goes, and takes it along
  }
}

}  // namespace taut::python
