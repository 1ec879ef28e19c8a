#include "taut/data/dataloader.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>

#include "taut/autograd/grad_mode.h"
#include "taut/base/interrupt.h"
#include "taut/base/serial.h"
#include "taut/base/trace.h"
#include "taut/ops/ops.h"

namespace taut::data {
namespace {

// How long a wait for a batch sleeps before it asks whether to go on.
constexpr std::chrono::milliseconds kPatience{20};

thread_local std::shared_ptr<Generator> current_generator;

// A seed for each batch, by the finaliser of SplitMix64 (Steele, Lea and Flood, 2014).
uint64_t batch_seed(uint64_t base, uint64_t epoch, uint64_t batch) {
  uint64_t x = base + 0x9e3779b97f4a7c15ULL * (epoch * 0x100000001b3ULL + batch + 1);
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

// Rethrows the error at hand as one of the same kind whose message says where it came from.
[[noreturn]] void rethrow_with(const std::string& where) {
  const auto told = [&](const std::exception& error) { return where + error.what(); };
#define TAUT_RETHROW(Kind)    \
  catch (const Kind& error) { \
    throw Kind(told(error));  \
  }
  try {
    throw;
  }
  TAUT_RETHROW(ShapeError)
  TAUT_RETHROW(DTypeError)
  TAUT_RETHROW(DeviceError)
  TAUT_RETHROW(IndexError)
  TAUT_RETHROW(ValueError)
  TAUT_RETHROW(AutogradError)
  TAUT_RETHROW(NotImplementedError)
  TAUT_RETHROW(OutOfMemoryError)
  TAUT_RETHROW(CudaError)
  TAUT_RETHROW(FormatError)
  TAUT_RETHROW(IoError)
  TAUT_RETHROW(DistributedError)
  TAUT_RETHROW(InternalError)
  TAUT_RETHROW(Error)
  // Anything else, a Python exception among them, goes through as it is.
#undef TAUT_RETHROW
}

}  // namespace

Generator& batch_generator() {
  return current_generator == nullptr ? default_generator() : *current_generator;
}

std::shared_ptr<Generator> shared_batch_generator() { return current_generator; }

// What iterators tell their loader; it outlives whichever goes first.
struct DataLoader::Progress {
  std::mutex mutex;
  DataLoaderState state;
  bool is_resumed = false;
};

// The batches of one epoch, each made by whoever takes its number first. Batches wait in a ring for
// their turn, and a worker waits before it gets further ahead than the ring is long.
struct DataLoader::Iterator::Epoch {
  struct Slot {
    bool is_ready = false;
    Tensors batch;
    std::exception_ptr error;
  };

  std::shared_ptr<Dataset> dataset;
  Collate collate;
  std::shared_ptr<Progress> progress;
  std::vector<Indices> batches;
  uint64_t seed = 0;
  int64_t epoch = 0;
  double timeout = 0.0;
  size_t next_out = 0;  // the batch that the iterator hands out next

  std::mutex mutex;
  std::condition_variable slot_is_free;
  std::condition_variable batch_is_ready;
  std::vector<Slot> ring;
  size_t next_in = 0;  // the batch that a worker takes next
  bool is_stopped = false;
  std::vector<std::thread> workers;

  ~Epoch() {
    {
      const std::lock_guard lock(mutex);
      is_stopped = true;
    }
    slot_is_free.notify_all();
    // A worker in the middle of a batch ends it first: threads cannot be stopped from outside.
    for (std::thread& worker : workers) worker.join();
  }

  Tensors make(size_t number) {
    struct Restore {
      std::shared_ptr<Generator> outer;
      ~Restore() { current_generator = std::move(outer); }
    } restore{std::exchange(current_generator, std::make_shared<Generator>(batch_seed(
                                                   seed, static_cast<uint64_t>(epoch), number)))};
    const Indices& indices = batches[number];
    TAUT_CHECK(!indices.empty(), ValueError, "DataLoader: batch ", number, " has no samples");
    if (dataset->has_get_batch() && !collate) {
      try {
        return dataset->get_batch(indices);
      } catch (...) {
        rethrow_with(
            concat("batch ", number, " (samples ", indices.front(), " to ", indices.back(), "): "));
      }
    }
    std::vector<Tensors> samples;
    samples.reserve(indices.size());
    for (int64_t index : indices) {
      try {
        samples.push_back(dataset->get(index));
      } catch (...) {
        rethrow_with(concat("sample ", index, ": "));
      }
    }
    return collate ? collate(samples) : default_collate(samples);
  }

  void work(bool grad_enabled) {
    const AutoGradMode grad_mode(grad_enabled);
    const SerialGuard serial;  // the workers are as many as were asked for, and no team for each
    std::unique_lock lock(mutex);
    while (true) {
      slot_is_free.wait(lock, [&] { return is_stopped || next_in < next_out + ring.size(); });
      if (is_stopped || next_in >= batches.size()) return;
      const size_t number = next_in++;
      lock.unlock();
      Slot made;
      try {
        made.batch = make(number);
      } catch (...) {
        made.error = std::current_exception();
      }
      made.is_ready = true;
      lock.lock();
      ring[number % ring.size()] = std::move(made);
      batch_is_ready.notify_one();
    }
  }

  void start(int num_workers, int64_t prefetch_factor) {
    if (num_workers == 0) return;
    ring.resize(static_cast<size_t>(num_workers) * static_cast<size_t>(prefetch_factor));
    next_in = next_out;
    const bool grad_enabled = is_grad_enabled();
    for (int i = 0; i < num_workers; ++i) {
      workers.emplace_back([this, grad_enabled] { work(grad_enabled); });
    }
  }

  // Waits until the next batch can be taken. An interrupt or a timeout comes from here, so that it
  // loses no batch.
  void await_batch() {
    if (ring.empty()) return;
    using Clock = std::chrono::steady_clock;
    const auto start = Clock::now();
    std::unique_lock lock(mutex);
    const Slot& slot = ring[next_out % ring.size()];
    while (!batch_is_ready.wait_for(lock, kPatience, [&] { return slot.is_ready; })) {
      lock.unlock();
      check_interrupt();
      const double waited = std::chrono::duration<double>(Clock::now() - start).count();
      TAUT_CHECK(timeout == 0 || waited < timeout, Error, "DataLoader: batch ", next_out,
                 " was not ready after ", timeout, " seconds");
      lock.lock();
    }
  }

  Tensors take() {
    if (ring.empty()) return make(next_out);
    const std::lock_guard lock(mutex);
    Slot& slot = ring[next_out % ring.size()];
    const Slot taken = std::exchange(slot, Slot());
    if (taken.error) std::rethrow_exception(taken.error);
    return taken.batch;
  }

  // Whether there was one more batch.
  bool next(Tensors& batch) {
    if (next_out == batches.size()) {
      const std::lock_guard lock(progress->mutex);
      if (progress->state.epoch == epoch) {
        progress->state.epoch = epoch + 1;
        progress->state.cursor = 0;
      }
      return false;
    }
    await_batch();
    try {
      batch = take();
    } catch (...) {
      advance();  // past the batch that failed, so that the next one can still be had
      throw;
    }
    advance();
    return true;
  }

  void advance() {
    {
      const std::lock_guard lock(mutex);
      ++next_out;
    }
    slot_is_free.notify_all();
    const std::lock_guard lock(progress->mutex);
    if (progress->state.epoch == epoch) progress->state.cursor = static_cast<int64_t>(next_out);
  }
};

DataLoader::Iterator::Iterator(std::shared_ptr<Epoch> epoch) : epoch_(std::move(epoch)) {}

DataLoader::Iterator& DataLoader::Iterator::operator++() {
  const TraceScope scope(ScopeKind::data, "DataLoader.next");
  batch_.clear();
  if (!epoch_ || !epoch_->next(batch_)) {
    is_done_ = true;
    epoch_.reset();
  }
  return *this;
}

DataLoader::DataLoader(std::shared_ptr<Dataset> dataset, const DataLoaderOptions& options)
    : dataset_(std::move(dataset)), options_(options), progress_(std::make_shared<Progress>()) {
  TAUT_CHECK(dataset_ != nullptr, ValueError, "DataLoader: there is no dataset");
  TAUT_CHECK(options.sampler == nullptr || !options.shuffle, ValueError,
             "DataLoader: a sampler and shuffle exclude each other");
  TAUT_CHECK(options.num_workers >= 0, ValueError,
             "DataLoader: num_workers cannot be negative; got ", options.num_workers);
  TAUT_CHECK(options.prefetch_factor >= 1, ValueError,
             "DataLoader: prefetch_factor must be at least 1; got ", options.prefetch_factor);
  TAUT_CHECK(options.timeout >= 0, ValueError, "DataLoader: timeout cannot be negative; got ",
             options.timeout);
  batches_ = options.batch_sampler;
  if (batches_ != nullptr) {
    TAUT_CHECK(options.batch_size == 1 && !options.shuffle && options.sampler == nullptr &&
                   !options.drop_last,
               ValueError,
               "DataLoader: batch_sampler excludes batch_size, shuffle, sampler and drop_last");
    return;
  }
  std::shared_ptr<Sampler> sampler = options.sampler;
  if (sampler == nullptr && options.shuffle) {
    sampler =
        std::make_shared<RandomSampler>(dataset_->size(), false, std::nullopt, options.generator);
  } else if (sampler == nullptr) {
    sampler = std::make_shared<SequentialSampler>(dataset_->size());
  }
  batches_ =
      std::make_shared<BatchSampler>(std::move(sampler), options.batch_size, options.drop_last);
}

DataLoader::~DataLoader() = default;

int64_t DataLoader::size() const { return batches_->size(); }

DataLoader::Iterator DataLoader::begin() {
  Iterator iterator = start();
  ++iterator;
  return iterator;
}

DataLoader::Iterator DataLoader::start() {
  Generator& generator = options_.generator ? *options_.generator : default_generator();
  auto epoch = std::make_shared<Iterator::Epoch>();
  {
    const std::lock_guard lock(progress_->mutex);
    DataLoaderState& state = progress_->state;
    if (progress_->is_resumed) {
      generator.set_state(state.generator);
      progress_->is_resumed = false;
    } else {
      if (state.cursor > 0) ++state.epoch;  // the last epoch was left early
      state.cursor = 0;
      state.generator = generator.state();
    }
    epoch->epoch = state.epoch;
    epoch->next_out = static_cast<size_t>(state.cursor);
    epoch->seed = generator.reserve(1).offset ^ generator.initial_seed();
  }
  epoch->timeout = options_.timeout;
  epoch->dataset = dataset_;
  epoch->collate = options_.collate_fn;
  epoch->progress = progress_;
  epoch->batches = batches_->epoch();
  TAUT_CHECK(epoch->next_out <= epoch->batches.size(), ValueError,
             "DataLoader: cannot go on at batch ", epoch->next_out, " of ", epoch->batches.size());
  epoch->start(options_.num_workers, options_.prefetch_factor);
  return Iterator(std::move(epoch));
}

DataLoaderState DataLoader::state_dict() const {
  const std::lock_guard lock(progress_->mutex);
  DataLoaderState state = progress_->state;
  if (state.cursor == 0 && !progress_->is_resumed) {
    // Between epochs: the next one begins with the generator as it is now.
    state.generator = (options_.generator ? *options_.generator : default_generator()).state();
  }
  return state;
}

void DataLoader::load_state_dict(const DataLoaderState& state) {
  TAUT_CHECK(state.epoch >= 0 && state.cursor >= 0 && state.cursor <= size(), ValueError,
             "DataLoader: no such place: epoch ", state.epoch, ", batch ", state.cursor, " of ",
             size());
  const std::lock_guard lock(progress_->mutex);
  progress_->state = state;
  progress_->is_resumed = true;
}

}  // namespace taut::data
