#pragma once
// Tiles of attention without tensor cores: a block of 16 by 16 threads holds 64 rows by 64 columns,
// 4 by 4 to a thread, and operands pass through shared memory in chunks. All arithmetic is in
// float32.
//
// Thread (x, y) has rows 4y .. 4y+3 and columns x, x+16, x+32, x+48 of scores, and columns
// 64c + 4x .. 64c + 4x+3 of chunk c of results: so the threads of a warp read either the same
// addresses or neighbouring ones.

#include "kernels/attention/attention_rows.cuh"
#include "kernels/attention/score_rule.cuh"

namespace taut::kernels::cuda {

constexpr int kPlainThreads = 256;
constexpr int kPlainTile = 64;   // rows, and columns
constexpr int kPlainDepth = 32;  // of the chunks that scores are summed over
// Floats between rows of a chunk: 16 bytes more than what is in them keeps rows in different banks.
constexpr int kDepthPitch = kPlainDepth + 4;
constexpr int kTilePitch = kPlainTile + 4;

/// Calls body(TypeTag<T>, std::integral_constant<int, kWidth>) with the dtype and a width that rows
/// of keys and of values fit. 16-bit floats, which come here on old devices only, have one width.
template <class Body>
void visit_plain(const AttentionShape& shape, const Body& body) {
  const int64_t width = shape.width > shape.value_width ? shape.width : shape.value_width;
  using Widest = std::integral_constant<int, 256>;
  switch (shape.dtype) {
    case DType::float16: return body(TypeTag<__half>{}, Widest{});
    case DType::bfloat16: return body(TypeTag<__nv_bfloat16>{}, Widest{});
    case DType::float32: break;
    default: taut::detail::raise<DTypeError>(kAttention, ": no CUDA kernel for ", shape.dtype);
  }
  if (width <= 64) return body(TypeTag<float>{}, std::integral_constant<int, 64>{});
  if (width <= 128) return body(TypeTag<float>{}, std::integral_constant<int, 128>{});
  return body(TypeTag<float>{}, Widest{});
}

using PlainSums = float[4][4];

/// The shared memory of a block.
struct PlainMemory {
  union {
    struct {
      float x[kPlainTile][kDepthPitch];
      float y[kPlainTile][kDepthPitch];
    };
    float values[kPlainTile][kTilePitch];
  };
  float weights[kPlainTile][kTilePitch];
};

struct PlainThread {
  int x = static_cast<int>(threadIdx.x) % 16;
  int y = static_cast<int>(threadIdx.x) / 16;

  __device__ int row(int r) const { return y * 4 + r; }
  __device__ int col(int c) const { return x + c * 16; }
};

/// kPlainTile rows from `first_row` on by kCols columns from `first_col` on; zeros past the ends.
template <int kCols, int kRowPitch, class T>
__device__ inline void load_chunk(float (&to)[kPlainTile][kRowPitch], const Rows<const T>& rows,
                                  const T* head, int first_row, int first_col) {
  constexpr int kPacks = kCols / 4;
  for (int i = static_cast<int>(threadIdx.x); i < kPlainTile * kPacks; i += kPlainThreads) {
    const int row = i / kPacks;
    const int at = i % kPacks * 4;
    const int col = first_col + at;
    float values[4] = {};
    if (first_row + row < rows.length && col < rows.width) {
      const T* from = head + (first_row + row) * rows.strides.row + col;
      if (rows.in_packs) {
        load_widened<4>(from, values);
      } else {
#pragma unroll
        for (int e = 0; e < 4; ++e) values[e] = col + e < rows.width ? widen(from[e]) : 0.0f;
      }
    }
    *reinterpret_cast<float4*>(&to[row][at]) =
        make_float4(values[0], values[1], values[2], values[3]);
  }
}

__device__ inline void load_four(float (&to)[4], const float* from) {
  const float4 four = *reinterpret_cast<const float4*>(from);
  to[0] = four.x;
  to[1] = four.y;
  to[2] = four.z;
  to[3] = four.w;
}

/// sums = x y^T over the whole width of rows from x_row and y_row on. Ends with chunks still being
/// read.
template <class T>
__device__ inline void plain_row_products(PlainSums& sums, PlainMemory& memory,
                                          const PlainThread& thread, const Rows<const T>& x_rows,
                                          const T* x_head, int x_row, const Rows<const T>& y_rows,
                                          const T* y_head, int y_row) {
#pragma unroll
  for (int r = 0; r < 4; ++r) {
#pragma unroll
    for (int c = 0; c < 4; ++c) sums[r][c] = 0.0f;
  }
#pragma unroll 1
  for (int depth = 0; depth < x_rows.width; depth += kPlainDepth) {
    __syncthreads();
    load_chunk<kPlainDepth>(memory.x, x_rows, x_head, x_row, depth);
    load_chunk<kPlainDepth>(memory.y, y_rows, y_head, y_row, depth);
    __syncthreads();
#pragma unroll 1
    for (int k = 0; k < kPlainDepth; k += 4) {
      float x[4][4], y[4][4];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        load_four(x[i], &memory.x[thread.row(i)][k]);
        load_four(y[i], &memory.y[thread.col(i)][k]);
      }
#pragma unroll
      for (int e = 0; e < 4; ++e) {
#pragma unroll
        for (int r = 0; r < 4; ++r) {
#pragma unroll
          for (int c = 0; c < 4; ++c) sums[r][c] = fmaf(x[r][e], y[c][e], sums[r][c]);
        }
      }
    }
  }
}

__device__ inline void store_weights(PlainMemory& memory, const PlainThread& thread,
                                     const PlainSums& weights) {
#pragma unroll
  for (int r = 0; r < 4; ++r) {
#pragma unroll
    for (int c = 0; c < 4; ++c) memory.weights[thread.row(r)][thread.col(c)] = weights[r][c];
  }
}

/// results += weights y, with rows of y from y_row on, in chunks of 64 columns. The weights that
/// threads stored are seen by all after the first barrier in here.
template <int kChunks, class T>
__device__ inline void add_plain_products(float (&results)[kChunks][4][4], PlainMemory& memory,
                                          const PlainThread& thread, const Rows<const T>& rows,
                                          const T* head, int first_row) {
#pragma unroll
  for (int chunk = 0; chunk < kChunks; ++chunk) {
    if (chunk * kPlainTile >= rows.width) break;
    __syncthreads();
    load_chunk<kPlainTile>(memory.values, rows, head, first_row, chunk * kPlainTile);
    __syncthreads();
#pragma unroll 2
    for (int k = 0; k < kPlainTile; k += 4) {
      float weights[4][4];
#pragma unroll
      for (int r = 0; r < 4; ++r) load_four(weights[r], &memory.weights[thread.row(r)][k]);
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        float values[4];
        load_four(values, &memory.values[k + e][thread.x * 4]);
#pragma unroll
        for (int r = 0; r < 4; ++r) {
#pragma unroll
          for (int c = 0; c < 4; ++c) {
            results[chunk][r][c] = fmaf(weights[r][e], values[c], results[chunk][r][c]);
          }
        }
      }
    }
  }
}

template <int kChunks>
__device__ inline void clear_results(float (&results)[kChunks][4][4]) {
#pragma unroll
  for (int chunk = 0; chunk < kChunks; ++chunk) {
#pragma unroll
    for (int r = 0; r < 4; ++r) {
#pragma unroll
      for (int c = 0; c < 4; ++c) results[chunk][r][c] = 0.0f;
    }
  }
}

/// Writes row r of a thread, times factor[r], to rows from `first_row` on of one head.
template <int kChunks, class T>
__device__ inline void store_results(const float (&results)[kChunks][4][4],
                                     const float (&factor)[4], const PlainThread& thread,
                                     const Rows<T>& rows, T* head, int first_row) {
#pragma unroll
  for (int chunk = 0; chunk < kChunks; ++chunk) {
    const int col = chunk * kPlainTile + thread.x * 4;
#pragma unroll
    for (int r = 0; r < 4; ++r) {
      const int row = first_row + thread.row(r);
      if (row >= rows.length || col >= rows.width) continue;
      float values[4];
#pragma unroll
      for (int c = 0; c < 4; ++c) values[c] = results[chunk][r][c] * factor[r];
      T* to = head + row * rows.strides.row + col;
      if (rows.in_packs) {
        store_narrowed<4>(to, values);
        continue;
      }
#pragma unroll
      for (int c = 0; c < 4; ++c) {
        if (col + c < rows.width) to[c] = narrow<T>(values[c]);
      }
    }
  }
}

/// The scores of a block, to base 2: rows are queries and columns keys, or with kIsKeyMajor the
/// other way round.
template <class T, bool kIsKeyMajor>
struct PlainScores {
  const ScoreRule& rule;
  PlainThread thread;
  int batch, head;
  int first_row, first_col;

  __device__ int query(int r, int c) const {
    return kIsKeyMajor ? first_col + thread.col(c) : first_row + thread.row(r);
  }
  __device__ int key(int r, int c) const {
    return kIsKeyMajor ? first_row + thread.row(r) : first_col + thread.col(c);
  }

  /// Products become scores: -infinity where the query does not see the key.
  __device__ void finish_scores(PlainSums& scores) const {
    const int64_t offset = rule.mask_offset(batch, head);
#pragma unroll
    for (int r = 0; r < 4; ++r) {
#pragma unroll
      for (int c = 0; c < 4; ++c) {
        const int i = query(r, c), j = key(r, c);
        if (!rule.sees(i, j)) {
          scores[r][c] = -INFINITY;
          continue;
        }
        scores[r][c] *= rule.scale_log2;
        if (rule.has_mask) scores[r][c] = rule.masked<T>(scores[r][c], offset, i, j);
      }
    }
  }

  /// Bit 4r + c: whether dropout keeps weight (r, c).
  __device__ uint32_t kept() const {
    uint32_t bits = 0;
#pragma unroll 1
    for (int i = 0; i < 4; ++i) {
      if constexpr (kIsKeyMajor) {
        bits |= spread(kept_in_column(i)) << i;
      } else {
        bits |= kept_in_row(i) << (4 * i);
      }
    }
    return bits;
  }

 private:
  // Bit c: keys of one query in four neighbouring threads, at 16 columns' distance.
  __device__ uint32_t kept_in_row(int r) const {
    return rule.dropout.template kept_across_lanes<1>([&](int c) {
      const int first_key = key(r, c) - (thread.x & 3);
      return rule.row_element(batch, head, query(r, c)) + first_key;
    });
  }
  // Bit r: four neighbouring keys of one query.
  __device__ uint32_t kept_in_column(int c) const {
    const int64_t element = rule.row_element(batch, head, query(0, c)) + key(0, c);
    if (rule.dropout.has_whole_blocks) return rule.dropout.block_bits(element);
    uint32_t bits = 0;
    for (int r = 0; r < 4; ++r) bits |= (rule.dropout.keeps(element + r) ? 1u : 0u) << r;
    return bits;
  }
  // Bit r to bit 4r.
  __device__ static uint32_t spread(uint32_t bits) {
    return (bits & 1u) | (bits & 2u) << 3 | (bits & 4u) << 6 | (bits & 8u) << 9;
  }
};

}  // namespace taut::kernels::cuda
