#pragma once
// What this libtaut is: for reports of faults, and to see whether an optional part is there.
//   std::puts(taut::config::show().c_str());

#include <string>

#include "taut/base/macros.h"

namespace taut::config {

/// A page of text: version, compiler and flags, the libraries it was built with and their versions,
/// the instruction set in use, threads and GPUs.
TAUT_API std::string show();

}  // namespace taut::config
