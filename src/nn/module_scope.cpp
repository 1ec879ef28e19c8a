#include "taut/nn/module_scope.h"

#include <cstdint>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "src/nn/module_tree.h"
#include "taut/nn/module.h"

namespace taut::nn {
namespace {

struct Call {
  const Module* module;
  std::string path;
};

// How the modules inside one are reached from it: ".blocks.0".
using Paths = std::unordered_map<const Module*, std::string>;

// What a thread knows of the modules that it calls.
struct Calls {
  std::vector<Call> open;  // the outermost first
  // Found at the first call of something within a module, and kept until the tree of any module
  // changes.
  std::unordered_map<const Module*, Paths> paths;
  uint64_t version = 0;
};
thread_local Calls calls;

// The shortest path to each, and of these the first in the order of registration: a module that is
// shared goes by where the one that calls it has it itself.
Paths paths_within(const Module& outer) {
  Paths paths;
  std::vector<std::pair<const Module*, std::string>> reached = {{&outer, ""}};
  for (size_t i = 0; i < reached.size(); ++i) {
    // By value, since the list grows.
    const auto [module, path] = reached[i];
    for (const auto& [name, child] : module->named_children()) {
      std::string child_path = path;
      child_path.append(".").append(name);
      if (!paths.try_emplace(child.get(), child_path).second) continue;
      reached.emplace_back(child.get(), std::move(child_path));
    }
  }
  return paths;
}

const Paths& paths_of(const Module& outer) {
  const uint64_t version = module_tree_version.load(std::memory_order_acquire);
  if (calls.version != version) {
    calls.paths.clear();
    calls.version = version;
  }
  const auto known = calls.paths.find(&outer);
  if (known != calls.paths.end()) return known->second;
  return calls.paths.emplace(&outer, paths_within(outer)).first->second;
}

std::string path_of(const Module& module) {
  for (size_t i = calls.open.size(); i-- > 0;) {
    const Call& call = calls.open[i];
    if (call.module->named_children().empty()) continue;
    const Paths& paths = paths_of(*call.module);
    const auto found = paths.find(&module);
    if (found != paths.end()) return call.path + found->second;
  }
  return module.name();
}

}  // namespace

void ModuleScope::open(const Module& module) {
  // A call from Python opens a scope, and so does the module of C++ that it leads to.
  if (!calls.open.empty() && calls.open.back().module == &module) return;
  calls.open.push_back({&module, path_of(module)});
  scope_.emplace(ScopeKind::module, calls.open.back().path.c_str());
}

void ModuleScope::close() { calls.open.pop_back(); }

}  // namespace taut::nn
