#include "taut/nn/module_scope.h"

#include <string>
#include <string_view>
#include <vector>

#include "taut/nn/module.h"

namespace taut::nn {
namespace {

struct Call {
  const Module* module;
  std::string path;
};
// The modules that this thread is calling, the outermost first.
thread_local std::vector<Call> calls;

// Appends how `wanted` is reached from `outer`; whether it is inside.
bool find_path(const Module& outer, const Module& wanted, std::string& path) {
  const size_t length = path.size();
  for (const auto& [name, child] : outer.named_children()) {
    if (child == nullptr) continue;
    path.append(".").append(name);
    if (child.get() == &wanted || find_path(*child, wanted, path)) return true;
    path.resize(length);
  }
  return false;
}

std::string path_of(const Module& module) {
  for (size_t i = calls.size(); i-- > 0;) {
    std::string path = calls[i].path;
    if (find_path(*calls[i].module, module, path)) return path;
  }
  return module.name();
}

}  // namespace

void ModuleScope::open(const Module& module) {
  // A call from Python opens a scope, and so does the module of C++ that it leads to.
  if (!calls.empty() && calls.back().module == &module) return;
  calls.push_back({&module, path_of(module)});
  scope_.emplace(ScopeKind::module, calls.back().path.c_str());
}

void ModuleScope::close() { calls.pop_back(); }

}  // namespace taut::nn
