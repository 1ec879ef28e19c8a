#include "taut/data/sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "taut/ops/ops.h"

namespace taut::data {
namespace {

Indices numbers_of(const Tensor& indices) {
  const int64_t* first = indices.data_ptr<int64_t>();
  return Indices(first, first + indices.numel());
}

}  // namespace

Sampler::~Sampler() = default;

Indices SequentialSampler::epoch() {
  Indices indices(static_cast<size_t>(size_));
  std::iota(indices.begin(), indices.end(), int64_t{0});
  return indices;
}

RandomSampler::RandomSampler(int64_t dataset_size, bool replacement,
                             std::optional<int64_t> num_samples,
                             std::shared_ptr<Generator> generator)
    : dataset_size_(dataset_size),
      replacement_(replacement),
      num_samples_(num_samples.value_or(dataset_size)),
      generator_(std::move(generator)) {
  TAUT_CHECK(num_samples_ >= 0 && (dataset_size > 0 || num_samples_ == 0), ValueError,
             "RandomSampler: cannot draw ", num_samples_, " of ", dataset_size, " samples");
}

Indices RandomSampler::epoch() {
  if (replacement_ && num_samples_ > 0) {
    return numbers_of(randint(0, dataset_size_, {num_samples_}, {}, generator_.get()));
  }
  Indices indices;
  while (static_cast<int64_t>(indices.size()) < num_samples_) {
    for (int64_t index : numbers_of(randperm(dataset_size_, {}, generator_.get()))) {
      if (static_cast<int64_t>(indices.size()) < num_samples_) indices.push_back(index);
    }
  }
  return indices;
}

WeightedRandomSampler::WeightedRandomSampler(std::vector<double> weights, int64_t num_samples,
                                             bool replacement, std::shared_ptr<Generator> generator)
    : weights_(std::move(weights)),
      num_samples_(num_samples),
      replacement_(replacement),
      generator_(std::move(generator)) {
  double sum = 0;
  int64_t positive = 0;
  for (double weight : weights_) {
    TAUT_CHECK(weight >= 0 && std::isfinite(weight), ValueError,
               "WeightedRandomSampler: weights must be finite and not negative; got ", weight);
    sum += weight;
    positive += weight > 0 ? 1 : 0;
  }
  TAUT_CHECK(sum > 0 && std::isfinite(sum), ValueError,
             "WeightedRandomSampler: the weights add up to ", sum);
  TAUT_CHECK(num_samples >= 1, ValueError,
             "WeightedRandomSampler: num_samples must be at least 1; "
             "got ",
             num_samples);
  TAUT_CHECK(replacement || num_samples <= positive, ValueError,
             "WeightedRandomSampler: cannot draw ", num_samples, " of ", positive,
             " samples without replacement");
}

Indices WeightedRandomSampler::epoch() {
  Indices indices;
  if (replacement_) {
    // The inverse of the distribution function.
    std::vector<double> ends(weights_.size());
    std::partial_sum(weights_.begin(), weights_.end(), ends.begin());
    const Tensor draws = rand({num_samples_}, kFloat64, generator_.get());
    for (int64_t i = 0; i < num_samples_; ++i) {
      const double height = draws.data_ptr<double>()[i] * ends.back();
      const auto at = std::upper_bound(ends.begin(), ends.end(), height) - ends.begin();
      indices.push_back(std::min<int64_t>(at, static_cast<int64_t>(ends.size()) - 1));
    }
    return indices;
  }
  // Exponential races: the smallest of E / weight come first. Efraimidis and Spirakis, 2006.
  const auto count = static_cast<int64_t>(weights_.size());
  const Tensor draws = exponential_(empty({count}, kFloat64), 1.0, generator_.get());
  std::vector<std::pair<double, int64_t>> arrivals;
  for (int64_t i = 0; i < count; ++i) {
    const double weight = weights_[static_cast<size_t>(i)];
    if (weight > 0) arrivals.emplace_back(draws.data_ptr<double>()[i] / weight, i);
  }
  std::sort(arrivals.begin(), arrivals.end());
  for (int64_t i = 0; i < num_samples_; ++i) {
    indices.push_back(arrivals[static_cast<size_t>(i)].second);
  }
  return indices;
}

SubsetRandomSampler::SubsetRandomSampler(Indices indices, std::shared_ptr<Generator> generator)
    : indices_(std::move(indices)), generator_(std::move(generator)) {}

Indices SubsetRandomSampler::epoch() {
  Indices chosen;
  for (int64_t i : numbers_of(randperm(size(), {}, generator_.get()))) {
    chosen.push_back(indices_[static_cast<size_t>(i)]);
  }
  return chosen;
}

BatchSampler::BatchSampler(std::shared_ptr<Sampler> sampler, int64_t batch_size, bool drop_last)
    : sampler_(std::move(sampler)), batch_size_(batch_size), drop_last_(drop_last) {
  TAUT_CHECK(batch_size >= 1, ValueError, "BatchSampler: batch_size must be at least 1; got ",
             batch_size);
}

BatchSampler::~BatchSampler() = default;

int64_t BatchSampler::size() const {
  const int64_t samples = sampler_->size();
  return drop_last_ ? samples / batch_size_ : (samples + batch_size_ - 1) / batch_size_;
}

std::vector<Indices> BatchSampler::epoch() {
  const Indices indices = sampler_->epoch();
  const auto width = static_cast<size_t>(batch_size_);
  std::vector<Indices> batches;
  for (size_t first = 0; first < indices.size(); first += width) {
    const size_t last = std::min(first + width, indices.size());
    if (drop_last_ && last - first < width) break;
    batches.emplace_back(indices.begin() + static_cast<std::ptrdiff_t>(first),
                         indices.begin() + static_cast<std::ptrdiff_t>(last));
  }
  return batches;
}

}  // namespace taut::data
