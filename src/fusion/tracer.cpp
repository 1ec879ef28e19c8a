#include "src/fusion/tracer.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "src/nn/functional/row_attributes.h"
#include "src/ops/pointwise.h"
#include "src/ops/reduce_attributes.h"
#include "src/ops/view_backward.h"
#include "taut/base/check.h"

namespace taut::fusion {

using autograd::OpRecord;
using kernels::Pointwise;
using ops::MomentAttributes;
using ops::ReduceAttributes;

namespace {

template <class Attributes>
const Attributes& attributes_of(const OpRecord& record) {
  TAUT_ASSERT(record.attribute_bytes == sizeof(Attributes));
  return *static_cast<const Attributes*>(record.attributes);
}

const void* memory_of(const Tensor& tensor) { return tensor.impl()->storage.get(); }

bool is_same_layout(const Layout& a, const Layout& b) {
  return a.offset == b.offset && a.shape == b.shape && a.strides == b.strides;
}

uint32_t last_dims(int rank, int count) {
  return ((1u << rank) - 1u) & ~((1u << (rank - count)) - 1u);
}

}  // namespace

// One function for each op that a graph can hold, by the op's name.
struct Handlers {
  using Handler = void (*)(Tracer&, const OpRecord&);

  static NodeId input(Tracer& tracer, const OpRecord& record, size_t i = 0) {
    return tracer.node_of(*record.inputs[i]);
  }
  static const Dims& output_shape(const OpRecord& record, size_t i = 0) {
    return record.outputs[i]->shape();
  }
  static void define(Tracer& tracer, const OpRecord& record, NodeId node) {
    tracer.define(*record.outputs[0], node);
  }

  // Copies and casts
  static void same(Tracer& tracer, const OpRecord& record) {
    define(tracer, record, input(tracer, record));
  }
  static void to(Tracer& tracer, const OpRecord& record) {
    const Tensor& output = *record.outputs[0];
    if (!(output.device() == record.inputs[0]->device())) {
      return tracer.refuse(concat("to: moves a tensor to ", output.device()));
    }
    define(tracer, record, tracer.graph_.cast(input(tracer, record), output.dtype()));
  }
  static void full(Tracer& tracer, const OpRecord& record) {
    Graph& graph = tracer.graph_;
    const NodeId number = graph.number(attributes_of<Scalar>(record));
    const Tensor& output = *record.outputs[0];
    define(tracer, record, graph.expand(graph.cast(number, output.dtype()), output.shape()));
  }

  // Views
  static void reshape(Tracer& tracer, const OpRecord& record) {
    define(tracer, record, tracer.graph_.reshape(input(tracer, record), output_shape(record)));
  }
  static void permute(Tracer& tracer, const OpRecord& record) {
    const Dims& inverse = attributes_of<ops::view_backward::ShapeAttributes>(record).shape;
    Dims order = inverse;
    for (int i = 0; i < inverse.rank(); ++i) order[static_cast<int>(inverse[i])] = i;
    define(tracer, record, tracer.graph_.permute(input(tracer, record), order));
  }
  static void transpose(Tracer& tracer, const OpRecord& record) {
    const auto& at = attributes_of<ops::view_backward::TransposeAttributes>(record);
    Dims order;
    for (int i = 0; i < output_shape(record).rank(); ++i) order.push_back(i);
    if (order.rank() > 0) std::swap(order[at.dim0], order[at.dim1]);
    define(tracer, record, tracer.graph_.permute(input(tracer, record), order));
  }
  static void expand(Tracer& tracer, const OpRecord& record) {
    define(tracer, record, tracer.graph_.expand(input(tracer, record), output_shape(record)));
  }
  static void slice(Tracer& tracer, const OpRecord& record) {
    const auto& at = attributes_of<ops::view_backward::SliceAttributes>(record);
    define(tracer, record,
           tracer.graph_.slice(input(tracer, record), at.dim, at.start,
                               output_shape(record)[at.dim], at.step));
  }
  static void select(Tracer& tracer, const OpRecord& record) {
    const auto& at = attributes_of<ops::view_backward::SelectAttributes>(record);
    define(tracer, record, tracer.graph_.select(input(tracer, record), at.dim, at.index));
  }
  static void split(Tracer& tracer, const OpRecord& record) {
    const auto& at = attributes_of<ops::view_backward::PiecesAttributes>(record);
    const NodeId whole = input(tracer, record);
    int64_t first = 0;
    for (size_t i = 0; i < record.outputs.size(); ++i) {
      const int64_t size = output_shape(record, i)[at.dim];
      tracer.define(*record.outputs[i], tracer.graph_.slice(whole, at.dim, first, size, 1));
      first += size;
    }
  }
  static void unbind(Tracer& tracer, const OpRecord& record) {
    const auto& at = attributes_of<ops::view_backward::PiecesAttributes>(record);
    const NodeId whole = input(tracer, record);
    for (size_t i = 0; i < record.outputs.size(); ++i) {
      tracer.define(*record.outputs[i],
                    tracer.graph_.select(whole, at.dim, static_cast<int64_t>(i)));
    }
  }
  static void cat(Tracer& tracer, const OpRecord& record) {
    const auto dim = static_cast<int>(*static_cast<const int64_t*>(record.attributes));
    std::vector<NodeId> parts;
    for (size_t i = 0; i < record.inputs.size(); ++i) {
      if (record.inputs[i]->shape()[dim] == 0) continue;
      parts.push_back(tracer.graph_.cast(input(tracer, record, i), record.outputs[0]->dtype()));
    }
    if (parts.empty()) return tracer.refuse("cat: of empty tensors");
    define(tracer, record, tracer.graph_.join(std::move(parts), dim));
  }

  // Reductions
  static void reduced(Tracer& tracer, const OpRecord& record, NodeId node) {
    define(tracer, record, tracer.graph_.reshape(node, output_shape(record)));
  }
  static void sum(Tracer& tracer, const OpRecord& record) {
    Graph& graph = tracer.graph_;
    const NodeId source = graph.cast(input(tracer, record), record.outputs[0]->dtype());
    reduced(tracer, record,
            graph.reduce(ReduceKind::sum, source, attributes_of<ReduceAttributes>(record).mask));
  }
  static void mean(Tracer& tracer, const OpRecord& record) {
    reduced(
        tracer, record,
        tracer.graph_.mean(input(tracer, record), attributes_of<ReduceAttributes>(record).mask));
  }
  static void extremum(Tracer& tracer, const OpRecord& record) {
    if (record.attribute_bytes != sizeof(ReduceAttributes)) {
      return tracer.refuse(concat(record.name, ": with indices"));
    }
    const std::string_view name = record.name;
    const bool is_max = name == "max" || name == "amax";
    reduced(tracer, record,
            tracer.graph_.reduce(is_max ? ReduceKind::max : ReduceKind::min, input(tracer, record),
                                 attributes_of<ReduceAttributes>(record).mask));
  }
  static void moments(Tracer& tracer, const OpRecord& record) {
    const auto& at = attributes_of<MomentAttributes>(record);
    Graph& graph = tracer.graph_;
    const NodeId source = input(tracer, record);
    const NodeId average = graph.mean(source, at.reduce.mask);
    const NodeId squares = graph.unary(Pointwise::Square, graph.subtract(source, average));
    int64_t count = 1;
    for (int i = 0; i < at.reduce.shape.rank(); ++i) {
      if ((at.reduce.mask >> i & 1u) != 0) count *= at.reduce.shape[i];
    }
    const double divisor = std::max(0.0, static_cast<double>(count) - at.correction);
    const NodeId variance = graph.multiply(graph.reduce(ReduceKind::sum, squares, at.reduce.mask),
                                           graph.number(Scalar(1.0 / divisor)));
    reduced(tracer, record, at.is_std ? graph.unary(Pointwise::Sqrt, variance) : variance);
    if (record.outputs.size() > 1) {
      tracer.define(*record.outputs[1], graph.reshape(average, output_shape(record, 1)));
    }
  }

  // Ops over rows, as what they are made of
  struct Softmax {
    NodeId shifted;      // x - max
    NodeId exponential;  // e^shifted
    NodeId sum;
  };
  static Softmax parts_of_softmax(Tracer& tracer, const OpRecord& record) {
    Graph& graph = tracer.graph_;
    const NodeId source = input(tracer, record);
    const Dims shape = output_shape(record);
    const int dim = attributes_of<nn::functional::SoftmaxAttributes>(record).dim;
    const uint32_t mask = shape.rank() == 0 ? 0u : 1u << dim;
    const NodeId shifted = graph.subtract(source, graph.reduce(ReduceKind::max, source, mask));
    const NodeId exponential = graph.unary(Pointwise::Exp, shifted);
    return {shifted, exponential, graph.reduce(ReduceKind::sum, exponential, mask)};
  }
  static void softmax(Tracer& tracer, const OpRecord& record) {
    const Softmax parts = parts_of_softmax(tracer, record);
    Graph& graph = tracer.graph_;
    // One division for a row.
    define(tracer, record,
           graph.multiply(parts.exponential, graph.unary(Pointwise::Reciprocal, parts.sum)));
  }
  static void log_softmax(Tracer& tracer, const OpRecord& record) {
    const Softmax parts = parts_of_softmax(tracer, record);
    Graph& graph = tracer.graph_;
    define(tracer, record, graph.subtract(parts.shifted, graph.unary(Pointwise::Log, parts.sum)));
  }
  // The norm of `source`, with the weight and bias among the inputs from `first` on.
  static NodeId norm_of(Tracer& tracer, const OpRecord& record, NodeId source, size_t first) {
    const auto& at = attributes_of<nn::functional::RowNormAttributes>(record);
    Graph& graph = tracer.graph_;
    const uint32_t mask = last_dims(output_shape(record).rank(), at.normalized_dims);
    const NodeId centre =
        at.is_centered ? graph.subtract(source, graph.mean(source, mask)) : source;
    const NodeId variance = graph.mean(graph.multiply(centre, centre), mask);
    const NodeId rstd =
        graph.unary(Pointwise::Rsqrt, graph.add(variance, graph.number(Scalar(at.eps))));
    NodeId result = graph.multiply(centre, rstd);
    for (size_t i = first; i < record.inputs.size() && i < first + 2; ++i) {
      if (!record.inputs[i]->defined()) continue;
      const NodeId parameter = input(tracer, record, i);
      result = i == first ? graph.multiply(result, parameter) : graph.add(result, parameter);
    }
    return result;
  }
  static void row_norm(Tracer& tracer, const OpRecord& record) {
    define(tracer, record, norm_of(tracer, record, input(tracer, record), 1));
  }
  static void add_norm(Tracer& tracer, const OpRecord& record) {
    Graph& graph = tracer.graph_;
    const DType dtype = record.outputs[1]->dtype();
    const NodeId sum = graph.add(graph.cast(input(tracer, record, 0), dtype),
                                 graph.cast(input(tracer, record, 1), dtype));
    tracer.define(*record.outputs[1], sum);
    define(tracer, record, norm_of(tracer, record, sum, 2));
  }

  // In place
  static void copy_in_place(Tracer& tracer, const OpRecord& record) {
    Graph& graph = tracer.graph_;
    const Tensor& target = *record.outputs[0];
    const NodeId source = graph.cast(input(tracer, record, 1), target.dtype());
    tracer.write(target, graph.expand(source, target.shape()), record.name);
  }

  static void fill(Tracer& tracer, const OpRecord& record) {
    Graph& graph = tracer.graph_;
    const Tensor& target = *record.outputs[0];
    const NodeId number = graph.cast(graph.number(attributes_of<Scalar>(record)), target.dtype());
    const NodeId node = graph.expand(number, target.shape());
    // What no op has made is memory that was taken and not yet written.
    if (!tracer.memory_.contains(memory_of(target))) return tracer.define(target, node);
    tracer.write(target, node, record.name);
  }

  static const std::unordered_map<std::string_view, Handler>& all() {
    static const auto& handlers = *new std::unordered_map<std::string_view, Handler>{
        {"clone", same},
        {"alias", same},
        {"to", to},
        {"full", full},
        {"reshape", reshape},
        {"view", reshape},
        {"squeeze", reshape},
        {"unsqueeze", reshape},
        {"permute", permute},
        {"transpose", transpose},
        {"expand", expand},
        {"slice", slice},
        {"select", select},
        {"split", split},
        {"chunk", split},
        {"tensor_split", split},
        {"unbind", unbind},
        {"cat", cat},
        {"sum", sum},
        {"mean", mean},
        {"amax", extremum},
        {"amin", extremum},
        {"max", extremum},
        {"min", extremum},
        {"var", moments},
        {"std", moments},
        {"var_mean", moments},
        {"std_mean", moments},
        {"softmax", softmax},
        {"log_softmax", log_softmax},
        {"layer_norm", row_norm},
        {"rms_norm", row_norm},
        {"add_layer_norm", add_norm},
        {"add_rms_norm", add_norm},
        {"copy_", copy_in_place},
        {"fill_", fill},
    };
    return handlers;
  }

  static bool is_pointwise(const OpRecord& record) {
    if (record.attribute_bytes != sizeof(ops::PointwiseAttributes)) return false;
    const Pointwise op = static_cast<const ops::PointwiseAttributes*>(record.attributes)->op;
    return op < Pointwise::count && ops::functor_info(op).name == record.name;
  }

  template <class Attributes>
  static void pointwise(Tracer& tracer, const OpRecord& record, const Attributes& at,
                        uint8_t derivative) {
    Graph& graph = tracer.graph_;
    const Tensor& output = *record.outputs[0];
    ops::Input operands[kernels::kMaxPointwiseOperands] = {Scalar(), Scalar(), Scalar(),
                                                           Scalar(), Scalar(), Scalar()};
    std::vector<NodeId> inputs;
    for (size_t i = 0; i < record.inputs.size(); ++i) {
      const bool is_number = (at.scalar_mask >> i & 1u) != 0;
      operands[i] = is_number ? ops::Input(at.scalars[i]) : ops::Input(*record.inputs[i]);
      inputs.push_back(is_number ? graph.number(at.scalars[i]) : input(tracer, record, i));
    }
    if (!tracer.refusal_.empty()) return;
    const bool is_compare =
        derivative == 0 && ops::functor_info(at.op).domain == kernels::Domain::compare;
    const DType computed =
        is_compare ? ops::result_type({operands, record.inputs.size()}) : output.dtype();
    const NodeId node = graph.pointwise(at.op, derivative, std::move(inputs), at.parameters,
                                        compute_dtype(computed), output.dtype());
    if (derivative == 0 && tracer.memory_.contains(memory_of(output))) {
      return tracer.write(output, node, record.name);
    }
    tracer.define(output, node);
  }
};

namespace {
constinit thread_local int tracers = 0;
}

Tracer::Tracer(Graph& graph) : graph_(graph) { ++tracers; }
Tracer::~Tracer() { --tracers; }
bool Tracer::is_tracing() { return tracers > 0; }

void Tracer::add_arguments(TensorList arguments, int first) {
  for (const Tensor& tensor : arguments) {
    const int number = first++;
    if (!tensor.defined()) continue;
    // As the caller gives it: elements are counted from the argument's own first one.
    Layout layout = tensor.layout();
    layout.offset = 0;
    kept_.push_back(tensor);
    Memory& memory = memory_[memory_of(tensor)];
    memory.is_argument = true;
    memory.values.push_back(
        {tensor.layout(), tensor.dtype(), graph_.add_argument(number, tensor.dtype(), layout)});
  }
}

const Tracer::Value* Tracer::find(const Tensor& tensor) const {
  const auto memory = memory_.find(memory_of(tensor));
  if (memory == memory_.end()) return nullptr;
  for (const Value& value : memory->second.values) {
    if (value.dtype == tensor.dtype() && is_same_layout(value.layout, tensor.layout())) {
      return &value;
    }
  }
  return nullptr;
}

NodeId Tracer::node_of(const Tensor& tensor) {
  if (tensor.defined()) {
    if (const Value* value = find(tensor)) return value->node;
    refuse(concat("it uses a tensor of shape ", tensor.shape(), " that is ",
                  memory_.contains(memory_of(tensor))
                      ? "seen in a way that no op shows"
                      : "no argument of it; tensors that it refers to cannot be followed"));
  } else {
    refuse("an undefined tensor");
  }
  return graph_.number(Scalar(0));  // stands for what will not be used
}

void Tracer::define(const Tensor& tensor, NodeId node) {
  kept_.push_back(tensor);
  memory_[memory_of(tensor)].values.push_back({tensor.layout(), tensor.dtype(), node});
}

namespace {

// What a layout shows of another one: indices start, start + step, ... along one dim, which is
// missing in it where it was selected.
struct Part {
  int dim = 0;
  int64_t start = 0;
  int64_t step = 1;
  bool is_selected = false;
};

bool has_same_dim(const Layout& a, int i, const Layout& b, int k) {
  return a.shape[i] == b.shape[k] && a.strides[i] == b.strides[k];
}

std::optional<Part> part_of(const Layout& whole, const Layout& part) {
  Part result;
  result.is_selected = part.rank() + 1 == whole.rank();
  if (!result.is_selected && part.rank() != whole.rank()) return std::nullopt;
  int at = 0;
  while (at < part.rank() && has_same_dim(part, at, whole, at)) ++at;
  if (at == whole.rank()) return std::nullopt;
  for (int i = at + (result.is_selected ? 0 : 1); i < part.rank(); ++i) {
    if (!has_same_dim(part, i, whole, i + (result.is_selected ? 1 : 0))) return std::nullopt;
  }
  const int64_t stride = whole.strides[at];
  if (stride <= 0) return std::nullopt;
  result.dim = at;
  result.start = (part.offset - whole.offset) / stride;
  if (!result.is_selected && part.shape[at] > 1) result.step = part.strides[at] / stride;
  return result;
}

}  // namespace

// An in-place write becomes a new value of the memory; other views of it are forgotten.
void Tracer::write(const Tensor& target, NodeId node, const char* op) {
  const auto found = memory_.find(memory_of(target));
  if (found == memory_.end() || found->second.is_argument) {
    return refuse(concat(op, ": writes in place to a tensor that the function did not make"));
  }
  const Value whole = found->second.values.front();
  node = graph_.cast(node, target.dtype());
  if (!is_same_layout(whole.layout, target.layout())) {
    // Gradients of slices are written so.
    const std::optional<Part> part = part_of(whole.layout, target.layout());
    if (find(target) == nullptr || !part) return refuse(concat(op, ": writes in place to a view"));
    if (part->is_selected) {
      Dims shape = target.shape();
      shape.insert(part->dim, 1);
      node = graph_.reshape(node, shape);
    }
    node = graph_.overlay(whole.node, node, part->dim, part->start, part->step);
  }
  found->second.values = {{whole.layout, whole.dtype, node}};
}

void Tracer::refuse(std::string reason) {
  if (refusal_.empty()) refusal_ = std::move(reason);
}

void Tracer::on_op(const OpRecord& record) {
  if (!refusal_.empty()) return;
  if (record.name == std::string_view(ops::kDerivativeName)) {
    const auto& at = attributes_of<ops::DerivativeAttributes>(record);
    return Handlers::pointwise(*this, record, at, at.derivative);
  }
  if (Handlers::is_pointwise(record)) {
    return Handlers::pointwise(*this, record, attributes_of<ops::PointwiseAttributes>(record), 0);
  }
  const auto handler = Handlers::all().find(record.name);
  if (handler == Handlers::all().end()) {
    return refuse(concat(record.name, ": no op that can be fused"));
  }
  handler->second(*this, record);
}

}  // namespace taut::fusion
