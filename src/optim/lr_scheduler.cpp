#include "taut/optim/lr_scheduler.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "src/core/cuda_runtime.h"
#include "taut/core/cuda_graph.h"

namespace taut::optim {
namespace {

constexpr double kPi = 3.14159265358979323846;

}  // namespace

// PyTorch computes most rates from the last one, so that schedulers can act on top of each other;
// the formulas here round as those do.

LRScheduler::LRScheduler(Optimizer& optimizer) : optimizer_(&optimizer) {
  for (ParamGroup& group : optimizer.param_groups()) {
    if (!group.options.contains("initial_lr")) {
      group.options.set("initial_lr", group.options.number("lr"));
    }
    base_lrs_.push_back(group.options.number("initial_lr"));
  }
}

LRScheduler::~LRScheduler() {
  if (self_) *self_ = nullptr;
}

double LRScheduler::group_lr(size_t group) const {
  return optimizer_->param_groups()[group].options.number("lr");
}

void LRScheduler::set_lr(const std::vector<double>& rates) {
  for (size_t g = 0; g < rates.size(); ++g) {
    optimizer_->param_groups()[g].options.set("lr", rates[g]);
  }
  last_lr_ = rates;
}

void LRScheduler::step() {
  if (!is_left_to_replays()) advance();
}

void LRScheduler::advance() {
  ++last_epoch_;
  set_lr(get_lr());
}

bool LRScheduler::is_left_to_replays() {
  if (cuda::current_capture() == 0) return false;
  if (!self_) self_ = std::make_shared<LRScheduler*>(this);
  cuda::on_replay([self = self_] {
    TAUT_CHECK(*self != nullptr, CudaError,
               "graph: a schedule of learning rates whose step was captured is gone; it must live "
               "as long as it is replayed");
    (*self)->step();
  });
  return true;
}

Values LRScheduler::state_dict() const {
  return {{"last_epoch", last_epoch_}, {"base_lrs", base_lrs_}, {"last_lr", last_lr_}};
}

void LRScheduler::load_state_dict(const Values& state) {
  TAUT_CHECK(state.numbers("base_lrs").size() == groups(), ValueError,
             "load_state_dict: the schedule is for ", state.numbers("base_lrs").size(),
             " parameter groups; expected ", groups());
  last_epoch_ = state.integer("last_epoch");
  base_lrs_ = state.numbers("base_lrs");
  last_lr_ = state.numbers("last_lr");
}

LambdaLR::LambdaLR(Optimizer& optimizer, Function function)
    : LambdaLR(optimizer, std::vector<Function>(optimizer.param_groups().size(), function)) {}

LambdaLR::LambdaLR(Optimizer& optimizer, std::vector<Function> functions)
    : LRScheduler(optimizer), functions_(std::move(functions)) {
  TAUT_CHECK(functions_.size() == groups(), ValueError, "LambdaLR: got ", functions_.size(),
             " functions; expected ", groups());
  start();
}

std::vector<double> LambdaLR::get_lr() {
  std::vector<double> rates = base_lrs_;
  for (size_t g = 0; g < rates.size(); ++g) rates[g] *= functions_[g](last_epoch_);
  return rates;
}

MultiplicativeLR::MultiplicativeLR(Optimizer& optimizer, LambdaLR::Function function)
    : LRScheduler(optimizer), function_(std::move(function)) {
  start();
}

std::vector<double> MultiplicativeLR::get_lr() {
  std::vector<double> rates;
  for (size_t g = 0; g < groups(); ++g) {
    rates.push_back(last_epoch_ > 0 ? group_lr(g) * function_(last_epoch_) : group_lr(g));
  }
  return rates;
}

StepLR::StepLR(Optimizer& optimizer, int64_t step_size, double gamma)
    : LRScheduler(optimizer), step_size_(step_size), gamma_(gamma) {
  TAUT_CHECK(step_size >= 1, ValueError, "StepLR: step_size must be at least 1; got ", step_size);
  start();
}

std::vector<double> StepLR::get_lr() {
  const bool falls = last_epoch_ > 0 && last_epoch_ % step_size_ == 0;
  std::vector<double> rates;
  for (size_t g = 0; g < groups(); ++g) rates.push_back(falls ? group_lr(g) * gamma_ : group_lr(g));
  return rates;
}

MultiStepLR::MultiStepLR(Optimizer& optimizer, std::vector<int64_t> milestones, double gamma)
    : LRScheduler(optimizer), milestones_(std::move(milestones)), gamma_(gamma) {
  start();
}

std::vector<double> MultiStepLR::get_lr() {
  const auto times = std::count(milestones_.begin(), milestones_.end(), last_epoch_);
  std::vector<double> rates;
  for (size_t g = 0; g < groups(); ++g) {
    rates.push_back(group_lr(g) * std::pow(gamma_, static_cast<double>(times)));
  }
  return rates;
}

ExponentialLR::ExponentialLR(Optimizer& optimizer, double gamma)
    : LRScheduler(optimizer), gamma_(gamma) {
  start();
}

std::vector<double> ExponentialLR::get_lr() {
  std::vector<double> rates;
  for (size_t g = 0; g < groups(); ++g) {
    rates.push_back(last_epoch_ > 0 ? group_lr(g) * gamma_ : group_lr(g));
  }
  return rates;
}

ConstantLR::ConstantLR(Optimizer& optimizer, double factor, int64_t total_iters)
    : LRScheduler(optimizer), factor_(factor), total_iters_(total_iters) {
  TAUT_CHECK(factor >= 0 && factor <= 1, ValueError, "ConstantLR: factor must be in 0..1; got ",
             factor);
  start();
}

std::vector<double> ConstantLR::get_lr() {
  std::vector<double> rates;
  for (size_t g = 0; g < groups(); ++g) {
    double rate = group_lr(g);
    if (last_epoch_ == 0) rate *= factor_;
    if (last_epoch_ > 0 && last_epoch_ == total_iters_) rate *= 1.0 / factor_;
    rates.push_back(rate);
  }
  return rates;
}

LinearLR::LinearLR(Optimizer& optimizer, double start_factor, double end_factor,
                   int64_t total_iters)
    : LRScheduler(optimizer),
      start_factor_(start_factor),
      end_factor_(end_factor),
      total_iters_(total_iters) {
  TAUT_CHECK(start_factor > 0 && start_factor <= 1, ValueError,
             "LinearLR: start_factor must be in (0, 1]; got ", start_factor);
  TAUT_CHECK(end_factor >= 0 && end_factor <= 1, ValueError,
             "LinearLR: end_factor must be in 0..1; got ", end_factor);
  start();
}

std::vector<double> LinearLR::get_lr() {
  const double total = static_cast<double>(total_iters_);
  const double rise = end_factor_ - start_factor_;
  std::vector<double> rates;
  for (size_t g = 0; g < groups(); ++g) {
    double rate = group_lr(g);
    if (last_epoch_ == 0) {
      rate *= start_factor_;
    } else if (last_epoch_ <= total_iters_) {
      rate *= 1.0 + rise / (total * start_factor_ + static_cast<double>(last_epoch_ - 1) * rise);
    }
    rates.push_back(rate);
  }
  return rates;
}

PolynomialLR::PolynomialLR(Optimizer& optimizer, int64_t total_iters, double power)
    : LRScheduler(optimizer), total_iters_(total_iters), power_(power) {
  start();
}

std::vector<double> PolynomialLR::get_lr() {
  const double epoch = static_cast<double>(last_epoch_);
  const double total = static_cast<double>(total_iters_);
  std::vector<double> rates;
  for (size_t g = 0; g < groups(); ++g) {
    double rate = group_lr(g);
    if (last_epoch_ > 0 && last_epoch_ <= total_iters_) {
      rate *= std::pow((1.0 - epoch / total) / (1.0 - (epoch - 1) / total), power_);
    }
    rates.push_back(rate);
  }
  return rates;
}

CosineAnnealingLR::CosineAnnealingLR(Optimizer& optimizer, int64_t T_max, double eta_min)
    : LRScheduler(optimizer), T_max_(T_max), eta_min_(eta_min) {
  TAUT_CHECK(T_max >= 1, ValueError, "CosineAnnealingLR: T_max must be at least 1; got ", T_max);
  start();
}

std::vector<double> CosineAnnealingLR::get_lr() {
  const double epoch = static_cast<double>(last_epoch_);
  const double T_max = static_cast<double>(T_max_);
  std::vector<double> rates;
  for (size_t g = 0; g < groups(); ++g) {
    double rate = group_lr(g);
    if (last_epoch_ > 0 && (last_epoch_ - 1 - T_max_) % (2 * T_max_) == 0) {
      // The rate is at its least, where the recursion would divide by 0.
      rate += (base_lrs_[g] - eta_min_) * (1 - std::cos(kPi / T_max)) / 2;
    } else if (last_epoch_ > 0) {
      rate = (1 + std::cos(kPi * epoch / T_max)) / (1 + std::cos(kPi * (epoch - 1) / T_max)) *
                 (rate - eta_min_) +
             eta_min_;
    }
    rates.push_back(rate);
  }
  return rates;
}

CosineAnnealingWarmRestarts::CosineAnnealingWarmRestarts(Optimizer& optimizer, int64_t T_0,
                                                         int64_t T_mult, double eta_min)
    : LRScheduler(optimizer), T_0_(T_0), T_mult_(T_mult), eta_min_(eta_min) {
  TAUT_CHECK(T_0 >= 1 && T_mult >= 1, ValueError,
             "CosineAnnealingWarmRestarts: T_0 and T_mult must be at least 1; got ", T_0, " and ",
             T_mult);
  start();
}

std::vector<double> CosineAnnealingWarmRestarts::get_lr() {
  int64_t since = last_epoch_;
  int64_t period = T_0_;
  while (since >= period) {
    since -= period;
    period *= T_mult_;
  }
  const double share = static_cast<double>(since) / static_cast<double>(period);
  std::vector<double> rates;
  for (double base : base_lrs_) {
    rates.push_back(eta_min_ + (base - eta_min_) * (1 + std::cos(kPi * share)) / 2);
  }
  return rates;
}

OneCycleLR::OneCycleLR(Optimizer& optimizer, const OneCycleOptions& options)
    : LRScheduler(optimizer), options_(options) {
  if (options_.total_steps == 0) options_.total_steps = options.epochs * options.steps_per_epoch;
  TAUT_CHECK(options_.total_steps >= 1, ValueError,
             "OneCycleLR: expected total_steps, or epochs and steps_per_epoch, of at least 1");
  TAUT_CHECK(options.pct_start >= 0 && options.pct_start <= 1, ValueError,
             "OneCycleLR: pct_start must be in 0..1; got ", options.pct_start);
  TAUT_CHECK(options.anneal_strategy == "cos" || options.anneal_strategy == "linear", ValueError,
             "OneCycleLR: anneal_strategy must be cos or linear; got \"", options.anneal_strategy,
             "\"");
  const double total = static_cast<double>(options_.total_steps);
  const double rise_end = options.pct_start * total - 1;
  const double peak = options.max_lr;
  const double first = peak / options.div_factor;
  const double last = first / options.final_div_factor;
  const double low = options.base_momentum, high = options.max_momentum;
  phases_.push_back({rise_end, first, peak, high, low});
  if (options.three_phase) {
    phases_.push_back({2 * options.pct_start * total - 2, peak, first, low, high});
    phases_.push_back({total - 1, first, last, high, high});
  } else {
    phases_.push_back({total - 1, peak, last, low, high});
  }
  for (size_t g = 0; g < groups(); ++g) {
    Values& group = optimizer.param_groups()[g].options;
    base_lrs_[g] = first;
    group.set("initial_lr", first);
    if (!options.cycle_momentum) continue;
    has_betas_ = group.contains("betas");
    TAUT_CHECK(has_betas_ || group.contains("momentum"), ValueError,
               "OneCycleLR: the optimizer has no momentum to cycle; pass cycle_momentum=False");
  }
  start();
}

double OneCycleLR::anneal(double start, double end, double share) const {
  if (options_.anneal_strategy == "linear") return (end - start) * share + start;
  return end + (start - end) / 2.0 * (std::cos(kPi * share) + 1);
}

std::vector<double> OneCycleLR::get_lr() {
  TAUT_CHECK(last_epoch_ < options_.total_steps, ValueError, "OneCycleLR: step ", last_epoch_ + 1,
             " of ", options_.total_steps);
  const double step = static_cast<double>(last_epoch_);
  double start_step = 0;
  size_t at = 0;
  while (at + 1 < phases_.size() && step > phases_[at].end_step)
    start_step = phases_[at++].end_step;
  const Phase& phase = phases_[at];
  const double share = (step - start_step) / (phase.end_step - start_step);
  if (options_.cycle_momentum) {
    const double momentum = anneal(phase.start_momentum, phase.end_momentum, share);
    for (ParamGroup& group : optimizer_->param_groups()) {
      if (has_betas_) {
        std::vector<double> betas = group.options.numbers("betas");
        betas[0] = momentum;
        group.options.set("betas", betas);
      } else {
        group.options.set("momentum", momentum);
      }
    }
  }
  return std::vector<double>(groups(), anneal(phase.start_lr, phase.end_lr, share));
}

namespace {

using Schedulers = std::vector<std::shared_ptr<LRScheduler>>;

std::string prefix_of(size_t index) { return concat("schedulers.", index, "."); }

// What a schedule made of others has in its state dict beside its own.
void add_states(const Schedulers& schedulers, Values& state) {
  for (size_t i = 0; i < schedulers.size(); ++i) {
    for (const auto& [name, value] : schedulers[i]->state_dict()) {
      state.set(prefix_of(i) + name, value);
    }
  }
}

void load_states(const Schedulers& schedulers, const Values& state) {
  for (size_t i = 0; i < schedulers.size(); ++i) {
    const std::string prefix = prefix_of(i);
    Values own;
    for (const auto& [name, value] : state) {
      if (name.starts_with(prefix)) own.set(name.substr(prefix.size()), value);
    }
    schedulers[i]->load_state_dict(own);
  }
}

}  // namespace

SequentialLR::SequentialLR(Optimizer& optimizer,
                           std::vector<std::shared_ptr<LRScheduler>> schedulers,
                           std::vector<int64_t> milestones)
    : LRScheduler(optimizer),
      schedulers_(std::move(schedulers)),
      milestones_(std::move(milestones)) {
  TAUT_CHECK(!schedulers_.empty() && milestones_.size() + 1 == schedulers_.size(), ValueError,
             "SequentialLR: expected one milestone less than schedulers; got ", milestones_.size(),
             " and ", schedulers_.size());
  for (const auto& scheduler : schedulers_) {
    TAUT_CHECK(scheduler->optimizer_ == &optimizer, ValueError,
               "SequentialLR: a scheduler belongs to another optimizer");
  }
  // Every scheduler took its first step when it was made: undo them all, and do that of the first
  // again.
  for (ParamGroup& group : optimizer.param_groups()) {
    group.options.set("lr", group.options.number("initial_lr"));
  }
  for (const auto& scheduler : schedulers_) --scheduler->last_epoch_;
  last_epoch_ = 0;
  schedulers_[0]->step();
  last_lr_ = schedulers_[0]->last_lr_;
}

void SequentialLR::step() {
  if (is_left_to_replays()) return;
  ++last_epoch_;
  const auto next = std::upper_bound(milestones_.begin(), milestones_.end(), last_epoch_);
  const auto at = static_cast<size_t>(next - milestones_.begin());
  LRScheduler& scheduler = *schedulers_[at];
  if (at > 0 && milestones_[at - 1] == last_epoch_) {
    // It starts from the rates of the beginning, as if it had been alone.
    scheduler.last_epoch_ = -1;
    for (ParamGroup& group : optimizer_->param_groups()) {
      group.options.set("lr", group.options.number("initial_lr"));
    }
  }
  scheduler.step();
  last_lr_ = scheduler.last_lr_;
}

std::vector<double> SequentialLR::get_lr() { return last_lr_; }

Values SequentialLR::state_dict() const {
  Values state = LRScheduler::state_dict();
  add_states(schedulers_, state);
  return state;
}

void SequentialLR::load_state_dict(const Values& state) {
  load_states(schedulers_, state);
  LRScheduler::load_state_dict(state);
}

namespace {

Optimizer& optimizer_of(const Schedulers& schedulers) {
  TAUT_CHECK(!schedulers.empty(), ValueError, "ChainedScheduler: there are no schedulers");
  for (const auto& scheduler : schedulers) {
    TAUT_CHECK(&scheduler->optimizer() == &schedulers[0]->optimizer(), ValueError,
               "ChainedScheduler: the schedulers belong to different optimizers");
  }
  return schedulers[0]->optimizer();
}

}  // namespace

ChainedScheduler::ChainedScheduler(std::vector<std::shared_ptr<LRScheduler>> schedulers)
    : LRScheduler(optimizer_of(schedulers)), schedulers_(std::move(schedulers)) {
  last_epoch_ = 0;
  last_lr_ = schedulers_.back()->get_last_lr();
}

void ChainedScheduler::step() {
  if (is_left_to_replays()) return;
  ++last_epoch_;
  for (const auto& scheduler : schedulers_) scheduler->step();
  last_lr_ = schedulers_.back()->get_last_lr();
}

std::vector<double> ChainedScheduler::get_lr() { return last_lr_; }

Values ChainedScheduler::state_dict() const {
  Values state = LRScheduler::state_dict();
  add_states(schedulers_, state);
  return state;
}

void ChainedScheduler::load_state_dict(const Values& state) {
  load_states(schedulers_, state);
  LRScheduler::load_state_dict(state);
}

ReduceLROnPlateau::ReduceLROnPlateau(Optimizer& optimizer, const PlateauOptions& options)
    : optimizer_(&optimizer), options_(options) {
  TAUT_CHECK(options.factor < 1, ValueError, "ReduceLROnPlateau: factor must be below 1; got ",
             options.factor);
  TAUT_CHECK(options.mode == "min" || options.mode == "max", ValueError,
             "ReduceLROnPlateau: mode must be min or max; got \"", options.mode, "\"");
  TAUT_CHECK(options.threshold_mode == "rel" || options.threshold_mode == "abs", ValueError,
             "ReduceLROnPlateau: threshold_mode must be rel or abs; got \"", options.threshold_mode,
             "\"");
  const double infinity = std::numeric_limits<double>::infinity();
  best_ = options.mode == "min" ? infinity : -infinity;
}

bool ReduceLROnPlateau::is_better(double metric) const {
  const bool is_min = options_.mode == "min";
  if (options_.threshold_mode == "rel") {
    return is_min ? metric < best_ * (1 - options_.threshold)
                  : metric > best_ * (1 + options_.threshold);
  }
  return is_min ? metric < best_ - options_.threshold : metric > best_ + options_.threshold;
}

void ReduceLROnPlateau::step(double metric) {
  ++last_epoch_;
  if (is_better(metric)) {
    best_ = metric;
    num_bad_epochs_ = 0;
  } else {
    ++num_bad_epochs_;
  }
  if (cooldown_counter_ > 0) {
    --cooldown_counter_;
    num_bad_epochs_ = 0;
  }
  if (num_bad_epochs_ <= options_.patience) return;
  for (ParamGroup& group : optimizer_->param_groups()) {
    const double old_rate = group.options.number("lr");
    const double rate = std::max(old_rate * options_.factor, options_.min_lr);
    if (old_rate - rate > options_.eps) group.options.set("lr", rate);
  }
  cooldown_counter_ = options_.cooldown;
  num_bad_epochs_ = 0;
}

std::vector<double> ReduceLROnPlateau::get_last_lr() const {
  std::vector<double> rates;
  for (const ParamGroup& group : optimizer_->param_groups()) {
    rates.push_back(group.options.number("lr"));
  }
  return rates;
}

Values ReduceLROnPlateau::state_dict() const {
  return {{"best", best_},
          {"num_bad_epochs", num_bad_epochs_},
          {"cooldown_counter", cooldown_counter_},
          {"last_epoch", last_epoch_}};
}

void ReduceLROnPlateau::load_state_dict(const Values& state) {
  best_ = state.number("best");
  num_bad_epochs_ = state.integer("num_bad_epochs");
  cooldown_counter_ = state.integer("cooldown_counter");
  last_epoch_ = state.integer("last_epoch");
}

}  // namespace taut::optim
