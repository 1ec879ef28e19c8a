#include "taut/nn/module.h"

#include <cxxabi.h>

#include <algorithm>
#include <cstdlib>
#include <typeinfo>
#include <unordered_set>

#include "src/nn/module_parts.h"
#include "src/nn/module_tree.h"
#include "taut/autograd/grad_mode.h"
#include "taut/autograd/set_data.h"
#include "taut/nn/module_scope.h"
#include "taut/ops/ops.h"

namespace taut::nn {

constinit std::atomic<uint64_t> module_tree_version{0};

namespace {

void note_changed_tree() { module_tree_version.fetch_add(1, std::memory_order_acq_rel); }

bool is_inside(const Module& outer, const Module* wanted) {
  if (&outer == wanted) return true;
  return std::any_of(outer.named_children().begin(), outer.named_children().end(),
                     [wanted](const auto& child) { return is_inside(*child.second, wanted); });
}

std::string joined(const std::string& prefix, const std::string& name) {
  return prefix.empty() ? name : prefix + "." + name;
}

// Lists modules by name, what is shared once or under each of its names.
class NamedWalk {
 public:
  explicit NamedWalk(bool remove_duplicate) : remove_duplicate_(remove_duplicate) {}

  NamedModules visited;

  void visit(const std::string& name, const std::shared_ptr<Module>& module) {
    if (remove_duplicate_ && !seen_.insert(module.get()).second) return;
    visited.emplace_back(name, module);
    for (const auto& [child_name, child] : module->named_children()) {
      visit(joined(name, child_name), child);
    }
  }

 private:
  bool remove_duplicate_;
  std::unordered_set<const Module*> seen_;
};

Tensors values_of(NamedTensors named) {
  Tensors result;
  result.reserve(named.size());
  for (auto& [name, tensor] : named) result.push_back(std::move(tensor));
  return result;
}

// "a.b.c" as the path "a.b" and the name "c".
std::pair<std::string_view, std::string_view> split_last(std::string_view dotted) {
  const size_t dot = dotted.rfind('.');
  if (dot == std::string_view::npos) return {{}, dotted};
  return {dotted.substr(0, dot), dotted.substr(dot + 1)};
}

}  // namespace

Module::Module() = default;
Module::Module(Module&& other) noexcept
    : std::enable_shared_from_this<Module>(),
      parameters_(std::move(other.parameters_)),
      buffers_(std::move(other.buffers_)),
      children_(std::move(other.children_)),
      child_fields_(std::move(other.child_fields_)),
      hooks_(std::move(other.hooks_)),
      training_(other.training_) {
  if (!children_.empty()) note_changed_tree();
}
Module::~Module() {
  if (!children_.empty()) note_changed_tree();
}

// Parts ------------------------------------------------------------------------------------------

Tensor& Module::tensor_of(Part& part) {
  if (part.field_offset == 0) return part.value;
  return *reinterpret_cast<Tensor*>(reinterpret_cast<char*>(this) + part.field_offset);
}

const Tensor& Module::tensor_of(const Part& part) const {
  return const_cast<Module*>(this)->tensor_of(const_cast<Part&>(part));
}

void Module::check_name(const char* kind, const void* own_list, const std::string& part) const {
  TAUT_CHECK(!part.empty(), ValueError, name(), ": a ", kind, " needs a name");
  TAUT_CHECK(part.find('.') == std::string::npos, ValueError, name(), ": the name of a ", kind,
             " cannot hold a dot; got \"", part, "\"");
  const bool taken = (own_list != &parameters_ && find_parameter(part) != nullptr) ||
                     (own_list != &buffers_ && find_buffer(part) != nullptr) ||
                     (own_list != &children_ && find_child(part) != nullptr);
  TAUT_CHECK(!taken, ValueError, name(), ": \"", part, "\" is already the name of another part");
}

Module::Part& Module::place_part(std::vector<Part>& parts, const char* kind, std::string part,
                                 Tensor* field) {
  check_name(kind, &parts, part);
  auto place = std::find_if(parts.begin(), parts.end(),
                            [&](const Part& other) { return other.name == part; });
  if (place == parts.end()) {
    parts.emplace_back();
    place = parts.end() - 1;
    place->name = std::move(part);
  }
  if (field != nullptr) place->field_offset = offset_of(field);
  return *place;
}

Tensor Module::register_parameter(std::string part, Tensor tensor, bool requires_grad) {
  TAUT_CHECK(!tensor.defined() || tensor.is_leaf(), ValueError, name(), ": parameter \"", part,
             "\" must be a leaf; got the result of ", tensor.grad_fn_name(), "; detach it first");
  if (tensor.defined() && tensor.requires_grad() != requires_grad) {
    tensor.requires_grad_(requires_grad);
  }
  tensor_of(place_part(parameters_, "parameter", std::move(part), nullptr)) = tensor;
  return tensor;
}

void Module::register_parameter(std::string part, Tensor& field, Tensor tensor,
                                bool requires_grad) {
  place_part(parameters_, "parameter", part, &field);
  register_parameter(std::move(part), std::move(tensor), requires_grad);
}

Tensor Module::register_buffer(std::string part, Tensor tensor, bool persistent) {
  Part& place = place_part(buffers_, "buffer", std::move(part), nullptr);
  place.is_persistent = persistent;
  tensor_of(place) = tensor;
  return tensor;
}

void Module::register_buffer(std::string part, Tensor& field, Tensor tensor, bool persistent) {
  place_part(buffers_, "buffer", part, &field);
  register_buffer(std::move(part), std::move(tensor), persistent);
}

void Module::add_module(std::string part, std::shared_ptr<Module> module) {
  check_name("module", &children_, part);
  TAUT_CHECK(module == nullptr || !is_inside(*module, this), ValueError, name(), ": module \"",
             part, "\" holds this module; a module cannot be inside itself");
  TAUT_CHECK(module != nullptr, ValueError, name(), ": module \"", part, "\" is null");
  note_changed_tree();
  assign_field(part, module);
  for (auto& [child_name, child] : children_) {
    if (child_name == part) {
      child = std::move(module);
      return;
    }
  }
  children_.emplace_back(std::move(part), std::move(module));
}

void Module::assign_field(std::string_view part, const std::shared_ptr<Module>& child) {
  for (const ChildField& field : child_fields_) {
    if (field.name == part) field.assign(reinterpret_cast<char*>(this) + field.offset, child);
  }
}

bool Module::unregister(std::string_view part) {
  for (auto* parts : {&parameters_, &buffers_}) {
    for (auto place = parts->begin(); place != parts->end(); ++place) {
      if (place->name != part) continue;
      tensor_of(*place) = Tensor();
      parts->erase(place);
      return true;
    }
  }
  if (std::erase_if(children_, [&](const auto& child) { return child.first == part; }) == 0) {
    return false;
  }
  note_changed_tree();
  assign_field(part, nullptr);
  return true;
}

const Tensor* Module::find_part(const std::vector<Part>& parts, std::string_view part) const {
  for (const Part& candidate : parts) {
    if (candidate.name == part) return &tensor_of(candidate);
  }
  return nullptr;
}

const Tensor* Module::find_parameter(std::string_view part) const {
  return find_part(parameters_, part);
}

const Tensor* Module::find_buffer(std::string_view part) const { return find_part(buffers_, part); }

std::shared_ptr<Module> Module::find_child(std::string_view part) const {
  for (const auto& [child_name, child] : children_) {
    if (child_name == part) return child;
  }
  return nullptr;
}

NamedModules Module::named_modules(const std::string& prefix, bool remove_duplicate) const {
  auto* self = const_cast<Module*>(this);
  std::shared_ptr<Module> owner = self->weak_from_this().lock();
  // Not owned by a shared_ptr: a pointer that owns nothing.
  if (!owner) owner = std::shared_ptr<Module>(std::shared_ptr<void>(), self);
  NamedWalk walk(remove_duplicate);
  walk.visit(prefix, owner);
  return std::move(walk.visited);
}

std::vector<std::shared_ptr<Module>> Module::modules() const {
  std::vector<std::shared_ptr<Module>> result;
  for (auto& [module_name, module] : named_modules()) result.push_back(std::move(module));
  return result;
}

std::vector<std::shared_ptr<Module>> Module::children() const {
  std::vector<std::shared_ptr<Module>> result;
  for (const auto& [child_name, child] : children_) {
    if (std::find(result.begin(), result.end(), child) == result.end()) result.push_back(child);
  }
  return result;
}

NamedTensors Module::named_parts(std::vector<Part> Module::*parts, const std::string& prefix,
                                 bool recurse, bool remove_duplicate) const {
  NamedTensors result;
  std::unordered_set<const TensorImpl*> seen;
  const auto add = [&](const std::string& path, const Module& module) {
    for (const Part& part : module.*parts) {
      const Tensor& tensor = module.tensor_of(part);
      if (!tensor.defined()) continue;
      if (remove_duplicate && !seen.insert(tensor.impl()).second) continue;
      result.emplace_back(joined(path, part.name), tensor);
    }
  };
  if (!recurse) {
    add(prefix, *this);
    return result;
  }
  for (const auto& [path, module] : named_modules(prefix, remove_duplicate)) add(path, *module);
  return result;
}

NamedTensors Module::named_parameters(const std::string& prefix, bool recurse,
                                      bool remove_duplicate) const {
  return named_parts(&Module::parameters_, prefix, recurse, remove_duplicate);
}

NamedTensors Module::named_buffers(const std::string& prefix, bool recurse,
                                   bool remove_duplicate) const {
  return named_parts(&Module::buffers_, prefix, recurse, remove_duplicate);
}

Tensors Module::parameters(bool recurse) const { return values_of(named_parameters("", recurse)); }
Tensors Module::buffers(bool recurse) const { return values_of(named_buffers("", recurse)); }

std::shared_ptr<Module> Module::get_submodule(std::string_view path) const {
  std::shared_ptr<Module> found = named_modules().front().second;
  for (std::string_view rest = path; !rest.empty();) {
    const size_t dot = std::min(rest.find('.'), rest.size());
    found = found->find_child(rest.substr(0, dot));
    TAUT_CHECK(found != nullptr, ValueError, name(), ": there is no module \"", path, "\"");
    rest.remove_prefix(std::min(dot + 1, rest.size()));
  }
  return found;
}

Tensor Module::get_parameter(std::string_view path) const {
  const auto [where, part] = split_last(path);
  const Tensor* found = get_submodule(where)->find_parameter(part);
  TAUT_CHECK(found != nullptr, ValueError, name(), ": there is no parameter \"", path, "\"");
  return *found;
}

Tensor Module::get_buffer(std::string_view path) const {
  const auto [where, part] = split_last(path);
  const Tensor* found = get_submodule(where)->find_buffer(part);
  TAUT_CHECK(found != nullptr, ValueError, name(), ": there is no buffer \"", path, "\"");
  return *found;
}

// State ------------------------------------------------------------------------------------------

void Module::train(bool mode) {
  training_ = mode;
  for (const auto& [child_name, child] : children_) child->train(mode);
}

void Module::zero_grad(bool set_to_none) {
  for (const Tensor& parameter : parameters()) {
    const Tensor grad = parameter.grad();
    if (!grad.defined()) continue;
    if (set_to_none) {
      parameter.set_grad(Tensor());
    } else {
      grad.detach().zero_();
    }
  }
}

void Module::requires_grad_(bool requires_grad) {
  for (const Tensor& parameter : parameters()) parameter.requires_grad_(requires_grad);
}

void Module::apply(const Callback<void(Module&)>& fn) {
  for (const std::shared_ptr<Module>& child : children()) child->apply(fn);
  fn(*this);
}

void Module::to(DType dtype) { to(TensorOptions(dtype)); }
void Module::to(Device device) { to(TensorOptions(device)); }

namespace {

// Gives a module's tensors what `make` makes of them, and of their gradients; they stay the same
// tensors.
template <class Make>
void replace_all(const Module& module, const Make& make) {
  const NoGradGuard no_grad;
  const auto replace = [&](const Tensor& tensor) {
    const Tensor made = make(tensor, tensor.detach());
    if (made.storage() == tensor.storage()) return;
    const Tensor grad = tensor.grad();
    autograd::set_data(tensor, made, grad.defined() ? make(tensor, grad) : grad);
  };
  for (const Tensor& parameter : module.parameters()) replace(parameter);
  for (const Tensor& buffer : module.buffers()) replace(buffer);
}

}  // namespace

void Module::to(const TensorOptions& options) {
  const std::optional<DType> dtype = options.dtype_opt();
  TAUT_CHECK(!dtype || is_floating_point(*dtype), DTypeError, name(),
             ": a module can only move to a floating dtype; got ", *dtype);
  replace_all(*this, [&](const Tensor& tensor, const Tensor& value) {
    TensorOptions wanted = TensorOptions().device(options.device_opt());
    if (tensor.is_floating_point()) wanted = wanted.dtype(dtype);
    return taut::to(value, wanted);
  });
}

void Module::to(MemoryFormat format) {
  replace_all(*this, [&](const Tensor& tensor, const Tensor& value) {
    const bool is_image = tensor.dim() == 4 || tensor.dim() == 5;
    return is_image && format != MemoryFormat::preserve ? contiguous(value, format) : value;
  });
}

// The computation --------------------------------------------------------------------------------

struct Module::Hooks {
  template <class Hook>
  using List = std::vector<std::pair<uint64_t, Hook>>;
  List<ForwardPreHook> before;
  List<ForwardHook> after;
  ForwardWrapper around;
  uint64_t next_id = 0;

  // A handle finds its hook by number, and outlives the module without harm.
  template <class Hook>
  static HookHandle add(const std::shared_ptr<Hooks>& hooks, List<Hook> Hooks::*list, Hook hook) {
    const uint64_t id = hooks->next_id++;
    ((*hooks).*list).emplace_back(id, std::move(hook));
    return HookHandle([weak = std::weak_ptr<Hooks>(hooks), list, id]() {
      const std::shared_ptr<Hooks> alive = weak.lock();
      if (!alive) return;
      std::erase_if((*alive).*list, [id](const auto& entry) { return entry.first == id; });
    });
  }
};

Module::Hooks& Module::ensure_hooks() {
  if (!hooks_) hooks_ = std::make_shared<Hooks>();
  return *hooks_;
}

HookHandle Module::register_forward_pre_hook(ForwardPreHook hook) {
  ensure_hooks();
  return Hooks::add(hooks_, &Hooks::before, std::move(hook));
}

HookHandle Module::register_forward_hook(ForwardHook hook) {
  ensure_hooks();
  return Hooks::add(hooks_, &Hooks::after, std::move(hook));
}

void Module::wrap_forward(ForwardWrapper wrapper) { ensure_hooks().around = std::move(wrapper); }

Tensor Module::forward(const Tensor&) {
  TAUT_CHECK(false, NotImplementedError, name(), ": forward of one tensor is not defined");
  return {};
}

Tensors Module::forward_many(TensorList inputs) {
  TAUT_CHECK(inputs.size() == 1, NotImplementedError, name(), ": forward of ", inputs.size(),
             " tensors is not defined");
  return {forward(inputs[0])};
}

Tensors Module::forward_named(TensorList inputs, const NamedArguments& named) {
  for (const NamedArgument& argument : named) {
    TAUT_CHECK(!argument.tensor.defined() && !argument.flag.value_or(false), ValueError, name(),
               ": forward takes no argument \"", argument.name, "\"");
  }
  return forward_many(inputs);
}

Tensor Module::operator()(const Tensor& input) {
  const ModuleScope scope(*this);
  if (TAUT_LIKELY(!hooks_)) return forward(input);
  return std::move(call({&input, 1}).front());
}

Tensors Module::call(TensorList inputs) { return run(inputs, {}); }
Tensors Module::call(TensorList inputs, const NamedArguments& named) { return run(inputs, named); }

Tensors Module::run(TensorList inputs, const NamedArguments& named) {
  const ModuleScope scope(*this);
  const auto proceed = [&](TensorList values) {
    return named.empty() ? forward_many(values) : forward_named(values, named);
  };
  if (TAUT_LIKELY(!hooks_)) return proceed(inputs);
  Tensors replaced;
  // Over copies of the lists: a hook may take itself away.
  const auto before = hooks_->before;
  for (const auto& [id, hook] : before) {
    if (std::optional<Tensors> result = hook(*this, inputs)) {
      replaced = std::move(*result);
      inputs = replaced;
    }
  }
  const ForwardWrapper around = hooks_->around;
  Tensors outputs = around ? around(*this, inputs, proceed) : proceed(inputs);
  const auto after = hooks_->after;
  for (const auto& [id, hook] : after) {
    if (std::optional<Tensors> result = hook(*this, inputs, outputs)) outputs = std::move(*result);
  }
  return outputs;
}

// What it looks like -----------------------------------------------------------------------------

std::string Module::name() const {
  int status = 0;
  char* demangled = abi::__cxa_demangle(typeid(*this).name(), nullptr, nullptr, &status);
  std::string result = status == 0 ? demangled : typeid(*this).name();
  std::free(demangled);
  // The arguments of a class template may hold colons of their own.
  const size_t arguments = result.find('<');
  const size_t colons = result.rfind("::", arguments);
  return colons == std::string::npos ? result : result.substr(colons + 2);
}

std::string Module::extra_repr() const { return {}; }

std::string Module::str() const {
  const std::string extra = extra_repr();
  if (children_.empty()) return concat(name(), "(", extra, ")");
  std::string result = name() + "(\n";
  if (!extra.empty()) result += "  " + extra + "\n";
  for (const auto& [child_name, child] : children_) {
    result += "  (" + child_name + "): ";
    for (char c : child->str()) {
      result.push_back(c);
      if (c == '\n') result += "  ";
    }
    result += "\n";
  }
  return result + ")";
}

}  // namespace taut::nn
