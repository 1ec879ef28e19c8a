#pragma once
// Learning rates that change from step to step. A scheduler sets the first rate when it is made;
// call step() after each optimizer.step() (or after each epoch).
//   optim::OneCycleLR schedule(optimizer, {.max_lr = 1e-2, .total_steps = epochs * batches});
// A scheduler refers to its optimizer, which must outlive it.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "taut/base/callback.h"
#include "taut/optim/optimizer.h"

namespace taut::optim {

class TAUT_API LRScheduler {
 public:
  LRScheduler(const LRScheduler&) = delete;
  LRScheduler& operator=(const LRScheduler&) = delete;
  virtual ~LRScheduler();

  /// Goes on by one, and sets the learning rate of every group. While a cuda::Graph is captured
  /// that is left to its replays.
  virtual void step();
  /// The learning rates that were set last, one for each group.
  std::vector<double> get_last_lr() const { return last_lr_; }
  /// How often step() was called.
  int64_t last_epoch() const { return last_epoch_; }
  Optimizer& optimizer() const { return *optimizer_; }

  /// What step() depends on, for a checkpoint. Functions are not part of it.
  virtual Values state_dict() const;
  virtual void load_state_dict(const Values& state);

 protected:
  /// Remembers the groups' rates as initial_lr, unless an earlier scheduler did.
  explicit LRScheduler(Optimizer& optimizer);
  /// The rates for last_epoch(), from what the groups have now.
  virtual std::vector<double> get_lr() = 0;
  /// Sets the rates of the start; the constructor of each scheduler ends with it.
  void start() { advance(); }
  /// For the start of step(): whether this thread captures a graph, whose replays will take the
  /// step then.
  bool is_left_to_replays();

  double group_lr(size_t group) const;
  void set_lr(const std::vector<double>& rates);
  size_t groups() const { return optimizer_->param_groups().size(); }

  Optimizer* optimizer_;
  std::vector<double> base_lrs_;
  std::vector<double> last_lr_;
  int64_t last_epoch_ = -1;

 private:
  friend class SequentialLR;
  void advance();
  // For graphs that hold a step: null in there once the schedule is gone.
  std::shared_ptr<LRScheduler*> self_;
};

/// A factor that depends on the epoch alone, times the rate of the start or the rate of now.
class TAUT_API LambdaLR : public LRScheduler {
 public:
  using Function = Callback<double(int64_t epoch)>;
  /// lr = initial_lr * lr_lambda(epoch).
  LambdaLR(Optimizer& optimizer, Function lr_lambda);
  /// One function for each group.
  LambdaLR(Optimizer& optimizer, std::vector<Function> lr_lambdas);

 protected:
  std::vector<double> get_lr() override;

 private:
  std::vector<Function> functions_;
};

class TAUT_API MultiplicativeLR : public LRScheduler {
 public:
  /// lr *= lr_lambda(epoch).
  MultiplicativeLR(Optimizer& optimizer, LambdaLR::Function lr_lambda);

 protected:
  std::vector<double> get_lr() override;

 private:
  LambdaLR::Function function_;
};

/// lr *= gamma every step_size epochs.
class TAUT_API StepLR : public LRScheduler {
 public:
  StepLR(Optimizer& optimizer, int64_t step_size, double gamma = 0.1);

 protected:
  std::vector<double> get_lr() override;

 private:
  int64_t step_size_;
  double gamma_;
};

/// lr *= gamma at each of the milestones, as often as it is listed.
class TAUT_API MultiStepLR : public LRScheduler {
 public:
  MultiStepLR(Optimizer& optimizer, std::vector<int64_t> milestones, double gamma = 0.1);

 protected:
  std::vector<double> get_lr() override;

 private:
  std::vector<int64_t> milestones_;
  double gamma_;
};

/// lr *= gamma.
class TAUT_API ExponentialLR : public LRScheduler {
 public:
  ExponentialLR(Optimizer& optimizer, double gamma);

 protected:
  std::vector<double> get_lr() override;

 private:
  double gamma_;
};

/// lr * factor for total_iters epochs, then lr.
class TAUT_API ConstantLR : public LRScheduler {
 public:
  explicit ConstantLR(Optimizer& optimizer, double factor = 1.0 / 3, int64_t total_iters = 5);

 protected:
  std::vector<double> get_lr() override;

 private:
  double factor_;
  int64_t total_iters_;
};

/// From lr * start_factor to lr * end_factor in total_iters equal steps.
class TAUT_API LinearLR : public LRScheduler {
 public:
  explicit LinearLR(Optimizer& optimizer, double start_factor = 1.0 / 3, double end_factor = 1.0,
                    int64_t total_iters = 5);

 protected:
  std::vector<double> get_lr() override;

 private:
  double start_factor_;
  double end_factor_;
  int64_t total_iters_;
};

/// lr (1 - epoch / total_iters)^power, then 0.
class TAUT_API PolynomialLR : public LRScheduler {
 public:
  explicit PolynomialLR(Optimizer& optimizer, int64_t total_iters = 5, double power = 1.0);

 protected:
  std::vector<double> get_lr() override;

 private:
  int64_t total_iters_;
  double power_;
};

/// Half a cosine from lr to eta_min in T_max epochs, and up again. Loshchilov and Hutter, SGDR,
/// 2016.
class TAUT_API CosineAnnealingLR : public LRScheduler {
 public:
  CosineAnnealingLR(Optimizer& optimizer, int64_t T_max, double eta_min = 0.0);

 protected:
  std::vector<double> get_lr() override;

 private:
  int64_t T_max_;
  double eta_min_;
};

/// Half a cosine from lr to eta_min, again and again: T_0 epochs, then T_mult times as many each
/// time.
class TAUT_API CosineAnnealingWarmRestarts : public LRScheduler {
 public:
  CosineAnnealingWarmRestarts(Optimizer& optimizer, int64_t T_0, int64_t T_mult = 1,
                              double eta_min = 0.0);

 protected:
  std::vector<double> get_lr() override;

 private:
  int64_t T_0_;
  int64_t T_mult_;
  double eta_min_;
};

struct OneCycleOptions {
  double max_lr = 0.0;
  int64_t total_steps = 0;  // or epochs * steps_per_epoch
  int64_t epochs = 0;
  int64_t steps_per_epoch = 0;
  double pct_start = 0.3;               // the share of the steps in which the rate rises
  std::string anneal_strategy = "cos";  // or "linear"
  bool cycle_momentum = true;
  double base_momentum = 0.85;
  double max_momentum = 0.95;
  double div_factor = 25.0;       // first rate: max_lr / div_factor
  double final_div_factor = 1e4;  // last rate: the first / final_div_factor
  bool three_phase = false;
};

/// Up to max_lr and down to almost nothing, momentum (or the first beta) the other way round. Step
/// it after every batch. Smith and Topin, Super-Convergence, 2017.
/// @throws ValueError when stepped past total_steps.
class TAUT_API OneCycleLR : public LRScheduler {
 public:
  OneCycleLR(Optimizer& optimizer, const OneCycleOptions& options);

 protected:
  std::vector<double> get_lr() override;

 private:
  struct Phase {
    double end_step;
    double start_lr, end_lr;
    double start_momentum, end_momentum;
  };
  double anneal(double start, double end, double share) const;

  OneCycleOptions options_;
  std::vector<Phase> phases_;
  bool has_betas_ = false;
};

/// One scheduler after the other: the i-th takes over at milestones[i - 1]. The schedulers are made
/// for the same optimizer, in their order.
class TAUT_API SequentialLR : public LRScheduler {
 public:
  SequentialLR(Optimizer& optimizer, std::vector<std::shared_ptr<LRScheduler>> schedulers,
               std::vector<int64_t> milestones);
  void step() override;
  /// Those of the schedulers too, as "schedulers.0.last_epoch".
  Values state_dict() const override;
  void load_state_dict(const Values& state) override;

 protected:
  std::vector<double> get_lr() override;

 private:
  std::vector<std::shared_ptr<LRScheduler>> schedulers_;
  std::vector<int64_t> milestones_;
};

/// Steps all of its schedulers, one on top of the other.
class TAUT_API ChainedScheduler : public LRScheduler {
 public:
  explicit ChainedScheduler(std::vector<std::shared_ptr<LRScheduler>> schedulers);
  void step() override;
  /// Those of the schedulers too, as "schedulers.0.last_epoch".
  Values state_dict() const override;
  void load_state_dict(const Values& state) override;

 protected:
  std::vector<double> get_lr() override;

 private:
  std::vector<std::shared_ptr<LRScheduler>> schedulers_;
};

struct PlateauOptions {
  std::string mode = "min";  // or "max"
  double factor = 0.1;
  int64_t patience = 10;
  double threshold = 1e-4;
  std::string threshold_mode = "rel";  // or "abs"
  int64_t cooldown = 0;
  double min_lr = 0.0;
  double eps = 1e-8;
};

/// lr *= factor when a metric has not become better for more than `patience` epochs.
class TAUT_API ReduceLROnPlateau {
 public:
  explicit ReduceLROnPlateau(Optimizer& optimizer, const PlateauOptions& options = {});
  void step(double metric);
  std::vector<double> get_last_lr() const;
  double best() const { return best_; }
  int64_t num_bad_epochs() const { return num_bad_epochs_; }

  Values state_dict() const;
  void load_state_dict(const Values& state);

 private:
  bool is_better(double metric) const;

  Optimizer* optimizer_;
  PlateauOptions options_;
  double best_;
  int64_t num_bad_epochs_ = 0;
  int64_t cooldown_counter_ = 0;
  int64_t last_epoch_ = 0;
};

}  // namespace taut::optim
