#include "kernels/api/copy.h"

#include "tests/kernels/kernel_test.h"

namespace taut::kernels {
namespace {

using testing::Buffer;
using testing::KernelTest;

class CopyKernel : public KernelTest {
 protected:
  // A dense source of `shape` in row-major order, read in the order of `axes` into a dense target
  // whose first element lies `shift` elements off its alignment.
  void expect_permuted(DType dtype, const Dims& shape, const Dims& axes, int64_t shift = 0) {
    const int64_t n = shape.numel();
    Buffer source(dtype, n), target(dtype, n, shift);
    // Every bit pattern of a byte turns up, and no NaN.
    for (int64_t i = 0; i < n; ++i) source.set(i, static_cast<double>(i * 7 % 101));
    CopyArgs args;
    Dims dense = Dims::filled(shape.rank(), 1);
    for (int d = shape.rank() - 2; d >= 0; --d) dense[d] = dense[d + 1] * shape[d + 1];
    for (int d = 0; d < shape.rank(); ++d) {
      args.shape.push_back(shape[static_cast<int>(axes[d])]);
      args.source_strides.push_back(dense[static_cast<int>(axes[d])]);
      args.target_strides.push_back(1);
    }
    for (int d = shape.rank() - 2; d >= 0; --d) {
      args.target_strides[d] = args.target_strides[d + 1] * args.shape[d + 1];
    }
    args.target = target.data();
    args.source = source.data();
    args.target_dtype = args.source_dtype = dtype;
    copy_kernels_cpu().copy(args);
    for (int64_t i = 0; i < n; ++i) {
      int64_t left = i, at = 0;
      for (int d = shape.rank() - 1; d >= 0; --d) {
        at += left % args.shape[d] * args.source_strides[d];
        left /= args.shape[d];
      }
      ASSERT_EQ(target.get(i), source.get(at)) << name(dtype) << " element " << i;
    }
  }
};

constexpr DType kSizes[] = {kUInt8, kInt16, kFloat32, kFloat64};  // 1, 2, 4 and 8 bytes

// Sides below, at and above the width of a register and of a line.
TEST_F(CopyKernel, TransposesEverySize) {
  for (const DType dtype : kSizes) {
    for (const int64_t rows : {1, 3, 8, 15, 16, 17, 64, 65, 300}) {
      for (const int64_t cols : {1, 2, 7, 16, 33, 64, 129}) {
        expect_permuted(dtype, {rows, cols}, {1, 0});
      }
    }
    expect_permuted(dtype, {130, 70}, {1, 0}, /*shift=*/1);
  }
}

TEST_F(CopyKernel, PermutesManyDims) {
  for (const DType dtype : kSizes) {
    expect_permuted(dtype, {3, 20, 35}, {0, 2, 1});
    expect_permuted(dtype, {20, 3, 35}, {2, 1, 0});
    expect_permuted(dtype, {2, 3, 18, 19}, {0, 2, 3, 1});
    expect_permuted(dtype, {2, 18, 19, 3}, {0, 3, 1, 2});
    expect_permuted(dtype, {2, 9, 5, 64}, {0, 2, 1, 3});  // runs, as the heads of attention have
    expect_permuted(dtype, {2, 9, 5, 7}, {2, 0, 1, 3});
    expect_permuted(dtype, {4, 3, 5, 2, 6}, {4, 1, 3, 0, 2});
  }
}

TEST_F(CopyKernel, TransposesAcrossThreads) {
  for (const int threads : {1, 2, 3}) {
    set_num_threads(threads);
    expect_permuted(kFloat32, {700, 301}, {1, 0});
    expect_permuted(kUInt8, {40000, 3}, {1, 0});
  }
}

// Large enough for streaming stores, with every element its own number.
TEST_F(CopyKernel, TransposesWhatIsLargerThanTheCaches) {
  constexpr int64_t kRows = 4096, kCols = 2112;
  std::vector<uint32_t> source(kRows * kCols), target(kRows * kCols + 16);
  for (size_t i = 0; i < source.size(); ++i) source[i] = static_cast<uint32_t>(i);
  auto* aligned =
      reinterpret_cast<uint32_t*>((reinterpret_cast<uintptr_t>(target.data()) + 63) / 64 * 64);
  for (const int64_t shift : {0, 1}) {
    CopyArgs args;
    args.target = aligned + shift;
    args.source = source.data();
    args.target_dtype = args.source_dtype = kInt32;
    args.shape = {kCols, kRows};
    args.target_strides = {kRows, 1};
    args.source_strides = {1, kCols};
    copy_kernels_cpu().copy(args);
    for (int64_t r = 0; r < kCols; ++r) {
      for (int64_t c = 0; c < kRows; ++c) {
        ASSERT_EQ(aligned[shift + r * kRows + c], source[static_cast<size_t>(c * kCols + r)]);
      }
    }
  }
}

TEST_F(CopyKernel, CopiesWhatIsLargerThanTheCaches) {
  constexpr int64_t kCount = (36 << 20) + 5;
  std::vector<uint8_t> source(kCount + 3), target(kCount + 3);
  for (size_t i = 0; i < source.size(); ++i) source[i] = static_cast<uint8_t>(i * 31);
  for (const int64_t shift : {0, 3}) {
    CopyArgs args;
    args.target = target.data() + shift;
    args.source = source.data();
    args.target_dtype = args.source_dtype = kUInt8;
    args.shape = {kCount};
    args.target_strides = args.source_strides = {1};
    copy_kernels_cpu().copy(args);
    EXPECT_EQ(std::memcmp(target.data() + shift, source.data(), kCount), 0);
  }
}

void convert(const void* source, DType from, void* target, DType to, int64_t n) {
  CopyArgs args;
  args.target = target;
  args.source = source;
  args.target_dtype = to;
  args.source_dtype = from;
  args.shape = {n};
  args.target_strides = args.source_strides = {1};
  copy_kernels_cpu().copy(args);
}

// A single element takes the scalar path, which core/half.h defines.
TEST_F(CopyKernel, ConvertsHalvesAsTheirScalarsDo) {
  constexpr int64_t kPatterns = 1 << 16;
  for (const DType half : {kFloat16, kBFloat16}) {
    std::vector<uint16_t> bits(kPatterns), back(kPatterns);
    std::vector<float> wide(kPatterns);
    for (size_t i = 0; i < bits.size(); ++i) bits[i] = static_cast<uint16_t>(i);
    convert(bits.data(), half, wide.data(), kFloat32, kPatterns);
    convert(wide.data(), kFloat32, back.data(), half, kPatterns);
    // Neighbours of each number, the middle to the next among them: it goes to the even one.
    for (const uint32_t step : {0x0fffu, 0x1000u, 0x1001u, 0x7fffu, 0x8000u, 0x8001u}) {
      std::vector<float> between(wide);
      for (float& x : between) {
        uint32_t word;
        std::memcpy(&word, &x, 4);
        word += step;
        std::memcpy(&x, &word, 4);
      }
      std::vector<uint16_t> rounded(kPatterns);
      convert(between.data(), kFloat32, rounded.data(), half, kPatterns);
      for (size_t i = 0; i < rounded.size(); ++i) {
        uint16_t expected;
        convert(&between[i], kFloat32, &expected, half, 1);
        if (std::isnan(between[i])) continue;
        ASSERT_EQ(rounded[i], expected) << name(half) << " of " << between[i];
      }
    }
    for (size_t i = 0; i < bits.size(); ++i) {
      float expected;
      convert(&bits[i], half, &expected, kFloat32, 1);
      if (std::isnan(expected)) {
        ASSERT_TRUE(std::isnan(wide[i])) << name(half) << " bits " << i;
      } else {
        ASSERT_EQ(wide[i], expected) << name(half) << " bits " << i;
        ASSERT_EQ(back[i], bits[i]) << name(half) << " bits " << i;
      }
    }
  }
}

TEST_F(CopyKernel, ConvertsEveryByteToFloat) {
  std::vector<uint8_t> bytes(256);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i);
  for (const DType dtype : {kUInt8, kInt8}) {
    for (int64_t begin = 0; begin < 256; begin += 13) {  // every length of a last, partial register
      const int64_t n = 256 - begin;
      std::vector<float> result(static_cast<size_t>(n) + 1, -1000.0f);
      convert(bytes.data() + begin, dtype, result.data(), kFloat32, n);
      for (int64_t i = 0; i < n; ++i) {
        const uint8_t byte = bytes[static_cast<size_t>(begin + i)];
        const float expected = dtype == kInt8 ? static_cast<float>(static_cast<int8_t>(byte))
                                              : static_cast<float>(byte);
        ASSERT_EQ(result[static_cast<size_t>(i)], expected) << name(dtype) << " byte " << +byte;
      }
      ASSERT_EQ(result.back(), -1000.0f) << name(dtype) << ", written beyond " << n;
    }
  }
}

// A mask of 0 and 1 in no period of a register's.
TEST_F(CopyKernel, ConvertsMasksToFloat) {
  for (int64_t n = 0; n < 100; ++n) {
    std::vector<uint8_t> mask(static_cast<size_t>(n));
    for (size_t i = 0; i < mask.size(); ++i) mask[i] = i * i % 7 < 3 ? 1 : 0;
    std::vector<float> result(mask.size() + 1, -1.0f);
    convert(mask.data(), kBool, result.data(), kFloat32, n);
    for (size_t i = 0; i < mask.size(); ++i) ASSERT_EQ(result[i], mask[i] != 0 ? 1.0f : 0.0f);
    ASSERT_EQ(result.back(), -1.0f) << "written beyond " << n;
  }
}

}  // namespace
}  // namespace taut::kernels
