#pragma once
// A coroutine that runs at once and lets go of itself at its end.

#include <coroutine>
#include <exception>

namespace taut::ai::test {

struct Task {
  struct promise_type {
    Task get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
};

}  // namespace taut::ai::test
