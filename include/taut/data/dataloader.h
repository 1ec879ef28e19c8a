#pragma once
// DataLoader: the batches of a dataset, prepared by worker threads ahead of time.
//   data::DataLoader loader(set, {.batch_size = 64, .shuffle = true, .num_workers = 2});
//   for (const Tensors& batch : loader) { ... }
// The batches, their order and all random numbers are the same whatever the number of workers.

#include <cstddef>
#include <memory>
#include <optional>

#include "taut/base/callback.h"
#include "taut/data/dataset.h"
#include "taut/data/sampler.h"

namespace taut::data {

using Collate = Callback<Tensors(std::span<const Tensors> samples)>;

struct DataLoaderOptions {
  int64_t batch_size = 1;
  bool shuffle = false;
  std::shared_ptr<Sampler> sampler = nullptr;  // instead of shuffle
  // Instead of batch_size, shuffle, sampler and drop_last.
  std::shared_ptr<BatchSampler> batch_sampler = nullptr;
  int num_workers = 0;      // 0: batches are made when they are asked for
  Collate collate_fn = {};  // default_collate unless given
  bool pin_memory = false;  // taken as in PyTorch, without effect
  bool drop_last = false;
  int64_t prefetch_factor = 2;                     // batches ahead, for each worker
  std::shared_ptr<Generator> generator = nullptr;  // of shuffling; the default one unless given
  double timeout = 0.0;  // seconds to wait for a batch of a worker; 0: as long as it takes
};

/// Where a loader stands, for a checkpoint: load it into an equal loader and the next batch is the
/// next batch.
struct DataLoaderState {
  int64_t epoch = 0;              // epochs that were begun before this one
  int64_t cursor = 0;             // batches of this epoch that were handed out
  GeneratorState generator = {};  // as it was when this epoch began
};

/// Random numbers for a dataset that augments its samples: while a batch is made it is the
/// generator of that batch, seeded by epoch and batch; elsewhere the default generator.
TAUT_API Generator& batch_generator();
/// The generator of the batch that is being made on this thread, for those who keep it longer than
/// that; null elsewhere.
TAUT_API std::shared_ptr<Generator> shared_batch_generator();

class TAUT_API DataLoader {
 public:
  /// @throws ValueError for options that do not go together.
  explicit DataLoader(std::shared_ptr<Dataset> dataset, const DataLoaderOptions& options = {});
  DataLoader(const DataLoader&) = delete;
  DataLoader& operator=(const DataLoader&) = delete;
  ~DataLoader();

  /// Batches in an epoch.
  int64_t size() const;
  const std::shared_ptr<Dataset>& dataset() const { return dataset_; }
  const DataLoaderOptions& options() const { return options_; }

  class End {};
  /// Goes through one epoch, once. It holds what it needs, so that it may outlive the loader.
  class TAUT_API Iterator {
   public:
    using value_type = Tensors;
    using difference_type = std::ptrdiff_t;
    const Tensors& operator*() const { return batch_; }
    const Tensors* operator->() const { return &batch_; }
    Iterator& operator++();
    void operator++(int) { ++*this; }
    friend bool operator==(const Iterator& iterator, End) { return iterator.is_done_; }

   private:
    friend class DataLoader;
    struct Epoch;
    explicit Iterator(std::shared_ptr<Epoch> epoch);

    std::shared_ptr<Epoch> epoch_;
    Tensors batch_;
    bool is_done_ = false;
  };
  /// Begins an epoch, or goes on with the one that load_state_dict told of. An error in the dataset
  /// comes out of the iterator as an error of the same kind that names the sample; the next batch
  /// can still be had. @throws Error after `timeout` seconds without a batch.
  Iterator begin();
  /// The same before the first batch: the iterator has one after ++.
  Iterator start();
  End end() const { return {}; }

  DataLoaderState state_dict() const;
  void load_state_dict(const DataLoaderState& state);

 private:
  struct Progress;

  std::shared_ptr<Dataset> dataset_;
  DataLoaderOptions options_;
  std::shared_ptr<BatchSampler> batches_;
  std::shared_ptr<Progress> progress_;
};

}  // namespace taut::data
