#include "src/profiler/op_cost.h"

#include <algorithm>
#include <string_view>

#include "taut/autograd/node.h"

namespace taut::profiler {
namespace {

using autograd::OpRecord;
using autograd::TensorRef;
using autograd::TensorRefs;

double count(const Tensor& tensor) { return static_cast<double>(tensor.numel()); }

// Bytes of the distinct elements: what broadcasting repeats is read once.
double bytes_of(const Tensor& tensor) {
  if (!tensor.defined()) return 0;
  double elements = 1;
  for (int i = 0; i < tensor.dim(); ++i) {
    if (tensor.strides()[i] != 0 || tensor.shape()[i] == 0) {
      elements *= static_cast<double>(tensor.shape()[i]);
    }
  }
  return elements * static_cast<double>(tensor.element_size());
}

double size_of(const Tensor& tensor, int dim) {
  return static_cast<double>(tensor.shape()[dim < 0 ? dim + tensor.dim() : dim]);
}

// A filter's elements for each of its first channels.
double filter_size(const Tensor& filter) {
  return filter.shape()[0] == 0 ? 0 : count(filter) / size_of(filter, 0);
}

double flops_of(const OpRecord& record) {
  const std::string_view name = record.name;
  const TensorRefs in = record.inputs;
  const Tensor& output = *record.outputs[0];
  if (name == "matmul" || name == "linear") {
    const Tensor& a = *in[0];
    return a.dim() == 0 ? 0 : 2 * count(output) * size_of(a, -1);
  }
  if (name == "dot") return 2 * count(*in[0]);
  if (name == "convolution") return 2 * count(output) * filter_size(*in[1]);
  // The input's gradient reads the output's gradient, the filter's is of the filter's shape: each
  // does what the convolution did.
  if (name == "convolution_backward_input") return 2 * count(*in[0]) * filter_size(*in[1]);
  if (name == "convolution_backward_weight") return 2 * count(*in[1]) * filter_size(output);
  return 0;
}

// They read of their first input no more than they write.
bool is_gather(std::string_view name) {
  constexpr std::string_view kNames[] = {"embedding", "index_select", "gather", "take", "index"};
  return std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

bool shares_storage(const Tensor& a, const Tensor& b) {
  return a.defined() && b.defined() && a.storage() == b.storage();
}

bool is_view(const Tensor& output, TensorRefs inputs) {
  return std::any_of(inputs.begin(), inputs.end(), [&](const TensorRef& input) {
    return shares_storage(output, *input) && !output.is_same(*input);
  });
}

double bytes_moved(const OpRecord& record) {
  double written = 0;
  bool is_all_views = true;
  for (const TensorRef& output : record.outputs) {
    if (!output->defined() || is_view(*output, record.inputs)) continue;
    is_all_views = false;
    written += bytes_of(*output);
  }
  if (is_all_views) return 0;
  double read = 0;
  for (size_t i = 0; i < record.inputs.size(); ++i) {
    read += i == 0 && is_gather(record.name) ? written : bytes_of(*record.inputs[i]);
  }
  return read + written;
}

}  // namespace

OpCost op_cost(const OpRecord& record) {
  // Its products are ops of their own within it.
  if (record.outputs.empty() || std::string_view(record.name) == "mlp") return {};
  if (!record.outputs[0]->defined()) return {};
  return {flops_of(record), bytes_moved(record)};
}

double backward_bytes(const autograd::BackwardRecord& record) {
  double read = 0;
  for (const Tensor& grad : record.grads) read += bytes_of(grad);
  double written = 0;
  for (const Tensor& result : record.results) {
    const bool is_handed_on =
        std::any_of(record.grads.begin(), record.grads.end(),
                    [&](const Tensor& grad) { return shares_storage(grad, result); });
    if (!is_handed_on) written += bytes_of(result);
  }
  if (written == 0) return 0;
  for (const autograd::SavedTensor& saved : record.node.saved()) {
    read += static_cast<double>(saved.nbytes());
  }
  return read + written;
}

}  // namespace taut::profiler
