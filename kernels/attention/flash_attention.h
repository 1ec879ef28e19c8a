#pragma once
// Attention by our own kernels, for all that the specification in kernels/api/attention.h allows.
//
// Note [Flash attention]
// Dao et al., "FlashAttention: fast and memory-efficient exact attention with IO-awareness" (2022),
// and Dao, "FlashAttention-2: faster attention with better parallelism and work partitioning"
// (2023). No kernel stores scores. A block holds a tile of rows and walks over tiles of columns:
// - forward: its rows are queries, the columns keys. A running maximum and sum for each row turn
//   the softmax into one pass (Milakov and Gimelshein, 2018); log sum exp is kept for backward.
// - backward makes p = exp(s - log sum exp) again, twice: once with keys as rows, which gives dk
//   and dv, and once with queries as rows, which gives dq. Each block alone writes its rows, and
//   sums in a fixed order, so results repeat bit for bit without atomics or partial results.
// Exponentials are to base 2, since that is what the hardware has: scores carry a factor log2(e).
// There are two sets of kernels: tensor cores for 16-bit floats (mma_*, compute capability 8.0 on)
// and plain arithmetic for float32 and for older devices (plain_*).

#include "kernels/api/attention.h"

namespace taut::kernels::cuda {

/// What may run attention: cuDNN and all of our kernels, the same with cuDNN's plans made at first
/// use, all of our kernels, or the plain ones.
enum class AttentionKernelSet : uint8_t { all, cudnn, own, plain };

/// Limits all threads from now on; for tests.
TAUT_API void limit_attention_kernels(AttentionKernelSet set);

void run_flash_attention(const AttentionArgs& args, bool with_tensor_cores);
void run_flash_attention_backward(const AttentionBackwardArgs& args, bool with_tensor_cores);

/// The two sets of kernels. Those on tensor cores return false, with nothing done, for float32 and
/// where the device or the build has none. delta: (batch, heads, queries) of rowsum(do o).
bool run_mma_attention(const AttentionArgs& args);
bool run_mma_attention_backward(const AttentionBackwardArgs& args, const float* delta);
void run_plain_attention(const AttentionArgs& args);
void run_plain_attention_backward(const AttentionBackwardArgs& args, const float* delta);

}  // namespace taut::kernels::cuda
