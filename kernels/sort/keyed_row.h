#pragma once
// A row of numbers as keys with their positions, and how to sort it.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>

#include "kernels/sort/sort_key.h"
#include "taut/core/dims.h"

namespace taut::kernels::sort_cpu {

template <class K>
struct Keyed {
  K key;
  uint32_t position;

  friend bool operator<(const Keyed& a, const Keyed& b) {
    return a.key != b.key ? a.key < b.key : a.position < b.position;
  }
};

/// Sorts a row that lies in the order of positions by key, equal keys by position: least
/// significant digits first, a byte at a time; digits that all keys share cost one look. Short rows
/// are sorted by comparison.
template <class K>
class RowSorter {
 public:
  void sort(Keyed<K>* row, int64_t n) {
    // About where eight counts of 256 digits cost as much as the comparisons they save.
    constexpr int64_t kRadixRow = sizeof(K) <= 2 ? 128 : 512;
    if (n < kRadixRow) {
      std::sort(row, row + n);
    } else {
      radix_sort(row, n);
    }
  }

 private:
  static constexpr int kDigits = static_cast<int>(sizeof(K));

  void radix_sort(Keyed<K>* row, int64_t n) {
    if (n > capacity_) {
      spare_.reset(new Keyed<K>[static_cast<size_t>(n)]);
      capacity_ = n;
    }
    uint32_t counts[kDigits][256] = {};
    for (int64_t i = 0; i < n; ++i) {
      for (int d = 0; d < kDigits; ++d) ++counts[d][digit(row[i].key, d)];
    }
    Keyed<K>* from = row;
    Keyed<K>* to = spare_.get();
    for (int d = 0; d < kDigits; ++d) {
      if (counts[d][digit(row[0].key, d)] == static_cast<uint32_t>(n)) continue;
      uint32_t next = 0;
      for (uint32_t& count : counts[d]) {
        const uint32_t here = count;
        count = next;
        next += here;
      }
      for (int64_t i = 0; i < n; ++i) to[counts[d][digit(from[i].key, d)]++] = from[i];
      std::swap(from, to);
    }
    if (from != row) std::memcpy(row, from, static_cast<size_t>(n) * sizeof(Keyed<K>));
  }

  static uint32_t digit(K key, int d) { return static_cast<uint32_t>(key >> (8 * d)) & 0xffu; }

  std::unique_ptr<Keyed<K>[]> spare_;
  int64_t capacity_ = 0;
};

/// The rows of a tensor along one dim.
class RowOffsets {
 public:
  RowOffsets(const Dims& size, int dim) : size_(size), dim_(dim) {
    for (int d = 0; d < size.rank(); ++d) {
      if (d != dim) count_ *= size[d];
    }
  }
  int64_t count() const { return count_; }
  int64_t length() const { return size_.empty() ? 1 : size_[dim_]; }
  int64_t offset(int64_t row, const Dims& strides) const {
    int64_t sum = 0;
    for (int d = size_.rank() - 1; d >= 0; --d) {
      if (d == dim_) continue;
      sum += row % size_[d] * strides[d];
      row /= size_[d];
    }
    return sum;
  }
  int64_t step(const Dims& strides) const { return size_.empty() ? 1 : strides[dim_]; }

 private:
  const Dims& size_;
  int dim_;
  int64_t count_ = 1;
};

}  // namespace taut::kernels::sort_cpu
