#pragma once
// What a program spends its time and memory on.
//
//   profiler::Profile profile;
//   profile.start();
//   train_step();
//   profile.stop();
//   std::cout << profile.trace().key_averages().table();
//   profile.trace().export_chrome_trace("trace.json");
//
// While no profile runs, what it hangs on costs a branch that is not taken.

#include <cstdint>
#include <memory>
#include <string>

#include "taut/base/callback.h"
#include "taut/base/trace.h"
#include "taut/profiler/trace.h"

namespace taut::profiler {

class Profile;

/// What a step of a profiled loop is for: nothing, getting warm (recorded and thrown away),
/// recording, or recording as the last step of a cycle.
enum class ProfilerAction : uint8_t { none, warmup, record, record_and_save };

/// The action of each step, counted from 0.
using Schedule = Callback<ProfilerAction(int64_t step)>;

struct ScheduleOptions {
  int64_t wait = 0;        // steps of a cycle with nothing
  int64_t warmup = 0;      // then to get warm
  int64_t active = 1;      // then to record
  int64_t repeat = 0;      // cycles; 0 for as long as the loop runs
  int64_t skip_first = 0;  // steps before the first cycle
};
/// PyTorch's torch.profiler.schedule. @throws ValueError for negative numbers, and unless active is
/// at least 1.
TAUT_API Schedule schedule(const ScheduleOptions& options);

struct ProfileOptions {
  bool cpu = true;  // ops, modules, ranges
  /// Kernels, by CUPTI. Where that is not to be had the profile goes on without, and its trace says
  /// why in `warnings`.
  bool cuda = true;
  /// Without one everything from start() to stop() is recorded.
  Schedule schedule = {};
  /// Called at the end of each cycle with the profile, whose trace() is the cycle's.
  Callback<void(Profile& profile)> on_trace_ready = {};
  bool record_shapes = false;
  bool profile_memory = false;
  bool with_flops = true;
  bool with_modules = true;
};

/// Records what all threads do. One profile runs at a time.
class TAUT_API Profile {
 public:
  explicit Profile(ProfileOptions options = {});
  Profile(const Profile&) = delete;
  Profile& operator=(const Profile&) = delete;
  /// Ends the recording, without on_trace_ready.
  ~Profile();

  /// @throws ValueError while this or another profile runs.
  void start();
  /// Waits for the GPUs and makes the trace. @throws ValueError unless this profile runs.
  void stop();
  /// The next step of the schedule begins. @throws ValueError unless this profile runs.
  void step();

  bool is_running() const { return is_running_; }
  int64_t step_number() const { return step_; }
  /// Of the latest recording. @throws ValueError when there is none.
  const Trace& trace() const;
  std::shared_ptr<const Trace> shared_trace() const;

 private:
  void move_on(ProfilerAction next);
  void begin_recording();
  void record_cpu();
  void end_recording(bool keep);
  void open_step();

  ProfileOptions options_;
  bool is_running_ = false;
  bool is_recording_ = false;
  bool has_gpus_ = false;
  std::string gpu_refusal_;
  int64_t step_ = 0;
  ProfilerAction action_ = ProfilerAction::none;
  std::unique_ptr<TraceScope> step_scope_;
  std::shared_ptr<const Trace> trace_;
};

/// Whether a profile runs somewhere in this process.
TAUT_API bool is_profiling();

/// A range of one's own, from here to the end of the block.
class RecordFunction {
 public:
  explicit RecordFunction(const std::string& name) : scope_(ScopeKind::user, name.c_str()) {}

 private:
  TraceScope scope_;
};

/// While one lives, ops, backward functions, modules and ranges of all threads are NVTX ranges, for
/// Nsight Systems and other tools. Nothing in a build without CUDA, see has_nvtx().
class TAUT_API EmitNvtx {
 public:
  EmitNvtx();
  EmitNvtx(const EmitNvtx&) = delete;
  EmitNvtx& operator=(const EmitNvtx&) = delete;
  ~EmitNvtx();

 private:
  bool previous_;
};
/// Whether this build has NVTX.
TAUT_API bool has_nvtx();

}  // namespace taut::profiler
