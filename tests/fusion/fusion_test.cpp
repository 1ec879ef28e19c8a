// Functions that are traced and become kernels, without a GPU: the traced graph against the
// function, the generated kernels, compiled for the host, against it too, and the same kernels
// compiled by NVRTC for each architecture.

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <iostream>

#include "kernels/jit/compile.h"
#include "src/fusion/codegen.h"
#include "src/fusion/schedule.h"
#include "src/fusion/trace.h"
#include "taut/autograd/backward.h"
#include "taut/autograd/record.h"
#include "taut/ops/ops.h"
#include "tests/fusion/chains.h"
#include "tests/fusion/emulated_block.h"
#include "tests/fusion/evaluate.h"

namespace taut::fusion {
namespace {

constexpr int kRandomChains = 24;

// Within `tolerance` of the largest element.
void expect_close(const Tensor& got, const Tensor& expected, double tolerance,
                  const std::string& what) {
  ASSERT_TRUE(got.defined() && expected.defined()) << what;
  ASSERT_EQ(got.shape(), expected.shape()) << what;
  ASSERT_EQ(got.dtype(), expected.dtype()) << what;
  const Tensor a = to(got, kFloat64);
  const Tensor b = to(expected, kFloat64);
  const double size = std::max(1.0, amax(abs(b), {}).item().to_double());
  const double worst = amax(abs(a - b), {}).item().to_double();
  EXPECT_LE(worst, tolerance * size) << what;
  EXPECT_FALSE(std::isnan(worst)) << what;
}

double tolerance_of(DType dtype) {
  return dtype == kFloat32 ? 2e-5 : dtype == kBFloat16 ? 4e-2 : 5e-3;
}

// A chain's graphs and schedules, and what the function itself gives.
struct Prepared {
  Chain chain;
  Trace trace;
  std::vector<NodeId> gradients;  // those that are there
  Tensors arguments;              // inputs, outputs, gradients of outputs
  Tensors expected_outputs;
  Tensors expected_gradients;
};

Prepared prepared(Chain chain) {
  Prepared result;
  result.chain = std::move(chain);
  result.trace =
      trace_with_gradients(result.chain.function, result.chain.inputs, result.chain.wanted);
  EXPECT_EQ(result.trace.refusal, "") << result.chain.name;
  Tensors inputs;
  Tensors by;
  for (size_t i = 0; i < result.chain.inputs.size(); ++i) {
    inputs.push_back(result.chain.inputs[i].detach());
    if (result.chain.wanted[i]) by.push_back(inputs.back().requires_grad_());
  }
  const Tensors outputs = result.chain.function(inputs);
  Tensors roots, grads;
  Tensors all_grads;
  for (const Tensor& output : outputs) {
    all_grads.push_back(to(randn(output.shape()), output.dtype()));
    if (!autograd::requires_grad(output)) continue;
    roots.push_back(output);
    grads.push_back(all_grads.back());
  }
  const Tensors found = autograd::grad(roots, by, grads, std::nullopt, false, true);
  size_t next = 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!result.chain.wanted[i]) continue;
    const Tensor gradient = found[next++];
    EXPECT_EQ(gradient.defined(), result.trace.gradients[i] >= 0) << result.chain.name;
    if (gradient.defined()) result.expected_gradients.push_back(gradient);
  }
  for (const Tensor& output : outputs) result.expected_outputs.push_back(output.detach());
  for (const Tensor& input : inputs) result.arguments.push_back(input.detach());
  for (const Tensor& output : result.expected_outputs) {
    result.arguments.push_back(contiguous(output));
  }
  for (const Tensor& grad : all_grads) result.arguments.push_back(grad);
  read_outputs(result.trace);
  for (const NodeId id : result.trace.gradients) {
    if (id >= 0) result.gradients.push_back(id);
  }
  return result;
}

std::vector<Prepared> all_prepared(const std::vector<Chain>& chains) {
  std::vector<Prepared> result;
  for (const Chain& chain : chains) result.push_back(prepared(chain));
  return result;
}

uint64_t first_seed() {
  const char* given = std::getenv("TAUT_TEST_SEED");
  return given == nullptr ? 1 : std::strtoull(given, nullptr, 10);
}

std::vector<Chain> random_chains() {
  std::vector<Chain> chains;
  for (uint64_t i = 0; i < kRandomChains; ++i) chains.push_back(random_chain(first_seed() + i));
  return chains;
}

void expect_graph_is_function(const Prepared& one, double tolerance) {
  Evaluator evaluator(one.trace.graph, one.arguments);
  for (size_t i = 0; i < one.trace.outputs.size(); ++i) {
    expect_close(evaluator.result(one.trace.outputs[i]), one.expected_outputs[i], tolerance,
                 concat(one.chain.name, ", output ", i));
  }
  for (size_t i = 0; i < one.gradients.size(); ++i) {
    expect_close(evaluator.result(one.gradients[i]), one.expected_gradients[i], tolerance,
                 concat(one.chain.name, ", gradient ", i, "\n",
                        one.trace.graph.to_string({one.gradients[i]})));
  }
}

TEST(Fusion, TracedGraphsComputeTheFunction) {
  manual_seed(7);
  for (const DType dtype : {kFloat32, kBFloat16}) {
    for (const Prepared& one : all_prepared(published_chains(dtype))) {
      expect_graph_is_function(one, tolerance_of(dtype));
    }
  }
  for (const Prepared& one : all_prepared(single_chains(kFloat32))) {
    expect_graph_is_function(one, tolerance_of(kFloat32));
  }
  for (const Prepared& one : all_prepared(random_chains())) {
    expect_graph_is_function(one, 1e-4);
  }
}

// The kernels of one direction of a chain.
struct Direction {
  std::string name;
  const Prepared* chain;
  Schedule schedule;
  GeneratedCode code;
  const Tensors* expected;
  size_t first_kernel = 0;
};

std::vector<Direction> directions_of(std::vector<Prepared>& chains) {
  std::vector<Direction> result;
  for (Prepared& chain : chains) {
    const std::vector<int> alignments(chain.arguments.size(), 16);
    for (const bool is_forward : {true, false}) {
      if (!is_forward && chain.gradients.empty()) continue;
      Direction direction;
      direction.name = concat(chain.chain.name, is_forward ? " forward" : " backward");
      direction.chain = &chain;
      const std::vector<NodeId>& roots = is_forward ? chain.trace.outputs : chain.gradients;
      Kernels kernels = make_kernels(chain.trace.graph, roots, alignments, !is_forward);
      EXPECT_EQ(kernels.refusal, "") << direction.name;
      direction.schedule = std::move(kernels.schedule);
      direction.code = std::move(kernels.code);
      direction.expected = is_forward ? &chain.expected_outputs : &chain.expected_gradients;
      result.push_back(std::move(direction));
    }
  }
  return result;
}

std::vector<KernelCode> kernels_of(std::vector<Direction>& directions) {
  std::vector<KernelCode> kernels;
  for (Direction& direction : directions) {
    direction.first_kernel = kernels.size();
    kernels.insert(kernels.end(), direction.code.kernels.begin(), direction.code.kernels.end());
  }
  return kernels;
}

// What Program::run does, on the host.
Tensors run_emulated(const EmulatedKernels& emulated, const Direction& direction) {
  const Tensors& arguments = direction.chain->arguments;
  Tensors buffers, parts;
  for (const Buffer& buffer : direction.schedule.buffers) {
    buffers.push_back(full(buffer.shape, 99, TensorOptions(buffer.dtype)));
  }
  for (const Parts& part : direction.code.parts) {
    parts.push_back(full({part.numel}, 99, TensorOptions(part.dtype)));
  }
  for (size_t i = 0; i < direction.code.kernels.size(); ++i) {
    const KernelCode& kernel = direction.code.kernels[i];
    KernelArguments given{};
    for (size_t k = 0; k < kernel.pointers.size(); ++k) {
      const auto [kind, index] = kernel.pointers[k];
      const Tensors& from = kind == Pointer::Kind::argument ? arguments
                            : kind == Pointer::Kind::buffer ? buffers
                                                            : parts;
      given.pointers[k] = from[static_cast<size_t>(index)].data_ptr();
    }
    std::copy_n(kernel.sizes, kSizeCount, given.sizes);
    emulated.run(direction.first_kernel + i, kernel, given);
  }
  Tensors results;
  for (const Result& result : direction.schedule.results) {
    results.push_back(result.argument >= 0 ? arguments[static_cast<size_t>(result.argument)]
                                           : buffers[static_cast<size_t>(result.buffer)]);
  }
  return results;
}

void expect_kernels_compute(std::vector<Prepared> chains, double tolerance) {
  if (EmulatedKernels::compiler() == nullptr) GTEST_SKIP() << "not under a sanitizer";
  std::vector<Direction> directions = directions_of(chains);
  const EmulatedKernels emulated(kernels_of(directions));
  for (const Direction& direction : directions) {
    const Tensors results = run_emulated(emulated, direction);
    ASSERT_EQ(results.size(), direction.expected->size()) << direction.name;
    std::string text;
    for (const KernelCode& kernel : direction.code.kernels) text += kernel.kernel;
    for (size_t i = 0; i < results.size(); ++i) {
      expect_close(results[i], (*direction.expected)[i], tolerance,
                   concat(direction.name, ", result ", i, "\n",
                          std::getenv("TAUT_TEST_VERBOSE") != nullptr ? text : std::string()));
    }
  }
}

TEST(Fusion, PublishedChainsRunOnEmulatedBlocks) {
  manual_seed(7);
  for (const DType dtype : {kFloat32, kBFloat16, kFloat16}) {
    expect_kernels_compute(all_prepared(published_chains(dtype)), tolerance_of(dtype));
  }
}

TEST(Fusion, ViewsJoinsAndReductionsRunOnEmulatedBlocks) {
  manual_seed(8);
  expect_kernels_compute(all_prepared(single_chains(kFloat32)), tolerance_of(kFloat32));
}

// Teams of a block, rows that are read again in each phase, sums that several blocks share.
TEST(Fusion, LargeShapesRunOnEmulatedBlocks) {
  manual_seed(9);
  const Function norm = [](TensorList in) -> Tensors {
    const Tensor centred = in[0] - mean(in[0], {-1}, true);
    return {centred * rsqrt(mean(centred * centred, {-1}, true) + 1e-5) * in[1]};
  };
  const Function spread = [](TensorList in) -> Tensors {
    const Tensor shifted = in[0] * 0.5 - amax(in[0] * 0.5, {-1}, true);
    return {exp(shifted) / sum(exp(shifted), {-1}, true)};
  };
  const Function bias = [](TensorList in) -> Tensors { return {tanh(in[0] + in[1])}; };
  std::vector<Chain> chains;
  for (const int64_t columns : {1000, 3000, 4097, 8192}) {
    chains.push_back({concat("norm of rows of ", columns),
                      norm,
                      {randn({5, columns}), randn({columns})},
                      {true, true}});
  }
  chains.push_back({"rows that are read again", spread, {randn({2, 70000})}, {true}});
  chains.push_back({"norm in float16",
                    norm,
                    {to(randn({9, 1152}), kFloat16), to(randn({1152}), kFloat16)},
                    {true, true}});
  chains.push_back({"many rows", bias, {randn({2100, 30}), randn({30})}, {true, true}});
  chains.push_back({"wide rows", bias, {randn({9, 5000}), randn({5000})}, {true, true}});
  expect_kernels_compute(all_prepared(chains), 5e-3);
}

TEST(Fusion, RandomChainsRunOnEmulatedBlocks) {
  SCOPED_TRACE(concat("TAUT_TEST_SEED=", first_seed()));
  expect_kernels_compute(all_prepared(random_chains()), 1e-4);
}

// Every functor and every derivative of one, each as a kernel of its own.
std::vector<Prepared> all_functors() {
  std::vector<Prepared> result;
  constexpr double kParameters[] = {0.5, 1.0, 0.25, 0.0};
  for (int i = 0; i < kernels::kPointwiseCount; ++i) {
    const auto op = static_cast<kernels::Pointwise>(i);
    const ops::FunctorInfo& info = ops::functor_info(op);
    const bool is_integral =
        info.domain == kernels::Domain::integral || info.domain == kernels::Domain::integer;
    const DType dtype = is_integral ? kInt32 : kFloat32;
    const double least = op == kernels::Pointwise::Acosh ? 1.1 : 0.1;
    Prepared one;
    one.chain.name = concat(info.name, " (", i, ")");
    for (int k = 0; k < kernels::kMaxPointwiseInputs + 2; ++k) {
      one.arguments.push_back(is_integral ? to(randint(1, 9, {40}), dtype)
                                          : to(rand({40}) * 0.8 + least, dtype));
    }
    std::vector<NodeId> leaves;
    for (size_t k = 0; k < one.arguments.size(); ++k) {
      leaves.push_back(
          one.trace.graph.add_argument(static_cast<int>(k), dtype, one.arguments[k].layout()));
    }
    const DType given = info.domain == kernels::Domain::compare ? kBool : dtype;
    one.trace.outputs.push_back(one.trace.graph.pointwise(
        op, 0, {leaves.begin(), leaves.begin() + info.arity}, kParameters, dtype, given));
    for (int k = 0; k < info.arity && info.derivative == kernels::Derivative::given; ++k) {
      const int operands = 1 + std::popcount(info.needs[k]);
      one.trace.outputs.push_back(one.trace.graph.pointwise(
          op, static_cast<uint8_t>(k + 1), {leaves.begin(), leaves.begin() + operands}, kParameters,
          dtype, dtype));
    }
    Evaluator evaluator(one.trace.graph, one.arguments);
    for (const NodeId id : one.trace.outputs) {
      one.expected_outputs.push_back(evaluator.result(id));
    }
    result.push_back(std::move(one));
  }
  return result;
}

TEST(Fusion, EveryFunctorRunsOnEmulatedBlocks) {
  manual_seed(11);
  expect_kernels_compute(all_functors(), 1e-4);
}

TEST(Fusion, NvrtcCompilesEveryFunctor) {
  if (!kernels::jit::has_compiler()) GTEST_SKIP() << "no NVRTC";
  std::vector<Prepared> functors = all_functors();
  std::vector<Direction> directions = directions_of(functors);
  EXPECT_NO_THROW(kernels::jit::compiled({joined_source(kernels_of(directions)),
                                          "taut::kernels::fusion::k0::fused",
                                          {"--device-as-default-execution-space"},
                                          "sm_90"}));
}

// One kernel for what can be one.
TEST(Fusion, PublishedChainsTakeFewKernels) {
  struct Count {
    const char* name;
    size_t forward, backward;
  };
  constexpr Count kCounts[] = {
      {"geglu", 1, 1}, {"rms_norm", 1, 2}, {"rotary", 1, 1}, {"focal", 2, 1}, {"ada_ln", 1, 2}};
  std::vector<Prepared> chains = all_prepared(published_chains(kBFloat16));
  const std::vector<Direction> directions = directions_of(chains);
  for (size_t i = 0; i < std::size(kCounts); ++i) {
    ASSERT_EQ(chains[i].chain.name, kCounts[i].name);
    if (std::getenv("TAUT_TEST_VERBOSE") != nullptr) {
      for (size_t k = 2 * i; k < 2 * i + 2; ++k) {
        std::cout << "// " << directions[k].name << "\n";
        for (const KernelCode& kernel : directions[k].code.kernels) std::cout << kernel.kernel;
      }
    }
    EXPECT_EQ(directions[2 * i].code.kernels.size(), kCounts[i].forward) << kCounts[i].name;
    EXPECT_EQ(directions[2 * i + 1].code.kernels.size(), kCounts[i].backward) << kCounts[i].name;
  }
}

TEST(Fusion, NvrtcCompilesGeneratedKernels) {
  if (!kernels::jit::has_compiler()) GTEST_SKIP() << "no NVRTC";
  const std::vector<std::string> options = {"--device-as-default-execution-space"};
  const auto expect_compiles = [&](const std::vector<KernelCode>& kernels,
                                   const char* architecture) {
    const kernels::jit::CompileRequest request{
        joined_source(kernels), "taut::kernels::fusion::k0::fused", options, architecture};
    EXPECT_FALSE(kernels::jit::compiled(request).image.empty()) << architecture;
  };
  std::vector<Prepared> published = all_prepared(published_chains(kBFloat16));
  std::vector<Direction> directions = directions_of(published);
  const std::vector<KernelCode> kernels = kernels_of(directions);
  for (const char* architecture : {"sm_75", "sm_80", "sm_90"}) {
    expect_compiles(kernels, architecture);
  }
  std::vector<Prepared> singles = all_prepared(single_chains(kFloat16));
  directions = directions_of(singles);
  expect_compiles(kernels_of(directions), "sm_90");
  // And one by one as they are in use, with no more than their own functors.
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_NO_THROW(kernels::jit::compiled({kernels[i].source, kKernelName, options, "sm_90"}))
        << i;
  }
}

}  // namespace
}  // namespace taut::fusion
