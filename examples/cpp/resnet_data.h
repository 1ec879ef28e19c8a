#pragma once
// Pictures to learn from, by class: a folder that has a folder for each class, or the IDX files of
// MNIST and Fashion-MNIST. Batches are bytes (batch, channels, height, width) and labels (batch).

#include <taut/taut.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "picture_files.h"

class LabeledPictures : public taut::data::Dataset {
 public:
  taut::Tensors get(int64_t index) override {
    taut::Tensors sample = get_batch({&index, 1});
    for (taut::Tensor& tensor : sample) tensor = tensor.select(0, 0);
    return sample;
  }
  bool has_get_batch() const override { return true; }

  int64_t channels() const { return channels_; }
  // Pixels along each side.
  int64_t side() const { return side_; }
  const std::vector<std::string>& classes() const { return classes_; }

 protected:
  LabeledPictures(int64_t channels, bool is_training)
      : channels_(channels), is_training_(is_training) {}

  taut::Tensor new_batch(size_t count) const {
    return taut::empty({static_cast<int64_t>(count), channels_, side_, side_},
                       taut::TensorOptions(taut::kUInt8));
  }

  int64_t channels_;
  bool is_training_;
  int64_t side_ = 0;
  std::vector<std::string> classes_;
};

// ---- Folders ------------------------------------------------------------------------------------

// The square in the middle of a picture, 7/8 as wide as its shorter side.
inline Part middle(const Pixels& picture) {
  const double shorter = static_cast<double>(std::min(picture.width, picture.height));
  const int64_t side = std::max<int64_t>(1, std::llrint(shorter * 7 / 8));
  return {(picture.width - side) / 2, (picture.height - side) / 2, side, side};
}

// A piece of 8 to 100 % of a picture, up to a third longer than wide or wider than long: Szegedy et
// al., "Going Deeper with Convolutions" (2014). `draw` has four numbers in 0..1.
inline Part piece(const Pixels& picture, const float* draw) {
  const double area = static_cast<double>(picture.width * picture.height) * (0.08 + 0.92 * draw[0]);
  const double ratio = std::exp((2.0 * draw[1] - 1) * std::log(4.0 / 3));
  const auto within = [](double side, int64_t all) {
    return std::min(all, std::max<int64_t>(1, std::llrint(std::sqrt(side))));
  };
  const int64_t across = within(area * ratio, picture.width);
  const int64_t down = within(area / ratio, picture.height);
  const auto place = [](double share, int64_t places) {
    return static_cast<int64_t>(share * static_cast<double>(places));
  };
  return {place(draw[2], picture.width - across + 1), place(draw[3], picture.height - down + 1),
          across, down};
}

// From pixels to planes of red, green and blue.
inline void write_planes(const Pixels& picture, bool is_mirrored, uint8_t* planes) {
  for (int64_t channel = 0; channel < Pixels::kChannels; ++channel) {
    for (int64_t y = 0; y < picture.height; ++y) {
      for (int64_t x = 0; x < picture.width; ++x) {
        *planes++ = picture.at(is_mirrored ? picture.width - 1 - x : x, y)[channel];
      }
    }
  }
}

// (3, size, size): what a network looks at of a picture that is not trained on.
inline taut::Tensor middle_of(const std::string& path, int64_t size) {
  const Pixels picture = read_picture(path);
  taut::Tensor planes = taut::empty({3, size, size}, taut::TensorOptions(taut::kUInt8));
  write_planes(cut(picture, middle(picture), size), false, planes.data_ptr<uint8_t>());
  return planes;
}

class PictureFolder : public LabeledPictures {
 public:
  PictureFolder(const std::filesystem::path& folder, int64_t size, bool is_training)
      : LabeledPictures(3, is_training) {
    side_ = size;
    if (!std::filesystem::is_directory(folder)) {
      throw taut::ValueError(taut::concat(folder.string(), " is no folder; expected pictures in ",
                                          folder.string(), "/CLASS/"));
    }
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      if (entry.is_directory()) classes_.push_back(entry.path().filename().string());
    }
    if (classes_.empty()) {
      throw taut::ValueError(taut::concat(folder.string(), " has no folders; expected pictures in ",
                                          folder.string(), "/CLASS/"));
    }
    std::sort(classes_.begin(), classes_.end());
    for (size_t label = 0; label < classes_.size(); ++label) {
      add_class(folder / classes_[label], static_cast<int64_t>(label));
    }
  }

  int64_t size() const override { return static_cast<int64_t>(pictures_.size()); }
  taut::Tensors get_batch(std::span<const int64_t> indices) override {
    constexpr int64_t kDraws = 5;  // of a piece four, and whether it is mirrored
    const taut::Tensor draws =
        taut::rand({static_cast<int64_t>(indices.size()), kDraws},
                   taut::TensorOptions(taut::kFloat32), &taut::data::batch_generator());
    const float* draw = draws.data_ptr<float>();
    const taut::Tensor batch = new_batch(indices.size());
    uint8_t* planes = batch.data_ptr<uint8_t>();
    std::vector<int64_t> labels;
    for (const int64_t index : indices) {
      const auto& [path, label] = pictures_[static_cast<size_t>(index)];
      const Pixels picture = read_picture(path);
      const Part part = is_training_ ? piece(picture, draw) : middle(picture);
      write_planes(cut(picture, part, side_), is_training_ && draw[4] < 0.5, planes);
      labels.push_back(label);
      planes += channels_ * side_ * side_;
      draw += kDraws;
    }
    return {batch, taut::tensor(labels)};
  }

 private:
  void add_class(const std::filesystem::path& folder, int64_t label) {
    std::vector<std::filesystem::path> paths;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
      if (is_picture(entry.path())) paths.push_back(entry.path());
    }
    if (paths.empty()) {
      throw taut::ValueError(folder.string() +
                             " has no pictures; expected files *.jpg, *.jpeg, *.png");
    }
    std::sort(paths.begin(), paths.end());
    for (const auto& path : paths) pictures_.emplace_back(path.string(), label);
  }

  std::vector<std::pair<std::string, int64_t>> pictures_;  // paths and labels
};

// ---- IDX files ----------------------------------------------------------------------------------

inline bool holds_idx_files(const std::filesystem::path& folder) {
  if (!std::filesystem::is_directory(folder)) return false;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().filename().string().starts_with("train-images-idx3-ubyte")) return true;
  }
  return false;
}

// MNIST or Fashion-MNIST; in training each picture is moved by up to kReach pixels and perhaps
// mirrored.
class IdxFiles : public LabeledPictures {
 public:
  // size: what the pictures' must be; 0: any.
  IdxFiles(const std::filesystem::path& folder, int64_t size, bool is_training)
      : LabeledPictures(1, is_training) {
    const std::string stem = is_training ? "train" : "t10k";
    pictures_ = read(folder, stem, "images-idx3-ubyte", 3);
    labels_ = read(folder, stem, "labels-idx1-ubyte", 1);
    if (pictures_.size(0) != labels_.size(0)) {
      throw taut::ValueError(taut::concat(folder.string(), ": there are ", pictures_.size(0), " ",
                                          stem, " pictures and ", labels_.size(0), " labels"));
    }
    side_ = size > 0 ? size : pictures_.size(1);
    if (pictures_.size(1) != side_ || pictures_.size(2) != side_) {
      throw taut::ValueError(taut::concat(folder.string(), ": the ", stem, " pictures are (",
                                          pictures_.size(1), ", ", pictures_.size(2),
                                          "); expected (", side_, ", ", side_, ")"));
    }
    const auto count = labels_.max().item<int64_t>() + 1;
    for (int64_t label = 0; label < count; ++label) classes_.push_back(std::to_string(label));
  }

  int64_t size() const override { return labels_.numel(); }
  taut::Tensors get_batch(std::span<const int64_t> indices) override {
    taut::Tensor batch = new_batch(indices.size());
    if (is_training_) {
      const taut::Tensor moves =
          taut::randint(0, kMoves, {static_cast<int64_t>(indices.size()), 3},
                        taut::TensorOptions(taut::kInt64), &taut::data::batch_generator());
      write_moved(indices, moves.data_ptr<int64_t>(), batch.data_ptr<uint8_t>());
    } else {
      write_still(indices, batch.data_ptr<uint8_t>());
    }
    std::vector<int64_t> labels;
    for (const int64_t index : indices) labels.push_back(labels_.data_ptr<uint8_t>()[index]);
    return {batch, taut::tensor(labels)};
  }

 private:
  static constexpr int64_t kReach = 2;
  static constexpr int64_t kMoves = 2 * kReach + 1;
  static constexpr int64_t kMirrored = 2;  // of kMoves

  static taut::Tensor read(const std::filesystem::path& folder, const std::string& stem,
                           const std::string& rest, int64_t dims) {
    const std::string path = (folder / (stem + "-" + rest)).string();
    const taut::Tensor array =
        taut::io::load_idx(std::filesystem::exists(path) ? path : path + ".gz");
    if (array.dtype() != taut::kUInt8 || array.dim() != dims || array.numel() == 0) {
      throw taut::ValueError(taut::concat(
          folder.string(), ": the ", stem, " ", dims == 3 ? "pictures" : "labels", " are ",
          array.shape(), " of ", array.dtype(), "; expected ", dims, " dims of uint8"));
    }
    return array;
  }

  const uint8_t* picture(int64_t index) const {
    return pictures_.data_ptr<uint8_t>() + index * side_ * side_;
  }

  void write_still(std::span<const int64_t> indices, uint8_t* to) const {
    const auto bytes = static_cast<size_t>(side_ * side_);
    for (const int64_t index : indices) {
      std::memcpy(to, picture(index), bytes);
      to += bytes;
    }
  }

  // Each picture has three moves: down and right, both from -kReach on, and whether to mirror it.
  void write_moved(std::span<const int64_t> indices, const int64_t* moves, uint8_t* to) const {
    const auto is_inside = [&](int64_t place) { return place >= 0 && place < side_; };
    for (const int64_t index : indices) {
      const uint8_t* from = picture(index);
      for (int64_t row = 0; row < side_; ++row) {
        const int64_t y = row + moves[0] - kReach;
        for (int64_t column = 0; column < side_; ++column) {
          const int64_t x =
              (moves[2] < kMirrored ? side_ - 1 - column : column) + moves[1] - kReach;
          *to++ = is_inside(x) && is_inside(y) ? from[y * side_ + x] : uint8_t{0};
        }
      }
      moves += 3;
    }
  }

  taut::Tensor pictures_, labels_;
};

// ---- What is at a path --------------------------------------------------------------------------

// ['a', 'b']
inline std::string in_words(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "'" : ", '") + name + "'";
  return "[" + text + "]";
}

struct PictureSets {
  std::shared_ptr<LabeledPictures> train, test;
};

// What to train on and what to test on. size: 0 for the usual one.
inline PictureSets open_pictures(const std::filesystem::path& folder, int64_t size) {
  if (holds_idx_files(folder)) {
    const auto train = std::make_shared<IdxFiles>(folder, size, true);
    const auto test = std::make_shared<IdxFiles>(folder, train->side(), false);
    if (test->classes().size() > train->classes().size()) {
      throw taut::ValueError(taut::concat(folder.string(), ": there are ", test->classes().size(),
                                          " classes to test on, ", train->classes().size(),
                                          " to learn"));
    }
    return {train, test};
  }
  const int64_t side = size > 0 ? size : 224;
  const auto train = std::make_shared<PictureFolder>(folder / "train", side, true);
  const auto test = std::make_shared<PictureFolder>(folder / "val", side, false);
  if (test->classes() != train->classes()) {
    throw taut::ValueError(taut::concat(folder.string(), ": train has the classes ",
                                        in_words(train->classes()), ", val has ",
                                        in_words(test->classes())));
  }
  return {train, test};
}
