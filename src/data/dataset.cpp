#include "taut/data/dataset.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "taut/autograd/grad_mode.h"
#include "taut/ops/ops.h"

namespace taut::data {
namespace {

void check_index(const char* dataset, int64_t index, int64_t size) {
  TAUT_CHECK(index >= 0 && index < size, IndexError, dataset, ": index ", index,
             " out of range; got ", size, " samples");
}

Indices shuffled(int64_t n, Generator* generator) {
  const Tensor order = randperm(n, {}, generator);
  const int64_t* first = order.data_ptr<int64_t>();
  return Indices(first, first + n);
}

Tensor index_tensor(std::span<const int64_t> indices) {
  return tensor(std::vector<int64_t>(indices.begin(), indices.end()));
}

}  // namespace

Tensors default_collate(std::span<const Tensors> samples) {
  TAUT_CHECK(!samples.empty(), ValueError, "default_collate: there are no samples");
  const size_t width = samples[0].size();
  Tensors batch;
  for (size_t position = 0; position < width; ++position) {
    Tensors column;
    for (const Tensors& sample : samples) {
      TAUT_CHECK(sample.size() == width, ValueError, "default_collate: samples have ", width,
                 " and ", sample.size(), " tensors");
      TAUT_CHECK(sample[position].shape() == samples[0][position].shape(), ShapeError,
                 "default_collate: tensor ", position, " of the samples has shapes ",
                 samples[0][position].shape(), " and ", sample[position].shape());
      column.push_back(sample[position]);
    }
    batch.push_back(stack(column));
  }
  return batch;
}

Dataset::~Dataset() = default;

Tensors Dataset::get_batch(std::span<const int64_t> indices) {
  std::vector<Tensors> samples;
  samples.reserve(indices.size());
  for (int64_t index : indices) samples.push_back(get(index));
  return default_collate(samples);
}

TensorDataset::TensorDataset(Tensors tensors) : tensors_(std::move(tensors)) {
  TAUT_CHECK(!tensors_.empty(), ValueError, "TensorDataset: there are no tensors");
  for (const Tensor& tensor : tensors_) {
    TAUT_CHECK(tensor.dim() > 0 && tensor.size(0) == tensors_[0].size(0), ShapeError,
               "TensorDataset: first sizes differ; got shapes ", tensors_[0].shape(), " and ",
               tensor.shape());
  }
}

int64_t TensorDataset::size() const { return tensors_[0].size(0); }

Tensors TensorDataset::get(int64_t index) {
  check_index("TensorDataset", index, size());
  Tensors sample;
  for (const Tensor& tensor : tensors_) sample.push_back(tensor.select(0, index));
  return sample;
}

Tensors TensorDataset::get_batch(std::span<const int64_t> indices) {
  for (int64_t index : indices) check_index("TensorDataset", index, size());
  const NoGradGuard no_grad;
  const Tensor wanted = index_tensor(indices);
  Tensors batch;
  for (const Tensor& tensor : tensors_) batch.push_back(index_select(tensor, 0, wanted));
  return batch;
}

Subset::Subset(std::shared_ptr<Dataset> dataset, Indices indices)
    : dataset_(std::move(dataset)), indices_(std::move(indices)) {
  for (int64_t index : indices_) check_index("Subset", index, dataset_->size());
}

Tensors Subset::get(int64_t index) {
  check_index("Subset", index, size());
  return dataset_->get(indices_[static_cast<size_t>(index)]);
}

Tensors Subset::get_batch(std::span<const int64_t> indices) {
  Indices mapped;
  for (int64_t index : indices) {
    check_index("Subset", index, size());
    mapped.push_back(indices_[static_cast<size_t>(index)]);
  }
  return dataset_->get_batch(mapped);
}

ConcatDataset::ConcatDataset(std::vector<std::shared_ptr<Dataset>> datasets)
    : datasets_(std::move(datasets)) {
  TAUT_CHECK(!datasets_.empty(), ValueError, "ConcatDataset: there are no datasets");
  int64_t end = 0;
  for (const auto& dataset : datasets_) ends_.push_back(end += dataset->size());
}

Tensors ConcatDataset::get(int64_t index) {
  check_index("ConcatDataset", index, size());
  const auto part = std::upper_bound(ends_.begin(), ends_.end(), index) - ends_.begin();
  const auto at = static_cast<size_t>(part);
  return datasets_[at]->get(at == 0 ? index : index - ends_[at - 1]);
}

std::vector<std::shared_ptr<Subset>> random_split(std::shared_ptr<Dataset> dataset,
                                                  const std::vector<int64_t>& lengths,
                                                  Generator* generator) {
  const int64_t total = std::accumulate(lengths.begin(), lengths.end(), int64_t{0});
  const bool all_counts =
      std::all_of(lengths.begin(), lengths.end(), [](int64_t n) { return n >= 0; });
  TAUT_CHECK(all_counts && total == dataset->size(), ValueError,
             "random_split: the lengths add up to ", total, "; expected ", dataset->size());
  const Indices order = shuffled(total, generator);
  std::vector<std::shared_ptr<Subset>> parts;
  auto first = order.begin();
  for (int64_t length : lengths) {
    parts.push_back(std::make_shared<Subset>(dataset, Indices(first, first + length)));
    first += length;
  }
  return parts;
}

std::vector<std::shared_ptr<Subset>> random_split(std::shared_ptr<Dataset> dataset,
                                                  const std::vector<double>& fractions,
                                                  Generator* generator) {
  const double sum = std::accumulate(fractions.begin(), fractions.end(), 0.0);
  TAUT_CHECK(std::abs(sum - 1.0) < 1e-9, ValueError, "random_split: the fractions add up to ", sum,
             "; expected 1.0");
  std::vector<int64_t> lengths;
  int64_t left = dataset->size();
  for (double fraction : fractions) {
    TAUT_CHECK(fraction >= 0, ValueError, "random_split: a fraction cannot be negative; got ",
               fraction);
    lengths.push_back(
        static_cast<int64_t>(std::floor(static_cast<double>(dataset->size()) * fraction)));
    left -= lengths.back();
  }
  for (size_t i = 0; left > 0; i = (i + 1) % lengths.size(), --left) ++lengths[i];
  return random_split(std::move(dataset), lengths, generator);
}

std::pair<Indices, Indices> stratified_split(const Tensor& labels, double fraction,
                                             Generator* generator) {
  TAUT_CHECK(labels.dim() == 1, ShapeError,
             "stratified_split: expected labels of 1 dim; got shape ", labels.shape());
  TAUT_CHECK(fraction >= 0 && fraction <= 1, ValueError,
             "stratified_split: fraction must be in 0..1; got ", fraction);
  const Tensor classes = contiguous(to(labels, kInt64));
  const int64_t* label = classes.data_ptr<int64_t>();
  std::map<int64_t, Indices> members;
  for (int64_t index : shuffled(labels.numel(), generator)) members[label[index]].push_back(index);
  std::pair<Indices, Indices> parts;
  for (const auto& [name, indices] : members) {
    const auto count = std::llround(fraction * static_cast<double>(indices.size()));
    parts.second.insert(parts.second.end(), indices.begin(), indices.begin() + count);
    parts.first.insert(parts.first.end(), indices.begin() + count, indices.end());
  }
  std::sort(parts.first.begin(), parts.first.end());
  std::sort(parts.second.begin(), parts.second.end());
  return parts;
}

}  // namespace taut::data
