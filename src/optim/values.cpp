#include "taut/optim/values.h"

namespace taut::optim {
namespace {

template <class Entries>
auto position_of(Entries& entries, std::string_view name) {
  auto position = entries.begin();
  while (position != entries.end() && position->first != name) ++position;
  return position;
}

[[noreturn]] void refuse(std::string_view name, const char* expected) {
  taut::detail::raise<ValueError>("option \"", name, "\" is not ", expected);
}

}  // namespace

void Values::set(std::string_view name, Value value) {
  const auto position = position_of(entries_, name);
  if (position == entries_.end()) {
    entries_.emplace_back(std::string(name), std::move(value));
  } else {
    position->second = std::move(value);
  }
}

const Value* Values::find(std::string_view name) const {
  const auto position = position_of(entries_, name);
  return position == entries_.end() ? nullptr : &position->second;
}

Value* Values::find(std::string_view name) {
  const auto position = position_of(entries_, name);
  return position == entries_.end() ? nullptr : &position->second;
}

const Value& Values::at(std::string_view name) const {
  const Value* value = find(name);
  TAUT_CHECK(value != nullptr, IndexError, "there is no value named \"", name, "\"");
  return *value;
}

bool Values::erase(std::string_view name) {
  const auto position = position_of(entries_, name);
  if (position == entries_.end()) return false;
  entries_.erase(position);
  return true;
}

bool Values::flag(std::string_view name) const {
  const Value& value = at(name);
  if (const bool* found = std::get_if<bool>(&value)) return *found;
  if (std::holds_alternative<std::monostate>(value)) return false;
  if (const int64_t* found = std::get_if<int64_t>(&value)) return *found != 0;
  refuse(name, "a flag");
}

double Values::number(std::string_view name) const {
  const Value& value = at(name);
  if (const double* found = std::get_if<double>(&value)) return *found;
  if (const int64_t* found = std::get_if<int64_t>(&value)) return static_cast<double>(*found);
  if (const bool* found = std::get_if<bool>(&value)) return *found ? 1.0 : 0.0;
  if (const Tensor* found = std::get_if<Tensor>(&value)) return found->item<double>();
  refuse(name, "a number");
}

int64_t Values::integer(std::string_view name) const {
  const Value& value = at(name);
  if (const int64_t* found = std::get_if<int64_t>(&value)) return *found;
  return static_cast<int64_t>(number(name));
}

const std::vector<double>& Values::numbers(std::string_view name) const {
  if (const auto* found = std::get_if<std::vector<double>>(&at(name))) return *found;
  refuse(name, "a list of numbers");
}

const Tensor& Values::tensor(std::string_view name) const {
  if (const Tensor* found = std::get_if<Tensor>(&at(name))) return *found;
  refuse(name, "a tensor");
}

}  // namespace taut::optim
