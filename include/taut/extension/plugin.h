#pragma once
// Plugins: shared libraries that register CustomOps when they are loaded.
//   taut::load_library("./libmy_ops.so");
//   taut::Tensor y = taut::CustomOp::find("my_ops::square")({x})[0];

#include <string>
#include <vector>

#include "taut/base/macros.h"

namespace taut {

/// Loads a plugin: a shared library whose objects of namespace scope register CustomOps. Returns
/// the names of those ops; none when it was loaded before. It stays loaded. A library is code: load
/// none that you would not run.
/// @throws IoError when it cannot be read or the loader refuses it; ValueError when it was not
/// built with the headers of this version of Taut, before any of its code runs, or when it uses
/// another copy of libtaut; what a registration threw, with none of its ops registered then.
TAUT_API std::vector<std::string> load_library(const std::string& path);

}  // namespace taut
