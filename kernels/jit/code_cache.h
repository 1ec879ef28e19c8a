#pragma once
// Compiled code on the disk, one file for each key. Files appear whole, by a rename, so any number
// of processes may share a folder; what cannot be read or written is as if it were not there.

#include <optional>
#include <string>

#include "kernels/jit/compile.h"

namespace taut::kernels::jit {

class TAUT_API CodeCache {
 public:
  /// The folder "kernels" below $TAUT_CACHE_DIR, or else below "taut" in $XDG_CACHE_HOME or
  /// ~/.cache. Empty, for no cache, when TAUT_CACHE_DIR is set to nothing or there is no home.
  static std::string folder();

  /// An empty `folder` keeps nothing.
  explicit CodeCache(std::string folder) : folder_(std::move(folder)) {}

  /// What was stored for the very same key; nothing when there is no file, when another user owns
  /// it, or when it is damaged.
  std::optional<CompiledCode> load(const std::string& key) const;
  /// Keeps the code; does nothing when that cannot be done.
  void store(const std::string& key, const CompiledCode& code) const;

  /// Where the code of a key lies.
  std::string path_of(const std::string& key) const;

 private:
  std::string folder_;
};

}  // namespace taut::kernels::jit
