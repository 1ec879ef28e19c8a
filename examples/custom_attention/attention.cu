// Attention for heads of 64: softmax(query key^T * scale) value, tile by tile, without a matrix of
// scores in memory. Forward and backward are algorithms 1 and 2 of Dao, "FlashAttention-2" (2023),
// the latter as two kernels, one for each side of the scores, so that no two blocks add to one
// gradient. custom_attention.py compiles this file at run time.
//
// Tensors are (heads, length, 64), contiguous and aligned to 16 bytes; T is float, __half or
// __nv_bfloat16. A block of four warps owns 64 rows of one head.

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <mma.h>

namespace {

constexpr int kRows = 64;   // queries or keys of a tile
constexpr int kWidth = 64;  // of a head
constexpr int kThreads = 128;

// Rows in shared memory are padded, so that the rows of a column lie in different banks.
template <class T>
constexpr int kStride = sizeof(T) == 2 ? 72 : 68;
constexpr int kFloatStride = kStride<float>;

template <class T>
struct alignas(32) Tile {
  T data[kRows * kStride<T>];
};

// Scores in float32, which softmax turns into weights of type T, each row in its own place.
struct ScoreTile : Tile<float> {
  template <class T>
  __device__ T* as() {
    return reinterpret_cast<T*>(data);
  }
};
template <class T>
constexpr int kScoreStride = kFloatStride * sizeof(float) / sizeof(T);

__device__ void assign(float& to, float value) { to = value; }
__device__ void assign(__half& to, float value) { to = __float2half(value); }
__device__ void assign(__nv_bfloat16& to, float value) { to = __float2bfloat16(value); }

// ---- tiles to and from memory -----------------------------------------------------------------

// The 64 rows of a head from `first` on; zeros beyond its `rows`.
template <class T>
__device__ void load(Tile<T>& tile, const T* head, int first, int rows) {
  constexpr int kPack = 16 / sizeof(T);
  constexpr int kPacks = kWidth / kPack;
  for (int i = threadIdx.x; i < kRows * kPacks; i += kThreads) {
    const int row = i / kPacks;
    const int column = i % kPacks * kPack;
    uint4 pack = make_uint4(0, 0, 0, 0);
    if (first + row < rows) {
      pack = *reinterpret_cast<const uint4*>(head + (int64_t)(first + row) * kWidth + column);
    }
    *reinterpret_cast<uint4*>(tile.data + row * kStride<T> + column) = pack;
  }
}

template <class T>
__device__ void store(T* head, const Tile<float>& tile, int first, int rows,
                      const float* factors = nullptr) {
  for (int i = threadIdx.x; i < kRows * kWidth; i += kThreads) {
    const int row = i / kWidth;
    const int column = i % kWidth;
    if (first + row >= rows) return;
    const float factor = factors == nullptr ? 1.0f : factors[row];
    assign(head[(int64_t)(first + row) * kWidth + column],
           tile.data[row * kFloatStride + column] * factor);
  }
}

__device__ void clear(Tile<float>& tile) {
  for (int i = threadIdx.x; i < kRows * kFloatStride; i += kThreads) tile.data[i] = 0.0f;
}

// ---- products of tiles ------------------------------------------------------------------------

// How a factor lies in memory: as it is multiplied, or the other way round.
struct Plain {
  using Layout = nvcuda::wmma::row_major;
  static __device__ int offset(int row, int column, int stride) { return row * stride + column; }
};
struct Transposed {
  using Layout = nvcuda::wmma::col_major;
  static __device__ int offset(int row, int column, int stride) { return column * stride + row; }
};

enum class Start { at_zero, at_what_is_there };

// c = a b or c += a b, 64 by 64 each. In 16 bits on tensor cores: a warp makes 16 rows.
template <class A, class B, class T>
__device__ void multiply(Start start, Tile<float>& c, const T* a, int a_stride, const T* b,
                         int b_stride) {
  namespace wmma = nvcuda::wmma;
  constexpr int kSide = 16;
  constexpr int kSteps = 64 / kSide;
  const int row = threadIdx.x / 32 * kSide;
  wmma::fragment<wmma::matrix_a, kSide, kSide, kSide, T, typename A::Layout> left[kSteps];
  for (int step = 0; step < kSteps; ++step) {
    wmma::load_matrix_sync(left[step], a + A::offset(row, step * kSide, a_stride), a_stride);
  }
  for (int column = 0; column < 64; column += kSide) {
    float* place = c.data + row * kFloatStride + column;
    wmma::fragment<wmma::accumulator, kSide, kSide, kSide, float> sum;
    if (start == Start::at_zero) {
      wmma::fill_fragment(sum, 0.0f);
    } else {
      wmma::load_matrix_sync(sum, place, kFloatStride, wmma::mem_row_major);
    }
    for (int step = 0; step < kSteps; ++step) {
      wmma::fragment<wmma::matrix_b, kSide, kSide, kSide, T, typename B::Layout> right;
      wmma::load_matrix_sync(right, b + B::offset(step * kSide, column, b_stride), b_stride);
      wmma::mma_sync(sum, left[step], right, sum);
    }
    wmma::store_matrix_sync(place, sum, kFloatStride, wmma::mem_row_major);
  }
}

// In float32 exactly: a thread makes 8 rows of every 16th column.
template <class A, class B>
__device__ void multiply(Start start, Tile<float>& c, const float* a, int a_stride, const float* b,
                         int b_stride) {
  constexpr int kHigh = 8;
  constexpr int kWide = 4;
  const int row = threadIdx.x / 16 * kHigh;
  const int column = threadIdx.x % 16;
  float sums[kHigh][kWide];
  const auto place = [&](int i, int j) -> float& {
    return c.data[(row + i) * kFloatStride + column + 16 * j];
  };
  for (int i = 0; i < kHigh; ++i) {
    for (int j = 0; j < kWide; ++j) sums[i][j] = start == Start::at_zero ? 0.0f : place(i, j);
  }
  for (int k = 0; k < 64; ++k) {
    float right[kWide];
    for (int j = 0; j < kWide; ++j) right[j] = b[B::offset(k, column + 16 * j, b_stride)];
    for (int i = 0; i < kHigh; ++i) {
      const float left = a[A::offset(row + i, k, a_stride)];
      for (int j = 0; j < kWide; ++j) sums[i][j] += left * right[j];
    }
  }
  for (int i = 0; i < kHigh; ++i) {
    for (int j = 0; j < kWide; ++j) place(i, j) = sums[i][j];
  }
}

// ---- softmax ----------------------------------------------------------------------------------

// Two threads, neighbours in a warp, share a row: one has its even columns, the other its odd ones.
constexpr int kColumns = 64 / 2;
struct RowShare {
  int row = threadIdx.x / 2;
  int half = threadIdx.x % 2;
  __device__ int column(int i) const { return 2 * i + half; }
};
__device__ float sum_of_row(float mine) { return mine + __shfl_xor_sync(~0u, mine, 1); }
__device__ float largest_of_row(float mine) { return fmaxf(mine, __shfl_xor_sync(~0u, mine, 1)); }

// How many of the keys from `first_key` on a query sees.
__device__ int visible_keys(int query, int first_key, int queries, int keys, bool is_causal) {
  if (query >= queries) return 0;
  const int end = is_causal ? min(keys, query + 1) : keys;
  return max(0, min(end - first_key, kRows));
}

// Puts a row's numbers where its scores were. Both threads have read theirs before either writes.
template <class T>
__device__ void replace_row(ScoreTile& tile, const RowShare& share,
                            const float (&values)[kColumns]) {
  __syncwarp();
  T* row = tile.as<T>() + share.row * kScoreStride<T>;
  for (int i = 0; i < kColumns; ++i) assign(row[share.column(i)], values[i]);
}

// The softmax of one row as its keys come in, tile by tile.
struct OnlineSoftmax {
  float largest = -INFINITY;
  float sum = 0.0f;

  // Scores become weights exp(score - largest); returns what earlier weights shrink by.
  template <class T>
  __device__ float take(ScoreTile& tile, const RowShare& share, int visible, float scale) {
    const float* scores = tile.data + share.row * kFloatStride;
    float weights[kColumns];
    float greatest = largest;
    for (int i = 0; i < kColumns; ++i) {
      const int column = share.column(i);
      weights[i] = column < visible ? scores[column] * scale : -INFINITY;
      greatest = fmaxf(greatest, weights[i]);
    }
    greatest = largest_of_row(greatest);
    const float base = greatest == -INFINITY ? 0.0f : greatest;
    float added = 0.0f;
    for (int i = 0; i < kColumns; ++i) {
      weights[i] = __expf(weights[i] - base);
      added += weights[i];
    }
    const float shrink = __expf(largest - base);
    sum = sum * shrink + sum_of_row(added);
    largest = greatest;
    replace_row<T>(tile, share, weights);
    return shrink;
  }
};

// From scores and the gradients of weights to weights and the gradients of scores.
template <class T>
__device__ void softmax_gradient(ScoreTile& scores, ScoreTile& grads, const RowShare& share,
                                 int visible, float scale, float log_sum, float delta) {
  float weights[kColumns];
  float grad_scores[kColumns];
  for (int i = 0; i < kColumns; ++i) {
    const int place = share.row * kFloatStride + share.column(i);
    const bool is_visible = share.column(i) < visible;
    weights[i] = is_visible ? __expf(scores.data[place] * scale - log_sum) : 0.0f;
    grad_scores[i] = is_visible ? weights[i] * (grads.data[place] - delta) * scale : 0.0f;
  }
  replace_row<T>(scores, share, weights);
  replace_row<T>(grads, share, grad_scores);
}

template <class T>
struct ForwardMemory {
  Tile<T> query, key, value;
  ScoreTile scores;
  Tile<float> output;
  float factors[kRows];
};
template <class T>
struct BackwardMemory {
  Tile<T> query, key, value, grad;
  ScoreTile scores, grad_scores;
  Tile<float> first, second;  // the gradients that the block makes
};

extern __shared__ __align__(128) unsigned char shared_memory[];
template <class Memory>
__device__ Memory& memory() {
  return *reinterpret_cast<Memory*>(shared_memory);
}

}  // namespace

// ---- kernels ----------------------------------------------------------------------------------

// output (heads, queries, 64) and log_sums (heads, queries): the logarithm of the sum of
// exp(score).
template <class T>
__global__ void __launch_bounds__(kThreads)
    attention_forward(const T* query, const T* key, const T* value, T* output, float* log_sums,
                      int queries, int keys, float scale, bool is_causal) {
  static_assert(sizeof(ForwardMemory<T>) == FORWARD_BYTES, "what custom_attention.py asks for");
  auto& tiles = memory<ForwardMemory<T>>();
  const int first_query = blockIdx.x * kRows;
  const int64_t query_rows = (int64_t)blockIdx.y * queries;
  const int64_t key_rows = (int64_t)blockIdx.y * keys;
  load(tiles.query, query + query_rows * kWidth, first_query, queries);
  clear(tiles.output);
  const RowShare share;
  OnlineSoftmax softmax;
  const int end = is_causal ? min(keys, first_query + kRows) : keys;
  for (int first_key = 0; first_key < end; first_key += kRows) {
    __syncthreads();
    load(tiles.key, key + key_rows * kWidth, first_key, keys);
    load(tiles.value, value + key_rows * kWidth, first_key, keys);
    __syncthreads();
    multiply<Plain, Transposed>(Start::at_zero, tiles.scores, tiles.query.data, kStride<T>,
                                tiles.key.data, kStride<T>);
    __syncthreads();
    const int visible = visible_keys(first_query + share.row, first_key, queries, keys, is_causal);
    const float shrink = softmax.take<T>(tiles.scores, share, visible, scale);
    for (int i = 0; i < kColumns; ++i) {
      tiles.output.data[share.row * kFloatStride + share.column(i)] *= shrink;
    }
    __syncthreads();
    multiply<Plain, Plain>(Start::at_what_is_there, tiles.output, tiles.scores.template as<T>(),
                           kScoreStride<T>, tiles.value.data, kStride<T>);
  }
  const int row = first_query + share.row;
  if (share.half == 0) {
    tiles.factors[share.row] = 1.0f / softmax.sum;
    if (row < queries) log_sums[query_rows + row] = softmax.largest + logf(softmax.sum);
  }
  __syncthreads();
  store(output + query_rows * kWidth, tiles.output, first_query, queries, tiles.factors);
}

// The gradients of key and value: a block has 64 keys and goes through the queries that see them.
// delta (heads, queries): the sum of grad * output over each row.
template <class T>
__global__ void __launch_bounds__(kThreads)
    attention_backward_keys(const T* query, const T* key, const T* value, const T* grad,
                            const float* log_sums, const float* delta, T* grad_key, T* grad_value,
                            int queries, int keys, float scale, bool is_causal) {
  static_assert(sizeof(BackwardMemory<T>) == BACKWARD_BYTES, "what custom_attention.py asks for");
  auto& tiles = memory<BackwardMemory<T>>();
  const int first_key = blockIdx.x * kRows;
  const int64_t query_rows = (int64_t)blockIdx.y * queries;
  const int64_t key_rows = (int64_t)blockIdx.y * keys;
  load(tiles.key, key + key_rows * kWidth, first_key, keys);
  load(tiles.value, value + key_rows * kWidth, first_key, keys);
  clear(tiles.first);
  clear(tiles.second);
  const RowShare share;
  for (int first_query = is_causal ? first_key : 0; first_query < queries; first_query += kRows) {
    __syncthreads();
    load(tiles.query, query + query_rows * kWidth, first_query, queries);
    load(tiles.grad, grad + query_rows * kWidth, first_query, queries);
    __syncthreads();
    multiply<Plain, Transposed>(Start::at_zero, tiles.scores, tiles.query.data, kStride<T>,
                                tiles.key.data, kStride<T>);
    multiply<Plain, Transposed>(Start::at_zero, tiles.grad_scores, tiles.grad.data, kStride<T>,
                                tiles.value.data, kStride<T>);
    __syncthreads();
    const int row = first_query + share.row;
    const bool is_there = row < queries;
    softmax_gradient<T>(tiles.scores, tiles.grad_scores, share,
                        visible_keys(row, first_key, queries, keys, is_causal), scale,
                        is_there ? log_sums[query_rows + row] : 0.0f,
                        is_there ? delta[query_rows + row] : 0.0f);
    __syncthreads();
    multiply<Transposed, Plain>(Start::at_what_is_there, tiles.first,
                                tiles.grad_scores.template as<T>(), kScoreStride<T>,
                                tiles.query.data, kStride<T>);
    multiply<Transposed, Plain>(Start::at_what_is_there, tiles.second,
                                tiles.scores.template as<T>(), kScoreStride<T>, tiles.grad.data,
                                kStride<T>);
  }
  __syncthreads();
  store(grad_key + key_rows * kWidth, tiles.first, first_key, keys);
  store(grad_value + key_rows * kWidth, tiles.second, first_key, keys);
}

// The gradient of query: a block has 64 queries and goes through the keys that they see.
template <class T>
__global__ void __launch_bounds__(kThreads)
    attention_backward_queries(const T* query, const T* key, const T* value, const T* grad,
                               const float* log_sums, const float* delta, T* grad_query,
                               int queries, int keys, float scale, bool is_causal) {
  static_assert(sizeof(BackwardMemory<T>) == BACKWARD_BYTES, "what custom_attention.py asks for");
  auto& tiles = memory<BackwardMemory<T>>();
  const int first_query = blockIdx.x * kRows;
  const int64_t query_rows = (int64_t)blockIdx.y * queries;
  const int64_t key_rows = (int64_t)blockIdx.y * keys;
  load(tiles.query, query + query_rows * kWidth, first_query, queries);
  load(tiles.grad, grad + query_rows * kWidth, first_query, queries);
  clear(tiles.first);
  const RowShare share;
  const int row = first_query + share.row;
  const float log_sum = row < queries ? log_sums[query_rows + row] : 0.0f;
  const float row_delta = row < queries ? delta[query_rows + row] : 0.0f;
  const int end = is_causal ? min(keys, first_query + kRows) : keys;
  for (int first_key = 0; first_key < end; first_key += kRows) {
    __syncthreads();
    load(tiles.key, key + key_rows * kWidth, first_key, keys);
    load(tiles.value, value + key_rows * kWidth, first_key, keys);
    __syncthreads();
    multiply<Plain, Transposed>(Start::at_zero, tiles.scores, tiles.query.data, kStride<T>,
                                tiles.key.data, kStride<T>);
    multiply<Plain, Transposed>(Start::at_zero, tiles.grad_scores, tiles.grad.data, kStride<T>,
                                tiles.value.data, kStride<T>);
    __syncthreads();
    softmax_gradient<T>(tiles.scores, tiles.grad_scores, share,
                        visible_keys(row, first_key, queries, keys, is_causal), scale, log_sum,
                        row_delta);
    __syncthreads();
    multiply<Plain, Plain>(Start::at_what_is_there, tiles.first, tiles.grad_scores.template as<T>(),
                           kScoreStride<T>, tiles.key.data, kStride<T>);
  }
  __syncthreads();
  store(grad_query + query_rows * kWidth, tiles.first, first_query, queries);
}
