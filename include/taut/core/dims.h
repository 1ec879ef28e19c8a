#pragma once
// A short list of sizes, strides or dims held inline: trivially copyable, so that it goes by value
// into kernels and into the attributes of the tape. At most kMaxRank entries.
//   Dims shape{2, 3}; shape.numel();  // 6

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <type_traits>

#include "taut/base/check.h"

namespace taut {

inline constexpr int kMaxRank = 8;

class Dims {
 public:
  Dims() : rank_(0) {}
  Dims(std::initializer_list<int64_t> values)
      : Dims(std::span<const int64_t>(values.begin(), values.size())) {}
  Dims(std::span<const int64_t> values) : rank_(check_rank(values.size())) {
    for (int i = 0; i < rank_; ++i) values_[i] = values[static_cast<size_t>(i)];
  }
  /// `rank` entries of the same value.
  static Dims filled(int rank, int64_t value) {
    Dims result;
    result.rank_ = check_rank(static_cast<size_t>(rank));
    for (int i = 0; i < rank; ++i) result.values_[i] = value;
    return result;
  }

  int rank() const { return rank_; }
  size_t size() const { return static_cast<size_t>(rank_); }
  bool empty() const { return rank_ == 0; }
  int64_t operator[](int i) const { return values_[i]; }
  int64_t& operator[](int i) { return values_[i]; }
  int64_t back() const { return values_[rank_ - 1]; }
  int64_t& back() { return values_[rank_ - 1]; }
  const int64_t* data() const { return values_; }
  int64_t* data() { return values_; }
  const int64_t* begin() const { return values_; }
  const int64_t* end() const { return values_ + rank_; }
  int64_t* begin() { return values_; }
  int64_t* end() { return values_ + rank_; }
  operator std::span<const int64_t>() const { return {values_, static_cast<size_t>(rank_)}; }

  /// The product of the entries; 1 for none.
  int64_t numel() const {
    int64_t product = 1;
    for (int i = 0; i < rank_; ++i) product *= values_[i];
    return product;
  }

  /// Becomes the strides of a contiguous tensor of `shape`; returns its number of elements.
  int64_t set_contiguous(const Dims& shape) {
    int64_t step = 1;
    int64_t elements = 1;
    rank_ = shape.rank_;
    for (int i = rank_ - 1; i >= 0; --i) {
      const int64_t size = shape.values_[i];
      values_[i] = step;
      step *= size > 0 ? size : 1;
      elements *= size;
    }
    return elements;
  }

  void push_back(int64_t value) {
    check_rank(static_cast<size_t>(rank_) + 1);
    values_[rank_++] = value;
  }
  void insert(int position, int64_t value) {
    check_rank(static_cast<size_t>(rank_) + 1);
    for (int i = rank_; i > position; --i) values_[i] = values_[i - 1];
    values_[position] = value;
    ++rank_;
  }
  void erase(int position) {
    for (int i = position; i + 1 < rank_; ++i) values_[i] = values_[i + 1];
    --rank_;
  }
  bool contains(int64_t value) const {
    for (int64_t entry : *this) {
      if (entry == value) return true;
    }
    return false;
  }

  friend bool operator==(const Dims& a, const Dims& b) {
    if (a.rank_ != b.rank_) return false;
    for (int i = 0; i < a.rank_; ++i) {
      if (a.values_[i] != b.values_[i]) return false;
    }
    return true;
  }

 private:
  static int32_t check_rank(size_t rank) {
    TAUT_CHECK(rank <= static_cast<size_t>(kMaxRank), ShapeError, "tensors have at most ", kMaxRank,
               " dims; got ", rank);
    return static_cast<int32_t>(rank);
  }

  int32_t rank_;
  int64_t values_[kMaxRank];
};

static_assert(std::is_trivially_copyable_v<Dims>);

/// Printed as (2, 3), (4,) and ().
TAUT_API void append(std::string& message, const Dims& dims);

/// Maps a dim in [-rank, rank) to [0, rank); a tensor without dims takes -1 and 0.
/// @throws IndexError that names `op` otherwise.
TAUT_API int normalize_dim(const char* op, int64_t dim, int rank);

/// Normalises a list of dims. @throws IndexError out of range, ValueError for a repeated dim.
TAUT_API Dims normalize_dims(const char* op, const Dims& dims, int rank);

}  // namespace taut
