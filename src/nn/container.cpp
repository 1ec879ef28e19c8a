#include "taut/nn/modules/container.h"

namespace taut::nn {
namespace {

int64_t position_in(const Module& list, int64_t index, size_t size) {
  const auto count = static_cast<int64_t>(size);
  TAUT_CHECK(index >= -count && index < count, IndexError, list.name(), ": index ", index,
             " out of range; got ", count, " entries");
  return index < 0 ? index + count : index;
}

std::string indented(const std::string& text) {
  std::string result;
  for (char c : text) {
    result.push_back(c);
    if (c == '\n') result += "  ";
  }
  return result;
}

}  // namespace

Sequential::Sequential(NamedModules modules) {
  for (auto& [key, module] : modules) add_module(std::move(key), std::move(module));
}

void Sequential::append(std::shared_ptr<Module> module) {
  add_module(std::to_string(size()), std::move(module));
}

std::shared_ptr<Module> Sequential::at(int64_t index) const {
  return named_children()[static_cast<size_t>(position_in(*this, index, size()))].second;
}

Tensor Sequential::forward(const Tensor& input) {
  Tensor result = input;
  for (const auto& [key, module] : named_children()) result = (*module)(result);
  return result;
}

Tensors Sequential::forward_many(TensorList inputs) {
  Tensors results(inputs.begin(), inputs.end());
  for (const auto& [key, module] : named_children()) results = module->call(results);
  return results;
}

ModuleList::ModuleList(std::vector<std::shared_ptr<Module>> modules) { extend(modules); }

void ModuleList::append(std::shared_ptr<Module> module) {
  add_module(std::to_string(size()), std::move(module));
}

void ModuleList::extend(const std::vector<std::shared_ptr<Module>>& modules) {
  for (const std::shared_ptr<Module>& module : modules) append(module);
}

void ModuleList::insert(int64_t index, std::shared_ptr<Module> module) {
  const auto count = static_cast<int64_t>(size());
  const int64_t place = index == count ? count : position_in(*this, index, size());
  append(std::move(module));
  // Bring it to its place: names belong to positions, so the modules move and the names stay.
  for (int64_t i = count; i > place; --i) {
    const std::shared_ptr<Module> last = at(i);
    const std::shared_ptr<Module> before = at(i - 1);
    add_module(std::to_string(i), before);
    add_module(std::to_string(i - 1), last);
  }
}

std::shared_ptr<Module> ModuleList::at(int64_t index) const {
  return named_children()[static_cast<size_t>(position_in(*this, index, size()))].second;
}

std::string ModuleList::str() const {
  const NamedModules& entries = named_children();
  if (entries.empty()) return name() + "()";
  std::string result = name() + "(\n";
  for (size_t first = 0; first < entries.size();) {
    const std::string text = entries[first].second->str();
    size_t last = first;
    while (last + 1 < entries.size() && entries[last + 1].second->str() == text) ++last;
    if (last == first) {
      result += concat("  (", first, "): ", indented(text), "\n");
    } else {
      result +=
          concat("  (", first, "-", last, "): ", last - first + 1, " x ", indented(text), "\n");
    }
    first = last + 1;
  }
  return result + ")";
}

ModuleDict::ModuleDict(NamedModules modules) {
  for (auto& [key, module] : modules) add_module(std::move(key), std::move(module));
}

std::shared_ptr<Module> ModuleDict::at(std::string_view key) const {
  std::shared_ptr<Module> found = find_child(key);
  TAUT_CHECK(found != nullptr, IndexError, "ModuleDict: there is no module \"", key, "\"");
  return found;
}

void ModuleDict::clear() {
  for (const std::string& key : keys()) unregister(key);
}

std::vector<std::string> ModuleDict::keys() const {
  std::vector<std::string> result;
  for (const auto& [key, module] : named_children()) result.push_back(key);
  return result;
}

ParameterList::ParameterList(const Tensors& parameters) {
  for (const Tensor& parameter : parameters) append(parameter);
}

void ParameterList::append(const Tensor& parameter) {
  register_parameter(std::to_string(size()), parameter);
}

Tensor ParameterList::at(int64_t index) const {
  const int64_t place = position_in(*this, index, size());
  return *find_parameter(std::to_string(place));
}

std::string ParameterList::str() const {
  std::string result = name() + "(";
  for (size_t i = 0; i < size(); ++i) {
    const Tensor parameter = at(static_cast<int64_t>(i));
    std::string shape;
    for (int64_t n : parameter.shape()) shape += concat(shape.empty() ? "" : "x", n);
    result += concat(i > 0 ? "\n" : "", "  (", i, "): Parameter containing: [taut.",
                     parameter.dtype(), " of size ", shape, "]");
  }
  return result + ")";
}

}  // namespace taut::nn
