#include "kernels/conv/cudnn_conv.h"
#include "taut/base/config.h"

#if TAUT_HAS_CUDNN

#include <algorithm>
#include <string>
#include <vector>

#include "kernels/cudnn/graph.h"
#include "src/core/cuda/launch_context.h"

namespace taut::kernels::cuda {
namespace {

enum Uid : int64_t { kFirst = 1, kSecond = 2, kOutput = 3 };

using Sizes = std::vector<int64_t>;

// cuDNN knows two and three spatial dims: one is given a dim of size 1 before it.
Sizes spatial(const Dims& dims, int64_t missing) {
  Sizes sizes;
  if (dims.rank() == 1) sizes.push_back(missing);
  sizes.insert(sizes.end(), dims.begin(), dims.end());
  return sizes;
}

Sizes tensor_sizes(int64_t outer, int64_t channels, const Dims& size) {
  Sizes sizes = spatial(size, 1);
  sizes.insert(sizes.begin(), {outer, channels});
  return sizes;
}

Sizes strides_of(const Sizes& sizes, bool channels_last) {
  Sizes strides(sizes.size());
  int64_t step = channels_last ? sizes[1] : 1;
  for (size_t i = sizes.size() - 1; i >= 2; --i) {
    strides[i] = step;
    step *= sizes[i];
  }
  strides[1] = channels_last ? 1 : step;
  strides[0] = channels_last ? step : step * sizes[1];
  return strides;
}

// The zeros after the last element, which follow from the size of the output: as many as before the
// first one where that gives the size too, since more kernels take it.
Sizes post_padding(const ConvShape& shape) {
  Dims result;
  for (int i = 0; i < shape.padding.rank(); ++i) {
    const int64_t window = (shape.kernel_size[i] - 1) * shape.dilation[i] + 1;
    const int64_t before = shape.padding[i];
    const int64_t room = shape.input_size[i] + 2 * before - window;
    const int64_t needed =
        (shape.output_size[i] - 1) * shape.stride[i] + window - shape.input_size[i] - before;
    const bool is_even = room >= 0 && room / shape.stride[i] + 1 == shape.output_size[i];
    result.push_back(is_even ? before : std::max<int64_t>(needed, 0));
  }
  return spatial(result, 0);
}

class GraphBuilder {
 public:
  explicit GraphBuilder(const CudnnConvArgs& args)
      : args_(args), shape_(*args.shape), graph_(new_cudnn_graph(args.dtype)) {}

  std::shared_ptr<fe::graph::Graph> build() {
    const Sizes x = tensor_sizes(shape_.batch, shape_.in_channels, shape_.input_size);
    const Sizes w =
        tensor_sizes(shape_.out_channels, shape_.in_channels / shape_.groups, shape_.kernel_size);
    const Sizes y = tensor_sizes(shape_.batch, shape_.out_channels, shape_.output_size);
    switch (args_.pass) {
      case ConvPass::forward: {
        auto options = with_geometry(fe::graph::Conv_fprop_attributes());
        set_output(graph_->conv_fprop(input(x, kFirst), input(w, kSecond), options), y);
        break;
      }
      case ConvPass::backward_input: {
        auto options = with_geometry(fe::graph::Conv_dgrad_attributes());
        set_output(graph_->conv_dgrad(input(y, kFirst), input(w, kSecond), options), x);
        break;
      }
      case ConvPass::backward_weight: {
        auto options = with_geometry(fe::graph::Conv_wgrad_attributes());
        set_output(graph_->conv_wgrad(input(y, kSecond), input(x, kFirst), options), w);
        break;
      }
    }
    return graph_;
  }

 private:
  std::shared_ptr<fe::graph::Tensor_attributes> input(const Sizes& sizes, Uid uid) {
    return graph_->tensor(fe::graph::Tensor_attributes()
                              .set_name(uid == kFirst ? "first" : "second")
                              .set_dim(sizes)
                              .set_stride(strides_of(sizes, args_.channels_last))
                              .set_uid(uid));
  }
  void set_output(const std::shared_ptr<fe::graph::Tensor_attributes>& tensor, const Sizes& sizes) {
    tensor->set_output(true)
        .set_dim(sizes)
        .set_stride(strides_of(sizes, args_.channels_last))
        .set_uid(kOutput);
  }
  template <class Attributes>
  Attributes with_geometry(Attributes attributes) const {
    attributes.set_pre_padding(spatial(shape_.padding, 0))
        .set_post_padding(post_padding(shape_))
        .set_stride(spatial(shape_.stride, 1))
        .set_dilation(spatial(shape_.dilation, 1));
    return attributes;
  }

  const CudnnConvArgs& args_;
  const ConvShape& shape_;
  std::shared_ptr<fe::graph::Graph> graph_;
};

// What a plan depends on, as bytes.
std::string key_of(const CudnnConvArgs& args) {
  std::string key;
  const auto add = [&](int64_t value) {
    key.append(reinterpret_cast<const char*>(&value), sizeof value);
  };
  const ConvShape& shape = *args.shape;
  add(taut::cuda::launch_device() << 16 | static_cast<int>(args.pass) << 12 |
      static_cast<int>(args.dtype) << 4 | static_cast<int>(args.precision) << 1 |
      (args.channels_last ? 1 : 0));
  for (const int64_t value : {shape.batch, shape.in_channels, shape.out_channels, shape.groups}) {
    add(value);
  }
  for (const Dims* dims : {&shape.input_size, &shape.output_size, &shape.kernel_size, &shape.stride,
                           &shape.padding, &shape.dilation}) {
    for (const int64_t value : *dims) add(value);
  }
  return key;
}

// A plan is not safe from several threads, so each has its own.
const CudnnPlan& find_plan(const CudnnConvArgs& args) {
  constexpr size_t kCapacity = 1024;
  using Plans = std::unordered_map<std::string, CudnnPlan>;
  thread_local const auto kept = std::make_unique<Plans>();
  Plans& plans = *kept;
  const std::string key = key_of(args);
  const auto found = plans.find(key);
  if (found != plans.end()) return found->second;
  if (plans.size() >= kCapacity) plans.clear();
  const CudnnTerms terms{args.dtype, args.precision, /*must_repeat=*/true};
  return plans.emplace(key, make_cudnn_plan([&] { return GraphBuilder(args).build(); }, terms))
      .first->second;
}

}  // namespace

bool run_cudnn_conv(const CudnnConvArgs& args) {
  if (args.dtype == DType::float64) return false;  // few of its kernels take it
  const CudnnPlan& plan = find_plan(args);
  if (plan.graph == nullptr) return false;
  std::unordered_map<int64_t, void*> tensors = {{kFirst, const_cast<void*>(args.first)},
                                                {kSecond, const_cast<void*>(args.second)},
                                                {kOutput, args.output}};
  run_cudnn_plan("convolution", plan, tensors);
  return true;
}

}  // namespace taut::kernels::cuda

#else

namespace taut::kernels::cuda {
bool run_cudnn_conv(const CudnnConvArgs&) { return false; }
}  // namespace taut::kernels::cuda

#endif
