#pragma once
// Pictures as bytes, and square cut-outs of them at another size. A cut-out has the very bytes that
// Pillow's resize with its filter BILINEAR gives, first across and then down.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

// Red, green and blue of each pixel, row by row.
struct Pixels {
  static constexpr int64_t kChannels = 3;

  Pixels(int64_t width_in, int64_t height_in)
      : width(width_in),
        height(height_in),
        bytes(static_cast<size_t>(width * height * kChannels)) {}

  uint8_t* at(int64_t x, int64_t y) { return bytes.data() + (y * width + x) * kChannels; }
  const uint8_t* at(int64_t x, int64_t y) const {
    return bytes.data() + (y * width + x) * kChannels;
  }

  int64_t width, height;
  std::vector<uint8_t> bytes;
};

// A part of a picture, in pixels.
struct Part {
  int64_t left, top, width, height;
};

// From old pixels in a line to new ones. A new pixel is a weighted sum of old ones, the weights a
// triangle that reaches as far as the next new pixel, or the next old one where those lie further
// apart. They are whole numbers in parts of 2^22, so that a sum fits into 32 bits.
class TriangleFilter {
 public:
  TriangleFilter(int64_t old_size, int64_t new_size) {
    const double scale = static_cast<double>(old_size) / static_cast<double>(new_size);
    const double reach = std::max(scale, 1.0);
    for (int64_t i = 0; i < new_size; ++i) {
      const double center = (static_cast<double>(i) + 0.5) * scale;
      const int64_t begin = std::max<int64_t>(0, static_cast<int64_t>(center - reach + 0.5));
      const int64_t end = std::min(old_size, static_cast<int64_t>(center + reach + 0.5));
      add_sum(center, 1.0 / reach, begin, end);
    }
  }

  struct Sum {
    int64_t begin, count;    // which old pixels
    const int32_t* weights;  // one for each of them
  };
  Sum sum(int64_t new_pixel) const {
    const auto i = static_cast<size_t>(new_pixel);
    return {begins_[i], static_cast<int64_t>(starts_[i + 1] - starts_[i]),
            weights_.data() + starts_[i]};
  }

  // What a sum begins with, so that it is rounded to the nearest.
  static constexpr int32_t kHalf = 1 << 21;
  static uint8_t rounded(int32_t sum) {
    return static_cast<uint8_t>(std::min(sum >> kBits, 255));  // many weights may be a bit too much
  }

 private:
  static constexpr int kBits = 22;

  void add_sum(double center, double slope, int64_t begin, int64_t end) {
    std::vector<double> shares;
    double total = 0;
    for (int64_t pixel = begin; pixel < end; ++pixel) {
      const double distance = std::abs((static_cast<double>(pixel) - center + 0.5) * slope);
      shares.push_back(std::max(0.0, 1.0 - distance));
      total += shares.back();
    }
    for (const double share : shares) {
      weights_.push_back(static_cast<int32_t>(0.5 + share / total * (1 << kBits)));
    }
    begins_.push_back(begin);
    starts_.push_back(weights_.size());
  }

  std::vector<int64_t> begins_;
  std::vector<size_t> starts_ = {0};
  std::vector<int32_t> weights_;
};

// A part of a picture at another width.
inline Pixels across(const Pixels& picture, const Part& part, int64_t new_width) {
  const TriangleFilter filter(part.width, new_width);
  Pixels result(new_width, part.height);
  uint8_t* to = result.bytes.data();
  for (int64_t y = 0; y < part.height; ++y) {
    for (int64_t x = 0; x < new_width; ++x) {
      const TriangleFilter::Sum sum = filter.sum(x);
      const uint8_t* from = picture.at(part.left + sum.begin, part.top + y);
      int32_t red = TriangleFilter::kHalf, green = red, blue = red;
      for (int64_t i = 0; i < sum.count; ++i, from += Pixels::kChannels) {
        red += sum.weights[i] * from[0];
        green += sum.weights[i] * from[1];
        blue += sum.weights[i] * from[2];
      }
      for (const int32_t color : {red, green, blue}) *to++ = TriangleFilter::rounded(color);
    }
  }
  return result;
}

// A picture at another height.
inline Pixels down(const Pixels& picture, int64_t new_height) {
  const TriangleFilter filter(picture.height, new_height);
  Pixels result(picture.width, new_height);
  std::vector<int32_t> row(static_cast<size_t>(picture.width * Pixels::kChannels));
  for (int64_t y = 0; y < new_height; ++y) {
    const TriangleFilter::Sum sum = filter.sum(y);
    std::fill(row.begin(), row.end(), TriangleFilter::kHalf);
    for (int64_t i = 0; i < sum.count; ++i) {
      const uint8_t* from = picture.at(0, sum.begin + i);
      for (size_t x = 0; x < row.size(); ++x) row[x] += sum.weights[i] * from[x];
    }
    std::transform(row.begin(), row.end(), result.at(0, y), TriangleFilter::rounded);
  }
  return result;
}

// A part of a picture as a square of `size` x `size` pixels.
inline Pixels cut(const Pixels& picture, const Part& part, int64_t size) {
  return down(across(picture, part, size), size);
}
