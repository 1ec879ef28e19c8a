#pragma once
// Note [Plans that pay]
// cuDNN compiles attention anew for each shape, which takes 0.1 s or more; our own kernels take any
// shape at once, but are slower. As with renting or buying skis, a shape is rented until the rent
// comes near the price: our own kernels serve it until they have done as much work for it as they
// do in a part of that time, and only then a plan is made. So a hundred lengths that turn up a few
// times each cost nothing, and a network that trains on one length has its plans after a few steps.
// Work is counted and time is not measured, so that a program gives the same bits in every run.

#include <cstddef>
#include <string>
#include <unordered_map>
#include <utility>

#include "kernels/api/attention.h"

namespace taut::kernels::cuda {

/// The floating-point operations of the two products of a forward pass.
inline double attention_work(const AttentionShape& shape) {
  const double scores = static_cast<double>(shape.batch) * static_cast<double>(shape.heads) *
                        static_cast<double>(shape.queries) * static_cast<double>(shape.keys);
  const double work = 2.0 * scores * static_cast<double>(shape.width + shape.value_width);
  return shape.is_causal ? work / 2 : work;
}

/// Plans by the key of what they are for.
template <class Plan>
class PaidPlans {
 public:
  /// 20 ms of a kernel that does 300 TFLOP/s.
  static constexpr double kWorthAPlan = 6e12;
  static constexpr size_t kCapacity = 512;

  /// The plan of `key`, which `make()` makes once `work` has come to kWorthAPlan, or now when it is
  /// wanted `at_once`; null before.
  template <class Make>
  const Plan* find(const std::string& key, double work, bool at_once, const Make& make) {
    const auto found = entries_.find(key);
    Entry& entry = found != entries_.end() ? found->second : add(key);
    if (entry.is_made) return &entry.plan;
    entry.work += work;
    if (!at_once && entry.work < kWorthAPlan) return nullptr;
    entry.plan = make();
    entry.is_made = true;
    return &entry.plan;
  }
  size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    Plan plan = {};
    double work = 0;
    bool is_made = false;
  };

  // Where there is no room, those go first that have no plan yet.
  Entry& add(const std::string& key) {
    if (entries_.size() >= kCapacity) {
      std::erase_if(entries_, [](const auto& item) { return !item.second.is_made; });
    }
    if (entries_.size() >= kCapacity) entries_.clear();
    return entries_[key];
  }

  std::unordered_map<std::string, Entry> entries_;
};

}  // namespace taut::kernels::cuda
