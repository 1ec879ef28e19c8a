#pragma once
// Ops on one thread alone, for threads that work beside others.
//   { const SerialGuard serial; prepare(batch); }

#include "taut/base/macros.h"

namespace taut {

/// As long as it lives, ops that this thread runs start no other threads. Results are the same.
class TAUT_API SerialGuard {
 public:
  SerialGuard();
  SerialGuard(const SerialGuard&) = delete;
  SerialGuard& operator=(const SerialGuard&) = delete;
  ~SerialGuard();

 private:
  bool previous_;
};

}  // namespace taut
