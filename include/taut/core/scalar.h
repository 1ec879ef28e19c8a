#pragma once
// A number of any kind, as the right-hand side of `tensor + 1` or `full(shape, true)`.
// It remembers its kind, which decides type promotion.

#include <concepts>
#include <cstdint>
#include <string>
#include <type_traits>

#include "taut/core/dtype.h"

namespace taut {

class TAUT_API Scalar {
 public:
  enum class Kind : uint8_t { floating, integer, boolean };

  Scalar() : kind_(Kind::integer) { value_.integer = 0; }
  template <class T>
    requires std::is_arithmetic_v<T>
  Scalar(T value) {
    if constexpr (std::is_same_v<T, bool>) {
      kind_ = Kind::boolean;
      value_.integer = value ? 1 : 0;
    } else if constexpr (std::is_integral_v<T>) {
      kind_ = Kind::integer;
      value_.integer = static_cast<int64_t>(value);
    } else {
      kind_ = Kind::floating;
      value_.floating = static_cast<double>(value);
    }
  }

  Kind kind() const { return kind_; }
  bool is_floating_point() const { return kind_ == Kind::floating; }
  bool is_integral() const { return kind_ == Kind::integer; }
  bool is_boolean() const { return kind_ == Kind::boolean; }

  double to_double() const {
    return kind_ == Kind::floating ? value_.floating : static_cast<double>(value_.integer);
  }
  /// Truncates a floating value towards zero. @throws ValueError when it does not fit int64.
  int64_t to_int64() const;
  bool to_bool() const {
    return kind_ == Kind::floating ? value_.floating != 0 : value_.integer != 0;
  }
  template <class T>
  T to() const {
    if constexpr (std::is_same_v<T, bool>) {
      return to_bool();
    } else if constexpr (std::is_integral_v<T>) {
      return static_cast<T>(to_int64());
    } else {
      return static_cast<T>(to_double());
    }
  }

  /// float32 (the default dtype), int64 or bool: the dtype that a tensor of it would have.
  DType dtype() const;

  Scalar operator-() const;
  friend bool operator==(const Scalar& a, const Scalar& b) {
    return a.kind_ == b.kind_ && (a.kind_ == Kind::floating ? a.value_.floating == b.value_.floating
                                                            : a.value_.integer == b.value_.integer);
  }

 private:
  union {
    double floating;
    int64_t integer;
  } value_;
  Kind kind_;
};

TAUT_API void append(std::string& message, const Scalar& scalar);

}  // namespace taut
