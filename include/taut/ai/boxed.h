#pragma once
// Boxed<T>: a T that lives elsewhere once it is set, so that what holds it stays small where it
// mostly is not.
//   Boxed<Usage> usage;
//   usage->total;            // a Usage as it is by default
//   usage = Usage{.total = 7};
//   usage.edit().total = 8;

#include <memory>
#include <utility>

namespace taut::ai {

/// Copies as T does: each has its own.
template <class T>
class Boxed {
 public:
  Boxed() = default;
  Boxed(T value) : value_(std::make_unique<T>(std::move(value))) {}
  Boxed(const Boxed& other) : value_(other.value_ ? std::make_unique<T>(*other.value_) : nullptr) {}
  Boxed(Boxed&&) noexcept = default;
  Boxed& operator=(const Boxed& other) {
    if (this != &other) *this = Boxed(other);
    return *this;
  }
  Boxed& operator=(Boxed&&) noexcept = default;
  ~Boxed() = default;

  const T& operator*() const {
    static const T usual;
    return value_ ? *value_ : usual;
  }
  const T* operator->() const { return &**this; }
  T& edit() {
    if (!value_) value_ = std::make_unique<T>();
    return *value_;
  }

 private:
  std::unique_ptr<T> value_;  // null: a T as it is by default
};

}  // namespace taut::ai
