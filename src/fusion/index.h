#pragma once
// Where in a tensor an element lies, as a sum of the variables that a kernel counts with.

#include <cstdint>
#include <string>
#include <vector>

#include "taut/core/dims.h"

namespace taut::fusion {

/// A number from 0 to size - 1: the index along a dim of a kernel's rows or columns, or what is
/// left of a division of such.
struct Variable {
  int64_t size = 1;
  bool is_column = false;  // of the columns, or made of them
  /// Of a dim: how many rows (columns) one step of it is, and how many all of it.
  int64_t below = 1, whole = 1;
  std::string quotient = {};  // of a division: its text
};
using Variables = std::vector<Variable>;

/// How a kernel calls the number of its row, and of its column.
inline constexpr const char* kRowName = "row";
inline constexpr const char* kColumnName = "at";

/// constant + sum of factor * variable. Each variable comes once, in rising order, its factor not
/// 0.
struct Index {
  struct Term {
    int variable;
    int64_t factor;
    friend bool operator==(const Term&, const Term&) = default;
  };
  int64_t constant = 0;
  std::vector<Term> terms;

  friend bool operator==(const Index&, const Index&) = default;
};

Index operator+(const Index& a, const Index& b);
Index operator*(const Index& a, int64_t factor);
Index index_of(int variable, int64_t size);
Index constant_index(int64_t value);

int64_t least(const Index& index, const Variables& variables);
int64_t greatest(const Index& index, const Variables& variables);
int64_t factor_of(const Index& index, int variable);

/// The offset of an element with these indices, or its number for the strides of a contiguous
/// shape.
Index linear(const std::vector<Index>& indices, const Dims& strides);

/// The indices in `shape` of the element that has `number` in the order of its elements. Divisions
/// that do not come out become new variables.
std::vector<Index> split(const Index& number, const Dims& shape, Variables& variables);

/// The indices in `to` of the element with `indices` in `from`, a shape of as many elements.
std::vector<Index> reshaped(const std::vector<Index>& indices, const Dims& from, const Dims& to,
                            Variables& variables);

/// Adds the dims of rows or columns as variables, and returns their index.
std::vector<Index> add_dims(const Dims& dims, bool is_column, Variables& variables);

/// Neighbouring dims that an index takes as one, and how it steps along them: from `first` to
/// `last` with this factor of the last. Factors of dims that are not in the index are 0.
struct Run {
  int first, last;
  int64_t factor;
};
std::vector<Run> runs_of(const Index& index, const Variables& variables, bool of_columns);

/// As C++, by the fewest divisions of the row's and the column's number.
std::string text_of(const Index& index, const Variables& variables);

}  // namespace taut::fusion
