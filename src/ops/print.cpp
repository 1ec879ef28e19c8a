// Tensor::str. The rules for widths, notation and line breaks are PyTorch's, so that printed
// tensors look the same there and here.

#include "taut/ops/print.h"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <limits>
#include <mutex>
#include <vector>

#include "taut/autograd/grad_mode.h"
#include "taut/ops/ops.h"

namespace taut {
namespace {

std::mutex options_mutex;
PrintOptions current_options;

/// The elements to be printed, on the CPU and as one of three types, with the shape they are in.
struct Elements {
  Dims shape;
  DType dtype;
  std::vector<double> floating;
  std::vector<int64_t> integer;  // bool too

  bool is_floating() const { return taut::is_floating_point(dtype); }
};

/// The first and last `edge` indices of each dim longer than both together.
Tensor edges_of(const Tensor& tensor, int64_t edge) {
  Dims shape = tensor.shape();
  for (int64_t& size : shape) size = std::min(size, 2 * edge);
  Tensor result = empty(shape, tensor.options());
  const int rank = tensor.dim();
  // One copy for each combination of front and back over the dims that are cut.
  for (uint32_t backs = 0; backs < (1u << rank); ++backs) {
    Tensor from = tensor;
    Tensor to = result;
    bool wanted = true;
    for (int dim = 0; dim < rank && wanted; ++dim) {
      const bool cut = tensor.shape()[dim] > 2 * edge;
      const bool back = ((backs >> dim) & 1u) != 0;
      if (!cut) {
        wanted = !back;
        continue;
      }
      from = from.narrow(dim, back ? tensor.shape()[dim] - edge : 0, edge);
      to = to.narrow(dim, back ? edge : 0, edge);
    }
    if (wanted) to.copy_(from);
  }
  return result;
}

Elements read_elements(const Tensor& tensor, const PrintOptions& options, bool summarize) {
  const NoGradGuard no_grad;
  Tensor source = tensor.detach();
  if (summarize) source = edges_of(source, options.edge_items);
  const bool floating = source.is_floating_point();
  source = source.cpu().to(floating ? kFloat64 : kInt64).contiguous();
  Elements elements{source.shape(), tensor.dtype(), {}, {}};
  const auto count = static_cast<size_t>(source.numel());
  if (floating) {
    const double* values = source.data_ptr<double>();
    elements.floating.assign(values, values + count);
  } else {
    const int64_t* values = source.data_ptr<int64_t>();
    elements.integer.assign(values, values + count);
  }
  return elements;
}

std::string format_double(const char* conversion, int precision, double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  char buffer[400];
  const int length = std::snprintf(buffer, sizeof(buffer), conversion, precision, value);
  return std::string(buffer, static_cast<size_t>(length));
}

/// Writes single elements, all of one width.
class ElementWriter {
 public:
  ElementWriter(const Elements& elements, const PrintOptions& options)
      : elements_(elements), precision_(options.precision) {
    if (!elements.is_floating()) {
      for (size_t i = 0; i < elements.integer.size(); ++i) widen(bare(i));
      return;
    }
    double smallest = std::numeric_limits<double>::infinity();
    double largest = 0;
    bool any = false;
    for (double value : elements.floating) {
      if (!std::isfinite(value) || value == 0) continue;
      any = true;
      smallest = std::min(smallest, std::abs(value));
      largest = std::max(largest, std::abs(value));
      if (value != std::ceil(value)) whole_ = false;
    }
    if (!any) return;
    scientific_ = options.scientific.value_or(largest / smallest > 1000.0 || largest > 1e8 ||
                                              smallest < 1e-4);
    for (size_t i = 0; i < elements.floating.size(); ++i) {
      const double value = elements.floating[i];
      if (std::isfinite(value) && value != 0) widen(bare(i));
    }
  }

  int64_t width() const { return width_; }

  void write(std::string& out, size_t i) const {
    const std::string text = bare(i);
    const auto missing = width_ - static_cast<int64_t>(text.size());
    if (missing > 0) out.append(static_cast<size_t>(missing), ' ');
    out += text;
  }

 private:
  void widen(const std::string& text) {
    width_ = std::max(width_, static_cast<int64_t>(text.size()));
  }

  std::string bare(size_t i) const {
    if (elements_.dtype == kBool) return elements_.integer[i] != 0 ? "True" : "False";
    if (!elements_.is_floating()) return std::to_string(elements_.integer[i]);
    const double value = elements_.floating[i];
    if (scientific_) return format_double("%.*e", precision_, value);
    if (whole_) return format_double("%.*f", 0, value) + (std::isfinite(value) ? "." : "");
    return format_double("%.*f", precision_, value);
  }

  const Elements& elements_;
  int precision_;
  bool whole_ = true;
  bool scientific_ = false;
  int64_t width_ = 1;
};

/// Writes the nested brackets.
class BodyWriter {
 public:
  BodyWriter(const Tensor& tensor, const Elements& elements, const PrintOptions& options,
             bool summarize)
      : full_shape_(tensor.shape()),
        shape_(elements.shape),
        options_(options),
        summarize_(summarize),
        writer_(elements, options) {}

  std::string write(int64_t indent) {
    std::string out;
    if (shape_.rank() == 0) {
      writer_.write(out, 0);
    } else {
      write_dim(out, 0, 0, indent);
    }
    return out;
  }

 private:
  bool is_cut(int dim) const { return summarize_ && full_shape_[dim] > 2 * options_.edge_items; }

  void write_dim(std::string& out, int dim, size_t offset, int64_t indent) {
    if (dim == shape_.rank() - 1) return write_row(out, dim, offset, indent);
    size_t step = 1;
    for (int i = dim + 1; i < shape_.rank(); ++i) step *= static_cast<size_t>(shape_[i]);
    const std::string separator = "," +
                                  std::string(static_cast<size_t>(shape_.rank() - dim - 1), '\n') +
                                  std::string(static_cast<size_t>(indent + 1), ' ');
    out += '[';
    for (int64_t i = 0; i < shape_[dim]; ++i) {
      if (i > 0) out += separator;
      if (is_cut(dim) && i == options_.edge_items) out += "..." + separator;
      write_dim(out, dim + 1, offset + static_cast<size_t>(i) * step, indent + 1);
    }
    if (is_cut(dim) && options_.edge_items == 0) out += "...";
    out += ']';
  }

  void write_row(std::string& out, int dim, size_t offset, int64_t indent) {
    const int64_t per_line =
        std::max<int64_t>(1, (options_.line_width - indent) / (writer_.width() + 2));
    int64_t written = 0;
    const auto separate = [&] {
      if (written > 0) {
        out += ',';
        if (written % per_line == 0) {
          out += '\n' + std::string(static_cast<size_t>(indent + 1), ' ');
        } else {
          out += ' ';
        }
      }
      ++written;
    };
    out += '[';
    for (int64_t i = 0; i < shape_[dim]; ++i) {
      if (is_cut(dim) && i == options_.edge_items) {
        separate();
        out += " ...";
      }
      separate();
      writer_.write(out, offset + static_cast<size_t>(i));
    }
    if (is_cut(dim) && options_.edge_items == 0) out += "...";
    out += ']';
  }

  Dims full_shape_;
  Dims shape_;
  PrintOptions options_;
  bool summarize_;
  ElementWriter writer_;
};

/// layer_norm becomes LayerNormBackward0, as PyTorch writes it.
std::string backward_name(const std::string& op) {
  std::string result;
  bool upper = true;
  for (char c : op) {
    if (c == '_') {
      upper = true;
      continue;
    }
    result += upper && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    upper = false;
  }
  return result + "Backward0";
}

std::vector<std::string> suffixes_of(const Tensor& tensor) {
  std::vector<std::string> suffixes;
  if (!tensor.is_cpu()) suffixes.push_back("device='" + tensor.device().str() + "'");
  const DType dtype = tensor.dtype();
  const bool is_empty = tensor.numel() == 0;
  if (is_empty && tensor.dim() != 1) suffixes.push_back(concat("size=", tensor.shape()));
  const bool is_usual =
      dtype == get_default_dtype() || (!is_empty && (dtype == kInt64 || dtype == kBool));
  if (!is_usual) suffixes.push_back("dtype=taut." + std::string(name(dtype)));
  const std::string op = tensor.grad_fn_name();
  if (!op.empty()) {
    suffixes.push_back("grad_fn=<" + backward_name(op) + ">");
  } else if (tensor.requires_grad()) {
    suffixes.push_back("requires_grad=True");
  }
  return suffixes;
}

}  // namespace

PrintOptions print_options() {
  const std::lock_guard lock(options_mutex);
  return current_options;
}

void set_print_options(const PrintOptions& options) {
  TAUT_CHECK(options.precision >= 0 && options.threshold >= 0 && options.edge_items >= 0 &&
                 options.line_width >= 0,
             ValueError, "set_print_options: numbers cannot be negative");
  TAUT_CHECK(options.precision <= 60, ValueError, "set_print_options: precision ",
             options.precision, " is above 60");
  const std::lock_guard lock(options_mutex);
  current_options = options;
}

std::string Tensor::str() const {
  if (!defined()) return "tensor(undefined)";
  const PrintOptions options = print_options();
  const std::string prefix = "tensor(";
  const auto indent = static_cast<int64_t>(prefix.size());
  std::string out = prefix;
  if (numel() == 0) {
    out += "[]";
  } else {
    const bool summarize = numel() > options.threshold;
    const Elements elements = read_elements(*this, options, summarize);
    out += BodyWriter(*this, elements, options, summarize).write(indent);
  }
  const size_t line_break = out.rfind('\n');
  const size_t line_start = line_break == std::string::npos ? 0 : line_break + 1;
  auto column = static_cast<int64_t>(out.size() - line_start) + 2;
  for (const std::string& suffix : suffixes_of(*this)) {
    const auto length = static_cast<int64_t>(suffix.size());
    if (column + length + 2 > options.line_width) {
      out += ",\n" + std::string(static_cast<size_t>(indent), ' ') + suffix;
      column = indent + length;
    } else {
      out += ", " + suffix;
      column += length + 2;
    }
  }
  return out + ")";
}

void append(std::string& message, const Tensor& tensor) { message += tensor.str(); }

}  // namespace taut
