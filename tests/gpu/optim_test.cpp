// Optimizer steps on CUDA against the CPU: every optimizer and option, lists of tensors of all
// sizes and more than a launch takes, misaligned ones, and the list kernels for clipping.

#include "kernels/api/optim.h"

#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "tests/gpu/agreement.h"

namespace taut::optim {
namespace {

using namespace taut::testing;  // NOLINT(google-build-using-namespace)

using Make = std::function<std::unique_ptr<Optimizer>(Tensors)>;

struct OptimizerCase {
  const char* name;
  Make make;
};

template <class T, class Options>
Make maker(const Options& options) {
  return [options](Tensors params) { return std::make_unique<T>(std::move(params), options); };
}

const OptimizerCase kCases[] = {
    {"sgd", maker<SGD>(SGDOptions{.lr = 0.1})},
    {"sgd_decay", maker<SGD>(SGDOptions{.lr = 0.1, .weight_decay = 0.1, .maximize = true})},
    {"sgd_momentum", maker<SGD>(SGDOptions{.lr = 0.1, .momentum = 0.9, .dampening = 0.2})},
    {"sgd_nesterov", maker<SGD>(SGDOptions{.lr = 0.1, .momentum = 0.9, .nesterov = true})},
    {"adam", maker<Adam>(AdamOptions{.lr = 0.01})},
    {"adam_decay", maker<Adam>(AdamOptions{.lr = 0.01, .weight_decay = 0.1, .maximize = true})},
    {"amsgrad", maker<Adam>(AdamOptions{.lr = 0.01, .amsgrad = true})},
    {"adamw", maker<AdamW>(AdamWOptions{.lr = 0.01, .weight_decay = 0.1})},
    {"rmsprop", maker<RMSprop>(RMSpropOptions{.lr = 0.01})},
    {"rmsprop_centered",
     maker<RMSprop>(RMSpropOptions{.lr = 0.01, .momentum = 0.9, .centered = true})},
    {"adagrad", maker<Adagrad>(AdagradOptions{.lr = 0.1, .lr_decay = 0.1, .weight_decay = 0.1})},
};

class CudaOptim : public GpuTest {
 protected:
  // A step of each by the same gradients.
  static void step_both(Optimizer& on_cpu, Optimizer& on_gpu, const Tensors& cpu,
                        const Tensors& gpu) {
    for (size_t i = 0; i < cpu.size(); ++i) {
      const Tensor grad = randn({cpu[i].numel()}).to(cpu[i].dtype());
      cpu[i].set_grad(grad);
      gpu[i].set_grad(grad.cuda());
    }
    on_cpu.step();
    on_gpu.step();
  }

  // Three steps on lists of these sizes.
  void compare(const OptimizerCase& row, const std::vector<int64_t>& sizes, DType dtype) {
    Tensors cpu, gpu;
    for (int64_t n : sizes) {
      const Tensor x = randn({n}).to(dtype);
      cpu.push_back(x.clone().requires_grad_());
      gpu.push_back(x.cuda().requires_grad_());
    }
    const auto on_cpu = row.make(cpu), on_gpu = row.make(gpu);
    for (int step = 0; step < 3; ++step) step_both(*on_cpu, *on_gpu, cpu, gpu);
    for (size_t i = 0; i < sizes.size(); ++i) {
      expect_close(gpu[i].detach(), cpu[i].detach(), 4 * tolerance_of(dtype),
                   concat(row.name, " ", dtype, " of ", sizes[i], ", seed ", kSeed));
    }
  }
};

// States in 16 and 8 bits. What is rounded may fall to the other side of a tie, so that states are
// compared by what they stand for: of few elements, and by little.
TEST_F(CudaOptim, SmallStatesAreTheCpus) {
  const std::vector<int64_t> sizes = {1, 300, 4095, 4096, 8191, 20000, 33333};
  for (const DType state : {kBFloat16, kInt8}) {
    for (const DType dtype : {kFloat32, kBFloat16, kFloat16}) {
      for (const char* kind : {"sgd", "adam", "amsgrad"}) {
        const auto make = [&](Tensors params) -> std::unique_ptr<Optimizer> {
          if (kind == std::string("sgd")) {
            SGDOptions options{.lr = 1e-4, .momentum = 0.9};
            options.master_weights = true;
            options.state_dtype = state;
            return std::make_unique<SGD>(std::move(params), options);
          }
          AdamOptions options{.lr = 1e-4, .amsgrad = kind == std::string("amsgrad")};
          options.master_weights = true;
          options.state_dtype = state;
          return std::make_unique<Adam>(std::move(params), options);
        };
        const OptimizerCase row{kind, make};
        compare(row, sizes, dtype);

        // One step from the same start: every code is the CPU's or its neighbour.
        const Tensor x = randn({20000}).to(dtype);
        const Tensor cpu = x.clone().requires_grad_(), gpu = x.cuda().requires_grad_();
        const auto on_cpu = make({cpu}), on_gpu = make({gpu});
        step_both(*on_cpu, *on_gpu, {cpu}, {gpu});
        for (const auto& [name, value] : on_cpu->state_of(cpu)) {
          const auto* expected = std::get_if<Tensor>(&value);
          if (expected == nullptr || name == "master_param") continue;
          const Tensor got = on_gpu->state_of(gpu).tensor(name).cpu();
          ASSERT_EQ(got.dtype(), expected->dtype());
          const double differing = ne(got, *expected).to(kFloat64).mean().item<double>();
          EXPECT_LT(differing, 0.01)
              << concat(kind, " ", name, " ", state, " ", dtype, ", seed ", kSeed);
        }
      }
    }
  }
}

// A parameter whose memory is not aligned takes the way of single elements, to the same numbers.
TEST_F(CudaOptim, SmallStatesOfParametersThatBeginAnywhere) {
  for (const DType state : {kBFloat16, kInt8}) {
    const Tensor whole = randn({9001}).cuda(), grad = randn({9001}).cuda();
    const Tensor across = cat({zeros({1}), whole.cpu()}).cuda().slice(0, 1);
    Tensor results[2];
    for (int i = 0; i < 2; ++i) {
      const Tensor param = (i == 0 ? whole : across).detach().requires_grad_();
      AdamWOptions options;
      options.state_dtype = state;
      AdamW optimizer(Tensors{param}, options);
      for (int step = 0; step < 3; ++step) {
        param.set_grad(grad);
        optimizer.step();
      }
      results[i] = param.detach().clone();
    }
    EXPECT_TRUE(equal(results[0], results[1])) << concat(state);
  }
}

// 16-bit parameters with masters in float32, whose rounded values the kernel writes beside them.
TEST_F(CudaOptim, MasterWeightsAreTheCpus) {
  const std::vector<int64_t> sizes = {1, 7, 8, 255, 4096, 9001, 20000};
  for (const DType dtype : {kBFloat16, kFloat16}) {
    for (const bool is_adam : {true, false}) {
      const auto make = [&](Tensors params) -> std::unique_ptr<Optimizer> {
        if (is_adam) {
          return std::make_unique<AdamW>(
              std::move(params), AdamWOptions{.lr = 1e-3, .amsgrad = true, .master_weights = true});
        }
        return std::make_unique<SGD>(
            std::move(params), SGDOptions{.lr = 1e-3, .momentum = 0.9, .master_weights = true});
      };
      Tensors cpu, gpu;
      for (const int64_t n : sizes) {
        cpu.push_back(randn({n}).to(dtype).requires_grad_());
        gpu.push_back(cpu.back().detach().cuda().requires_grad_());
      }
      const auto on_cpu = make(cpu), on_gpu = make(gpu);
      for (int step = 0; step < 5; ++step) step_both(*on_cpu, *on_gpu, cpu, gpu);
      const auto expected = on_cpu->state_dict().state, found = on_gpu->state_dict().state;
      for (size_t i = 0; i < sizes.size(); ++i) {
        const std::string what =
            concat(is_adam ? "AdamW " : "SGD ", dtype, " of ", sizes[i], ", seed ", kSeed);
        const Tensor master = std::get<Tensor>(*found[i].second.find("master_param"));
        expect_close(master, std::get<Tensor>(*expected[i].second.find("master_param")), what);
        expect_equal(gpu[i].detach(), master.to(dtype).cpu(), what);
      }
    }
  }
}

TEST_F(CudaOptim, StepsAsTheCpuDoes) {
  for (const OptimizerCase& row : kCases) {
    for (DType dtype : floating_dtypes_to_test()) {
      compare(row, {1, 3, 8, 0, 1000, 8191, 8192, 8193, 20000}, dtype);
    }
  }
}

TEST_F(CudaOptim, TakesMoreTensorsThanALaunchHolds) {
  std::vector<int64_t> sizes;
  for (int64_t i = 0; i < (is_under_tool() ? 150 : 1000); ++i)
    sizes.push_back(i % 7 == 0 ? 0 : 1 + i % 50);
  compare(kCases[4], sizes, kFloat32);
  compare(kCases[4], std::vector<int64_t>(100, 33), kFloat32);
}

// Called off steps leave no trace, and the count of the others is right, without a look by the
// host.
TEST_F(CudaOptim, FollowsAScalerAsTheCpuDoes) {
  for (const OptimizerCase& row : kCases) {
    for (DType dtype : {kFloat32, kBFloat16}) {
      Tensors cpu, gpu;
      for (int64_t n : {1, 1000, 8193, 20000}) {
        const Tensor x = randn({n}).to(dtype);
        cpu.push_back(x.clone().requires_grad_());
        gpu.push_back(x.cuda().requires_grad_());
      }
      const auto on_cpu = row.make(cpu), on_gpu = row.make(gpu);
      const bool called_off[] = {true, false, true, true, false, false};
      for (size_t step = 0; step < std::size(called_off); ++step) {
        for (size_t i = step == 0 ? 1 : 0; i < cpu.size(); ++i) {
          const Tensor grad = randn({cpu[i].numel()}).to(dtype);
          cpu[i].set_grad(grad);
          gpu[i].set_grad(grad.cuda());
        }
        const Tensor factor = full({}, 0.25), found = full({}, called_off[step] ? 1.0 : 0.0);
        on_cpu->controlled_step({factor, found});
        on_gpu->controlled_step({factor.cuda(), found.cuda()});
      }
      for (size_t i = 0; i < cpu.size(); ++i) {
        expect_close(gpu[i].detach(), cpu[i].detach(), 4 * tolerance_of(dtype),
                     concat(row.name, " ", dtype, " tensor ", i));
        const Values &mine = on_gpu->state_of(gpu[i]), &expected = on_cpu->state_of(cpu[i]);
        if (!expected.contains("step")) continue;
        EXPECT_EQ(mine.integer("step"), expected.integer("step")) << row.name << " tensor " << i;
      }
    }
  }
}

TEST_F(CudaOptim, AScalerSkipsAndCountsOnTheDevice) {
  const Tensor w = randn({5000}).cuda().requires_grad_();
  AdamW optimizer(Tensors{w}, {.lr = 0.1});
  amp::GradScaler scaler;
  const auto step = [&](double value) {
    w.set_grad(full({5000}, value, TensorOptions(kFloat32).device(kCUDA)));
    scaler.scale(w);
    scaler.step(optimizer);
    scaler.update();
  };
  step(1.0);
  const Tensor before = w.detach().clone();
  step(std::numeric_limits<double>::infinity());
  expect_same_bits(w.detach(), before, "a step that is called off");
  EXPECT_EQ(scaler.get_scale(), 32768.0);
  EXPECT_EQ(optimizer.state_of(w).integer("step"), 1);
  step(1.0);
  EXPECT_EQ(optimizer.state_of(w).integer("step"), 2);
}

TEST_F(CudaOptim, ClipsAsTheCpuDoes) {
  for (DType dtype : floating_dtypes_to_test()) {
    Tensors cpu, gpu;
    for (int64_t n : {1, 0, 8193, 20000}) {
      cpu.push_back(zeros({n}, dtype).requires_grad_());
      gpu.push_back(zeros({n}, dtype).cuda().requires_grad_());
      cpu.back().set_grad(randn({n}).to(dtype));
      gpu.back().set_grad(cpu.back().grad().cuda());
    }
    const Tensor expected = nn::utils::clip_grad_norm_(cpu, 3.0);
    expect_close(nn::utils::clip_grad_norm_(gpu, 3.0), expected, concat("norm ", dtype));
    for (size_t i = 0; i < cpu.size(); ++i) {
      expect_close(gpu[i].grad(), cpu[i].grad(), concat("clipped ", dtype, " tensor ", i));
    }
  }
}

// ---- Lists for clipping and unscaling -----------------------------------------------------------

struct TensorList {
  Tensors tensors;
  std::vector<void*> pointers;
  std::vector<const void*> const_pointers;
  std::vector<int64_t> sizes;

  void add(const Tensor& tensor) {
    tensors.push_back(tensor);
    pointers.push_back(tensor.data_ptr());
    const_pointers.push_back(tensor.data_ptr());
    sizes.push_back(tensor.numel());
  }
};

// Tensors of many sizes; some begin where no pack does.
TensorList make_list(DType dtype) {
  TensorList list;
  for (int64_t n : {1, 7, 0, 4096, 8192, 30001}) list.add(randn({n}).to(dtype).cuda());
  list.add(randn({501}).to(dtype).cuda().slice(0, 1));
  return list;
}

TEST_F(CudaOptim, SumsSquares) {
  for (DType dtype : floating_dtypes_to_test()) {
    const TensorList list = make_list(dtype);
    double expected = 0;
    for (const Tensor& x : list.tensors) {
      const Tensor wide = x.cpu().to(kFloat64);
      expected += (wide * wide).sum().item().to_double();
    }
    const Tensor total = zeros({2}, TensorOptions(kFloat64)).cuda();
    kernels::SumSquaresArgs args;
    args.tensors = list.const_pointers.data();
    args.sizes = list.sizes.data();
    args.count = static_cast<int64_t>(list.sizes.size());
    args.dtype = dtype;
    for (int i = 0; i < 2; ++i) {
      args.total = total.data_ptr<double>() + i;
      kernels::optim_kernels_cuda().sum_squares(args);
    }
    const Tensor found = total.cpu();
    EXPECT_NEAR(found.data_ptr<double>()[0], expected, 1e-5 * expected) << concat(dtype);
    EXPECT_EQ(found.data_ptr<double>()[0], found.data_ptr<double>()[1]) << concat(dtype);
    args.count = 0;
    kernels::optim_kernels_cuda().sum_squares(args);
    EXPECT_EQ(total.cpu().data_ptr<double>()[1], 0);
  }
}

TEST_F(CudaOptim, ScalesAndTellsOfWhatIsNotFinite) {
  for (DType dtype : floating_dtypes_to_test()) {
    for (double spoiled :
         {1.0, std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
      const TensorList list = make_list(dtype);
      list.tensors[5].slice(0, 29999, 30000).fill_(spoiled);
      Tensors before;
      for (const Tensor& x : list.tensors) before.push_back(x.cpu());
      const Tensor factor = full({1}, 0.25).cuda(), flag = zeros({1}).cuda();
      kernels::ScaleListArgs args;
      args.tensors = list.pointers.data();
      args.sizes = list.sizes.data();
      args.count = static_cast<int64_t>(list.sizes.size());
      args.dtype = dtype;
      args.factor = 2.0;
      args.factor_pointer = factor.data_ptr<float>();
      args.non_finite = flag.data_ptr<float>();
      kernels::optim_kernels_cuda().scale(args);
      EXPECT_EQ(flag.cpu().item().to_double(), std::isfinite(spoiled) ? 0.0 : 1.0);
      for (size_t i = 0; i < before.size(); ++i) {
        expect_equal(list.tensors[i], before[i] * 0.5, concat(dtype, " tensor ", i));
      }
    }
  }
}

}  // namespace
}  // namespace taut::optim
