// The check of a launch, on tensors of the CPU: what it refuses, and what the driver would be
// given.

#include "src/extension/kernel_arguments.h"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>

#include "taut/taut.h"

namespace taut::cuda {
namespace {

using kernels::jit::parse_signature;

// The arguments as bound to a kernel of these parameters: "float const*, int".
class Bound {
 public:
  Bound(const std::string& parameters, std::initializer_list<KernelArgument> arguments,
        bool allow_strided = false)
      : arguments_(arguments),
        parameters_(parse_signature("f", "void (*)(" + parameters + ")")),
        bound_(arguments.size()) {
    bind_arguments({"kernel f", parameters_, {}, allow_strided}, arguments_, bound_);
  }
  template <class T>
  T value(size_t i) {
    T result;
    std::memcpy(&result, bound_.pointers()[i], sizeof result);
    return result;
  }
  size_t written() const { return bound_.written().size(); }

 private:
  std::vector<KernelArgument> arguments_;
  std::vector<kernels::jit::Parameter> parameters_;
  BoundArguments bound_;
};

template <class Kind>
std::string refusal(const std::string& parameters,
                    std::initializer_list<KernelArgument> arguments) {
  try {
    const Bound bound(parameters, arguments);
  } catch (const Kind& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST(KernelArguments, AreConvertedToTheParametersTypes) {
  const Tensor x = ones({3});
  Bound bound("float const*, float*, int, unsigned char, long long, float, double, bool, __half",
              {x, x, -7, 255, int64_t{1} << 40, 2, 0.1, true, 1.5});
  EXPECT_EQ(bound.value<const void*>(0), x.data_ptr());
  EXPECT_EQ(bound.value<int32_t>(2), -7);
  EXPECT_EQ(bound.value<uint8_t>(3), 255);
  EXPECT_EQ(bound.value<int64_t>(4), int64_t{1} << 40);
  EXPECT_EQ(bound.value<float>(5), 2.0f);
  EXPECT_EQ(bound.value<double>(6), 0.1);
  EXPECT_EQ(bound.value<bool>(7), true);
  EXPECT_EQ(bound.value<uint16_t>(8), 0x3e00);
  EXPECT_EQ(bound.written(), 1u);
}

TEST(KernelArguments, AreAsManyAsParameters) {
  EXPECT_EQ(refusal<ValueError>("float*, int", {ones({1})}),
            "kernel f: it has 2 parameters; got 1 arguments");
}

TEST(KernelArguments, AreTensorsForPointersAndNumbersForNumbers) {
  EXPECT_EQ(refusal<ValueError>("float*", {1.0}),
            "kernel f: argument 0 (float*): a tensor is wanted; got the number 1.0");
  EXPECT_EQ(
      refusal<ValueError>("int", {ones({1})}),
      "kernel f: argument 0 (int): a tensor was given for what is no pointer; pass its item()");
  EXPECT_EQ(refusal<DTypeError>("int", {1.5}),
            "kernel f: argument 0 (int): an integer is wanted; got the float 1.5");
  EXPECT_EQ(refusal<ValueError>("Pair", {1}),
            "kernel f: argument 0 (Pair): the bytes of a value are wanted; got the number 1");
  EXPECT_EQ(refusal<ValueError>("int", {KernelArgument::bytes("abcd", 4)}),
            "kernel f: argument 0 (int): a number is wanted; got 4 bytes");
}

TEST(KernelArguments, FitTheirTypes) {
  for (const auto& [type, low, high] :
       {std::tuple("signed char", -128, 127), std::tuple("unsigned char", 0, 255),
        std::tuple("short", -32768, 32767), std::tuple("unsigned short", 0, 65535)}) {
    const Bound lowest(type, {low});
    const Bound highest(type, {high});
    EXPECT_THROW(Bound(type, {low - 1}), ValueError) << type;
    EXPECT_THROW(Bound(type, {high + 1}), ValueError) << type;
  }
  EXPECT_EQ(refusal<ValueError>("int", {int64_t{1} << 31}),
            "kernel f: argument 0 (int): 2147483648 does not fit");
  EXPECT_THROW(Bound("unsigned int", {int64_t{1} << 32}), ValueError);
  EXPECT_THROW(Bound("unsigned long", {-1}), ValueError);
  const Bound most("unsigned long, long long, long",
                   {std::numeric_limits<int64_t>::max(), std::numeric_limits<int64_t>::min(), -1});
  EXPECT_THROW(Bound("float", {1e39}), ValueError);
  EXPECT_THROW(Bound("__half", {1e5}), ValueError);
  EXPECT_THROW(Bound("bool", {2}), ValueError);
  const Bound infinite("float, __half, __nv_bfloat16",
                       {std::numeric_limits<double>::infinity(), -1.0, 1e38});
}

TEST(KernelArguments, HaveTheElementsThatThePointerReads) {
  EXPECT_EQ(refusal<DTypeError>("float const*", {ones({1}, kFloat64)}),
            "kernel f: argument 0 (float const*): the kernel reads other elements; got a tensor of "
            "float64");
  const auto takes = [](const char* type, DType dtype) {
    try {
      const Bound bound(type, {zeros({1}, dtype)});
      return true;
    } catch (const DTypeError&) {
      return false;
    }
  };
  const std::pair<const char*, DType> own[] = {
      {"float*", kFloat32},   {"double*", kFloat64},      {"__half*", kFloat16},
      {"bool*", kBool},       {"char*", kInt8},           {"signed char*", kInt8},
      {"short*", kInt16},     {"int*", kInt32},           {"long*", kInt64},
      {"long long*", kInt64}, {"unsigned char*", kUInt8}, {"__nv_bfloat16*", kBFloat16},
  };
  for (const auto& [type, dtype] : own) {
    for (int other = 0; other < kDTypeCount; ++other) {
      EXPECT_EQ(takes(type, static_cast<DType>(other)), static_cast<DType>(other) == dtype) << type;
    }
  }
  // Bits, and what Taut does not know.
  EXPECT_TRUE(takes("unsigned int const*", kFloat32));
  EXPECT_TRUE(takes("unsigned short*", kBFloat16));
  EXPECT_FALSE(takes("unsigned int*", kFloat64));
  EXPECT_TRUE(takes("void*", kBool));
  EXPECT_TRUE(takes("float4*", kFloat32));
}

TEST(KernelArguments, AreContiguousUnlessStridesAreHandled) {
  const Tensor turned = ones({2, 3}).t();
  const std::string text = refusal<ShapeError>("float const*", {turned});
  EXPECT_NE(text.find("not contiguous; got shape (3, 2) and strides (1, 3)"), std::string::npos)
      << text;
  const Bound bound("float const*", {turned}, /*allow_strided=*/true);
}

TEST(KernelArguments, ObeyTheTape) {
  const Tensor leaf = ones({2}).requires_grad_();
  EXPECT_NE(refusal<AutogradError>("float*", {leaf}).find("a leaf that requires grad"),
            std::string::npos);
  EXPECT_NE(refusal<AutogradError>("float const*", {leaf}).find("a kernel has no derivative"),
            std::string::npos);
  EXPECT_NE(refusal<AutogradError>("float*", {leaf * 2}).find("a kernel has no derivative"),
            std::string::npos);
  Tensor made;
  {
    const InferenceMode inference;
    made = ones({2});
  }
  EXPECT_NE(refusal<AutogradError>("float*", {made}).find("inference_mode"), std::string::npos);
  const Bound read("float const*", {made});
  const NoGradGuard no_grad;
  const Bound bound("float*, float const*", {leaf, leaf});
  EXPECT_THROW(Bound("float*", {ones({1}).expand({3})}, true), ValueError);
}

TEST(KernelArguments, AreOnOneDevice) {
  const Tensor x = ones({1});
  const std::vector<KernelArgument> arguments = {1, x, 2.0};
  EXPECT_EQ(common_device("kernel f", arguments, DeviceType::cpu, kCUDA), kCPU);
  EXPECT_EQ(common_device("kernel f", {}, DeviceType::cuda, Device("cuda:3")), Device("cuda:3"));
  try {
    common_device("kernel f", arguments, DeviceType::cuda, kCUDA);
    FAIL();
  } catch (const DeviceError& error) {
    EXPECT_STREQ(error.what(), "kernel f: argument 1 is on cpu; expected a tensor on a GPU");
  }
  const std::vector<KernelArgument> undefined = {Tensor()};
  EXPECT_THROW(common_device("kernel f", undefined, DeviceType::cpu, kCPU), ValueError);
}

TEST(KernelLaunch, HasSizesThatGpusHave) {
  const auto shape = checked_shape("kernel f", {7, 6, 5}, {32, 4, 2}, 1024);
  EXPECT_EQ(shape.grid[0] * shape.grid[1] * shape.grid[2], 210u);
  EXPECT_EQ(shape.block[2], 2u);
  EXPECT_EQ(shape.shared_memory, 1024u);
  const auto refused = [](LaunchSize grid, LaunchSize block, int64_t shared_memory) {
    try {
      checked_shape("kernel f", grid, block, shared_memory);
    } catch (const ValueError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_EQ(refused({0}, {32}, 0),
            "kernel f: the grid is (0, 1, 1); expected (1, 1, 1) to (2147483647, 65535, 65535)");
  EXPECT_EQ(
      refused({1, 65536}, {32}, 0),
      "kernel f: the grid is (1, 65536, 1); expected (1, 1, 1) to (2147483647, 65535, 65535)");
  EXPECT_EQ(refused({1}, {1, 1, 65}, 0),
            "kernel f: the block is (1, 1, 65); expected (1, 1, 1) to (1024, 1024, 64)");
  EXPECT_EQ(refused({1}, {64, 32}, 0),
            "kernel f: the block is (64, 32, 1), 2048 threads; expected at most 1024");
  EXPECT_EQ(refused({1}, {32}, -1),
            "kernel f: shared_memory is -1 bytes; expected 0 or more, below 2 GiB");
}

TEST(Kernel, NeedsATensorOnAGpu) {
  const Kernel kernel("__global__ void f(float* x) {}", "f");
  EXPECT_EQ(kernel.name(), "f");
  EXPECT_THROW(kernel({1}, {1}, {ones({1})}), DeviceError);
  if (!is_available()) {
    EXPECT_THROW(kernel({1}, {1}, {}), DeviceError);
  }
  EXPECT_THROW(Kernel("", "f"), ValueError);
  EXPECT_THROW(Kernel("x", ""), ValueError);
}

}  // namespace
}  // namespace taut::cuda
