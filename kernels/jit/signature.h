#pragma once
// The parameters of a kernel, read from the type of a pointer to it. See Note [Signatures].

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "taut/base/macros.h"

namespace taut::kernels::jit {

/// What a parameter is passed as. other: a type that is not known here, such as a struct.
enum class ParameterKind : uint8_t { pointer, boolean, integer, floating, half, bfloat16, other };

/// The elements that a pointer points to, or a number.
struct NumberType {
  ParameterKind kind = ParameterKind::other;
  bool is_signed = false;
  size_t bytes = 0;  // 0 for other
};

struct Parameter {
  std::string type;  // as C++ spells it: "float const*"
  ParameterKind kind = ParameterKind::other;
  NumberType number;      // of a number: itself; of a pointer: what it points to
  bool is_const = false;  // of a pointer: the kernel does not write through it
};

/// The parameters in "void (*)(float const*, int)".
/// @throws ValueError that names the kernel when it returns something, which no kernel does.
TAUT_API std::vector<Parameter> parse_signature(std::string_view name, std::string_view pointer);

}  // namespace taut::kernels::jit
