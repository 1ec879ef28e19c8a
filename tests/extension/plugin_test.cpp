// Plugins, built from tests/plugins/.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "taut/taut.h"

namespace taut {
namespace {

std::string plugin(const std::string& name) {
  return std::filesystem::path(TAUT_TEST_PLUGINS) / (name + ".so");
}

template <class Kind>
std::string refusal(const std::string& path) {
  try {
    load_library(path);
  } catch (const Kind& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST(Plugin, RegistersItsOpsOnce) {
  EXPECT_EQ(load_library(plugin("square_plugin")), std::vector<std::string>{"plugin_test::square"});
  EXPECT_TRUE(load_library(plugin("square_plugin")).empty());
  const CustomOp square = CustomOp::find("plugin_test::square");
  const Tensor x = linspace(-2, 2, 5, kFloat64).requires_grad_();
  const Tensor y = square({x}, {{"scale", 3.0}})[0];
  EXPECT_TRUE(equal(y.detach(), x.detach() * x.detach() * 3));
  const auto function = [&](TensorList in) { return square(in); };
  EXPECT_TRUE(autograd::gradcheck(function, {x}));
  EXPECT_TRUE(autograd::gradgradcheck(function, {x}));
  EXPECT_THROW(square({x.to(kFloat32)}), DTypeError);
}

TEST(Plugin, LeavesNothingWhenItFails) {
  for (int time = 0; time < 2; ++time) {
    const std::string text = refusal<ValueError>(plugin("repeated_plugin"));
    EXPECT_NE(text.find("plugin_test::first: an op of this name is registered already"),
              std::string::npos)
        << text;
    // Both places.
    const size_t first = text.find("repeated_plugin.cpp:");
    EXPECT_NE(first, std::string::npos);
    EXPECT_NE(text.find("repeated_plugin.cpp:", first + 1), std::string::npos);
    EXPECT_THROW(CustomOp::find("plugin_test::first"), ValueError);
  }
}

TEST(Plugin, IsRefusedBeforeItRunsWhenItDoesNotFit) {
  EXPECT_NE(refusal<ValueError>(plugin("foreign_plugin")).find("is no plugin of Taut"),
            std::string::npos);
  const std::string text = refusal<ValueError>(plugin("older_plugin"));
  EXPECT_NE(text.find("was built for another Taut; got TAUT_PLUGIN_ABI=0.0"), std::string::npos)
      << text;
}

TEST(Plugin, IsAFileThatTheLoaderTakes) {
  EXPECT_NE(refusal<IoError>("/nowhere/plugin.so").find("No such file"), std::string::npos);
  EXPECT_NE(refusal<IoError>(std::filesystem::temp_directory_path()).find("no regular file"),
            std::string::npos);
  const std::string path = std::filesystem::temp_directory_path() / "taut-text.so";
  std::ofstream(path) << detail::kPluginAbi;
  EXPECT_NE(refusal<IoError>(path).find("cannot load"), std::string::npos);
  std::ofstream(path).flush();
  EXPECT_NE(refusal<ValueError>(path).find("is no plugin"), std::string::npos);
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace taut
