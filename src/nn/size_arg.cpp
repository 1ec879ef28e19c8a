#include "taut/nn/modules/size_arg.h"

namespace taut::nn {

Dims SizeArg::expand(const char* op, const char* argument, int spatial) const {
  TAUT_CHECK(values_.rank() == 1 || values_.rank() == spatial, ShapeError, op, ": ", argument,
             " must have 1 or ", spatial, " numbers; got ", values_);
  return values_.rank() == spatial ? values_ : Dims::filled(spatial, values_[0]);
}

void append(std::string& message, const SizeArg& size) {
  if (size.is_list()) {
    taut::append(message, size.values());
  } else {
    taut::append(message, size.values()[0]);
  }
}

}  // namespace taut::nn
