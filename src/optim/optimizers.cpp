#include "taut/optim/optimizers.h"

#include <typeinfo>

#include "src/ops/dispatch.h"
#include "src/optim/captured_step.h"
#include "src/optim/step_rules.h"

namespace taut::optim {
namespace {

void check_not_negative(const char* optimizer, const char* option, double value) {
  TAUT_CHECK(value >= 0, ValueError, optimizer, ": ", option, " cannot be negative; got ", value);
}

void check_betas(const char* optimizer, const std::pair<double, double>& betas) {
  for (double beta : {betas.first, betas.second}) {
    TAUT_CHECK(beta >= 0 && beta < 1, ValueError, optimizer, ": betas must be in [0, 1); got ",
               beta);
  }
}

Value value_of(std::optional<DType> state_dtype) {
  if (!state_dtype) return std::monostate();
  return std::string(name(*state_dtype));
}

Values values_of(const AdamOptions& options) {
  return {{"lr", options.lr},
          {"betas", std::vector<double>{options.betas.first, options.betas.second}},
          {"eps", options.eps},
          {"weight_decay", options.weight_decay},
          {"amsgrad", options.amsgrad},
          {"maximize", options.maximize},
          {"decoupled_weight_decay", options.decoupled_weight_decay},
          {"master_weights", options.master_weights},
          {"state_dtype", value_of(options.state_dtype)}};
}

// A class derived from one of these may have a step of its own.
template <class... Known>
bool is_one_of(const Optimizer& optimizer) {
  return ((typeid(optimizer) == typeid(Known)) || ...);
}

int64_t has_momentum_buffer(const Values& state) { return state.contains("momentum_buffer"); }

}  // namespace

SGD::SGD(std::vector<ParamGroup> groups, const SGDOptions& options)
    : Optimizer(std::move(groups), {{"lr", options.lr},
                                    {"momentum", options.momentum},
                                    {"dampening", options.dampening},
                                    {"weight_decay", options.weight_decay},
                                    {"nesterov", options.nesterov},
                                    {"maximize", options.maximize},
                                    {"master_weights", options.master_weights},
                                    {"state_dtype", value_of(options.state_dtype)}}) {
  state_format_of(defaults());
  check_not_negative("SGD", "lr", options.lr);
  check_not_negative("SGD", "momentum", options.momentum);
  check_not_negative("SGD", "weight_decay", options.weight_decay);
  TAUT_CHECK(!options.nesterov || (options.momentum > 0 && options.dampening == 0), ValueError,
             "SGD: nesterov needs momentum and no dampening");
}

bool SGD::takes_control() const { return is_one_of<SGD>(*this); }

namespace {

void launch_sgd(StepList& list, const Values& options) {
  kernels::SgdArgs args;
  args.lr = options.number("lr");
  args.momentum = options.number("momentum");
  args.dampening = options.number("dampening");
  args.weight_decay = options.number("weight_decay");
  args.nesterov = options.flag("nesterov");
  args.maximize = options.flag("maximize");
  // A first step writes the momentum buffers, later ones read them: parameters that joined late are
  // a list of their own.
  args.is_first_step = list.key() == 0;
  list.fill(args);
  // Where dampening treats the first step apart, one that is called off must leave no buffers.
  const bool stands_out = args.is_first_step && args.momentum != 0 && args.dampening != 0;
  if (stands_out && list.is_called_off()) return;
  args.momentum_buffers = args.momentum == 0 ? nullptr : list.small_slot("momentum_buffer", true);
  ops::kernels_of(list.device()).optim.sgd(args);
}

}  // namespace

StepRule sgd_rule() { return {launch_sgd, has_momentum_buffer}; }
void SGD::step() { take_steps(*this, sgd_rule()); }

Adam::Adam(std::vector<ParamGroup> groups, const AdamOptions& options)
    : Optimizer(std::move(groups), values_of(options)) {
  state_format_of(defaults());
  check_not_negative("Adam", "lr", options.lr);
  check_not_negative("Adam", "eps", options.eps);
  check_not_negative("Adam", "weight_decay", options.weight_decay);
  check_betas("Adam", options.betas);
}

bool Adam::takes_control() const { return is_one_of<Adam, AdamW>(*this); }

namespace {

void launch_adam(StepList& list, const Values& options) {
  const std::vector<double>& betas = options.numbers("betas");
  TAUT_CHECK(betas.size() == 2, ValueError, "Adam: expected 2 betas; got ", betas.size());
  kernels::AdamArgs args;
  args.lr = options.number("lr");
  args.beta1 = betas[0];
  args.beta2 = betas[1];
  args.eps = options.number("eps");
  args.weight_decay = options.number("weight_decay");
  args.amsgrad = options.flag("amsgrad");
  args.maximize = options.flag("maximize");
  args.decoupled = options.flag("decoupled_weight_decay");
  list.fill(args);
  list.count_steps(args);
  args.exp_avgs = list.small_slot("exp_avg", true);
  args.exp_avg_sqs = list.small_slot("exp_avg_sq", false);
  args.max_exp_avg_sqs = args.amsgrad ? list.small_slot("max_exp_avg_sq", false) : nullptr;
  ops::kernels_of(list.device()).optim.adam(args);
}

}  // namespace

StepRule adam_rule() { return {launch_adam}; }
void Adam::step() { take_steps(*this, adam_rule()); }

AdamW::AdamW(std::vector<ParamGroup> groups, const AdamWOptions& options)
    : Adam(std::move(groups), AdamOptions{.lr = options.lr,
                                          .betas = options.betas,
                                          .eps = options.eps,
                                          .weight_decay = options.weight_decay,
                                          .amsgrad = options.amsgrad,
                                          .maximize = options.maximize,
                                          .decoupled_weight_decay = true,
                                          .master_weights = options.master_weights,
                                          .state_dtype = options.state_dtype}) {}

RMSprop::RMSprop(std::vector<ParamGroup> groups, const RMSpropOptions& options)
    : Optimizer(std::move(groups), {{"lr", options.lr},
                                    {"momentum", options.momentum},
                                    {"alpha", options.alpha},
                                    {"eps", options.eps},
                                    {"centered", options.centered},
                                    {"weight_decay", options.weight_decay},
                                    {"maximize", options.maximize},
                                    {"master_weights", options.master_weights}}) {
  check_not_negative("RMSprop", "lr", options.lr);
  check_not_negative("RMSprop", "eps", options.eps);
  check_not_negative("RMSprop", "momentum", options.momentum);
  check_not_negative("RMSprop", "weight_decay", options.weight_decay);
  check_not_negative("RMSprop", "alpha", options.alpha);
}

bool RMSprop::takes_control() const { return is_one_of<RMSprop>(*this); }

namespace {

void launch_rmsprop(StepList& list, const Values& options) {
  kernels::RmspropArgs args;
  args.lr = options.number("lr");
  args.alpha = options.number("alpha");
  args.eps = options.number("eps");
  args.weight_decay = options.number("weight_decay");
  args.momentum = options.number("momentum");
  args.centered = options.flag("centered");
  args.maximize = options.flag("maximize");
  list.fill(args);
  list.count_steps(args);
  args.square_avgs = list.slot("square_avg");
  args.grad_avgs = args.centered ? list.slot("grad_avg") : nullptr;
  args.momentum_buffers = args.momentum > 0 ? list.slot("momentum_buffer") : nullptr;
  ops::kernels_of(list.device()).optim.rmsprop(args);
}

}  // namespace

StepRule rmsprop_rule() { return {launch_rmsprop}; }
void RMSprop::step() { take_steps(*this, rmsprop_rule()); }

Adagrad::Adagrad(std::vector<ParamGroup> groups, const AdagradOptions& options)
    : Optimizer(std::move(groups),
                {{"lr", options.lr},
                 {"lr_decay", options.lr_decay},
                 {"eps", options.eps},
                 {"weight_decay", options.weight_decay},
                 {"initial_accumulator_value", options.initial_accumulator_value},
                 {"maximize", options.maximize},
                 {"master_weights", options.master_weights}}) {
  check_not_negative("Adagrad", "lr", options.lr);
  check_not_negative("Adagrad", "lr_decay", options.lr_decay);
  check_not_negative("Adagrad", "weight_decay", options.weight_decay);
  check_not_negative("Adagrad", "initial_accumulator_value", options.initial_accumulator_value);
  check_not_negative("Adagrad", "eps", options.eps);
}

bool Adagrad::takes_control() const { return is_one_of<Adagrad>(*this); }

namespace {

void launch_adagrad(StepList& list, const Values& options) {
  kernels::AdagradArgs args;
  args.lr = options.number("lr");
  args.lr_decay = options.number("lr_decay");
  args.eps = options.number("eps");
  args.weight_decay = options.number("weight_decay");
  args.maximize = options.flag("maximize");
  const double start = options.number("initial_accumulator_value");
  list.fill(args);
  list.count_steps(args);
  args.state_sums = list.slot("sum", start);
  ops::kernels_of(list.device()).optim.adagrad(args);
}

}  // namespace

StepRule adagrad_rule() { return {launch_adagrad}; }
void Adagrad::step() { take_steps(*this, adagrad_rule()); }

}  // namespace taut::optim
