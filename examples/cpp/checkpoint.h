#pragma once
// Checkpoints of the examples: a safetensors file with all that it takes to go on, which the twins
// in Python read and write too. Tensors are named "model.NAME" and "optimizer.PLACE.NAME", and
// words say what is the model's shape and how far it was trained.

#include <taut/taut.h>

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <variant>

#include "command_line.h"

inline taut::StateDict training_state(const taut::nn::Module& model,
                                      const taut::optim::Optimizer& optimizer) {
  taut::StateDict tensors;
  for (const auto& [name, tensor] : model.state_dict()) tensors.insert("model." + name, tensor);
  for (const auto& [place, state] : optimizer.state_dict().state) {
    for (const auto& [name, value] : state) {
      if (const auto* tensor = std::get_if<taut::Tensor>(&value)) {
        tensors.insert(taut::concat("optimizer.", place, ".", name), *tensor);
      }
    }
  }
  return tensors;
}

class Checkpoint {
 public:
  // kind: whose checkpoint it must be, in words.
  Checkpoint(const std::string& path, const char* kind)
      : path_(path), kind_(kind), tensors_(taut::load(path, metadata_)) {}

  const std::string& path() const { return path_; }
  const taut::StateDict& tensors() const { return tensors_; }
  // The tensors whose names begin so, by the rest of their names.
  taut::StateDict part(const std::string& prefix) const {
    taut::StateDict result;
    for (const auto& [name, tensor] : tensors_) {
      if (name.starts_with(prefix)) result.insert(name.substr(prefix.size()), tensor);
    }
    return result;
  }

  const std::string& word(const std::string& name) const {
    const auto found = metadata_.find(name);
    if (found == metadata_.end()) refuse("no " + name);
    return found->second;
  }
  int64_t number(const std::string& name) const { return as_number(name, word(name)); }
  [[noreturn]] void refuse(const std::string& why) const {
    throw taut::FormatError(path_ + " is no checkpoint of " + kind_ + ": " + why);
  }

  // common: what the state of every parameter has beside its tensors.
  void load_optimizer(taut::optim::Optimizer& optimizer,
                      const taut::optim::Values& common = {}) const {
    std::map<int64_t, taut::optim::Values> states;
    for (const auto& [name, tensor] : part("optimizer.")) {
      const size_t dot = name.find('.');
      if (dot == std::string::npos) {
        refuse("a tensor is named 'optimizer." + name + "'; expected 'optimizer.PLACE.NAME'");
      }
      const int64_t place = as_number("the place of 'optimizer." + name + "'", name.substr(0, dot));
      states.try_emplace(place, common).first->second.set(name.substr(dot + 1), tensor);
    }
    taut::optim::OptimizerState all = optimizer.state_dict();
    all.state.assign(states.begin(), states.end());
    optimizer.load_state_dict(all);
  }

 private:
  int64_t as_number(const std::string& name, const std::string& text) const {
    try {
      return number_in<uint32_t>(text, "a number");
    } catch (const taut::ValueError& error) {
      refuse(name + ": " + error.what());
    }
  }

  std::string path_;
  std::string kind_;
  taut::Metadata metadata_;
  taut::StateDict tensors_;
};
