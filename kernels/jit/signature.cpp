#include "kernels/jit/signature.h"

#include <array>

#include "taut/base/check.h"

namespace taut::kernels::jit {
namespace {

struct NamedNumber {
  std::string_view name;
  NumberType type;
};
constexpr std::array kNumbers = {
    NamedNumber{"bool", {ParameterKind::boolean, false, 1}},
    NamedNumber{"char", {ParameterKind::integer, true, 1}},
    NamedNumber{"signed char", {ParameterKind::integer, true, 1}},
    NamedNumber{"unsigned char", {ParameterKind::integer, false, 1}},
    NamedNumber{"short", {ParameterKind::integer, true, 2}},
    NamedNumber{"unsigned short", {ParameterKind::integer, false, 2}},
    NamedNumber{"int", {ParameterKind::integer, true, 4}},
    NamedNumber{"unsigned int", {ParameterKind::integer, false, 4}},
    NamedNumber{"long", {ParameterKind::integer, true, 8}},
    NamedNumber{"unsigned long", {ParameterKind::integer, false, 8}},
    NamedNumber{"long long", {ParameterKind::integer, true, 8}},
    NamedNumber{"unsigned long long", {ParameterKind::integer, false, 8}},
    NamedNumber{"float", {ParameterKind::floating, true, 4}},
    NamedNumber{"double", {ParameterKind::floating, true, 8}},
    NamedNumber{"__half", {ParameterKind::half, true, 2}},
    NamedNumber{"__nv_bfloat16", {ParameterKind::bfloat16, true, 2}},
};

NumberType number_named(std::string_view name) {
  for (const NamedNumber& number : kNumbers) {
    if (number.name == name) return number.type;
  }
  return {};
}

bool take_suffix(std::string_view& text, std::string_view suffix) {
  if (!text.ends_with(suffix)) return false;
  text.remove_suffix(suffix.size());
  return true;
}

Parameter parse_parameter(std::string_view text) {
  Parameter result;
  result.type = text;
  while (take_suffix(text, " const") || take_suffix(text, " __restrict")) {
  }
  if (!take_suffix(text, "*")) {
    result.number = number_named(text);
    result.kind = result.number.kind;
    return result;
  }
  result.kind = ParameterKind::pointer;
  for (bool found = true; found;) {
    const bool is_const = take_suffix(text, " const");
    result.is_const |= is_const;
    found = is_const || take_suffix(text, " volatile");
  }
  result.number = number_named(text);
  return result;
}

// Parts between the commas that stand in no brackets.
std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> parts;
  int depth = 0;
  size_t begin = 0;
  for (size_t i = 0; i <= text.size(); ++i) {
    const char c = i < text.size() ? text[i] : ',';
    if (c == '(' || c == '<' || c == '[' || c == '{') ++depth;
    if (c == ')' || c == '>' || c == ']' || c == '}') --depth;
    if (c != ',' || depth != 0) continue;
    std::string_view part = text.substr(begin, i - begin);
    while (part.starts_with(' ')) part.remove_prefix(1);
    if (!part.empty()) parts.push_back(part);
    begin = i + 1;
  }
  return parts;
}

}  // namespace

std::vector<Parameter> parse_signature(std::string_view name, std::string_view pointer) {
  constexpr std::string_view kHead = "void (*)(";
  TAUT_CHECK(pointer.starts_with(kHead) && pointer.ends_with(')'), ValueError, "kernel ", name,
             ": its type is ", pointer, "; expected a __global__ function, which returns nothing");
  pointer.remove_prefix(kHead.size());
  pointer.remove_suffix(1);
  std::vector<Parameter> parameters;
  for (const std::string_view part : split(pointer)) parameters.push_back(parse_parameter(part));
  return parameters;
}

}  // namespace taut::kernels::jit
