#pragma once
// Automatic mixed precision: inside an AutocastMode ops choose the dtype that they are computed in.
// Products and convolutions cast their float32 arguments to a 16-bit float; ops that need range or
// precision (exponentials, norms, losses, long sums) cast 16-bit arguments to float32; all others
// compute in the widest dtype of their arguments. Micikevicius et al., "Mixed precision training"
// (2018).
//   { AutocastMode autocast(DeviceType::cuda, kBFloat16);  loss = model.forward(x) ... }
//   loss.backward();    // outside of it

#include <optional>

#include "taut/core/device.h"
#include "taut/core/dtype.h"

namespace taut {

/// Turns autocast on, or off with enabled = false, for one type of device on this thread. The casts
/// of float32 leaves that require grad are kept until the outermost scope ends.
class TAUT_API AutocastMode {
 public:
  /// dtype: float16 (the default on CUDA) or bfloat16 (the default on the CPU).
  /// @throws ValueError for other dtypes, and for float16 on the CPU.
  explicit AutocastMode(DeviceType device, std::optional<DType> dtype = std::nullopt,
                        bool enabled = true, bool cache_enabled = true);
  AutocastMode(const AutocastMode&) = delete;
  AutocastMode& operator=(const AutocastMode&) = delete;
  ~AutocastMode();

 private:
  DeviceType device_;
  bool previous_enabled_;
  DType previous_dtype_;
  bool previous_cache_;
  bool previous_mode_;  // off while the engine walks, whatever the settings
};

/// Whether autocast is on for a type of device.
TAUT_API bool is_autocast_enabled(DeviceType device);
/// The 16-bit float that it uses, or would.
TAUT_API DType get_autocast_dtype(DeviceType device);
/// Whether casts of weights are kept.
TAUT_API bool is_autocast_cache_enabled();
/// Forgets the casts of weights that are kept.
TAUT_API void clear_autocast_cache();

}  // namespace taut
