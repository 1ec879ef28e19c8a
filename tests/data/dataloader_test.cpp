#include "taut/data/dataloader.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "taut/taut.h"

namespace taut::data {
namespace {

// Sample i is {i, a random number}; samples may fail, and take unlike times.
class Probe : public Dataset {
 public:
  explicit Probe(int64_t n, int64_t failing = -1) : size_(n), failing_(failing) {}
  int64_t size() const override { return size_; }
  Tensors get(int64_t index) override {
    calls.fetch_add(1);
    if (index == failing_) throw ShapeError("the picture is broken");
    if (index % 3 == 0) std::this_thread::sleep_for(std::chrono::microseconds(200));
    return {tensor(index), rand({2}, {}, &batch_generator())};
  }
  std::atomic<int> calls{0};

 private:
  int64_t size_;
  int64_t failing_;
};

std::vector<Tensors> all_batches(DataLoader& loader, int epochs = 1) {
  std::vector<Tensors> batches;
  for (int e = 0; e < epochs; ++e) {
    for (const Tensors& batch : loader) batches.push_back(batch);
  }
  return batches;
}

void expect_same(const std::vector<Tensors>& a, const std::vector<Tensors>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    for (size_t k = 0; k < a[i].size(); ++k) EXPECT_TRUE(equal(a[i][k], b[i][k])) << i;
  }
}

DataLoaderOptions options(int workers, uint64_t seed = 5) {
  return {.batch_size = 4,
          .shuffle = true,
          .num_workers = workers,
          .generator = std::make_shared<Generator>(seed)};
}

TEST(DataLoader, GivesTheSameWhateverTheNumberOfWorkers) {
  const auto set = std::make_shared<Probe>(30);
  DataLoader none(set, options(0));
  const std::vector<Tensors> expected = all_batches(none, 3);
  EXPECT_EQ(expected.size(), 24u);
  EXPECT_FALSE(equal(expected[0][0], expected[8][0]));  // each epoch in an order of its own
  EXPECT_FALSE(equal(expected[0][1], expected[8][1]));
  for (int workers : {1, 2, 5}) {
    DataLoader loader(set, options(workers));
    expect_same(all_batches(loader, 3), expected);
  }
  DataLoader other(set, options(0, 6));
  EXPECT_FALSE(equal(all_batches(other)[0][0], expected[0][0]));
}

TEST(DataLoader, DropsTheLastBatchOnRequest) {
  const auto set = std::make_shared<Probe>(10);
  DataLoader keeps(set, {.batch_size = 4});
  DataLoader drops(set, {.batch_size = 4, .drop_last = true});
  EXPECT_EQ(keeps.size(), 3);
  EXPECT_EQ(all_batches(keeps).back()[0].size(0), 2);
  EXPECT_EQ(drops.size(), 2);
  EXPECT_EQ(all_batches(drops).size(), 2u);
  DataLoader empty(std::make_shared<Probe>(0), {.num_workers = 2});
  EXPECT_EQ(all_batches(empty).size(), 0u);
}

TEST(DataLoader, NamesTheSampleThatFailed) {
  for (int workers : {0, 2}) {
    DataLoader loader(std::make_shared<Probe>(20, 9), {.batch_size = 4, .num_workers = workers});
    auto iterator = loader.begin();
    ++iterator;
    try {
      ++iterator;
      FAIL();
    } catch (const ShapeError& error) {
      EXPECT_STREQ(error.what(), "sample 9: the picture is broken");
    }
    // What comes after can still be had.
    ++iterator;
    EXPECT_TRUE(equal((*iterator)[0], tensor({12, 13, 14, 15})));
  }
}

TEST(DataLoader, EndsEarlyWithoutHanging) {
  for (int round = 0; round < 20; ++round) {
    const auto set = std::make_shared<Probe>(1000);
    {
      DataLoader loader(set, {.batch_size = 2, .num_workers = 3, .prefetch_factor = 2});
      auto iterator = loader.begin();
      if (round % 2 == 0) ++iterator;
    }
    EXPECT_LE(set->calls.load(), 2 * (2 + 6 + 3));  // no further than the ring and what is at hand
  }
}

TEST(DataLoader, TheIteratorMayOutliveTheLoader) {
  auto loader =
      std::make_unique<DataLoader>(std::make_shared<Probe>(8), DataLoaderOptions{.num_workers = 2});
  auto iterator = loader->begin();
  loader.reset();
  int count = 0;
  for (; !(iterator == DataLoader::End()); ++iterator) ++count;
  EXPECT_EQ(count, 8);
}

TEST(DataLoader, GoesOnWhereItStood) {
  const auto set = std::make_shared<Probe>(30);
  DataLoader first(set, options(2));
  all_batches(first);
  std::vector<Tensors> expected;
  DataLoaderState state;
  int count = 0;
  for (const Tensors& batch : first) {
    if (++count == 3) state = first.state_dict();
    if (count > 3) expected.push_back(batch);
  }
  for (const Tensors& batch : all_batches(first)) expected.push_back(batch);
  EXPECT_EQ(state.epoch, 1);
  EXPECT_EQ(state.cursor, 3);
  DataLoader second(set, options(0, 99));
  second.load_state_dict(state);
  expect_same(all_batches(second, 2), expected);

  // Between epochs too.
  const DataLoaderState between = second.state_dict();
  EXPECT_EQ(between.cursor, 0);
  const std::vector<Tensors> next = all_batches(second);
  DataLoader third(set, options(1, 7));
  third.load_state_dict(between);
  expect_same(all_batches(third), next);
  EXPECT_THROW(third.load_state_dict({.cursor = 100}), ValueError);
}

TEST(DataLoader, CollatesAsTold) {
  DataLoader loader(
      std::make_shared<Probe>(4),
      {.batch_size = 2, .num_workers = 1, .collate_fn = [](std::span<const Tensors> samples) {
         return Tensors{tensor(static_cast<int64_t>(samples.size()))};
       }});
  EXPECT_EQ(all_batches(loader)[0][0].item<int64_t>(), 2);
}

// Single samples from the last to the first.
class Reversed : public BatchSampler {
 public:
  explicit Reversed(int64_t n) : size_(n) {}
  int64_t size() const override { return size_; }
  std::vector<Indices> epoch() override {
    std::vector<Indices> batches;
    for (int64_t i = size_; i-- > 0;) batches.push_back({i});
    return batches;
  }

 private:
  int64_t size_;
};

TEST(DataLoader, TakesBatchesMadeElsewhere) {
  const auto set = std::make_shared<Probe>(3);
  DataLoader loader(set, {.batch_sampler = std::make_shared<Reversed>(3), .num_workers = 2});
  EXPECT_EQ(loader.size(), 3);
  int64_t expected = 2;
  for (const Tensors& batch : loader) EXPECT_EQ(batch[0].item<int64_t>(), expected--);
  EXPECT_THROW(DataLoader(set, {.batch_size = 2, .batch_sampler = std::make_shared<Reversed>(3)}),
               ValueError);
}

// A sample that waits until it is told to go on.
class Gate : public Dataset {
 public:
  int64_t size() const override { return 2; }
  Tensors get(int64_t index) override {
    while (index == 0 && !is_open) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return {tensor(index)};
  }
  std::atomic<bool> is_open{false};
};

// Whether ops may start threads where a sample is made.
class Serial : public Dataset {
 public:
  int64_t size() const override { return 1; }
  Tensors get(int64_t) override { return {tensor(in_parallel_region() ? 1 : 0)}; }
};

TEST(DataLoader, WorkersStartNoThreadsOfTheirOwn) {
  for (int workers : {0, 1}) {
    DataLoader loader(std::make_shared<Serial>(), {.num_workers = workers});
    EXPECT_EQ((*loader.begin())[0].item<int64_t>(), workers);
  }
  EXPECT_FALSE(in_parallel_region());
}

TEST(DataLoader, ABatchThatIsLateIsNotLost) {
  const auto set = std::make_shared<Gate>();
  DataLoader loader(set, {.num_workers = 1, .timeout = 0.03});
  auto batches = loader.start();
  EXPECT_THROW(++batches, Error);
  set->is_open = true;
  ++batches;
  EXPECT_EQ((*batches)[0].item<int64_t>(), 0);
  ++batches;
  EXPECT_EQ((*batches)[0].item<int64_t>(), 1);
}

struct Interrupted {};

TEST(DataLoader, AWaitCanBeInterrupted) {
  const auto set = std::make_shared<Gate>();
  DataLoader loader(set, {.num_workers = 1});
  auto batches = loader.start();
  set_interrupt_check([] { throw Interrupted(); });
  EXPECT_THROW(++batches, Interrupted);
  set_interrupt_check(nullptr);
  set->is_open = true;
  ++batches;
  EXPECT_EQ((*batches)[0].item<int64_t>(), 0);
}

TEST(DataLoader, ChecksItsOptions) {
  const auto set = std::make_shared<Probe>(4);
  EXPECT_THROW(DataLoader(nullptr), ValueError);
  EXPECT_THROW(DataLoader(set, {.batch_size = 0}), ValueError);
  EXPECT_THROW(
      DataLoader(set, {.shuffle = true, .sampler = std::make_shared<SequentialSampler>(4)}),
      ValueError);
  EXPECT_THROW(DataLoader(set, {.num_workers = -1}), ValueError);
}

TEST(DataLoader, TakesABatchOfATensorDatasetAtOnce) {
  const auto set = std::make_shared<TensorDataset>(Tensors{arange(10), ones({10, 3})});
  DataLoader loader(set, {.batch_size = 5, .num_workers = 2});
  const std::vector<Tensors> batches = all_batches(loader);
  EXPECT_TRUE(equal(batches[1][0], arange(5, 10)));
  EXPECT_EQ(batches[0][1].shape(), (Dims{5, 3}));
}

}  // namespace
}  // namespace taut::data
