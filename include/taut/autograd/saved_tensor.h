#pragma once
// A tensor that a node keeps for its backward. Unpacking it checks that nobody wrote to it since.

#include <cstdint>

#include "taut/base/callback.h"
#include "taut/core/tensor.h"

namespace taut::autograd {

class Node;

/// Keeps something else in place of saved tensors (offloading, compression): pack is called when a
/// tensor is saved and returns a callback that gives it back.
using PackHook = Callback<Callback<Tensor()>(const Tensor&)>;

/// Packs every tensor saved in its scope on this thread; scopes nest, the innermost wins.
class TAUT_API SavedTensorsHooks {
 public:
  explicit SavedTensorsHooks(PackHook pack);
  SavedTensorsHooks(const SavedTensorsHooks&) = delete;
  SavedTensorsHooks& operator=(const SavedTensorsHooks&) = delete;
  ~SavedTensorsHooks();
};

class TAUT_API SavedTensor {
 public:
  SavedTensor() = default;
  /// Saves an input of the node, with its history.
  void save_input(const Tensor& tensor);
  /// Saves an output of the node: its elements only, since its history is the node itself.
  void save_output(const Tensor& tensor, uint32_t slot);

  /// The tensor as it was saved, attached to `owner` if it is an output of it.
  /// @throws AutogradError that names the op and both versions if its storage was written since.
  Tensor unpack(Node& owner) const;
  /// Its elements as a tensor without history, where no other tensor shows them; undefined
  /// otherwise.
  Tensor unshared() const;
  /// The bytes of what is kept; 0 when it is nothing, or was packed away.
  size_t nbytes() const { return tensor_.defined() ? tensor_.nbytes() : 0; }
  void reset();

 private:
  void pack_if_hooked(const Tensor& tensor);

  Tensor tensor_;
  Callback<Tensor()> unpack_hook_;
  uint32_t version_ = 0;
  uint32_t slot_ = 0;
  bool is_output_ = false;
};

}  // namespace taut::autograd
