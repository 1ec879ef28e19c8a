// Sums of products by subscripts, as a chain of batched matrix products.

#include <algorithm>
#include <array>
#include <string>

#include "src/ops/autocast.h"
#include "taut/ops/matmul.h"
#include "taut/ops/ops.h"

namespace taut {
namespace {

constexpr int kLetters = 52;

int letter_index(char letter) {
  if (letter >= 'A' && letter <= 'Z') return letter - 'A';
  if (letter >= 'a' && letter <= 'z') return letter - 'a' + 26;
  return -1;
}

// One side of the equation's terms, "..." as the labels from kLetters on, aligned at the right.
using Labels = std::vector<int>;

[[noreturn]] void fail(std::string_view equation, const std::string& why) {
  taut::detail::raise<ValueError>("einsum: ", why, " in \"", equation, "\"");
}

Labels parse_term(std::string_view equation, std::string_view term, int ellipsis_rank) {
  Labels labels;
  bool has_ellipsis = false;
  for (size_t i = 0; i < term.size(); ++i) {
    const char c = term[i];
    if (c == ' ') continue;
    if (c == '.') {
      if (term.substr(i, 3) != "..." || has_ellipsis) fail(equation, "a stray '.'");
      has_ellipsis = true;
      i += 2;
      for (int k = 0; k < ellipsis_rank; ++k)
        labels.push_back(kLetters + kMaxRank - ellipsis_rank + k);
      continue;
    }
    const int index = letter_index(c);
    if (index < 0) fail(equation, concat("an unexpected '", c, "'"));
    labels.push_back(index);
  }
  return labels;
}

int count_letters(std::string_view term) {
  int count = 0;
  for (char c : term) count += letter_index(c) >= 0 ? 1 : 0;
  return count;
}

std::vector<std::string_view> split_terms(std::string_view text) {
  std::vector<std::string_view> terms;
  size_t start = 0;
  while (true) {
    const size_t comma = text.find(',', start);
    terms.push_back(text.substr(start, comma - start));
    if (comma == std::string_view::npos) return terms;
    start = comma + 1;
  }
}

int position_of(const Labels& labels, int label) {
  const auto it = std::find(labels.begin(), labels.end(), label);
  return it == labels.end() ? -1 : static_cast<int>(it - labels.begin());
}

// An operand whose labels are all different.
struct Term {
  Tensor tensor;
  Labels labels;
};

// A repeated subscript takes the diagonal.
void take_diagonals(Term& term) {
  for (size_t i = 0; i < term.labels.size(); ++i) {
    for (size_t j = i + 1; j < term.labels.size();) {
      if (term.labels[j] != term.labels[i]) {
        ++j;
        continue;
      }
      TAUT_CHECK(
          term.tensor.shape()[static_cast<int>(i)] == term.tensor.shape()[static_cast<int>(j)],
          ShapeError, "einsum: a repeated subscript has sizes ",
          term.tensor.shape()[static_cast<int>(i)], " and ",
          term.tensor.shape()[static_cast<int>(j)]);
      term.tensor =
          movedim(diagonal(term.tensor, 0, static_cast<int64_t>(i), static_cast<int64_t>(j)), {-1},
                  {static_cast<int64_t>(i)});
      term.labels.erase(term.labels.begin() + static_cast<ptrdiff_t>(j));
    }
  }
}

void sum_out(Term& term, const Labels& kept) {
  Dims dims;
  Labels left;
  for (size_t i = 0; i < term.labels.size(); ++i) {
    if (position_of(kept, term.labels[i]) < 0) {
      dims.push_back(static_cast<int64_t>(i));
    } else {
      left.push_back(term.labels[i]);
    }
  }
  if (dims.empty()) return;
  term.tensor = sum(term.tensor, dims);
  term.labels = left;
}

// The dims of `term` in the order of `labels`; those it lacks have size 1.
Tensor arrange(const Term& term, const Labels& labels) {
  Dims order;
  for (int label : labels) {
    const int at = position_of(term.labels, label);
    if (at >= 0) order.push_back(at);
  }
  Tensor result = permute(term.tensor, order);
  for (size_t i = 0; i < labels.size(); ++i) {
    if (position_of(term.labels, labels[i]) < 0)
      result = unsqueeze(result, static_cast<int64_t>(i));
  }
  return result;
}

int64_t size_of(const Term& term, int label) {
  const int at = position_of(term.labels, label);
  return at < 0 ? 1 : term.tensor.shape()[at];
}

// Multiplies two terms and sums over what is not `needed` later: one batched matrix product.
Term contract(Term a, Term b, const Labels& needed) {
  // What only one of them has and nobody needs is summed before the product. So is a size of 1 that
  // broadcasts against a larger one; it then counts as missing.
  const auto drop_broadcast = [](Term& term, const Term& other) {
    for (size_t i = 0; i < term.labels.size();) {
      const int at = static_cast<int>(i);
      if (term.tensor.shape()[at] == 1 && size_of(other, term.labels[i]) > 1) {
        term.tensor = squeeze(term.tensor, at);
        term.labels.erase(term.labels.begin() + at);
      } else {
        ++i;
      }
    }
  };
  drop_broadcast(a, b);
  drop_broadcast(b, a);
  Labels kept_a = needed;
  kept_a.insert(kept_a.end(), b.labels.begin(), b.labels.end());
  Labels kept_b = needed;
  kept_b.insert(kept_b.end(), a.labels.begin(), a.labels.end());
  sum_out(a, kept_a);
  sum_out(b, kept_b);

  Labels batch, left, right, summed;
  for (int label : a.labels) {
    const bool in_b = position_of(b.labels, label) >= 0;
    const bool stays = position_of(needed, label) >= 0;
    (in_b ? (stays ? batch : summed) : left).push_back(label);
  }
  for (int label : b.labels) {
    if (position_of(a.labels, label) < 0) right.push_back(label);
  }
  const auto product_of = [](const Term& term, const Labels& labels) {
    int64_t product = 1;
    for (int label : labels) product *= size_of(term, label);
    return product;
  };
  for (int label : a.labels) {
    const int64_t size_a = size_of(a, label);
    const int64_t size_b = position_of(b.labels, label) < 0 ? size_a : size_of(b, label);
    TAUT_CHECK(size_a == size_b, ShapeError, "einsum: one subscript has sizes ", size_a, " and ",
               size_b);
  }
  Labels order_a = batch, order_b = batch, result = batch;
  order_a.insert(order_a.end(), left.begin(), left.end());
  order_a.insert(order_a.end(), summed.begin(), summed.end());
  order_b.insert(order_b.end(), summed.begin(), summed.end());
  order_b.insert(order_b.end(), right.begin(), right.end());
  result.insert(result.end(), left.begin(), left.end());
  result.insert(result.end(), right.begin(), right.end());
  Dims shape;
  for (int label : result) {
    shape.push_back(position_of(a.labels, label) >= 0 ? size_of(a, label) : size_of(b, label));
  }
  const int64_t n_batch = product_of(a, batch);
  const int64_t k = product_of(a, summed);
  const Tensor matrix_a = reshape(arrange(a, order_a), {n_batch, product_of(a, left), k});
  const Tensor matrix_b = reshape(arrange(b, order_b), {n_batch, k, product_of(b, right)});
  return {reshape(bmm(matrix_a, matrix_b), shape), result};
}

}  // namespace

Tensor einsum(std::string_view equation, TensorList operands) {
  // One operand is no product: what is summed of it decides for itself.
  if (ops::is_autocast() && operands.size() > 1) {
    const ops::AutocastPause pause;
    Tensors cast;
    for (const Tensor& operand : operands) cast.push_back(ops::lowered(operand));
    return einsum(equation, cast);
  }
  TAUT_CHECK(!operands.empty(), ValueError, "einsum: expected at least one operand");
  const size_t arrow = equation.find("->");
  const std::vector<std::string_view> texts = split_terms(equation.substr(0, arrow));
  if (texts.size() != operands.size()) {
    fail(equation, concat(texts.size(), " terms for ", operands.size(), " operands"));
  }
  std::vector<Term> terms;
  int ellipsis_rank = 0;
  for (size_t i = 0; i < texts.size(); ++i) {
    const int rest = operands[i].dim() - count_letters(texts[i]);
    const bool has_ellipsis = texts[i].find("...") != std::string_view::npos;
    TAUT_CHECK(rest >= 0 && (rest == 0 || has_ellipsis), ShapeError, "einsum: operand ", i,
               " of shape ", operands[i].shape(), " does not match \"", texts[i], "\"");
    terms.push_back({operands[i], parse_term(equation, texts[i], has_ellipsis ? rest : 0)});
    if (has_ellipsis) ellipsis_rank = std::max(ellipsis_rank, rest);
  }
  Labels output;
  if (arrow != std::string_view::npos) {
    output = parse_term(equation, equation.substr(arrow + 2), ellipsis_rank);
  } else {
    for (int k = 0; k < ellipsis_rank; ++k)
      output.push_back(kLetters + kMaxRank - ellipsis_rank + k);
    std::array<int, kLetters> seen{};
    for (const Term& term : terms) {
      for (int label : term.labels) {
        if (label < kLetters) ++seen[static_cast<size_t>(label)];
      }
    }
    for (int label = 0; label < kLetters; ++label) {
      if (seen[static_cast<size_t>(label)] == 1) output.push_back(label);
    }
  }
  for (size_t i = 0; i < output.size(); ++i) {
    if (position_of(output, output[i]) != static_cast<int>(i)) {
      fail(equation, "a subscript appears twice in the result");
    }
    const bool known = std::any_of(terms.begin(), terms.end(), [&](const Term& term) {
      return position_of(term.labels, output[i]) >= 0;
    });
    if (!known) fail(equation, "the result has a subscript that no operand has");
  }
  for (Term& term : terms) take_diagonals(term);
  Term result = terms[0];
  for (size_t i = 1; i < terms.size(); ++i) {
    Labels needed = output;
    for (size_t k = i + 1; k < terms.size(); ++k) {
      needed.insert(needed.end(), terms[k].labels.begin(), terms[k].labels.end());
    }
    result = contract(std::move(result), terms[i], needed);
  }
  sum_out(result, output);
  return arrange(result, output);
}

}  // namespace taut
