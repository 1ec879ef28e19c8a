#pragma once
// Small pictures for the examples: a canvas of grey and coloured pixels that goes into a PNG file.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#if defined(TAUT_EXAMPLE_HAS_PNG)
#include <png.h>
#endif

namespace example {

struct Colour {
  uint8_t red, green, blue;
};

class Picture {
 public:
  Picture(int width, int height)
      : width_(width),
        height_(height),
        pixels_(static_cast<size_t>(width * height), {255, 255, 255}) {}

  int width() const { return width_; }
  int height() const { return height_; }

  void set(int x, int y, Colour colour) {
    if (x >= 0 && x < width_ && y >= 0 && y < height_)
      pixels_[static_cast<size_t>(y * width_ + x)] = colour;
  }
  void rectangle(int x, int y, int width, int height, Colour colour) {
    for (int j = 0; j < height; ++j) {
      for (int i = 0; i < width; ++i) set(x + i, y + j, colour);
    }
  }
  void line(double x0, double y0, double x1, double y1, Colour colour) {
    const int steps = static_cast<int>(std::max(std::abs(x1 - x0), std::abs(y1 - y0))) + 1;
    for (int i = 0; i <= steps; ++i) {
      const double share = static_cast<double>(i) / steps;
      const int x = static_cast<int>(std::lround(x0 + share * (x1 - x0)));
      const int y = static_cast<int>(std::lround(y0 + share * (y1 - y0)));
      rectangle(x, y, 2, 2, colour);
    }
  }
  /// Values as a curve in a frame, the lowest at the bottom.
  void curve(const std::vector<double>& values, int x, int y, int width, int height,
             Colour colour) {
    if (values.size() < 2) return;
    const auto extremes = std::minmax_element(values.begin(), values.end());
    const double low = *extremes.first, high = *extremes.second;
    const double range = std::max(high - low, 1e-12);
    const auto place = [&](size_t i) {
      return x + static_cast<double>(i) * width / static_cast<double>(values.size() - 1);
    };
    const auto level = [&](double value) { return y + height - (value - low) / range * height; };
    for (size_t i = 1; i < values.size(); ++i)
      line(place(i - 1), level(values[i - 1]), place(i), level(values[i]), colour);
  }

  /// Writes a PNG file; false where this build has no libpng, or the file cannot be written.
  bool write(const std::string& path) const {
#if defined(TAUT_EXAMPLE_HAS_PNG)
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    image.width = static_cast<png_uint_32>(width_);
    image.height = static_cast<png_uint_32>(height_);
    image.format = PNG_FORMAT_RGB;
    return png_image_write_to_file(&image, path.c_str(), 0, pixels_.data(), 0, nullptr) != 0;
#else
    static_cast<void>(path);
    return false;
#endif
  }

 private:
  int width_;
  int height_;
  std::vector<Colour> pixels_;
};

}  // namespace example
