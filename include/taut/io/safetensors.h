#pragma once
// Tensors in files: the safetensors format, which holds numbers and nothing that runs.
//   save(model.state_dict(), "model.safetensors");
//   model.load_state_dict(load("model.safetensors"));
// A file is 8 bytes of header length (little-endian), a JSON header of names, dtypes, shapes and
// offsets, and the elements. Reading treats every byte as hostile: what is not exactly so is a
// FormatError.

#include <map>
#include <string>

#include "taut/core/state_dict.h"

namespace taut {

/// Words that a file may hold beside its tensors.
using Metadata = std::map<std::string, std::string>;

/// Writes the tensors, whole or not at all: a temporary file beside `path` is written, flushed to
/// the disk and renamed. After an error the old file is as it was.
/// @throws IoError with the path and the system's reason; ValueError for an undefined tensor or the
/// name
/// "__metadata__".
TAUT_API void save(const StateDict& tensors, const std::string& path,
                   const Metadata& metadata = {});
/// The same for what has a state dict, such as a module.
template <class M>
  requires requires(const M& module) { StateDict(module.state_dict()); }
void save(const M& module, const std::string& path, const Metadata& metadata = {}) {
  save(module.state_dict(), path, metadata);
}

/// The tensors of a file, over a private mapping of it: nothing is read before it is looked at, and
/// writing to a tensor does not change the file. The file may be replaced (not overwritten)
/// meanwhile.
/// @throws FormatError that says what is wrong with the file, IoError when it cannot be read.
TAUT_API StateDict load(const std::string& path);
TAUT_API StateDict load(const std::string& path, Metadata& metadata);

/// The names that the safetensors package has for the same.
inline StateDict load_file(const std::string& path) { return load(path); }
inline void save_file(const StateDict& tensors, const std::string& path,
                      const Metadata& metadata = {}) {
  save(tensors, path, metadata);
}

}  // namespace taut
