#pragma once
// Samplers: in which order the samples of a dataset come.

#include <memory>
#include <optional>
#include <vector>

#include "taut/data/dataset.h"

namespace taut::data {

class TAUT_API Sampler {
 public:
  Sampler() = default;
  Sampler(const Sampler&) = default;
  Sampler& operator=(const Sampler&) = default;
  virtual ~Sampler();
  /// How many indices an epoch has.
  virtual int64_t size() const = 0;
  /// The indices of one epoch. Random samplers draw anew each time.
  virtual Indices epoch() = 0;
};

/// 0, 1, 2 ...
class TAUT_API SequentialSampler : public Sampler {
 public:
  explicit SequentialSampler(int64_t size) : size_(size) {}
  int64_t size() const override { return size_; }
  Indices epoch() override;

 private:
  int64_t size_;
};

/// All samples in random order; or num_samples of them, with replacement as often as they come.
class TAUT_API RandomSampler : public Sampler {
 public:
  explicit RandomSampler(int64_t dataset_size, bool replacement = false,
                         std::optional<int64_t> num_samples = {},
                         std::shared_ptr<Generator> generator = nullptr);
  int64_t size() const override { return num_samples_; }
  Indices epoch() override;

 private:
  int64_t dataset_size_;
  bool replacement_;
  int64_t num_samples_;
  std::shared_ptr<Generator> generator_;
};

/// Samples drawn with the given weights, which need not add up to 1.
/// @throws ValueError for a negative or not finite weight, or more samples than weights without
/// replacement.
class TAUT_API WeightedRandomSampler : public Sampler {
 public:
  WeightedRandomSampler(std::vector<double> weights, int64_t num_samples, bool replacement = true,
                        std::shared_ptr<Generator> generator = nullptr);
  int64_t size() const override { return num_samples_; }
  Indices epoch() override;

 private:
  std::vector<double> weights_;
  int64_t num_samples_;
  bool replacement_;
  std::shared_ptr<Generator> generator_;
};

/// The samples of some indices in random order.
class TAUT_API SubsetRandomSampler : public Sampler {
 public:
  explicit SubsetRandomSampler(Indices indices, std::shared_ptr<Generator> generator = nullptr);
  int64_t size() const override { return static_cast<int64_t>(indices_.size()); }
  Indices epoch() override;

 private:
  Indices indices_;
  std::shared_ptr<Generator> generator_;
};

/// Cuts the indices of a sampler into batches; the last one may be shorter, or is dropped.
class TAUT_API BatchSampler {
 public:
  BatchSampler(std::shared_ptr<Sampler> sampler, int64_t batch_size, bool drop_last);
  BatchSampler(const BatchSampler&) = delete;
  BatchSampler& operator=(const BatchSampler&) = delete;
  virtual ~BatchSampler();
  /// How many batches an epoch has.
  virtual int64_t size() const;
  virtual std::vector<Indices> epoch();

 protected:
  /// For those that make batches in another way.
  BatchSampler() = default;

 private:
  std::shared_ptr<Sampler> sampler_;
  int64_t batch_size_ = 1;
  bool drop_last_ = false;
};

}  // namespace taut::data
