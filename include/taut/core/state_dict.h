#pragma once
// StateDict: tensors by name, in the order in which they came. What modules save and files hold.
//   StateDict state = model.state_dict();  state.at("fc.weight").shape();

#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "taut/core/tensor.h"

namespace taut {

class TAUT_API StateDict {
 public:
  using Entry = std::pair<std::string, Tensor>;

  StateDict() = default;
  StateDict(std::initializer_list<Entry> entries);

  /// Adds a tensor, or replaces that of the same name where it stands.
  void insert(std::string name, Tensor tensor);
  /// The tensor of that name, or null.
  const Tensor* find(std::string_view name) const;
  /// @throws IndexError that names a missing key.
  const Tensor& at(std::string_view name) const;
  bool contains(std::string_view name) const { return find(name) != nullptr; }

  size_t size() const { return entries_.size(); }
  bool empty() const { return entries_.empty(); }
  auto begin() const { return entries_.begin(); }
  auto end() const { return entries_.end(); }
  std::vector<std::string> keys() const;

 private:
  std::vector<Entry> entries_;
  std::map<std::string, size_t, std::less<>> positions_;
};

}  // namespace taut
