#pragma once
// What the training loops of the examples share: moving batches, learning rates, bars, losses.

#include <taut/taut.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <numbers>
#include <string>
#include <vector>

// A tensor on the device; the host need not wait until it is there.
inline taut::Tensor moved(const taut::Tensor& tensor, taut::Device device) {
  return device.is_cpu() ? tensor : taut::pin_memory(tensor).to(device, /*non_blocking=*/true);
}

// Up in a line, then down along half a cosine to `last` of the highest rate.
inline double learning_rate(int64_t step, int64_t warmup, int64_t steps, double highest,
                            double last) {
  if (step < warmup) return highest * static_cast<double>(step + 1) / static_cast<double>(warmup);
  const double share = static_cast<double>(step - warmup) /
                       static_cast<double>(std::max<int64_t>(1, steps - warmup));
  return highest * ((1 + last) / 2 + (1 - last) / 2 * std::cos(std::numbers::pi * share));
}

inline void set_learning_rate(taut::optim::Optimizer& optimizer, double rate) {
  for (auto& group : optimizer.param_groups()) group.options.set("lr", rate);
}

inline int64_t count_weights(const taut::nn::Module& model) {
  int64_t count = 0;
  for (const taut::Tensor& parameter : model.parameters()) count += parameter.numel();
  return count;
}

// How much of something is done, for a line of progress.
inline std::string bar(int64_t done, int64_t all) {
  constexpr int64_t kWidth = 24;
  std::string text(static_cast<size_t>(kWidth * done / all), '#');
  text.resize(kWidth, '.');
  return text;
}

class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// Whether losses can be written there, before the work is done. No path: none are wanted.
inline void check_losses_file(const std::string& path) {
  if (path.empty() || std::ofstream(path, std::ios::app)) return;
  throw taut::IoError("cannot write the losses into " + path);
}

// The losses of a run. They are read now and then, since to read one waits for the device.
class Losses {
 public:
  void add(const taut::Tensor& loss) { unread_.push_back(loss.detach()); }
  size_t unread() const { return unread_.size(); }
  void read() {
    for (const taut::Tensor& loss : unread_) values_.push_back(loss.item<double>());
    unread_.clear();
  }
  const std::vector<double>& values() const { return values_; }

  // What was read, one in a line.
  void write(const std::string& path) const {
    std::ofstream file(path);
    file.precision(17);
    for (const double loss : values_) file << loss << '\n';
    file.close();
    if (!file) throw taut::IoError("cannot write the losses into " + path);
  }

 private:
  taut::Tensors unread_;
  std::vector<double> values_;
};
