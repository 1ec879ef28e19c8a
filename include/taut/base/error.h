#pragma once
// The error types that Taut throws, one root and one level of kinds.
// A message reads `op: what is wrong; got ...; expected ...` and carries the values.
//   try { matmul(a, b); } catch (const taut::ShapeError& error) { ... }

#include <stdexcept>
#include <string>

#include "taut/base/macros.h"

namespace taut {

/// The root of all errors of Taut.
class TAUT_API Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Sizes, ranks or layouts that do not fit together.
class TAUT_API ShapeError : public Error {
 public:
  using Error::Error;
};

/// A dtype that the operation does not take, or dtypes that do not mix.
class TAUT_API DTypeError : public Error {
 public:
  using Error::Error;
};

/// Tensors on different devices, or a device that is not there.
class TAUT_API DeviceError : public Error {
 public:
  using Error::Error;
};

/// An index or a dim out of range.
class TAUT_API IndexError : public Error {
 public:
  using Error::Error;
};

/// An argument whose value makes no sense.
class TAUT_API ValueError : public Error {
 public:
  using Error::Error;
};

/// A misuse of the tape: freed graphs, in-place writes to saved tensors, missing gradients.
class TAUT_API AutogradError : public Error {
 public:
  using Error::Error;
};

/// Something that Taut does not do for this device, dtype or argument.
class TAUT_API NotImplementedError : public Error {
 public:
  using Error::Error;
};

/// Memory that could not be had; the message tells what was asked for and what is held.
class TAUT_API OutOfMemoryError : public Error {
 public:
  using Error::Error;
};

/// A CUDA call or kernel that failed.
class TAUT_API CudaError : public Error {
 public:
  using Error::Error;
};

/// The operating system refused to read or write.
class TAUT_API IoError : public Error {
 public:
  using Error::Error;
};

/// A file whose contents are not what its format promises. A kind of IoError.
class TAUT_API FormatError : public IoError {
 public:
  using IoError::IoError;
};

/// A fault in communication between processes.
class TAUT_API DistributedError : public Error {
 public:
  using Error::Error;
};

/// A fault of Taut itself: please report it.
class TAUT_API InternalError : public Error {
 public:
  using Error::Error;
};

}  // namespace taut
