#pragma once
// A thread's packs of the next rows of a few arrays, on their way to shared memory while it works
// on a row before.
//   RowRing<T, kItems, 2> ring(memory);
//   ring.fetch(turn, team, {grad, input}, n);        // for the first kSlots turns
//   ring.wait();
//   ring.read(turn, 0, j, grad_values);
//   ring.read(turn, 1, j, input_values);
//   ring.fetch(turn + kSlots, ...);                  // when all of the turn has been read

#include "kernels/api/async_copy.cuh"
#include "kernels/api/row_team.cuh"

namespace taut::kernels::cuda {

template <class T, int kItems, int kArrays>
class RowRing {
 public:
  static constexpr int kSlots = 2;
  static constexpr int kPack = kPackCount<T>;
  static constexpr int kPacks = kItems / kPack;  // of a thread, in each array
  static constexpr int kBytesPerThread = kSlots * kArrays * kPacks * 16;

  /// `memory`: of the block, aligned to 16 bytes.
  __device__ explicit RowRing(void* memory) : mine_(static_cast<uint4*>(memory) + threadIdx.x) {}

  /// Closes one group of copies, an empty one where n is 0.
  __device__ void fetch(int turn, const RowTeam& team, const T* const (&rows)[kArrays],
                        int n) const {
#pragma unroll
    for (int j = 0; j < kPacks; ++j) {
      const int at = (j * team.lanes + team.lane) * kPack;
      if (at >= n) continue;
#pragma unroll
      for (int k = 0; k < kArrays; ++k) copy_async_16(slot(turn, k * kPacks + j), rows[k] + at);
    }
    commit_copies();
  }

  /// Until the oldest of kSlots turns is there.
  __device__ void wait() const { wait_for_copies_but<kSlots - 1>(); }

  /// The j-th pack of a row.
  __device__ void read(int turn, int array, int j, Compute<T> (&values)[kPack]) const {
    load_widened<kPack>(reinterpret_cast<const T*>(slot(turn, array * kPacks + j)), values);
  }

 private:
  // Neighbouring threads have neighbouring packs: no conflicts between banks.
  __device__ uint4* slot(int turn, int pack) const {
    return mine_ + ((turn % kSlots) * kArrays * kPacks + pack) * static_cast<int>(blockDim.x);
  }

  uint4* mine_;
};

}  // namespace taut::kernels::cuda
