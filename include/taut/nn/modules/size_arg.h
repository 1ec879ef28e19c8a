#pragma once
// SizeArg: one number for all spatial dims, or one for each, as kernel_size=3 and kernel_size=(3,
// 5).

#include <concepts>
#include <initializer_list>

#include "taut/core/dims.h"

namespace taut::nn {

class TAUT_API SizeArg {
 public:
  template <std::integral T>
  SizeArg(T value) : values_{static_cast<int64_t>(value)} {}
  SizeArg(std::initializer_list<int64_t> values) : values_(values), is_list_(true) {}
  SizeArg(const Dims& values) : values_(values), is_list_(true) {}

  const Dims& values() const { return values_; }
  bool is_list() const { return is_list_; }
  /// The numbers of `spatial` dims. @throws ShapeError that names op and argument unless there are
  /// one or `spatial`.
  Dims expand(const char* op, const char* argument, int spatial) const;

 private:
  Dims values_;
  bool is_list_ = false;
};

/// Printed as it was given: 3 or (3, 5).
TAUT_API void append(std::string& message, const SizeArg& size);

}  // namespace taut::nn
