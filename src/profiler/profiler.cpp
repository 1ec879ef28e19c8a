#include "taut/profiler/profiler.h"

#include <atomic>
#include <utility>

#include "src/profiler/cupti.h"
#include "src/profiler/nvtx.h"
#include "src/profiler/recorder.h"
#include "src/profiler/trace_builder.h"
#include "taut/base/check.h"
#include "taut/core/cuda.h"

namespace taut::profiler {
namespace {

std::atomic<bool> is_one_running{false};

bool records(ProfilerAction action) {
  return action == ProfilerAction::record || action == ProfilerAction::record_and_save;
}

void check_count(const char* name, int64_t value, int64_t least) {
  TAUT_CHECK(value >= least, ValueError, "schedule: ", name, " must be at least ", least, "; got ",
             value);
}

}  // namespace

Schedule schedule(const ScheduleOptions& options) {
  check_count("wait", options.wait, 0);
  check_count("warmup", options.warmup, 0);
  check_count("active", options.active, 1);
  check_count("repeat", options.repeat, 0);
  check_count("skip_first", options.skip_first, 0);
  return [options](int64_t step) {
    TAUT_CHECK(step >= 0, ValueError, "schedule: steps are counted from 0; got ", step);
    if (step < options.skip_first) return ProfilerAction::none;
    const int64_t cycle = options.wait + options.warmup + options.active;
    const int64_t number = (step - options.skip_first) / cycle;
    const int64_t at = (step - options.skip_first) % cycle;
    if (options.repeat > 0 && number >= options.repeat) return ProfilerAction::none;
    if (at < options.wait) return ProfilerAction::none;
    if (at < options.wait + options.warmup) return ProfilerAction::warmup;
    return at + 1 < cycle ? ProfilerAction::record : ProfilerAction::record_and_save;
  };
}

bool is_profiling() { return is_one_running.load(); }

Profile::Profile(ProfileOptions options) : options_(std::move(options)) {
  TAUT_CHECK(options_.cpu || options_.cuda, ValueError,
             "profile: nothing is to be recorded; ask for the CPU, for CUDA or for both");
}

Profile::~Profile() {
  if (!is_running_) return;
  is_running_ = false;
  step_scope_.reset();
  try {
    end_recording(/*keep=*/false);
  } catch (...) {
    // Nobody is left to be told.
  }
  is_one_running.store(false);
}

void Profile::start() {
  TAUT_CHECK(!is_running_, ValueError, "profile: start() was called while this profile runs");
  TAUT_CHECK(!is_one_running.exchange(true), ValueError,
             "profile: another profile runs, and profiles cannot be nested; stop it first");
  is_running_ = true;
  step_ = 0;
  try {
    action_ = options_.schedule ? options_.schedule(0) : ProfilerAction::record_and_save;
    if (action_ != ProfilerAction::none) begin_recording();
    open_step();
  } catch (...) {
    is_running_ = false;
    end_recording(/*keep=*/false);
    is_one_running.store(false);
    throw;
  }
}

void Profile::step() {
  TAUT_CHECK(is_running_, ValueError, "profile: step() was called while this profile does not run");
  step_scope_.reset();
  ++step_;
  if (options_.schedule) move_on(options_.schedule(step_));
  open_step();
}

void Profile::stop() {
  TAUT_CHECK(is_running_, ValueError, "profile: stop() was called while this profile does not run");
  step_scope_.reset();
  is_running_ = false;
  const bool is_wanted = records(std::exchange(action_, ProfilerAction::none));
  try {
    end_recording(is_wanted);
  } catch (...) {
    is_one_running.store(false);
    throw;
  }
  is_one_running.store(false);
  if (is_wanted && options_.on_trace_ready) options_.on_trace_ready(*this);
}

// From the action of one step to that of the next. The handler is called last, when the state is
// that of the next step: it may throw.
void Profile::move_on(ProfilerAction next) {
  const ProfilerAction previous = std::exchange(action_, next);
  const bool ends_cycle = previous == ProfilerAction::record_and_save;
  if (ends_cycle || (next == ProfilerAction::none && is_recording_)) end_recording(ends_cycle);
  if (next != ProfilerAction::none && !is_recording_) {
    begin_recording();
  } else if (previous == ProfilerAction::warmup && records(next)) {
    stop_recording();
    record_cpu();  // GPUs go on: what they were given before is left out of the trace
  }
  if (ends_cycle && options_.on_trace_ready) options_.on_trace_ready(*this);
}

void Profile::begin_recording() {
  if (options_.cuda) {
    gpu_refusal_ = cupti_start();
    has_gpus_ = gpu_refusal_.empty();
  }
  is_recording_ = true;
  record_cpu();
}

void Profile::record_cpu() {
  start_recording({.scopes = options_.cpu,
                   .record_shapes = options_.record_shapes,
                   .profile_memory = options_.profile_memory,
                   .with_flops = options_.with_flops,
                   .with_modules = options_.with_modules},
                  has_gpus_);
}

void Profile::end_recording(bool keep) {
  if (!std::exchange(is_recording_, false)) return;
  // GPUs first: the CPU's part then holds the wait for them.
  CuptiRecording gpus;
  if (std::exchange(has_gpus_, false)) gpus = cupti_stop();
  Recording recording = stop_recording();
  if (!keep) return;
  Trace trace = build_trace(std::move(recording), std::move(gpus));
  if (options_.cuda && !gpu_refusal_.empty() && cuda::is_available()) {
    trace.warnings.push_back("profiler: kernels are not in the profile: " + gpu_refusal_);
  }
  trace_ = std::make_shared<const Trace>(std::move(trace));
}

// Steps of a schedule are ranges, as PyTorch names them.
void Profile::open_step() {
  if (!options_.schedule) return;
  step_scope_ =
      std::make_unique<TraceScope>(ScopeKind::user, concat("ProfilerStep#", step_).c_str());
}

const Trace& Profile::trace() const { return *shared_trace(); }

std::shared_ptr<const Trace> Profile::shared_trace() const {
  TAUT_CHECK(trace_ != nullptr, ValueError,
             "profile: there is no trace; the profile was not stopped, or its schedule came to no "
             "step that records");
  return trace_;
}

EmitNvtx::EmitNvtx() : previous_(has_nvtx_ranges()) { set_nvtx_ranges(true); }
EmitNvtx::~EmitNvtx() { set_nvtx_ranges(previous_); }

}  // namespace taut::profiler
