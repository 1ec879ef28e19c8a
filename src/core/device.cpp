#include "taut/core/device.h"

#include <charconv>

#include "taut/base/check.h"
#include "taut/core/stream.h"

namespace taut {
namespace {

int parse_index(std::string_view digits, std::string_view whole) {
  int index = -1;
  const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), index);
  const bool complete = result.ec == std::errc() && result.ptr == digits.data() + digits.size();
  TAUT_CHECK(complete && index >= 0 && index < 128, DeviceError, "device: cannot read \"", whole,
             "\"; expected \"cpu\", \"cuda\" or \"cuda:N\"");
  return index;
}

}  // namespace

Device::Device(std::string_view text) {
  const size_t colon = text.find(':');
  const std::string_view kind = text.substr(0, colon);
  TAUT_CHECK(kind == "cpu" || kind == "cuda", DeviceError, "device: cannot read \"", text,
             "\"; expected \"cpu\", \"cuda\" or \"cuda:N\"");
  type_ = kind == "cpu" ? DeviceType::cpu : DeviceType::cuda;
  if (type_ == DeviceType::cuda) index_ = static_cast<int8_t>(cuda::current_device());
  if (colon != std::string_view::npos) {
    index_ = static_cast<int8_t>(parse_index(text.substr(colon + 1), text));
    TAUT_CHECK(type_ == DeviceType::cuda || index_ == 0, DeviceError,
               "device: there is one CPU device; got \"", text, "\"");
  }
}

std::string Device::str() const {
  if (is_cpu()) return "cpu";
  return concat("cuda:", static_cast<int>(index_));
}

void append(std::string& message, Device device) { message.append(device.str()); }

}  // namespace taut
