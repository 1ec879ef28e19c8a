#pragma once
// A folder that goes with the test, but stays where the files of a run are kept.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tests/ai/marker_key.h"

namespace taut::ai::testing {

class TemporaryFolderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const bool is_kept = !test::run_folder().empty();
    const std::filesystem::path root = is_kept ? std::filesystem::path(test::run_folder()) / "files"
                                               : std::filesystem::temp_directory_path();
    std::filesystem::create_directories(root);
    std::string pattern = root / "taut-ai-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override {
    if (test::run_folder().empty()) std::filesystem::remove_all(folder_);
  }

  std::string path(const std::string& name) const { return folder_ / name; }
  std::string read(const std::string& name) const {
    std::ifstream file(path(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::vector<std::string> lines(const std::string& name) const {
    std::ifstream file(path(name));
    std::vector<std::string> all;
    for (std::string line; std::getline(file, line);) all.push_back(line);
    return all;
  }
  void write(const std::string& name, const std::string& bytes) const {
    std::ofstream(path(name), std::ios::binary) << bytes;
  }
  std::filesystem::perms rights(const std::string& name) const {
    return std::filesystem::status(path(name)).permissions();
  }

 private:
  std::filesystem::path folder_;
};

}  // namespace taut::ai::testing
