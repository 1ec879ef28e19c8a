#include "taut/data/dataset.h"

#include <gtest/gtest.h>

#include <set>

#include "taut/taut.h"

namespace taut::data {
namespace {

std::shared_ptr<TensorDataset> numbers(int64_t n) {
  return std::make_shared<TensorDataset>(
      Tensors{arange(0, n, 1, kFloat32).view({n, 1}), arange(n)});
}

TEST(Dataset, GivesRowsOfTensors) {
  const auto set = numbers(5);
  EXPECT_EQ(set->size(), 5);
  EXPECT_EQ(set->get(3)[0].shape(), (Dims{1}));
  EXPECT_EQ(set->get(3)[1].item<int64_t>(), 3);
  EXPECT_THROW(set->get(5), IndexError);
  const int64_t picks[] = {4, 0, 4};
  const Tensors batch = set->get_batch(picks);
  EXPECT_TRUE(equal(batch[1], tensor({4, 0, 4})));
  EXPECT_EQ(batch[0].shape(), (Dims{3, 1}));
  EXPECT_THROW(TensorDataset({ones({2}), ones({3})}), ShapeError);
  EXPECT_THROW(TensorDataset({}), ValueError);
}

TEST(Dataset, SubsetsAndConcatenations) {
  const auto set = numbers(5);
  const auto part = std::make_shared<Subset>(set, Indices{4, 2});
  EXPECT_EQ(part->get(1)[1].item<int64_t>(), 2);
  EXPECT_THROW(part->get(2), IndexError);
  EXPECT_THROW(Subset(set, {5}), IndexError);
  ConcatDataset both({set, part});
  EXPECT_EQ(both.size(), 7);
  EXPECT_EQ(both.get(5)[1].item<int64_t>(), 4);
  EXPECT_THROW(both.get(7), IndexError);
}

TEST(Dataset, CollatesByPosition) {
  const Tensors samples[] = {{ones({2}), tensor(1)}, {zeros({2}), tensor(2)}};
  const Tensors batch = default_collate(samples);
  EXPECT_EQ(batch[0].shape(), (Dims{2, 2}));
  EXPECT_TRUE(equal(batch[1], tensor({1, 2})));
  const Tensors odd[] = {{ones({2})}, {ones({3})}};
  EXPECT_THROW(default_collate(odd), ShapeError);
  const Tensors uneven[] = {{ones({2})}, {ones({2}), ones({2})}};
  EXPECT_THROW(default_collate(uneven), ValueError);
}

TEST(RandomSplit, CutsAllSamplesOnce) {
  Generator generator(7);
  const auto parts = random_split(numbers(11), std::vector<double>{0.5, 0.25, 0.25}, &generator);
  EXPECT_EQ(parts[0]->size(), 6);
  EXPECT_EQ(parts[1]->size(), 3);
  EXPECT_EQ(parts[2]->size(), 2);
  std::multiset<int64_t> all;
  for (const auto& part : parts) all.insert(part->indices().begin(), part->indices().end());
  EXPECT_EQ(all.size(), 11u);
  EXPECT_EQ(std::set<int64_t>(all.begin(), all.end()).size(), 11u);
  Generator again(7);
  EXPECT_EQ(random_split(numbers(11), std::vector<int64_t>{6, 5}, &again)[0]->indices(),
            parts[0]->indices());
  EXPECT_THROW(random_split(numbers(3), std::vector<int64_t>{1, 1}), ValueError);
  EXPECT_THROW(random_split(numbers(3), std::vector<double>{0.5, 0.6}), ValueError);
}

TEST(StratifiedSplit, KeepsTheSharesOfClasses) {
  const Tensor labels = remainder(arange(100), 4);
  Generator generator(1);
  const auto [train, test] = stratified_split(labels, 0.2, &generator);
  EXPECT_EQ(train.size(), 80u);
  int64_t counts[4] = {};
  for (int64_t index : test) ++counts[index % 4];
  for (int64_t count : counts) EXPECT_EQ(count, 5);
}

TEST(Samplers, DrawWhatTheySay) {
  EXPECT_EQ(SequentialSampler(3).epoch(), (Indices{0, 1, 2}));
  const auto generator = std::make_shared<Generator>(3);
  RandomSampler random(10, false, std::nullopt, generator);
  const Indices first = random.epoch();
  EXPECT_EQ(std::set<int64_t>(first.begin(), first.end()).size(), 10u);
  EXPECT_NE(random.epoch(), first);
  EXPECT_EQ(RandomSampler(4, false, 10).epoch().size(), 10u);
  EXPECT_EQ(RandomSampler(4, true, 9).epoch().size(), 9u);
  WeightedRandomSampler weighted({0.0, 3.0, 1.0}, 4000, true, generator);
  int64_t ones = 0;
  for (int64_t index : weighted.epoch()) {
    EXPECT_NE(index, 0);
    ones += index == 1 ? 1 : 0;
  }
  EXPECT_NEAR(static_cast<double>(ones), 3000, 120);
  const Indices both = WeightedRandomSampler({0.0, 3.0, 1.0}, 2, false).epoch();
  EXPECT_EQ(std::set<int64_t>(both.begin(), both.end()), (std::set<int64_t>{1, 2}));
  EXPECT_THROW(WeightedRandomSampler({0.0, 1.0}, 2, false), ValueError);
  EXPECT_THROW(WeightedRandomSampler({-1.0}, 1), ValueError);
  const auto batches = BatchSampler(std::make_shared<SequentialSampler>(5), 2, false).epoch();
  EXPECT_EQ(batches, (std::vector<Indices>{{0, 1}, {2, 3}, {4}}));
  EXPECT_EQ(BatchSampler(std::make_shared<SequentialSampler>(5), 2, true).epoch().size(), 2u);
}

}  // namespace
}  // namespace taut::data
