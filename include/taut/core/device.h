#pragma once
// Where a tensor lives: Device("cpu"), Device("cuda:1"), Device(DeviceType::cuda, 1).

#include <cstdint>
#include <string>
#include <string_view>

#include "taut/base/macros.h"

namespace taut {

enum class DeviceType : int8_t { cpu, cuda };
inline constexpr int kDeviceTypeCount = 2;

class TAUT_API Device {
 public:
  constexpr Device() = default;
  constexpr Device(DeviceType type, int index = 0)
      : type_(type), index_(static_cast<int8_t>(index)) {}
  /// Parses "cpu", "cuda" (this thread's current GPU, the first unless set_device chose another) or
  /// "cuda:N". @throws DeviceError for anything else.
  Device(std::string_view text);
  Device(const char* text) : Device(std::string_view(text)) {}
  Device(const std::string& text) : Device(std::string_view(text)) {}

  constexpr DeviceType type() const { return type_; }
  constexpr int index() const { return index_; }
  constexpr bool is_cpu() const { return type_ == DeviceType::cpu; }
  constexpr bool is_cuda() const { return type_ == DeviceType::cuda; }
  /// "cpu" or "cuda:0".
  std::string str() const;

  friend constexpr bool operator==(Device a, Device b) {
    return a.type_ == b.type_ && a.index_ == b.index_;
  }

 private:
  DeviceType type_ = DeviceType::cpu;
  int8_t index_ = 0;
};

inline constexpr Device kCPU{DeviceType::cpu};
inline constexpr Device kCUDA{DeviceType::cuda};

TAUT_API void append(std::string& message, Device device);

}  // namespace taut
