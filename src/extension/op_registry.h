#pragma once
// The ops that users registered, by name.

#include <array>
#include <atomic>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include "taut/extension/custom_op.h"

namespace taut::detail {

/// An op and its places in somebody's source. It stays where it is for the life of the process, as
/// nodes and handles point to it.
struct RegisteredOp {
  CustomOpDefinition definition;
  std::string place;
  /// By device type. Written once each; null until then.
  struct Version {
    CustomImplementation implementation;
    std::string place;
  };
  std::array<std::atomic<const Version*>, kDeviceTypeCount> versions = {};

  const Version* version(DeviceType device) const {
    return versions[static_cast<size_t>(device)].load(std::memory_order_acquire);
  }
};

/// Checks the definition and registers it. @throws ValueError.
RegisteredOp& register_op(CustomOpDefinition definition, std::string place);
/// @throws ValueError when there is none of the name.
RegisteredOp& find_op(std::string_view name);
std::vector<std::string> op_names();
/// @throws ValueError when the op has a version for the device.
void add_version(RegisteredOp& op, DeviceType device, CustomImplementation implementation,
                 std::string place);

/// Notes what this thread registers while a library is loaded, where an exception must not leave
/// the constructor of a static object: it waits here until the loader has returned.
class PluginLoad {
 public:
  PluginLoad();
  PluginLoad(const PluginLoad&) = delete;
  PluginLoad& operator=(const PluginLoad&) = delete;
  ~PluginLoad();

  /// Of this thread, or null.
  static PluginLoad* current();

  const std::vector<std::string>& names() const { return names_; }
  const std::exception_ptr& failure() const { return failure_; }
  void add(std::string name) { names_.push_back(std::move(name)); }
  void fail(std::exception_ptr failure) {
    if (!failure_) failure_ = std::move(failure);
  }
  /// Takes the ops that were registered away again.
  void undo();

 private:
  PluginLoad* previous_;
  std::vector<std::string> names_;
  std::exception_ptr failure_;
};

}  // namespace taut::detail
