#include "taut/core/scalar.h"

#include "taut/base/check.h"

namespace taut {

int64_t Scalar::to_int64() const {
  if (kind_ != Kind::floating) return value_.integer;
  constexpr double kLimit = 9223372036854775808.0;  // 2^63
  TAUT_CHECK(value_.floating >= -kLimit && value_.floating < kLimit, ValueError,
             "scalar: value does not fit an integer; got ", value_.floating);
  return static_cast<int64_t>(value_.floating);
}

DType Scalar::dtype() const {
  switch (kind_) {
    case Kind::floating: return get_default_dtype();
    case Kind::integer: return DType::int64;
    case Kind::boolean: return DType::bool_;
  }
  return DType::int64;
}

Scalar Scalar::operator-() const {
  if (kind_ == Kind::floating) return -value_.floating;
  // Negation wraps, as it does in tensors.
  return static_cast<int64_t>(0 - static_cast<uint64_t>(value_.integer));
}

void append(std::string& message, const Scalar& scalar) {
  switch (scalar.kind()) {
    case Scalar::Kind::floating: append(message, scalar.to_double()); break;
    case Scalar::Kind::integer: append(message, scalar.to_int64()); break;
    case Scalar::Kind::boolean: append(message, scalar.to_bool()); break;
  }
}

}  // namespace taut
