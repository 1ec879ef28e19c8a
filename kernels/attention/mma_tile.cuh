#pragma once
// Tiles of 16-bit floats in shared memory, and products of them on tensor cores by warps.
//
// Note [Fragments]
// mma.m16n8k16 multiplies a (16, 16) by b (16, 8) and adds to c (16, 8), spread over the lanes of a
// warp (PTX ISA, "Matrix fragments for mma.m16n8k16"). With g = lane / 4 and t = lane % 4, a lane
// holds, two elements to a register where they are 16 bits wide:
//   a: [0] row g, cols 2t, 2t+1       [1] row g+8, cols 2t, 2t+1
//      [2] row g, cols 2t+8, 2t+9     [3] row g+8, cols 2t+8, 2t+9
//   b: [0] rows 2t, 2t+1 of col g     [1] rows 2t+8, 2t+9 of col g
//   c: [0], [1] row g, cols 2t, 2t+1  [2], [3] row g+8, cols 2t, 2t+1
// So c of two neighbouring products, rounded, is a of the next: scores become weights in place.
// ldmatrix.x4 reads four 8 x 8 matrices, whose rows of 16 bytes lie where lanes 8i .. 8i+7 point;
// register i gets row g, cols 2t, 2t+1 of matrix i, with .trans rows 2t, 2t+1 of col g.

#include "kernels/attention/attention_rows.cuh"

namespace taut::kernels::cuda {

constexpr int kMmaWarps = 4;
constexpr int kMmaThreads = kMmaWarps * 32;

/// Elements from one row of a tile to the next. The 16 bytes after a row put the rows that ldmatrix
/// reads together into different banks.
template <int kWidth>
inline constexpr int kPitch = kWidth + 8;

template <int kWidth>
constexpr int tile_bytes(int rows) {
  return rows * kPitch<kWidth> * 2;
}

/// A warp's sums of kRowTiles * 16 rows by kCols columns, as c of Note [Fragments].
template <int kRowTiles, int kCols>
struct Sums {
  float at[kRowTiles][kCols / 8][4];

  template <class Body>
  __device__ void for_each(const Body& body) {
#pragma unroll
    for (int r = 0; r < kRowTiles; ++r) {
#pragma unroll
      for (int n = 0; n < kCols / 8; ++n) {
#pragma unroll
        for (int e = 0; e < 4; ++e) body(at[r][n][e]);
      }
    }
  }
  __device__ void clear() {
    for_each([](float& x) { x = 0.0f; });
  }
  __device__ void scale(float factor) {
    for_each([factor](float& x) { x *= factor; });
  }
};

/// Weights of as many rows and columns, rounded: a of Note [Fragments].
template <int kRowTiles, int kCols>
struct Factors {
  uint32_t at[kRowTiles][kCols / 16][4];
};

/// A row and column of a warp's sums: where element e of sums.at[r][n] lies.
struct Element {
  int row, col;

  __device__ Element(int r, int n, int e) {
    const int lane = static_cast<int>(threadIdx.x) & 31;
    row = r * 16 + (lane >> 2) + (e >> 1) * 8;
    col = n * 8 + (lane & 3) * 2 + (e & 1);
  }
};

__device__ inline uint32_t shared_address(const void* pointer) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(pointer));
}

#if __CUDA_ARCH__ >= 800 || !defined(__CUDA_ARCH__)

// ---- Copies -------------------------------------------------------------------------------------

/// Starts to copy 16 bytes to shared memory; zeros, and `from` is not read, where there is nothing
/// to copy.
__device__ inline void copy_async_16(void* to, const void* from, bool exists) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)), "l"(from),
               "r"(exists ? 16 : 0)
               : "memory");
}
__device__ inline void copy_async_4(void* to, const void* from, bool exists) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(shared_address(to)), "l"(from),
               "r"(exists ? 4 : 0)
               : "memory");
}
/// Waits for all copies that this thread started; a barrier then shows them to the block.
__device__ inline void wait_for_copies() { asm volatile("cp.async.wait_all;" ::: "memory"); }

/// Threads that share a row of a tile, a pack of 16 bytes to each; at widths of 96 and 192 a
/// quarter of them has none.
template <int kWidth>
inline constexpr int kRowLanes = kWidth <= 32    ? 4
                                 : kWidth <= 64  ? 8
                                 : kWidth <= 128 ? 16
                                                 : 32;

/// Fills kRows rows of a thread's pack of columns element by element: rows that are not aligned.
template <int kRows, int kWidth, class T>
__device__ inline void load_unaligned(T* tile, const Rows<const T>& rows, const T* head, int first,
                                      int row, int col) {
#pragma unroll 1
  for (; row < kRows; row += kMmaThreads / kRowLanes<kWidth>) {
    const T* from = head + (first + row) * rows.strides.row + col;
    Pack<T, 8> pack;
#pragma unroll
    for (int e = 0; e < 8; ++e) {
      const bool exists = first + row < rows.length && col + e < rows.width;
      pack.values[e] = exists ? from[e] : narrow<T>(0.0f);
    }
    store_pack<8>(tile + row * kPitch<kWidth> + col, pack);
  }
}

/// Starts to fill a tile with kRows rows from `first` on of one head; zeros past the ends.
template <int kRows, int kWidth, class T>
__device__ inline void load_tile(T* tile, const Rows<const T>& rows, const T* head, int first) {
  constexpr int kStep = kMmaThreads / kRowLanes<kWidth>;
  static_assert(kRows % kStep == 0);
  const int thread = renewed(static_cast<int>(threadIdx.x));
  const int row = thread / kRowLanes<kWidth>;
  const int col = thread % kRowLanes<kWidth> * 8;
  if (col >= kWidth) return;
  if (!rows.in_packs) return load_unaligned<kRows, kWidth>(tile, rows, head, first, row, col);
  T* to = tile + row * kPitch<kWidth> + col;
  const T* from = head + (first + row) * rows.strides.row + col;
  const int64_t step = kStep * rows.strides.row;
  // Rows of this thread that exist.
  const int left = col < rows.width ? rows.length - first - row : 0;
#pragma unroll
  for (int i = 0; i < kRows / kStep; ++i) {
    copy_async_16(to, from, i * kStep < left);
    to += kStep * kPitch<kWidth>;
    from += step;
  }
}

// ---- Products -----------------------------------------------------------------------------------

__device__ inline void load_matrices(uint32_t (&to)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(shared_address(row))
               : "memory");
}
__device__ inline void load_matrices_transposed(uint32_t (&to)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(shared_address(row))
               : "memory");
}

template <class T>
__device__ inline void multiply_add(float (&c)[4], const uint32_t (&a)[4], uint32_t b0,
                                    uint32_t b1) {
  if constexpr (std::is_same_v<T, __half>) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
        "{%8, %9}, {%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  } else {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
        "{%8, %9}, {%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  }
}

template <class T>
__device__ inline uint32_t round_pair(float first, float second) {
  uint32_t bits;
  if constexpr (std::is_same_v<T, __half>) {
    const __half2 pair = __floats2half2_rn(first, second);
    memcpy(&bits, &pair, 4);
  } else {
    const __nv_bfloat162 pair = __floats2bfloat162_rn(first, second);
    memcpy(&bits, &pair, 4);
  }
  return bits;
}

/// sums += x y^T: rows of the warp in x, kCols rows of y, both kWidth wide.
template <int kWidth, int kRowTiles, int kCols, class T>
__device__ inline void add_row_products(Sums<kRowTiles, kCols>& sums, const T* x, const T* y) {
  const int lane = static_cast<int>(threadIdx.x) & 31;
  // Of x: rows 0-7, rows 8-15, then the same 8 columns on. Of y, where a register holds one column
  // of b: rows 0-7, the same 8 columns on, then rows 8-15.
  const T* x_row = x + (lane & 15) * kPitch<kWidth> + (lane >> 4) * 8;
  const T* y_row = y + ((lane & 7) + (lane >> 4) * 8) * kPitch<kWidth> + (lane >> 3 & 1) * 8;
#pragma unroll
  for (int k = 0; k < kWidth; k += 16) {
    uint32_t a[kRowTiles][4];
#pragma unroll
    for (int r = 0; r < kRowTiles; ++r) load_matrices(a[r], x_row + r * 16 * kPitch<kWidth> + k);
#pragma unroll
    for (int n = 0; n < kCols / 16; ++n) {
      uint32_t b[4];
      load_matrices(b, y_row + n * 16 * kPitch<kWidth> + k);
#pragma unroll
      for (int r = 0; r < kRowTiles; ++r) {
        multiply_add<T>(sums.at[r][2 * n], a[r], b[0], b[1]);
        multiply_add<T>(sums.at[r][2 * n + 1], a[r], b[2], b[3]);
      }
    }
  }
}

template <class T, int kRowTiles, int kCols>
__device__ inline void round_sums(Factors<kRowTiles, kCols>& factors,
                                  const Sums<kRowTiles, kCols>& sums) {
#pragma unroll
  for (int r = 0; r < kRowTiles; ++r) {
#pragma unroll
    for (int k = 0; k < kCols / 16; ++k) {
      factors.at[r][k][0] = round_pair<T>(sums.at[r][2 * k][0], sums.at[r][2 * k][1]);
      factors.at[r][k][1] = round_pair<T>(sums.at[r][2 * k][2], sums.at[r][2 * k][3]);
      factors.at[r][k][2] = round_pair<T>(sums.at[r][2 * k + 1][0], sums.at[r][2 * k + 1][1]);
      factors.at[r][k][3] = round_pair<T>(sums.at[r][2 * k + 1][2], sums.at[r][2 * k + 1][3]);
    }
  }
}

/// sums += weights y: kCols rows of y, of which kPart columns from y's start on; y is kWidth wide.
template <int kWidth, int kRowTiles, int kCols, int kPart, class T>
__device__ inline void add_products(Sums<kRowTiles, kPart>& sums,
                                    const Factors<kRowTiles, kCols>& weights, const T* y) {
  const int lane = static_cast<int>(threadIdx.x) & 31;
  // Rows 0-7, rows 8-15, then the same 8 columns on.
  const T* y_row = y + (lane & 15) * kPitch<kWidth> + (lane >> 4) * 8;
#pragma unroll
  for (int k = 0; k < kCols / 16; ++k) {
#pragma unroll
    for (int n = 0; n < kPart / 16; ++n) {
      uint32_t b[4];
      load_matrices_transposed(b, y_row + k * 16 * kPitch<kWidth> + n * 16);
#pragma unroll
      for (int r = 0; r < kRowTiles; ++r) {
        multiply_add<T>(sums.at[r][2 * n], weights.at[r][k], b[0], b[1]);
        multiply_add<T>(sums.at[r][2 * n + 1], weights.at[r][k], b[2], b[3]);
      }
    }
  }
}

// ---- Results ------------------------------------------------------------------------------------

/// Writes the warp's sums, rounded, to columns from `col` on of the rows from `first` on of one
/// head. They pass through `own`, a tile of which no other warp uses these rows any more, so that
/// memory gets whole packs.
template <int kWidth, int kRowTiles, int kPart, class T>
__device__ inline void store_sums(const Sums<kRowTiles, kPart>& sums, T* own, const Rows<T>& rows,
                                  T* head, int first, int col) {
  const int lane = static_cast<int>(threadIdx.x) & 31;
  T* mine = own + (lane >> 2) * kPitch<kWidth> + (lane & 3) * 2;
  __syncwarp();
#pragma unroll
  for (int r = 0; r < kRowTiles; ++r) {
#pragma unroll
    for (int n = 0; n < kPart / 8; ++n) {
      T* to = mine + r * 16 * kPitch<kWidth> + n * 8;
      *reinterpret_cast<uint32_t*>(to) = round_pair<T>(sums.at[r][n][0], sums.at[r][n][1]);
      *reinterpret_cast<uint32_t*>(to + 8 * kPitch<kWidth>) =
          round_pair<T>(sums.at[r][n][2], sums.at[r][n][3]);
    }
  }
  __syncwarp();
  constexpr int kPacks = kPart / 8;
#pragma unroll 1
  for (int i = lane; i < kRowTiles * 16 * kPacks; i += 32) {
    const int row = i / kPacks;
    const int at = i % kPacks * 8;
    if (first + row >= rows.length || col + at >= rows.width) continue;
    const Pack<T, 8> pack = load_pack<8>(own + row * kPitch<kWidth> + at);
    T* to = head + (first + row) * rows.strides.row + col + at;
    if (rows.in_packs) {
      store_pack<8>(to, pack);
      continue;
    }
#pragma unroll
    for (int e = 0; e < 8; ++e) {
      if (col + at + e < rows.width) to[e] = pack.values[e];
    }
  }
}

// ---- Scores -------------------------------------------------------------------------------------

/// 2^x, with an error of two units in the last place; 0 for -infinity.
__device__ inline float exp2_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

#endif

}  // namespace taut::kernels::cuda
