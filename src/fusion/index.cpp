#include "src/fusion/index.h"

#include "taut/base/check.h"
#include "taut/core/layout.h"

namespace taut::fusion {

Index operator+(const Index& a, const Index& b) {
  Index sum;
  sum.constant = a.constant + b.constant;
  auto x = a.terms.begin();
  auto y = b.terms.begin();
  while (x != a.terms.end() || y != b.terms.end()) {
    if (y == b.terms.end() || (x != a.terms.end() && x->variable < y->variable)) {
      sum.terms.push_back(*x++);
    } else if (x == a.terms.end() || y->variable < x->variable) {
      sum.terms.push_back(*y++);
    } else {
      if (x->factor + y->factor != 0) {
        sum.terms.push_back({x->variable, x->factor + y->factor});
      }
      ++x;
      ++y;
    }
  }
  return sum;
}

Index operator*(const Index& a, int64_t factor) {
  if (factor == 0) return {};
  Index product = a;
  product.constant *= factor;
  for (Index::Term& term : product.terms) term.factor *= factor;
  return product;
}

Index index_of(int variable, int64_t size) {
  Index index;
  if (size != 1) index.terms.push_back({variable, 1});
  return index;
}

Index constant_index(int64_t value) {
  Index index;
  index.constant = value;
  return index;
}

int64_t least(const Index& index, const Variables& variables) {
  int64_t value = index.constant;
  for (const auto& [variable, factor] : index.terms) {
    if (factor < 0) value += factor * (variables[static_cast<size_t>(variable)].size - 1);
  }
  return value;
}

int64_t greatest(const Index& index, const Variables& variables) {
  int64_t value = index.constant;
  for (const auto& [variable, factor] : index.terms) {
    if (factor > 0) value += factor * (variables[static_cast<size_t>(variable)].size - 1);
  }
  return value;
}

int64_t factor_of(const Index& index, int variable) {
  for (const Index::Term& term : index.terms) {
    if (term.variable == variable) return term.factor;
  }
  return 0;
}

Index linear(const std::vector<Index>& indices, const Dims& strides) {
  Index result;
  for (size_t i = 0; i < indices.size(); ++i) {
    result = result + indices[i] * strides[static_cast<int>(i)];
  }
  return result;
}

namespace {

// number = quotient * divisor + rest, with 0 <= rest < divisor.
struct Division {
  Index quotient, rest;
};

Division divided(const Index& number, int64_t divisor, Variables& variables) {
  Division result;
  for (const Index::Term& term : number.terms) {
    const bool is_multiple = term.factor % divisor == 0;
    Index& target = is_multiple ? result.quotient : result.rest;
    target.terms.push_back({term.variable, is_multiple ? term.factor / divisor : term.factor});
  }
  result.rest.constant = (number.constant % divisor + divisor) % divisor;
  result.quotient.constant = (number.constant - result.rest.constant) / divisor;
  if (least(result.rest, variables) >= 0 && greatest(result.rest, variables) < divisor) {
    return result;
  }
  const std::string whole = text_of(number, variables);
  bool is_column = false;
  for (const Index::Term& term : number.terms) {
    is_column |= variables[static_cast<size_t>(term.variable)].is_column;
  }
  const int64_t size = greatest(number, variables) / divisor + 1;
  const int quotient = static_cast<int>(variables.size());
  variables.push_back({size, is_column, 1, 1, concat("((", whole, ") / ", divisor, ")")});
  variables.push_back({divisor, is_column, 1, 1, concat("((", whole, ") % ", divisor, ")")});
  return {index_of(quotient, size), index_of(quotient + 1, divisor)};
}

}  // namespace

std::vector<Index> split(const Index& number, const Dims& shape, Variables& variables) {
  std::vector<Index> result(shape.size());
  Index left = number;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    const auto at = static_cast<size_t>(i);
    if (i == 0) {
      result[at] = left;
    } else if (shape[i] != 1) {
      Division division = divided(left, shape[i], variables);
      result[at] = std::move(division.rest);
      left = std::move(division.quotient);
    }
  }
  return result;
}

std::vector<Index> reshaped(const std::vector<Index>& indices, const Dims& from, const Dims& to,
                            Variables& variables) {
  if (from == to) return indices;
  return split(linear(indices, contiguous_strides(from)), to, variables);
}

std::vector<Index> add_dims(const Dims& dims, bool is_column, Variables& variables) {
  std::vector<Index> result;
  int64_t above = dims.numel();
  const int64_t whole = above;
  for (const int64_t size : dims) {
    above /= size;
    result.push_back(index_of(static_cast<int>(variables.size()), size));
    variables.push_back({size, is_column, above, whole, {}});
  }
  return result;
}

std::vector<Run> runs_of(const Index& index, const Variables& variables, bool of_columns) {
  std::vector<Run> runs;
  for (int i = static_cast<int>(variables.size()) - 1; i >= 0; --i) {
    const Variable& variable = variables[static_cast<size_t>(i)];
    if (variable.is_column != of_columns || !variable.quotient.empty()) continue;
    const int64_t factor = factor_of(index, i);
    if (!runs.empty()) {
      const Variable& next = variables[static_cast<size_t>(runs.back().first)];
      int64_t size = next.size;
      for (int k = runs.back().first + 1; k <= runs.back().last; ++k) {
        size *= variables[static_cast<size_t>(k)].size;
      }
      if (factor == runs.back().factor * size) {
        runs.back().first = i;
        continue;
      }
    }
    runs.push_back({i, i, factor});
  }
  return runs;
}

namespace {

// The number along a run: of the row or column, what is above the run taken away, what is below
// divided away.
std::string text_of_run(const Run& run, const Variables& variables) {
  const Variable& first = variables[static_cast<size_t>(run.first)];
  const Variable& last = variables[static_cast<size_t>(run.last)];
  std::string text = first.is_column ? kColumnName : kRowName;
  if (last.below != 1) text = concat("(", text, " / ", last.below, ")");
  const int64_t size = first.below * first.size;
  if (size != first.whole) text = concat("(", text, " % ", size / last.below, ")");
  return text;
}

}  // namespace

std::string text_of(const Index& index, const Variables& variables) {
  std::string text;
  const auto add = [&text](const std::string& name, int64_t factor) {
    if (factor == 0) return;
    if (!text.empty()) text += factor < 0 ? " - " : " + ";
    if (text.empty() && factor < 0) text += "0 - ";
    const int64_t size = factor < 0 ? -factor : factor;
    text += size == 1 ? name : concat(name, " * ", size);
  };
  for (const bool of_columns : {false, true}) {
    for (const Run& run : runs_of(index, variables, of_columns)) {
      add(text_of_run(run, variables), run.factor);
    }
  }
  for (const auto& [variable, factor] : index.terms) {
    const std::string& quotient = variables[static_cast<size_t>(variable)].quotient;
    if (!quotient.empty()) add(quotient, factor);
  }
  if (text.empty()) return concat(index.constant);
  if (index.constant > 0) text += concat(" + ", index.constant);
  if (index.constant < 0) text += concat(" - ", -index.constant);
  return text;
}

}  // namespace taut::fusion
