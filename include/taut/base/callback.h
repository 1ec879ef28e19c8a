#pragma once
// Callback<R(Args...)>: an owned callable of any type behind one virtual call, for hooks and user
// functions. Like std::function, shared on copy, without the cost of its header.

#include <type_traits>
#include <utility>

#include "taut/base/ref.h"

namespace taut {

template <class Signature>
class Callback;

template <class R, class... Args>
class Callback<R(Args...)> {
  struct Holder : RefCounted {
    virtual R call(Args... args) = 0;
    virtual void destroy() noexcept = 0;

   protected:
    ~Holder() = default;
  };
  template <class F>
  struct Typed final : Holder {
    explicit Typed(F callable) : function(std::move(callable)) {}
    R call(Args... args) override { return function(std::forward<Args>(args)...); }
    void destroy() noexcept override { delete this; }
    F function;
  };

 public:
  Callback() = default;
  Callback(std::nullptr_t) {}
  template <class F>
    requires(!std::is_same_v<std::remove_cvref_t<F>, Callback> &&
             std::is_invocable_r_v<R, std::decay_t<F>&, Args...>)
  Callback(F&& function)
      : holder_(Ref<Holder>::adopt(new Typed<std::decay_t<F>>(std::forward<F>(function)))) {}

  explicit operator bool() const { return static_cast<bool>(holder_); }
  R operator()(Args... args) const { return holder_->call(std::forward<Args>(args)...); }

 private:
  Ref<Holder> holder_;
};

}  // namespace taut
