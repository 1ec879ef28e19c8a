// Optimizers whose state is in 16 or 8 bits: what they remember, how well they do beside the full
// state, and that a checkpoint goes on to the same bits.

#include "kernels/api/small_state.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "taut/taut.h"

namespace taut::optim {
namespace {

using kernels::kSignedStateMap;
using kernels::kUnsignedStateMap;

constexpr int64_t kRows = 80, kCols = 67;  // 5360 numbers: 20 blocks and a part of one

TEST(StateMap, HasAllItsValuesAndFindsThem) {
  for (int i = 1; i <= kUnsignedStateMap.last; ++i) {
    EXPECT_LT(kUnsignedStateMap.values[i - 1], kUnsignedStateMap.values[i]) << i;
  }
  EXPECT_EQ(kUnsignedStateMap.last, 255);
  EXPECT_EQ(kSignedStateMap.last, 128);
  // The first and the last values of the published map.
  EXPECT_FLOAT_EQ(kSignedStateMap.values[1], 0.55e-6f);
  EXPECT_FLOAT_EQ(kSignedStateMap.values[127], 1.0f - 0.45f / 64);
  EXPECT_FLOAT_EQ(kUnsignedStateMap.values[1], 0.325e-6f);
  std::set<float> values;
  for (int code = 0; code < 256; ++code) {
    const float value = kernels::signed_value(kSignedStateMap.values, static_cast<uint8_t>(code));
    values.insert(value);
    EXPECT_EQ(kernels::signed_code(kSignedStateMap.values, value), code);
    EXPECT_EQ(kernels::nearest_entry(kUnsignedStateMap.values, 255, false,
                                     kUnsignedStateMap.values[code]),
              code);
  }
  EXPECT_EQ(values.size(), 256u);
  for (float value : {0.0f, 1e-9f, 3e-7f, 0.0123f, 0.4f, 0.999f, 1.0f}) {
    const int found = kernels::nearest_entry(kUnsignedStateMap.values, 255, false, value);
    for (int other = 0; other < 256; ++other) {
      EXPECT_LE(std::abs(kUnsignedStateMap.values[found] - value),
                std::abs(kUnsignedStateMap.values[other] - value));
    }
  }
}

TEST(StateMap, FindsTheEntryBelowAnyNumber) {
  const auto expect_found = [](const kernels::StateMap& map, int last, bool is_signed,
                               float value) {
    const auto* const end = map.values + last + 1;
    const auto expected =
        static_cast<int>(std::upper_bound(map.values, end, value) - map.values) - 1;
    ASSERT_EQ(kernels::entry_below(map.values, last, is_signed, value), expected) << value;
  };
  std::mt19937 random(5);
  std::uniform_real_distribution<float> exponent(-26.0f, 0.1f);
  for (const bool is_signed : {true, false}) {
    const kernels::StateMap& map = is_signed ? kSignedStateMap : kUnsignedStateMap;
    for (const int last : {map.last, 127}) {
      for (int i = 0; i < 20000; ++i)
        expect_found(map, last, is_signed, std::exp2(exponent(random)));
      // At each entry, at the borders of decades, and beside them.
      for (int i = 0; i <= map.last; ++i) {
        const float at = map.values[i];
        for (float value : {at, std::nextafter(at, 2.0f), std::nextafter(at, 0.0f)}) {
          expect_found(map, last, is_signed, value);
        }
      }
      for (float border = 1e-7f; border < 2.0f; border *= 10.0f) {
        for (float value : {border, std::nextafter(border, 2.0f), std::nextafter(border, 0.0f)}) {
          expect_found(map, last, is_signed, value);
        }
      }
      expect_found(map, last, is_signed, INFINITY);
    }
    EXPECT_EQ(kernels::entry_below(map.values, map.last, is_signed, NAN), 0);
  }
}

TEST(StateMap, RoundsAtRandomWithoutBias) {
  const float low = kUnsignedStateMap.values[200], high = kUnsignedStateMap.values[201];
  const float value = low + 0.3f * (high - low);
  int up = 0, up16 = 0;
  const float between = 1.0f + 0.3f / 128;  // of two neighbours in bfloat16
  for (uint32_t random = 0; random < 65536; ++random) {
    up += kernels::random_entry(kUnsignedStateMap.values, 255, false, value, random) == 201;
    up16 += kernels::random_bfloat16(between, random) == 0x3f81;
  }
  EXPECT_NEAR(up / 65536.0, 0.3, 1e-3);
  EXPECT_NEAR(up16 / 65536.0, 0.3, 1e-3);
  EXPECT_EQ(kernels::random_bfloat16(INFINITY, 65535), 0x7f80);
  EXPECT_GT(kernels::random_bfloat16(NAN, 65535) & 0x7f, 0);
}

enum class Kind { sgd, adam, amsgrad, adamw };

std::unique_ptr<Optimizer> make(Kind kind, Tensors params, std::optional<DType> state_dtype,
                                bool master_weights = false) {
  if (kind == Kind::sgd) {
    SGDOptions options{.lr = 1e-2, .momentum = 0.9, .nesterov = true};
    options.master_weights = master_weights;
    options.state_dtype = state_dtype;
    return std::make_unique<SGD>(std::move(params), options);
  }
  if (kind == Kind::adamw) {
    AdamWOptions options;
    options.lr = 3e-2;
    options.master_weights = master_weights;
    options.state_dtype = state_dtype;
    return std::make_unique<AdamW>(std::move(params), options);
  }
  AdamOptions options;
  options.lr = 3e-2;
  options.amsgrad = kind == Kind::amsgrad;
  options.master_weights = master_weights;
  options.state_dtype = state_dtype;
  return std::make_unique<Adam>(std::move(params), options);
}

class SmallState : public ::testing::TestWithParam<std::tuple<Kind, DType>> {
 protected:
  SmallState() { manual_seed(61); }
  static Kind kind() { return std::get<0>(GetParam()); }
  static DType state_dtype() { return std::get<1>(GetParam()); }
};

void step_with(Optimizer& optimizer, const Tensor& param, int64_t seed) {
  manual_seed(static_cast<uint64_t>(seed));
  param.set_grad(randn(param.shape()).to(param.dtype()));
  optimizer.step();
}

// Least squares on noisy data: the loss goes where that of the full state goes.
TEST_P(SmallState, LearnsAsTheFullOne) {
  const Tensor x = randn({256, kRows}), answer = randn({kRows, kCols});
  const Tensor y = matmul(x, answer) + randn({256, kCols}) * 0.1;
  const auto final_loss = [&](std::optional<DType> dtype) {
    const Tensor weight = zeros({kRows, kCols}).requires_grad_();
    const auto optimizer = make(kind(), {weight}, dtype);
    manual_seed(5);
    Tensor loss;
    for (int step = 0; step < 300; ++step) {
      const Tensor rows = randint(0, 256, {64});
      loss = (matmul(index_select(x, 0, rows), weight) - index_select(y, 0, rows)).square().mean();
      optimizer->zero_grad();
      (loss * 20).backward();
      optimizer->step();
    }
    return (matmul(x, weight) - y).square().mean().item<double>();
  };
  const double start = y.square().mean().item<double>();
  const double full = final_loss({}), small = final_loss(state_dtype());
  EXPECT_LT(full, 0.01 * start);
  EXPECT_LT(small, full + 0.005 * start);
}

TEST_P(SmallState, TakesAsLittleAsItSays) {
  const Tensor param = randn({kRows, kCols}).requires_grad_();
  const auto optimizer = make(kind(), {param}, state_dtype());
  step_with(*optimizer, param, 1);
  for (const auto& [name, value] : optimizer->state_of(param)) {
    const auto* tensor = std::get_if<Tensor>(&value);
    if (tensor == nullptr) continue;
    const double bytes = static_cast<double>(tensor->nbytes()) / static_cast<double>(param.numel());
    if (state_dtype() == kBFloat16) {
      EXPECT_EQ(tensor->dtype(), kBFloat16) << name;
      EXPECT_EQ(tensor->shape(), param.shape()) << name;
    } else {
      EXPECT_EQ(tensor->dtype(), kUInt8) << name;
      EXPECT_LT(bytes, 1.03) << name;
    }
  }
}

TEST_P(SmallState, GoesOnFromACheckpointToTheSameBits) {
  for (const bool has_masters : {false, true}) {
    const DType dtype = has_masters ? kBFloat16 : kFloat32;
    const Tensor whole = randn({kRows, kCols}).to(dtype).requires_grad_();
    const auto one = make(kind(), {whole}, state_dtype(), has_masters);
    for (int step = 0; step < 5; ++step) step_with(*one, whole, step);
    const Tensor rest = whole.detach().clone().requires_grad_();
    const auto other = make(kind(), {rest}, {}, has_masters);
    // By way of a file's tensors, and into an optimizer that was made otherwise.
    other->load_state_dict(from_tensors(to_tensors(one->state_dict())));
    for (int step = 5; step < 12; ++step) {
      step_with(*one, whole, step);
      step_with(*other, rest, step);
      ASSERT_TRUE(equal(whole.detach(), rest.detach())) << "step " << step;
    }
  }
}

TEST_P(SmallState, StepsSixteenBitParametersThroughTheirMasters) {
  const Tensor start = randn({kRows, kCols}).to(kBFloat16);
  const Tensor low = start.clone().requires_grad_();
  const Tensor wide = start.to(kFloat32).requires_grad_();
  const auto with_masters = make(kind(), {low}, state_dtype(), true);
  const auto reference = make(kind(), {wide}, state_dtype());
  for (int step = 0; step < 10; ++step) {
    const Tensor grad = randn({kRows, kCols}).to(kBFloat16);
    low.set_grad(grad);
    wide.set_grad(grad.to(kFloat32));
    with_masters->step();
    reference->step();
    ASSERT_TRUE(equal(low.detach(), wide.detach().to(kBFloat16))) << "step " << step;
  }
}

// A state from before the option was set, and back.
TEST_P(SmallState, ChangesFormatInTheMidst) {
  const Tensor param = randn({kRows, kCols}).requires_grad_();
  const Tensor full = param.detach().clone().requires_grad_();
  const auto changing = make(kind(), {param}, {}), reference = make(kind(), {full}, {});
  const std::string names[] = {"", std::string(name(state_dtype())), ""};
  for (int step = 0; step < 9; ++step) {
    const std::string& now = names[step / 3];
    changing->param_groups()[0].options.set("state_dtype", now.empty() ? Value() : Value(now));
    step_with(*changing, param, step);
    step_with(*reference, full, step);
  }
  EXPECT_TRUE(allclose(param.detach(), full.detach(), 0, 0.06));
  for (const auto& [name, value] : changing->state_of(param)) {
    const auto* tensor = std::get_if<Tensor>(&value);
    if (tensor == nullptr) continue;
    EXPECT_EQ(tensor->dtype(), kFloat32) << name;
  }
}

TEST_P(SmallState, LeavesStepsThatAreCalledOffAlone) {
  const Tensor param = randn({kRows, kCols}).requires_grad_();
  const Tensor other = param.detach().clone().requires_grad_();
  const auto scaled = make(kind(), {param}, state_dtype()),
             plain = make(kind(), {other}, state_dtype());
  amp::GradScaler scaler(DeviceType::cpu, {.init_scale = 8.0});
  for (int step = 0; step < 6; ++step) {
    manual_seed(static_cast<uint64_t>(step));
    const Tensor grad = randn({kRows, kCols});
    const bool is_off = step == 1 || step == 4;
    const Tensor scale = scaler.scale(tensor(1.0f));
    param.set_grad(is_off ? full({kRows, kCols}, INFINITY) : grad * scale);
    scaler.step(*scaled);
    scaler.update();
    if (is_off) continue;
    other.set_grad(grad);
    plain->step();
  }
  EXPECT_TRUE(equal(param.detach(), other.detach()));
}

std::string name_of(const ::testing::TestParamInfo<std::tuple<Kind, DType>>& test) {
  constexpr const char* kKinds[] = {"sgd", "adam", "amsgrad", "adamw"};
  return concat(kKinds[static_cast<int>(std::get<0>(test.param))], "_",
                name(std::get<1>(test.param)));
}

INSTANTIATE_TEST_SUITE_P(Optimizers, SmallState,
                         ::testing::Combine(::testing::Values(Kind::sgd, Kind::adam, Kind::amsgrad,
                                                              Kind::adamw),
                                            ::testing::Values(kBFloat16, kInt8)),
                         name_of);

// A state lies where it lay at the first step: a step that moved it would cost copies.
TEST(SmallStates, StayInTheirPlace) {
  for (const std::optional<DType> dtype :
       {std::optional<DType>(), std::optional(kBFloat16), std::optional(kInt8)}) {
    for (MemoryFormat format : {MemoryFormat::contiguous, MemoryFormat::channels_last}) {
      const Tensor param = contiguous(randn({32, 16, 3, 3}), format).requires_grad_();
      const auto optimizer = make(Kind::amsgrad, {param}, dtype);
      const auto places = [&] {
        step_with(*optimizer, param, 1);
        std::vector<const void*> found;
        for (const auto& [name, value] : optimizer->state_of(param)) {
          const auto* tensor = std::get_if<Tensor>(&value);
          if (tensor != nullptr) found.push_back(tensor->data_ptr());
        }
        return found;
      };
      const std::vector<const void*> first = places();
      EXPECT_EQ(first.size(), 3u);
      EXPECT_EQ(places(), first);
    }
  }
}

// Rounded to the nearest, a mean of squares would never come down by a thousandth.
TEST(SmallStates, DecayWithoutGradients) {
  for (DType dtype : {kBFloat16, kInt8}) {
    const Tensor param = zeros({kRows, kCols}).requires_grad_();
    const auto optimizer = make(Kind::adam, {param}, dtype);
    manual_seed(3);
    param.set_grad(rand({kRows, kCols}) + 0.5);
    optimizer->step();
    const auto mean_square = [&] {
      // In float32, by way of the option.
      optimizer->param_groups()[0].options.set("state_dtype", Value());
      param.set_grad(zeros({kRows, kCols}));
      optimizer->step();
      const double mean =
          optimizer->state_of(param).tensor("exp_avg_sq").mean().item<double>() / 0.999;
      optimizer->param_groups()[0].options.set("state_dtype", Value(std::string(name(dtype))));
      return mean;
    };
    const double before = mean_square();
    for (int step = 0; step < 400; ++step) optimizer->step();
    EXPECT_NEAR(mean_square() / before, std::pow(0.999, 401), 0.01) << concat(dtype);
  }
}

TEST(SmallStates, LeaveSmallParametersInFullAndRefuseOtherDtypes) {
  const Tensor bias = randn({100}).requires_grad_();
  const auto optimizer = make(Kind::adam, {bias}, kInt8);
  step_with(*optimizer, bias, 1);
  EXPECT_EQ(optimizer->state_of(bias).tensor("exp_avg").dtype(), kFloat32);
  EXPECT_THROW(make(Kind::adam, {bias}, kFloat64), ValueError);
  EXPECT_THROW(make(Kind::sgd, {bias}, kInt64), ValueError);
  const Tensor low = randn({100}).to(kBFloat16).requires_grad_();
  const auto of_low = make(Kind::adam, {low}, kFloat32);
  EXPECT_THROW(step_with(*of_low, low, 1), ValueError);
  const auto with_masters = make(Kind::adam, {low}, kFloat32, true);
  step_with(*with_masters, low, 1);
  EXPECT_EQ(with_masters->state_of(low).tensor("exp_avg").dtype(), kFloat32);
}

}  // namespace
}  // namespace taut::optim
