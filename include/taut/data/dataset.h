#pragma once
// Datasets: samples by index. A sample is a list of tensors, such as {picture, label}.
//   data::TensorDataset set({pictures, labels});
//   auto parts = data::random_split(std::make_shared<data::TensorDataset>(set), {0.8, 0.2});

#include <memory>
#include <span>
#include <vector>

#include "taut/core/generator.h"
#include "taut/core/tensor.h"

namespace taut::data {

using Indices = std::vector<int64_t>;

/// Several samples as one batch: the tensors at each position stacked along a new first dim.
/// @throws ShapeError that names the position when samples differ in shape, ValueError when they
/// differ in length.
TAUT_API Tensors default_collate(std::span<const Tensors> samples);

/// get() is called from many threads at once.
class TAUT_API Dataset {
 public:
  Dataset() = default;
  Dataset(const Dataset&) = default;
  Dataset& operator=(const Dataset&) = default;
  virtual ~Dataset();

  virtual int64_t size() const = 0;
  virtual Tensors get(int64_t index) = 0;
  /// A whole batch at once, for datasets that can do that faster than sample by sample. Whether
  /// they can is told by has_get_batch().
  virtual Tensors get_batch(std::span<const int64_t> indices);
  virtual bool has_get_batch() const { return false; }
};

/// Rows of tensors whose first sizes are equal.
class TAUT_API TensorDataset : public Dataset {
 public:
  /// @throws ShapeError when first sizes differ, ValueError for no tensors.
  explicit TensorDataset(Tensors tensors);
  int64_t size() const override;
  Tensors get(int64_t index) override;
  Tensors get_batch(std::span<const int64_t> indices) override;
  bool has_get_batch() const override { return true; }
  const Tensors& tensors() const { return tensors_; }

 private:
  Tensors tensors_;
};

/// Some samples of another dataset, in an order of one's own.
class TAUT_API Subset : public Dataset {
 public:
  Subset(std::shared_ptr<Dataset> dataset, Indices indices);
  int64_t size() const override { return static_cast<int64_t>(indices_.size()); }
  Tensors get(int64_t index) override;
  Tensors get_batch(std::span<const int64_t> indices) override;
  bool has_get_batch() const override { return dataset_->has_get_batch(); }
  const std::shared_ptr<Dataset>& dataset() const { return dataset_; }
  const Indices& indices() const { return indices_; }

 private:
  std::shared_ptr<Dataset> dataset_;
  Indices indices_;
};

/// One dataset after the other.
class TAUT_API ConcatDataset : public Dataset {
 public:
  explicit ConcatDataset(std::vector<std::shared_ptr<Dataset>> datasets);
  int64_t size() const override { return ends_.back(); }
  Tensors get(int64_t index) override;

 private:
  std::vector<std::shared_ptr<Dataset>> datasets_;
  std::vector<int64_t> ends_;
};

/// Parts of the given lengths, chosen at random. @throws ValueError unless the lengths add up to
/// the size of the dataset.
TAUT_API std::vector<std::shared_ptr<Subset>> random_split(std::shared_ptr<Dataset> dataset,
                                                           const std::vector<int64_t>& lengths,
                                                           Generator* generator = nullptr);
/// The same by shares that add up to 1; what rounding leaves over goes to the first parts in turn.
TAUT_API std::vector<std::shared_ptr<Subset>> random_split(std::shared_ptr<Dataset> dataset,
                                                           const std::vector<double>& fractions,
                                                           Generator* generator = nullptr);
/// Two parts of the positions 0 .. n-1, of which the second holds the share `fraction` of every
/// class of `labels` (n, integers), rounded and chosen at random; both in ascending order.
TAUT_API std::pair<Indices, Indices> stratified_split(const Tensor& labels, double fraction,
                                                      Generator* generator = nullptr);

}  // namespace taut::data
