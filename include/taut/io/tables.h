#pragma once
// Numbers in simple files: IDX (as MNIST and Fashion-MNIST come) and CSV. Both may be gzipped.
//   Tensor pictures = load_idx("train-images-idx3-ubyte.gz");  // (60000, 28, 28), uint8

#include <string>

#include "taut/core/tensor.h"

namespace taut::io {

/// The array of an IDX file: uint8, int8, int16, int32, float32 or float64, of any shape. Format:
/// Y. LeCun, "The MNIST database of handwritten digits".
/// @throws FormatError for a file that is something else or ends too early, IoError when it cannot
/// be read.
TAUT_API Tensor load_idx(const std::string& path);

/// The numbers of a text file as a matrix of float64, a row for each line. Empty lines are left
/// out, and `skip_rows` lines at the start.
/// @throws FormatError that names the line for what is no number or for lines of unlike lengths.
TAUT_API Tensor load_csv(const std::string& path, char delimiter = ',', int64_t skip_rows = 0);

}  // namespace taut::io
