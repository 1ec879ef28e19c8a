#include "taut/core/state_dict.h"

#include "taut/base/check.h"

namespace taut {

StateDict::StateDict(std::initializer_list<Entry> entries) {
  for (const Entry& entry : entries) insert(entry.first, entry.second);
}

void StateDict::insert(std::string name, Tensor tensor) {
  const auto [position, is_new] = positions_.emplace(name, entries_.size());
  if (is_new) {
    entries_.emplace_back(std::move(name), std::move(tensor));
  } else {
    entries_[position->second].second = std::move(tensor);
  }
}

const Tensor* StateDict::find(std::string_view name) const {
  const auto position = positions_.find(name);
  return position == positions_.end() ? nullptr : &entries_[position->second].second;
}

const Tensor& StateDict::at(std::string_view name) const {
  const Tensor* tensor = find(name);
  TAUT_CHECK(tensor != nullptr, IndexError, "state_dict: there is no tensor named \"", name,
             "\" among ", size());
  return *tensor;
}

std::vector<std::string> StateDict::keys() const {
  std::vector<std::string> result;
  result.reserve(entries_.size());
  for (const Entry& entry : entries_) result.push_back(entry.first);
  return result;
}

}  // namespace taut
