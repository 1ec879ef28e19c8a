// Captured graphs: replays compute what the ops would, and what cannot be captured says so.

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "taut/core/cuda_graph.h"
#include "taut/taut.h"
#include "tests/gpu/agreement.h"

namespace taut::testing {
namespace {

namespace F = nn::functional;

class CudaGraph : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!cuda::is_available()) GTEST_SKIP() << "no GPU";
  }
  static TensorOptions gpu(DType dtype = kFloat32) { return TensorOptions(dtype).device(kCUDA); }
};

TEST_F(CudaGraph, ReplaysOnNewInputs) {
  const Tensor x = rand({64, 32}, gpu());
  const Tensor w = rand({16, 32}, gpu());
  const auto compute = [&] { return softmax(F::gelu(F::linear(x, w)), -1); };
  Tensor y = compute();
  cuda::Graph graph;
  EXPECT_FALSE(graph.has_capture());
  graph.capture([&] { y = compute(); });
  EXPECT_TRUE(graph.has_capture());
  for (int i = 0; i < 3; ++i) {
    x.copy_(rand({64, 32}, gpu()));
    graph.replay();
    expect_close(y, compute().cpu(), "replay");
  }
}

TEST_F(CudaGraph, ReplaysABackwardPass) {
  const Tensor x = randn({8, 3, 10, 10}, gpu());
  const Tensor w = randn({4, 3, 3, 3}, gpu()).requires_grad_();
  const Tensor inputs[] = {w};
  const auto gradient = [&] {
    const Tensor loss = sum(square(relu(F::conv2d(x, w))));
    return autograd::grad(TensorList(&loss, 1), inputs)[0];
  };
  Tensor grad = gradient();
  cuda::Graph graph;
  graph.capture([&] { grad = gradient(); });
  x.copy_(randn({8, 3, 10, 10}, gpu()));
  graph.replay();
  expect_close(grad, gradient().cpu(), 1e-3, "gradient");
}

// Three replays draw what three calls would, and the generator stands where it would stand.
TEST_F(CudaGraph, DrawsTheNumbersThatTheOpsWould) {
  const Tensor x = ones({1000}, gpu());
  const Tensor q = randn({2, 3, 33, 16}, gpu(kBFloat16));
  const auto draw = [&] {
    const Tensor dropped = F::dropout(x, 0.3) + rand({1000}, gpu());
    const Tensor attended = F::scaled_dot_product_attention(q, q, q, Tensor(), 0.4);
    const Tensor order = randperm(1000, gpu(kInt64));
    return Tensors{dropped,
                   attended,
                   order,
                   randn({7}, gpu(kFloat64)),
                   randint(0, 9, {11}, gpu(kInt64)),
                   bernoulli(full({50}, 0.5, gpu()))};
  };
  draw();
  manual_seed(7);
  Tensors captured;
  cuda::Graph graph;
  graph.capture([&] { captured = draw(); });
  EXPECT_EQ(default_generator().state(), (GeneratorState{7, 0}));
  for (int i = 0; i < 3; ++i) {
    const GeneratorState before = default_generator().state();
    graph.replay();
    const GeneratorState after = default_generator().state();
    EXPECT_NE(before, after);
    default_generator().set_state(before);
    const Tensors expected = draw();
    EXPECT_EQ(default_generator().state(), after);
    for (size_t k = 0; k < expected.size(); ++k) {
      expect_same_bits(captured[k], expected[k], concat("result ", k, " of replay ", i));
    }
  }
}

TEST_F(CudaGraph, TrainsAsTheOpsDo) {
  const Tensor x = randn({32, 8}, gpu());
  const Tensor w = randn({4, 8}, gpu()).requires_grad_();
  const Tensor copy = w.detach().clone().requires_grad_();
  const auto step_of = [&](const Tensor& weight, optim::SGD& optimizer) {
    optimizer.zero_grad();
    mean(square(F::linear(x, weight))).backward();
    optimizer.step();
  };
  optim::SGD captured({w}, {.lr = 0.05, .momentum = 0.9});
  optim::SGD eager({copy}, {.lr = 0.05, .momentum = 0.9});
  step_of(w, captured);
  step_of(copy, eager);
  cuda::Graph graph;
  graph.capture([&] { step_of(w, captured); });
  for (int i = 0; i < 5; ++i) {
    graph.replay();
    step_of(copy, eager);
  }
  expect_close(w.detach(), copy.detach().cpu(), "weight");
}

TEST_F(CudaGraph, RefusesWhatMakesTheHostWait) {
  const Tensor x = rand({100}, gpu());
  const Tensor on_cpu = rand({100});
  const Tensor w = rand({3}).requires_grad_();
  w.set_grad(ones({3}));
  optim::Adam adam({w});
  cuda::Event event;
  event.record();
  Generator generator(3);
  const std::pair<const char*, std::function<void()>> cases[] = {
      {"copy", [&] { sum(x).item<float>(); }},
      {"copy", [&] { x.cpu(); }},
      {"copy", [&] { on_cpu.cuda(); }},
      {"copy", [&] { x.copy_(on_cpu); }},
      {"nonzero", [&] { nonzero(x); }},
      {"nonzero", [&] { masked_select(x, gt(x, 0.5)); }},
      {"unique", [&] { unique(x); }},
      {"synchronize", [] { cuda::synchronize(); }},
      {"stream.synchronize", [] { cuda::current_stream().synchronize(); }},
      {"stream.query", [] { cuda::current_stream().query(); }},
      {"event.synchronize", [&] { event.synchronize(); }},
      {"optimizer.step", [&] { adam.step(); }},
  };
  for (const auto& [name, call] : cases) {
    cuda::Graph graph;
    try {
      graph.capture([&call = call, &x] {
        exp(x);
        call();
      });
      ADD_FAILURE() << name << " was captured";
    } catch (const CudaError& error) {
      const std::string words = error.what();
      EXPECT_NE(words.find(name), std::string::npos) << words;
      EXPECT_NE(words.find("captured into a graph"), std::string::npos) << words;
    }
    EXPECT_FALSE(graph.has_capture());
    EXPECT_FALSE(cuda::is_current_stream_capturing());
    expect_close(exp(x), exp(x.cpu()), name);  // all goes on
  }
  cuda::Graph graph;
  EXPECT_THROW(graph.capture([&] { rand({3}, gpu(), &generator); }), ValueError);
  cuda::synchronize();
}

TEST_F(CudaGraph, RefusesTheWrongOrderOfCalls) {
  const Tensor x = rand({100}, gpu());
  cuda::Graph graph, other;
  EXPECT_THROW(graph.replay(), ValueError);
  EXPECT_THROW(graph.capture_end(), ValueError);
  EXPECT_THROW(graph.capture_begin(), ValueError);  // on the default stream
  graph.capture([&] {
    EXPECT_TRUE(cuda::is_current_stream_capturing());
    EXPECT_THROW(other.capture_begin(), ValueError);
    EXPECT_THROW(other.capture_end(), ValueError);
    exp(x);
  });
  EXPECT_THROW(graph.capture([&] { exp(x); }), ValueError);
  EXPECT_THROW(other.capture([&] { graph.replay(); }), CudaError);
  graph.replay();
  graph.reset();
  EXPECT_THROW(graph.replay(), ValueError);
  graph.capture([&] { exp(x); });
  graph.replay();
  cuda::synchronize();
}

TEST_F(CudaGraph, GivesItsMemoryBack) {
  if (std::getenv("TAUT_CUDA_CACHING") != nullptr) GTEST_SKIP() << "there are no pools";
  cuda::synchronize();
  empty_cache(kCUDA);
  const int64_t before = memory_stats(kCUDA).reserved;
  Tensor result;
  {
    cuda::Graph graph;
    graph.capture([&] { result = zeros({64 << 20}, gpu()) + 1; });
    graph.replay();
    EXPECT_GE(memory_stats(kCUDA).reserved, before + (int64_t{512} << 20));
  }
  // What the graph left is still there for whoever holds it.
  EXPECT_EQ(result.slice(0, 0, 5).sum().item<float>(), 5.0f);
  result = Tensor();
  empty_cache(kCUDA);
  EXPECT_LE(memory_stats(kCUDA).reserved, before);
}

TEST_F(CudaGraph, TellsOfIndicesAfterAReplay) {
  const Tensor weight = rand({5, 3}, gpu());
  const Tensor at = zeros({4}, gpu(kInt64));
  Tensor rows = F::embedding(at, weight);
  cuda::Graph graph;
  graph.capture([&] { rows = F::embedding(at, weight); });
  graph.replay();
  cuda::synchronize();
  at.fill_(7);
  graph.replay();
  EXPECT_THROW(cuda::synchronize(), IndexError);
  at.fill_(2);
  graph.replay();
  expect_equal(rows, weight.cpu().slice(0, 2, 3).expand({4, 3}).contiguous(), "rows");
}

}  // namespace
}  // namespace taut::testing
