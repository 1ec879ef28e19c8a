#include "kernels/attention/cudnn_attention.h"
#include "taut/base/config.h"

#if TAUT_HAS_CUDNN

#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "kernels/attention/plan_budget.h"
#include "kernels/cudnn/graph.h"
#include "src/core/cuda/launch_context.h"

namespace taut::kernels::cuda {
namespace {

enum Uid : int64_t {
  kQuery = 1,
  kKey,
  kValue,
  kOutput,
  kStats,
  kGradOutput,
  kGradQuery,
  kGradKey,
  kGradValue,
};

using Tensors = std::unordered_map<int64_t, void*>;
using TensorPtr = std::shared_ptr<fe::graph::Tensor_attributes>;

bool is_aligned(const void* data) { return reinterpret_cast<uintptr_t>(data) % 16 == 0; }
bool is_aligned(const RowStrides& strides) {
  return strides.batch % 8 == 0 && strides.head % 8 == 0 && strides.row % 8 == 0;
}

// What its kernels take: rows of whole 16-byte packs of a 16-bit float, no mask, no dropout, and a
// scale under which a hidden score stays at -infinity.
bool is_candidate(const AttentionShape& shape) {
  return shape.dtype != DType::float32 && shape.mask == nullptr && shape.dropout_p == 0 &&
         shape.scale > 0 && std::isfinite(shape.scale) && shape.width % 8 == 0 &&
         shape.value_width % 8 == 0 && shape.width <= 256 && shape.value_width <= 256 &&
         shape.queries > 1 && shape.keys > 1;
}

class Key {
 public:
  void add(int64_t value) { text_.append(reinterpret_cast<const char*>(&value), sizeof value); }
  void add(double value) { text_.append(reinterpret_cast<const char*>(&value), sizeof value); }
  void add(const RowStrides& strides) {
    add(strides.batch);
    add(strides.head);
    add(strides.row);
  }
  void add(const AttentionShape& shape) {
    add(int64_t{taut::cuda::launch_device()} << 8 | static_cast<int>(shape.dtype) << 1 |
        (shape.is_causal ? 1 : 0));
    for (const int64_t size : {shape.batch, shape.heads, shape.kv_heads, shape.queries, shape.keys,
                               shape.width, shape.value_width}) {
      add(size);
    }
    add(shape.scale);
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

class GraphBuilder {
 public:
  explicit GraphBuilder(const AttentionShape& shape)
      : shape_(shape), graph_(new_cudnn_graph(shape.dtype)) {}

  TensorPtr tensor(Uid uid, const char* name, int64_t heads, int64_t length, int64_t width,
                   const RowStrides& strides) {
    auto attributes = fe::graph::Tensor_attributes();
    describe(attributes, heads, length, width, strides);
    return graph_->tensor(attributes.set_name(name).set_uid(uid));
  }
  void set_output(const TensorPtr& tensor, Uid uid, int64_t heads, int64_t length, int64_t width,
                  const RowStrides& strides) {
    describe(*tensor, heads, length, width, strides);
    tensor->set_output(true).set_uid(uid);
  }
  TensorPtr stats_input() {
    return graph_->tensor(fe::graph::Tensor_attributes()
                              .set_name("stats")
                              .set_uid(kStats)
                              .set_dim({shape_.batch, shape_.heads, shape_.queries, 1})
                              .set_stride(stats_strides())
                              .set_data_type(fe::DataType_t::FLOAT));
  }
  void set_stats_output(const TensorPtr& tensor) {
    tensor->set_output(true)
        .set_uid(kStats)
        .set_dim({shape_.batch, shape_.heads, shape_.queries, 1})
        .set_stride(stats_strides())
        .set_data_type(fe::DataType_t::FLOAT);
  }
  const std::shared_ptr<fe::graph::Graph>& graph() const { return graph_; }

 private:
  void describe(fe::graph::Tensor_attributes& tensor, int64_t heads, int64_t length, int64_t width,
                const RowStrides& strides) const {
    tensor.set_dim({shape_.batch, heads, length, width})
        .set_stride({strides.batch, strides.head, strides.row, 1});
  }
  std::vector<int64_t> stats_strides() const {
    return {shape_.heads * shape_.queries, shape_.queries, 1, 1};
  }

  const AttentionShape& shape_;
  std::shared_ptr<fe::graph::Graph> graph_;
};

template <class Options>
void set_causal(Options& options, bool is_causal) {
  if (!is_causal) return;
  options.set_diagonal_alignment(fe::DiagonalAlignment_t::TOP_LEFT)
      .set_diagonal_band_right_bound(0);
}

// Queries, keys and values of either pass.
template <class Args>
std::array<TensorPtr, 3> operands(GraphBuilder& builder, const Args& args) {
  return {
      builder.tensor(kQuery, "q", args.heads, args.queries, args.width, args.query_strides),
      builder.tensor(kKey, "k", args.kv_heads, args.keys, args.width, args.key_strides),
      builder.tensor(kValue, "v", args.kv_heads, args.keys, args.value_width, args.value_strides)};
}

std::shared_ptr<fe::graph::Graph> forward_graph(const AttentionArgs& args) {
  GraphBuilder builder(args);
  const auto [q, k, v] = operands(builder, args);
  auto options = fe::graph::SDPA_attributes()
                     .set_name("attention")
                     .set_generate_stats(args.log_sum_exp != nullptr)
                     .set_attn_scale(static_cast<float>(args.scale));
  set_causal(options, args.is_causal);
  const auto [output, stats] = builder.graph()->sdpa(q, k, v, options);
  builder.set_output(output, kOutput, args.heads, args.queries, args.value_width,
                     args.output_strides);
  if (args.log_sum_exp != nullptr) builder.set_stats_output(stats);
  return builder.graph();
}

std::shared_ptr<fe::graph::Graph> backward_graph(const AttentionBackwardArgs& args) {
  GraphBuilder builder(args);
  const auto [q, k, v] = operands(builder, args);
  const TensorPtr o =
      builder.tensor(kOutput, "o", args.heads, args.queries, args.value_width, args.output_strides);
  const TensorPtr grad = builder.tensor(kGradOutput, "do", args.heads, args.queries,
                                        args.value_width, args.grad_output_strides);
  auto options = fe::graph::SDPA_backward_attributes()
                     .set_name("attention backward")
                     .set_attn_scale(static_cast<float>(args.scale))
                     .set_deterministic_algorithm(args.must_repeat);
  set_causal(options, args.is_causal);
  const auto [dq, dk, dv] =
      builder.graph()->sdpa_backward(q, k, v, o, grad, builder.stats_input(), options);
  builder.set_output(dq, kGradQuery, args.heads, args.queries, args.width, args.grad_query_strides);
  builder.set_output(dk, kGradKey, args.kv_heads, args.keys, args.width, args.grad_key_strides);
  builder.set_output(dv, kGradValue, args.kv_heads, args.keys, args.value_width,
                     args.grad_value_strides);
  return builder.graph();
}

// Each thread's own, since a plan is not safe from several. Null where none is made yet or cuDNN
// has no kernel. See Note [Plans that pay].
template <class Make>
const CudnnPlan* find_plan(const Key& key, double work, bool at_once, const Make& make) {
  thread_local const auto kept = std::make_unique<PaidPlans<CudnnPlan>>();
  const CudnnPlan* plan = kept->find(key.text(), work, at_once, make);
  return plan == nullptr || plan->graph == nullptr ? nullptr : plan;
}

void* writable(const void* data) { return const_cast<void*>(data); }

}  // namespace

bool run_cudnn_attention(const AttentionArgs& args, bool at_once) {
  if (!is_candidate(args)) return false;
  for (const void* data : {args.query, args.key, args.value, static_cast<const void*>(args.output)})
    if (!is_aligned(data)) return false;
  for (const RowStrides* strides :
       {&args.query_strides, &args.key_strides, &args.value_strides, &args.output_strides}) {
    if (!is_aligned(*strides)) return false;
  }
  Key key;
  key.add(int64_t{args.log_sum_exp != nullptr});
  key.add(static_cast<const AttentionShape&>(args));
  for (const RowStrides* strides :
       {&args.query_strides, &args.key_strides, &args.value_strides, &args.output_strides}) {
    key.add(*strides);
  }
  const CudnnTerms terms{args.dtype, args.precision, /*must_repeat=*/true};
  const CudnnPlan* plan = find_plan(key, attention_work(args), at_once, [&] {
    return make_cudnn_plan([&] { return forward_graph(args); }, terms);
  });
  if (plan == nullptr) return false;
  Tensors tensors = {{kQuery, writable(args.query)},
                     {kKey, writable(args.key)},
                     {kValue, writable(args.value)},
                     {kOutput, args.output}};
  if (args.log_sum_exp != nullptr) tensors[kStats] = args.log_sum_exp;
  run_cudnn_plan("scaled_dot_product_attention", *plan, tensors);
  return true;
}

bool run_cudnn_attention_backward(const AttentionBackwardArgs& args, bool at_once) {
  if (!is_candidate(args)) return false;
  for (const void* data : {args.query, args.key, args.value, args.output, args.grad_output}) {
    if (!is_aligned(data)) return false;
  }
  const RowStrides* const all_strides[] = {&args.query_strides,       &args.key_strides,
                                           &args.value_strides,       &args.output_strides,
                                           &args.grad_output_strides, &args.grad_query_strides,
                                           &args.grad_key_strides,    &args.grad_value_strides};
  Key key;
  key.add(int64_t{2} + (args.must_repeat ? 1 : 0));
  key.add(static_cast<const AttentionShape&>(args));
  for (const RowStrides* strides : all_strides) {
    if (!is_aligned(*strides)) return false;
    key.add(*strides);
  }
  // Five products where forward has two.
  const double work = 2.5 * attention_work(args);
  const CudnnTerms terms{args.dtype, args.precision, args.must_repeat};
  const CudnnPlan* plan = find_plan(key, work, at_once, [&] {
    return make_cudnn_plan([&] { return backward_graph(args); }, terms);
  });
  if (plan == nullptr) return false;
  Tensors tensors = {{kQuery, writable(args.query)},
                     {kKey, writable(args.key)},
                     {kValue, writable(args.value)},
                     {kOutput, writable(args.output)},
                     {kStats, const_cast<float*>(args.log_sum_exp)},
                     {kGradOutput, writable(args.grad_output)},
                     {kGradQuery, args.grad_query},
                     {kGradKey, args.grad_key},
                     {kGradValue, args.grad_value}};
  run_cudnn_plan("scaled_dot_product_attention", *plan, tensors);
  return true;
}

}  // namespace taut::kernels::cuda

#else

namespace taut::kernels::cuda {
bool run_cudnn_attention(const AttentionArgs&, bool) { return false; }
bool run_cudnn_attention_backward(const AttentionBackwardArgs&, bool) { return false; }
}  // namespace taut::kernels::cuda

#endif
