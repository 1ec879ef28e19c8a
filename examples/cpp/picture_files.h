#pragma once
// Pictures from JPEG and PNG files, by libjpeg and libpng where the program was built with them.
// Colors are as they stand in the file, without profiles, gamma and transparency, as with Pillow's
// convert("RGB").

#include <taut/taut.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <csetjmp>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "pixels.h"

#if TAUT_EXAMPLE_HAS_JPEG
#include <jpeglib.h>
// After jpeglib.h, which it needs.
#include <jerror.h>
#endif
#if TAUT_EXAMPLE_HAS_PNG
#include <png.h>
#endif

// An end to calls into a C library that cannot let an exception through: they go back to where they
// began, and the exception starts from there.
class WayOut {
 public:
  // No object with a destructor may be made in `calls`: none would run.
  template <class Calls>
  void guard(const Calls& calls) {
    if (setjmp(start_) != 0) throw taut::FormatError(message_);
    calls();
  }
  [[noreturn]] void fail(const char* message) {
    std::snprintf(message_, sizeof message_, "%s", message);
    std::longjmp(start_, 1);
  }

 private:
  std::jmp_buf start_;
  char message_[256] = {};
};

// A small file may promise a picture that no memory holds; Pillow refuses as many pixels.
inline Pixels new_pixels(int64_t width, int64_t height) {
  constexpr int64_t kMost = 178'956'970;
  if (width < 1 || height < 1 || height > kMost / width) {
    throw taut::FormatError(taut::concat("a picture of ", width, " x ", height,
                                         " pixels; expected at the most ", kMost, " in all"));
  }
  return Pixels(width, height);
}

#if TAUT_EXAMPLE_HAS_JPEG

inline constexpr bool kReadsJpeg = true;

// One JPEG file on its way to pixels.
class JpegReader {
 public:
  explicit JpegReader(const std::vector<uint8_t>& bytes) {
    picture_.err = jpeg_std_error(&errors_);
    picture_.client_data = &way_out_;
    errors_.error_exit = stop;
    errors_.emit_message = look_at;
    way_out_.guard([&] {
      jpeg_create_decompress(&picture_);
      jpeg_mem_src(&picture_, bytes.data(), static_cast<unsigned long>(bytes.size()));
    });
  }
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;
  ~JpegReader() { jpeg_destroy_decompress(&picture_); }

  Pixels pixels() {
    way_out_.guard([&] { jpeg_read_header(&picture_, TRUE); });
    const bool is_cmyk = picture_.num_components == 4;
    picture_.out_color_space = is_cmyk ? JCS_CMYK : JCS_RGB;
    Pixels result = new_pixels(picture_.image_width, picture_.image_height);
    std::vector<uint8_t> cmyk(is_cmyk ? static_cast<size_t>(4 * result.width) : 0);
    way_out_.guard([&] {
      jpeg_start_decompress(&picture_);
      while (picture_.output_scanline < picture_.output_height) {
        uint8_t* row = result.at(0, picture_.output_scanline);
        uint8_t* into = is_cmyk ? cmyk.data() : row;
        jpeg_read_scanlines(&picture_, &into, 1);
        if (is_cmyk) to_rgb(cmyk, row);
      }
    });
    return result;
  }

 private:
  // The inks, as Adobe writes them: 255 is none. Each color is what it leaves of what black leaves.
  static void to_rgb(const std::vector<uint8_t>& cmyk, uint8_t* rgb) {
    for (size_t i = 0; i < cmyk.size(); i += 4) {
      const int light = cmyk[i + 3];
      for (size_t color = 0; color < 3; ++color) {
        const int product = (255 - cmyk[i + color]) * light + 128;
        *rgb++ = static_cast<uint8_t>(std::max(light - ((product >> 8) + product) / 256, 0));
      }
    }
  }

  [[noreturn]] static void stop(j_common_ptr picture) {
    char message[JMSG_LENGTH_MAX];
    picture->err->format_message(picture, message);
    static_cast<WayOut*>(picture->client_data)->fail(message);
  }
  // Warnings are of damage that one can live with, but a file that ends early is broken.
  static void look_at(j_common_ptr picture, int level) {
    if (level < 0 && picture->err->msg_code == JWRN_JPEG_EOF) stop(picture);
  }

  jpeg_error_mgr errors_{};
  jpeg_decompress_struct picture_{};
  WayOut way_out_;
};

inline Pixels read_jpeg(const std::vector<uint8_t>& bytes) { return JpegReader(bytes).pixels(); }

#else

inline constexpr bool kReadsJpeg = false;
[[noreturn]] inline Pixels read_jpeg(const std::vector<uint8_t>&) {
  throw taut::NotImplementedError(
      "this program was built without libjpeg, which reads JPEG files; install libjpeg-dev and "
      "build it again");
}

#endif
#if TAUT_EXAMPLE_HAS_PNG

inline constexpr bool kReadsPng = true;

// One PNG file on its way to pixels.
class PngReader {
 public:
  explicit PngReader(const std::vector<uint8_t>& bytes) : rest_(bytes.data()), left_(bytes.size()) {
    way_out_.guard([&] {
      png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, &way_out_, stop, pass_over);
      if (png_ != nullptr) info_ = png_create_info_struct(png_);
    });
    if (info_ == nullptr) {
      png_destroy_read_struct(&png_, &info_, nullptr);
      throw taut::OutOfMemoryError("libpng has no memory for a picture");
    }
    png_set_read_fn(png_, this, read);
  }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;
  ~PngReader() { png_destroy_read_struct(&png_, &info_, nullptr); }

  Pixels pixels() {
    way_out_.guard([&] {
      png_read_info(png_, info_);
      ask_for_rgb();
      png_read_update_info(png_, info_);
    });
    Pixels result = new_pixels(png_get_image_width(png_, info_), png_get_image_height(png_, info_));
    std::vector<png_bytep> rows;
    for (int64_t y = 0; y < result.height; ++y) rows.push_back(result.at(0, y));
    way_out_.guard([&] { png_read_image(png_, rows.data()); });
    return result;
  }

 private:
  void ask_for_rgb() {
    png_set_expand(png_);  // palettes and less than 8 bits
    png_set_strip_16(png_);
    png_set_strip_alpha(png_);
    png_set_gray_to_rgb(png_);
    png_set_interlace_handling(png_);
  }

  [[noreturn]] static void stop(png_structp png, png_const_charp message) {
    static_cast<WayOut*>(png_get_error_ptr(png))->fail(message);
  }
  static void pass_over(png_structp, png_const_charp) {}
  static void read(png_structp png, png_bytep to, size_t count) {
    auto* reader = static_cast<PngReader*>(png_get_io_ptr(png));
    if (count > reader->left_) png_error(png, "the file ends too early");
    std::memcpy(to, reader->rest_, count);
    reader->rest_ += count;
    reader->left_ -= count;
  }

  const uint8_t* rest_;
  size_t left_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  WayOut way_out_;
};

inline Pixels read_png(const std::vector<uint8_t>& bytes) { return PngReader(bytes).pixels(); }

#else

inline constexpr bool kReadsPng = false;
[[noreturn]] inline Pixels read_png(const std::vector<uint8_t>&) {
  throw taut::NotImplementedError(
      "this program was built without libpng, which reads PNG files; install libpng-dev and build "
      "it again");
}

#endif

inline std::vector<uint8_t> read_bytes(const std::string& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (error) throw taut::IoError("cannot read " + path + ": " + error.message());
  std::vector<uint8_t> bytes(static_cast<size_t>(size));
  std::ifstream file(path, std::ios::binary);
  file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(size));
  if (!file) throw taut::IoError("cannot read " + path + ": " + std::strerror(errno));
  return bytes;
}

// The picture of a file, whose format is told by its first bytes.
inline Pixels read_picture(const std::string& path) {
  const std::vector<uint8_t> bytes = read_bytes(path);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  try {
    if (text.starts_with("\xff\xd8\xff")) return read_jpeg(bytes);
    if (text.starts_with("\x89PNG\r\n\x1a\n")) return read_png(bytes);
  } catch (const taut::FormatError& error) {
    throw taut::FormatError(path + ": " + error.what());
  }
  throw taut::FormatError(path + ": cannot identify image file; expected JPEG or PNG");
}

// Whether a file is a picture, by its name. @throws NotImplementedError for one in a format that
// this program does not read.
inline bool is_picture(const std::filesystem::path& path) {
  std::string ending = path.extension().string();
  for (char& c : ending) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  const bool is_jpeg = ending == ".jpg" || ending == ".jpeg", is_png = ending == ".png";
  // Rather than by the first picture of an epoch one is told so here.
  if (is_jpeg && !kReadsJpeg) read_jpeg({});
  if (is_png && !kReadsPng) read_png({});
  if (ending == ".bmp" || ending == ".webp" || ending == ".ppm") {
    throw taut::NotImplementedError(
        path.string() +
        ": this program reads JPEG and PNG; write it as one of them, or use the twin in Python");
  }
  return is_jpeg || is_png;
}
