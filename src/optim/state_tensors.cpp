// An optimizer's state as tensors by name, for files that hold nothing else. Every kind of value
// has a tensor that stands for it and for no other: a flag is bool, a number float64 and an integer
// int64 without dims, a list of numbers float64 with one dim, a word uint8 with one dim.

#include <charconv>
#include <cstring>

#include "taut/ops/ops.h"
#include "taut/optim/optimizer.h"

namespace taut::optim {
namespace {

Tensor bytes_of(const std::string& text) {
  Tensor result = empty({static_cast<int64_t>(text.size())}, kUInt8);
  if (!text.empty()) std::memcpy(result.data_ptr(), text.data(), text.size());
  return result;
}

void put_option(StateDict& tensors, const std::string& name, const Value& value) {
  if (const auto* flag = std::get_if<bool>(&value)) {
    tensors.insert(name, full({}, *flag, kBool));
  } else if (const auto* integer = std::get_if<int64_t>(&value)) {
    tensors.insert(name, full({}, *integer, kInt64));
  } else if (const auto* number = std::get_if<double>(&value)) {
    tensors.insert(name, full({}, *number, kFloat64));
  } else if (const auto* text = std::get_if<std::string>(&value)) {
    tensors.insert(name, bytes_of(*text));
  } else if (const auto* numbers = std::get_if<std::vector<double>>(&value)) {
    tensors.insert(name, tensor(*numbers, kFloat64));
  } else if (const auto* held = std::get_if<Tensor>(&value)) {
    tensors.insert(name, *held);
  }  // None is told by not being there.
}

Value option_from(const Tensor& tensor) {
  if (tensor.dim() == 0) {
    if (tensor.dtype() == kBool) return tensor.item<bool>();
    if (tensor.dtype() == kInt64) return tensor.item<int64_t>();
    if (tensor.dtype() == kFloat64) return tensor.item<double>();
  }
  const Tensor flat = tensor.contiguous();
  if (tensor.dim() == 1 && tensor.dtype() == kUInt8) {
    return std::string(static_cast<const char*>(flat.data_ptr()), flat.nbytes());
  }
  if (tensor.dim() == 1 && tensor.dtype() == kFloat64) {
    const double* first = flat.data_ptr<double>();
    return std::vector<double>(first, first + flat.numel());
  }
  return tensor;
}

// The number at the start of `text`, which it and the dot after it are taken from.
int64_t take_number(const std::string& name, std::string_view& text) {
  int64_t number = -1;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), number);
  const auto length = static_cast<size_t>(result.ptr - text.data());
  TAUT_CHECK(result.ec == std::errc() && number >= 0 && number < (int64_t{1} << 31) &&
                 length + 1 < text.size() && text[length] == '.',
             ValueError, "optimizer state: unexpected name \"", name, "\"");
  text.remove_prefix(length + 1);
  return number;
}

}  // namespace

StateDict to_tensors(const OptimizerState& state) {
  StateDict tensors;
  for (size_t g = 0; g < state.param_groups.size(); ++g) {
    const std::string prefix = concat("param_groups.", g, ".");
    tensors.insert(prefix + "params", tensor(state.param_groups[g].params));
    for (const auto& [option, value] : state.param_groups[g].options) {
      put_option(tensors, prefix + option, value);
    }
  }
  for (const auto& [id, values] : state.state) {
    for (const auto& [key, value] : values)
      put_option(tensors, concat("state.", id, ".", key), value);
  }
  return tensors;
}

OptimizerState from_tensors(const StateDict& tensors) {
  OptimizerState state;
  for (const auto& [name, tensor] : tensors) {
    std::string_view rest = name;
    if (rest.starts_with("param_groups.")) {
      rest.remove_prefix(13);
      const auto group = static_cast<size_t>(take_number(name, rest));
      // Groups come in order, so that a file cannot ask for more of them than it has names.
      TAUT_CHECK(group <= state.param_groups.size(), ValueError, "optimizer state: group ", group,
                 " comes before group ", state.param_groups.size());
      if (group == state.param_groups.size()) state.param_groups.emplace_back();
      OptimizerState::Group& target = state.param_groups[group];
      if (rest == "params") {
        const Tensor ids = taut::to(tensor, kInt64).contiguous();
        target.params.assign(ids.data_ptr<int64_t>(), ids.data_ptr<int64_t>() + ids.numel());
      } else {
        target.options.set(rest, option_from(tensor));
      }
    } else if (rest.starts_with("state.")) {
      rest.remove_prefix(6);
      const int64_t id = take_number(name, rest);
      if (state.state.empty() || state.state.back().first != id)
        state.state.emplace_back(id, Values());
      // A number of the state is a count or a tensor like its parameter; only the first is a scalar
      // here.
      state.state.back().second.set(rest, rest == "step" ? option_from(tensor) : Value(tensor));
    } else {
      TAUT_CHECK(false, ValueError, "optimizer state: unexpected name \"", name, "\"");
    }
  }
  return state;
}

}  // namespace taut::optim
