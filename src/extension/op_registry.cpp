#include "src/extension/op_registry.h"

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include "taut/base/check.h"

namespace taut::detail {
namespace {

struct Registry {
  std::mutex mutex;
  std::map<std::string, std::unique_ptr<RegisteredOp>, std::less<>> ops;
};

// Never destroyed: functions of an interpreter that is gone may be in it.
Registry& registry() {
  static auto& instance = *new Registry;
  return instance;
}

thread_local PluginLoad* current_load = nullptr;

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_identifier(std::string_view text) {
  return !text.empty() && !is_digit(text[0]) &&
         std::all_of(text.begin(), text.end(), [](char c) { return is_letter(c) || is_digit(c); });
}

void check_name(const std::string& name) {
  const size_t colons = name.find("::");
  const bool is_good = colons != std::string::npos &&
                       is_identifier(std::string_view(name).substr(0, colons)) &&
                       is_identifier(std::string_view(name).substr(colons + 2));
  TAUT_CHECK(is_good, ValueError, "custom op: the name is '", name,
             "'; expected 'namespace::name', both of letters, digits and underscores");
  TAUT_CHECK(!name.starts_with("taut::"), ValueError, "custom op: the name is '", name,
             "'; the namespace taut is the library's own");
}

// Names of inputs and attributes: identifiers, none twice.
void check_names(const CustomOpDefinition& definition) {
  std::vector<std::string_view> names;
  for (std::string_view name : definition.inputs) {
    if (name.ends_with('?')) name.remove_suffix(1);
    names.push_back(name);
  }
  for (const CustomAttribute& attribute : definition.attributes) names.push_back(attribute.name);
  for (size_t i = 0; i < names.size(); ++i) {
    TAUT_CHECK(is_identifier(names[i]), ValueError, definition.name,
               ": an input or attribute is "
               "called '",
               names[i], "'; expected letters, digits and underscores");
    const bool is_new = std::find(names.begin(), names.begin() + static_cast<ptrdiff_t>(i),
                                  names[i]) == names.begin() + static_cast<ptrdiff_t>(i);
    TAUT_CHECK(is_new, ValueError, definition.name, ": two inputs or attributes are called '",
               names[i], "'");
  }
}

void check_definition(const CustomOpDefinition& definition) {
  check_name(definition.name);
  check_names(definition);
  TAUT_CHECK(!definition.inputs.empty(), ValueError, definition.name, ": it has no inputs");
  for (const CustomImplementation* version : {&definition.cpu, &definition.cuda}) {
    TAUT_CHECK(version->forward || !version->backward, ValueError, definition.name,
               ": a device has a backward without a forward");
  }
}

std::string listed(const Registry& ops) {
  std::string text;
  for (const auto& entry : ops.ops) text += (text.empty() ? "" : ", ") + entry.first;
  return text.empty() ? "none" : text;
}

}  // namespace

RegisteredOp& register_op(CustomOpDefinition definition, std::string place) {
  check_definition(definition);
  auto op = std::make_unique<RegisteredOp>();
  op->definition = std::move(definition);
  op->place = std::move(place);
  for (auto [device, version] : {std::pair(DeviceType::cpu, &op->definition.cpu),
                                 std::pair(DeviceType::cuda, &op->definition.cuda)}) {
    if (version->forward) add_version(*op, device, *version, op->place);
  }
  Registry& ops = registry();
  const std::lock_guard lock(ops.mutex);
  const std::string name = op->definition.name;
  const auto [entry, is_new] = ops.ops.try_emplace(name);
  if (!is_new) {
    raise<ValueError>(name, ": an op of this name is registered already, at ", entry->second->place,
                      "; again at ", op->place);
  }
  entry->second = std::move(op);
  if (current_load != nullptr) current_load->add(name);
  return *entry->second;
}

RegisteredOp& find_op(std::string_view name) {
  Registry& ops = registry();
  const std::lock_guard lock(ops.mutex);
  const auto entry = ops.ops.find(name);
  TAUT_CHECK(entry != ops.ops.end(), ValueError, "custom op: there is no '", name,
             "'; registered: ", listed(ops));
  return *entry->second;
}

std::vector<std::string> op_names() {
  Registry& ops = registry();
  const std::lock_guard lock(ops.mutex);
  std::vector<std::string> names;
  for (const auto& entry : ops.ops) names.push_back(entry.first);
  return names;
}

void add_version(RegisteredOp& op, DeviceType device, CustomImplementation implementation,
                 std::string place) {
  TAUT_CHECK(static_cast<bool>(implementation.forward), ValueError, op.definition.name,
             ": an implementation needs a forward");
  auto version = std::make_unique<RegisteredOp::Version>(
      RegisteredOp::Version{std::move(implementation), std::move(place)});
  const RegisteredOp::Version* before = nullptr;
  auto& slot = op.versions[static_cast<size_t>(device)];
  if (!slot.compare_exchange_strong(before, version.get(), std::memory_order_acq_rel)) {
    raise<ValueError>(op.definition.name, ": it has a version for ",
                      Device(device).is_cpu() ? "cpu" : "cuda", " already, from ", before->place,
                      "; another at ", version->place);
  }
  static_cast<void>(version.release());  // the slot's, as long as the op
}

PluginLoad::PluginLoad() : previous_(std::exchange(current_load, this)) {}
PluginLoad::~PluginLoad() { current_load = previous_; }
PluginLoad* PluginLoad::current() { return current_load; }

void PluginLoad::undo() {
  Registry& ops = registry();
  const std::lock_guard lock(ops.mutex);
  for (const std::string& name : names_) {
    const auto entry = ops.ops.find(name);
    // The op itself stays: a handle of it may be anywhere.
    if (entry != ops.ops.end()) static_cast<void>(entry->second.release());
    ops.ops.erase(name);
  }
  names_.clear();
}

}  // namespace taut::detail
