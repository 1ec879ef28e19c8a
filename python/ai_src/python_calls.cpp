#include "python_calls.h"

#include <chrono>
#include <condition_variable>
#include <mutex>

#include "taut/ai/error.h"

namespace py = pybind11;

namespace taut::python {
namespace {

struct Door {
  std::mutex mutex;
  std::condition_variable changed;
  bool is_closed = false;
  int inside = 0;
};

/// Never destroyed: threads may knock until the process ends.
Door& door() {
  static Door* const the_door = new Door();
  return *the_door;
}

}  // namespace

Entry::Entry() {
  const std::lock_guard lock(door().mutex);
  if (door().is_closed) {
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

void leave(double seconds) {
  std::unique_lock lock(door().mutex);
  door().is_closed = true;
  door().changed.wait_for(lock, std::chrono::duration<double>(seconds),
                          [] { return door().inside == 0; });
}

bool is_leaving() {
  const std::lock_guard lock(door().mutex);
  return door().is_closed;
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
