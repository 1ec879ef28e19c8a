// Whole models and whole schedules against PyTorch's numbers (2.15, in float64).

#include <gtest/gtest.h>

#include <cmath>

#include "taut/taut.h"

namespace taut::optim {
namespace {

using nn::Sequential;
using Maker = Callback<std::unique_ptr<Optimizer>(Tensors)>;

// Elements that both libraries compute alike: 0.3 sin(0.7 i + k) in the k-th parameter.
void fill(const Tensors& params) {
  const NoGradGuard no_grad;
  for (size_t k = 0; k < params.size(); ++k) {
    const Tensor i = arange(0, params[k].numel(), 1, kFloat64);
    params[k].copy_((sin(i * 0.7 + static_cast<double>(k)) * 0.3).view(params[k].shape()));
  }
}

std::unique_ptr<Sequential> mlp() {
  auto model = std::make_unique<Sequential>(nn::Linear(6, 8, true, kFloat64), nn::Tanh(),
                                            nn::Linear(8, 4, true, kFloat64));
  fill(model->parameters());
  return model;
}

std::unique_ptr<Sequential> cnn() {
  auto model = std::make_unique<Sequential>(
      nn::Conv2d(1, 3, 3, {.padding = 1, .options = kFloat64}),
      nn::BatchNorm2d(3, 1e-5, 0.1, true, true, kFloat64), nn::ReLU(), nn::MaxPool2d(2),
      nn::Flatten(), nn::Linear(12, 4, true, kFloat64));
  fill(model->parameters());
  return model;
}

Tensor wave(const Dims& shape) {
  return cos(arange(0, shape.numel(), 1, kFloat64) * 0.37).view(shape);
}

struct Case {
  const char* name;
  Maker make;
  std::vector<double> mlp_losses;
  std::vector<double> cnn_losses;
};

template <class O, class Options>
Maker maker(const Options& options) {
  return [options](Tensors params) -> std::unique_ptr<Optimizer> {
    return std::make_unique<O>(std::move(params), options);
  };
}

void expect_losses(Sequential& model, const Tensor& input, const Case& c,
                   const std::vector<double>& expected) {
  const std::unique_ptr<Optimizer> optimizer = c.make(model.parameters());
  nn::CrossEntropyLoss loss_of;
  const Tensor target = tensor({0, 1, 2, 3, 1});
  for (size_t step = 0; step < expected.size(); ++step) {
    optimizer->zero_grad();
    const Tensor loss = loss_of(model(input), target);
    loss.backward();
    optimizer->step();
    EXPECT_NEAR(loss.item<double>(), expected[step], 1e-9) << c.name << ", step " << step;
  }
}

std::vector<Case> cases() {
  return {
      {"sgd",
       maker<SGD>(SGDOptions{.lr = 0.1}),
       {1.39202380158161, 1.33928424591431, 1.28951089537121, 1.24217223447858, 1.19688079238826,
        1.15337011271387, 1.11147217038416, 1.07109543227035, 1.0322040024855, 0.994798488688485},
       {1.37351920150183, 1.36444571494028, 1.35604697894012, 1.34881005028759, 1.34270993777921,
        1.33709541099009, 1.33183529562482, 1.32690848194135, 1.32229716033292, 1.31810682615842}},
      {"sgd_momentum",
       maker<SGD>(SGDOptions{.lr = 0.05, .momentum = 0.9, .dampening = 0.1, .weight_decay = 0.01}),
       {1.39202380158161, 1.36544687920727, 1.31902966828931, 1.2569773422287, 1.18347889086167,
        1.10240293202684, 1.01719822695122, 0.930951322456956, 0.84646960939419, 0.766249212948894},
       {1.37351920150183, 1.36893272265507, 1.36102814331264, 1.35099723217869, 1.34072297851049,
        1.33020476080509, 1.32052301065448, 1.31179693544272, 1.30374773529039, 1.29610139005672}},
      {"sgd_nesterov",
       maker<SGD>(SGDOptions{.lr = 0.05, .momentum = 0.9, .nesterov = true}),
       {1.39202380158161, 1.34188168271295, 1.2741053699164, 1.19348787454796, 1.10430919843798,
        1.01044568596189, 0.915615224247476, 0.823448430937023, 0.737200436287168,
        0.659251396741065},
       {1.37351920150183, 1.36488898034257, 1.35356495860172, 1.34209621720429, 1.33062034051339,
        1.32008370205639, 1.31006674965763, 1.3004443480563, 1.29198805315519, 1.28460191896464}},
      {"adam",
       maker<Adam>(AdamOptions{.lr = 0.01, .weight_decay = 0.02}),
       {1.39202380158161, 1.34395240583666, 1.29768102713278, 1.2530695715412, 1.20996710940592,
        1.1682000023763, 1.127599976014, 1.0880022949993, 1.04924088075444, 1.01116955409563},
       {1.37351920150183, 1.36025090988344, 1.34872560528159, 1.33912692425274, 1.33066029542229,
        1.32250945534412, 1.31466366209063, 1.30709585980619, 1.29976898313279, 1.2926391306832}},
      {"adam_amsgrad",
       maker<Adam>(AdamOptions{.lr = 0.02, .amsgrad = true}),
       {1.39202380158161, 1.29700151039079, 1.20876861978454, 1.12634791343979, 1.04830572519394,
        0.973210076112804, 0.900421868690629, 0.83015768605045, 0.763089836463124,
        0.69997377932834},
       {1.37351920150183, 1.34870038008833, 1.3314307895032, 1.31592708942484, 1.30213144909434,
        1.28951852344971, 1.27794696287964, 1.26926797988129, 1.26193747027564, 1.2539477428243}},
      {"adamw",
       maker<AdamW>(AdamWOptions{.lr = 0.01, .weight_decay = 0.1}),
       {1.39202380158161, 1.34365644855074, 1.29708344096948, 1.25221496421465, 1.2089099096956,
        1.16702555620626, 1.12637678528051, 1.08673498460667, 1.04788293516603, 1.00965554866369},
       {1.37351920150183, 1.36013299008652, 1.34870525767419, 1.33959309685503, 1.33118572025062,
        1.3230444012216, 1.31531880001063, 1.30795559100528, 1.30090727981556, 1.29411600096091}},
      {"rmsprop",
       maker<RMSprop>(RMSpropOptions{.lr = 0.01, .momentum = 0.5, .centered = true}),
       {1.39202380158161, 0.996113508881677, 0.63191032906415, 0.414980448785297, 0.304794941513416,
        0.242816670546507, 0.198775564132362, 0.163927293862435, 0.135730710814435,
        0.113534865849748},
       {1.37351920150183, 1.31093320516827, 1.25846283447326, 1.20870368408142, 1.1646633729779,
        1.10476539592932, 1.07501248489511, 1.03619771461574, 0.994650754378664,
        0.967650873493327}},
      {"adagrad",
       maker<Adagrad>(AdagradOptions{
           .lr = 0.05, .lr_decay = 0.1, .weight_decay = 0.01, .initial_accumulator_value = 0.1}),
       {1.39202380158161, 1.31822919040275, 1.26096562420169, 1.21411878241557, 1.17449537651633,
        1.14021755043409, 1.11008302746988, 1.08327037312373, 1.0591890620207, 1.03739717900241},
       {1.37351920150183, 1.35998557033198, 1.34991343638465, 1.34254411475703, 1.33652479488998,
        1.33139668201727, 1.32695399109048, 1.32315195946985, 1.31983788942516, 1.31688691630984}},
  };
}

TEST(Golden, AnMlpTrainsAsInPyTorch) {
  for (const Case& c : cases()) expect_losses(*mlp(), wave({5, 6}), c, c.mlp_losses);
}

TEST(Golden, AConvolutionalNetTrainsAsInPyTorch) {
  for (const Case& c : cases()) expect_losses(*cnn(), wave({5, 1, 4, 4}), c, c.cnn_losses);
}

struct ScheduleCase {
  const char* name;
  Callback<std::shared_ptr<LRScheduler>(Optimizer&)> make;
  std::vector<double> rates;
  std::vector<double> momenta = {};
};

template <class S, class... Args>
Callback<std::shared_ptr<LRScheduler>(Optimizer&)> schedule(Args... args) {
  return [args...](Optimizer& optimizer) -> std::shared_ptr<LRScheduler> {
    return std::make_shared<S>(optimizer, args...);
  };
}

TEST(Golden, SchedulesAreThoseOfPyTorch) {
  const ScheduleCase schedules[] = {
      {"StepLR",
       schedule<StepLR>(3, 0.5),
       {0.40000000000000002, 0.40000000000000002, 0.40000000000000002, 0.20000000000000001,
        0.20000000000000001, 0.20000000000000001, 0.10000000000000001, 0.10000000000000001,
        0.10000000000000001, 0.050000000000000003, 0.050000000000000003, 0.050000000000000003}},
      {"MultiStepLR",
       schedule<MultiStepLR>(std::vector<int64_t>{2, 5, 5}, 0.3),
       {0.40000000000000002, 0.40000000000000002, 0.12, 0.12, 0.12, 0.010799999999999999,
        0.010799999999999999, 0.010799999999999999, 0.010799999999999999, 0.010799999999999999,
        0.010799999999999999, 0.010799999999999999}},
      {"ExponentialLR",
       schedule<ExponentialLR>(0.9),
       {0.40000000000000002, 0.36000000000000004, 0.32400000000000007, 0.29160000000000008,
        0.26244000000000006, 0.23619600000000007, 0.21257640000000008, 0.19131876000000009,
        0.1721868840000001, 0.15496819560000008, 0.13947137604000007, 0.12552423843600005}},
      {"CosineAnnealingLR",
       schedule<CosineAnnealingLR>(5, 0.01),
       {0.40000000000000002, 0.36275831390311475, 0.26525831390311472, 0.14474168609688523,
        0.047241686096885255, 0.01, 0.047241686096885248, 0.14474168609688531, 0.26525831390311488,
        0.36275831390311497, 0.40000000000000019, 0.36275831390311508}},
      {"LinearLR",
       schedule<LinearLR>(0.25, 1.0, 4),
       {0.10000000000000001, 0.17500000000000002, 0.25000000000000006, 0.32500000000000007,
        0.40000000000000008, 0.40000000000000008, 0.40000000000000008, 0.40000000000000008,
        0.40000000000000008, 0.40000000000000008, 0.40000000000000008, 0.40000000000000008}},
      {"ConstantLR",
       schedule<ConstantLR>(0.5, 3),
       {0.20000000000000001, 0.20000000000000001, 0.20000000000000001, 0.40000000000000002,
        0.40000000000000002, 0.40000000000000002, 0.40000000000000002, 0.40000000000000002,
        0.40000000000000002, 0.40000000000000002, 0.40000000000000002, 0.40000000000000002}},
      {"PolynomialLR",
       schedule<PolynomialLR>(6, 2.0),
       {0.40000000000000002, 0.27777777777777785, 0.17777777777777787, 0.10000000000000003,
        0.044444444444444467, 0.01111111111111111, 0, 0, 0, 0, 0, 0}},
      {"LambdaLR",
       schedule<LambdaLR>([](int64_t epoch) { return std::pow(0.95, epoch); }),
       {0.40000000000000002, 0.38, 0.36099999999999999, 0.34294999999999998, 0.32580249999999999,
        0.30951237499999995, 0.29403675624999992, 0.27933491843749991, 0.26536817251562489,
        0.25209976388984362, 0.23949477569535149, 0.22752003691058387}},
      {"MultiplicativeLR",
       schedule<MultiplicativeLR>([](int64_t) { return 0.9; }),
       {0.40000000000000002, 0.36000000000000004, 0.32400000000000007, 0.29160000000000008,
        0.26244000000000006, 0.23619600000000007, 0.21257640000000008, 0.19131876000000009,
        0.1721868840000001, 0.15496819560000008, 0.13947137604000007, 0.12552423843600005}},
      {"OneCycleLR",
       schedule<OneCycleLR>(OneCycleOptions{.max_lr = 1.0, .total_steps = 12}),
       {0.040000000000000036, 0.34978965421958308, 0.87928515912212868, 0.99441543545091171,
        0.93301296984141169, 0.81174565394976295, 0.64737899769510332, 0.46263710266697505,
        0.28306099820869923, 0.1334775301888306, 0.034566987425395219, 3.9999999999999998e-06},
       {0.94999999999999996, 0.91773024435212669, 0.86257446259144488, 0.85055845868874358,
        0.85669872981077799, 0.86882550990706331, 0.88526224127945474, 0.90373650467932121,
        0.9216941869558779, 0.93665259359149122, 0.94654368743221018, 0.94999999999999996}},
      {"OneCycleLinear3",
       schedule<OneCycleLR>(OneCycleOptions{.max_lr = 1.0,
                                            .total_steps = 12,
                                            .pct_start = 0.4,
                                            .anneal_strategy = "linear",
                                            .three_phase = true}),
       {0.040000000000000001, 0.2926315789473683, 0.54526315789473667, 0.79789473684210521,
        0.94947368421052647, 0.69684210526315815, 0.44421052631578983, 0.1915789473684214,
        0.035294588235294133, 0.023531058823529422, 0.011767529411764711, 3.9999999999970615e-06},
       {0.94999999999999996, 0.92368421052631577, 0.89736842105263159, 0.8710526315789473,
        0.85526315789473684, 0.88157894736842102, 0.9078947368421052, 0.93421052631578938,
        0.94999999999999996, 0.94999999999999996, 0.94999999999999996, 0.94999999999999996}},
      {"WarmRestarts",
       schedule<CosineAnnealingWarmRestarts>(3, 2, 0.01),
       {0.40000000000000002, 0.30249999999999999, 0.10750000000000004, 0.40000000000000002,
        0.37387495373796559, 0.30249999999999999, 0.20500000000000002, 0.10750000000000004,
        0.036125046262034451, 0.40000000000000002, 0.39335553612636831, 0.37387495373796559}},
      {"Sequential",
       [](Optimizer& o) -> std::shared_ptr<LRScheduler> {
         auto first = std::make_shared<ConstantLR>(o, 0.1, 2);
         auto second = std::make_shared<ExponentialLR>(o, 0.9);
         return std::make_shared<SequentialLR>(
             o, std::vector<std::shared_ptr<LRScheduler>>{first, second}, std::vector<int64_t>{3});
       },
       {0.040000000000000008, 0.040000000000000008, 0.40000000000000008, 0.40000000000000002,
        0.36000000000000004, 0.32400000000000007, 0.29160000000000008, 0.26244000000000006,
        0.23619600000000007, 0.21257640000000008, 0.19131876000000009, 0.1721868840000001}},
      {"Chained",
       [](Optimizer& o) -> std::shared_ptr<LRScheduler> {
         auto first = std::make_shared<ConstantLR>(o, 0.1, 2);
         auto second = std::make_shared<ExponentialLR>(o, 0.9);
         return std::make_shared<ChainedScheduler>(
             std::vector<std::shared_ptr<LRScheduler>>{first, second});
       },
       {0.040000000000000008, 0.036000000000000011, 0.32400000000000012, 0.29160000000000014,
        0.26244000000000012, 0.2361960000000001, 0.21257640000000008, 0.19131876000000009,
        0.1721868840000001, 0.15496819560000008, 0.13947137604000007, 0.12552423843600005}},
  };
  for (const ScheduleCase& c : schedules) {
    SGD optimizer(Tensors{zeros({1}).requires_grad_()}, {.lr = 0.4, .momentum = 0.9});
    const std::shared_ptr<LRScheduler> scheduler = c.make(optimizer);
    const Values& options = optimizer.param_groups()[0].options;
    for (size_t i = 0; i < c.rates.size(); ++i) {
      EXPECT_NEAR(options.number("lr"), c.rates[i], 1e-15) << c.name << ", step " << i;
      EXPECT_EQ(scheduler->get_last_lr()[0], options.number("lr")) << c.name;
      if (!c.momenta.empty()) {
        EXPECT_NEAR(options.number("momentum"), c.momenta[i], 1e-15) << c.name << ", step " << i;
      }
      if (i + 1 < c.rates.size()) scheduler->step();
    }
  }
}

TEST(Golden, ReducesOnAPlateauAsPyTorchDoes) {
  SGD optimizer(Tensors{zeros({1}).requires_grad_()}, {.lr = 0.4});
  ReduceLROnPlateau scheduler(optimizer,
                              {.factor = 0.5, .patience = 1, .threshold = 0.01, .cooldown = 1});
  const double metrics[] = {1, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.5, 0.499, 0.499, 0.499, 0.1};
  const double rates[] = {0.40000000000000002,  0.40000000000000002,  0.40000000000000002,
                          0.20000000000000001,  0.20000000000000001,  0.20000000000000001,
                          0.10000000000000001,  0.10000000000000001,  0.10000000000000001,
                          0.050000000000000003, 0.050000000000000003, 0.050000000000000003};
  for (size_t i = 0; i < std::size(metrics); ++i) {
    scheduler.step(metrics[i]);
    EXPECT_DOUBLE_EQ(scheduler.get_last_lr()[0], rates[i]) << i;
  }
}

}  // namespace
}  // namespace taut::optim
