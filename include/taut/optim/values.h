#pragma once
// Values by name: the options of a parameter group, and the state of a parameter.

#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "taut/core/tensor.h"

namespace taut::optim {

/// None, a flag, a number, a word, several numbers, or a tensor.
using Value =
    std::variant<std::monostate, bool, int64_t, double, std::string, std::vector<double>, Tensor>;

/// A short ordered map. @throws IndexError for names that are not there, ValueError for values that
/// are something else than was asked for.
class TAUT_API Values {
 public:
  using Entry = std::pair<std::string, Value>;

  Values() = default;
  Values(std::initializer_list<Entry> entries) : entries_(entries) {}

  /// Adds a value, or replaces that of the same name.
  void set(std::string_view name, Value value);
  const Value* find(std::string_view name) const;
  Value* find(std::string_view name);
  const Value& at(std::string_view name) const;
  bool contains(std::string_view name) const { return find(name) != nullptr; }
  bool erase(std::string_view name);
  void clear() { entries_.clear(); }

  bool flag(std::string_view name) const;
  /// An integer reads as a double too, as does a tensor of one element.
  double number(std::string_view name) const;
  int64_t integer(std::string_view name) const;
  const std::vector<double>& numbers(std::string_view name) const;
  const Tensor& tensor(std::string_view name) const;

  size_t size() const { return entries_.size(); }
  bool empty() const { return entries_.empty(); }
  auto begin() const { return entries_.begin(); }
  auto end() const { return entries_.end(); }

 private:
  std::vector<Entry> entries_;
};

}  // namespace taut::optim
