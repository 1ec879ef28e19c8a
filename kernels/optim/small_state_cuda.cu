// Optimizer steps on CUDA with state in 16 or 8 bits; see Note [Small state]. A warp works on a
// block of a state, so that its scale needs no barrier.

#include "kernels/api/row_team.cuh"
#include "kernels/api/small_state.h"
#include "kernels/optim/update_launch_cuda.cuh"

namespace taut::kernels::cuda {
namespace {

constexpr int kOfLane = kStateBlock / kWarp;  // elements of a block
static_assert(kOfLane == 8);                  // those of a StateRandom

__constant__ StateMap signed_map(true);
__constant__ StateMap unsigned_map(false);

/// The maps where neighbouring lanes may read different entries at once.
struct SharedMaps {
  float signed_values[256];
  float unsigned_values[256];

  __device__ void load() {
    for (int i = static_cast<int>(threadIdx.x); i < 256; i += kThreads) {
      signed_values[i] = signed_map.values[i];
      unsigned_values[i] = unsigned_map.values[i];
    }
  }
};

/// The `count` elements of a lane, and zeros. `whole`: all of them, aligned.
template <class T, class A>
__device__ inline void load_lane(const T* from, int count, bool whole, A (&values)[kOfLane]) {
  if (whole) {
    Compute<T> loaded[kOfLane];
    load_widened<kOfLane>(from, loaded);
#pragma unroll
    for (int e = 0; e < kOfLane; ++e) values[e] = static_cast<A>(loaded[e]);
    return;
  }
#pragma unroll
  for (int e = 0; e < kOfLane; ++e) values[e] = e < count ? static_cast<A>(widen(from[e])) : A(0);
}

template <class T>
__device__ inline void store_lane(T* to, int count, bool whole, const Pack<T, kOfLane>& pack) {
  if (whole) {
    store_pack<kOfLane>(to, pack);
    return;
  }
#pragma unroll
  for (int e = 0; e < kOfLane; ++e) {
    if (e < count) to[e] = pack.values[e];
  }
}

template <class T, class A>
__device__ inline void store_narrow_lane(T* to, int count, bool whole, const A (&values)[kOfLane]) {
  Pack<T, kOfLane> pack;
#pragma unroll
  for (int e = 0; e < kOfLane; ++e) pack.values[e] = narrow<T>(static_cast<Compute<T>>(values[e]));
  store_lane(to, count, whole, pack);
}

/// Where a lane works: `at` its first element, in a block of its warp.
struct LanePlace {
  int64_t size;  // of the tensor
  int64_t at;
  int count;
  bool whole;

  __device__ float* scale(uint8_t* codes) const {
    return reinterpret_cast<float*>(codes + state_codes(size)) + at / kStateBlock;
  }
};

template <class A>
__device__ inline void load_state(void* data, StateFormat format, bool is_signed,
                                  const LanePlace& place, const SharedMaps& maps,
                                  A (&values)[kOfLane]) {
  if (format == StateFormat::bfloat16) {
    load_lane(static_cast<const __nv_bfloat16*>(data) + place.at, place.count, place.whole, values);
    return;
  }
  auto* codes = static_cast<uint8_t*>(data);
  const float scale = *place.scale(codes);
  Pack<uint8_t, kOfLane> pack = {};
  if (place.whole) {
    pack = load_pack<kOfLane>(codes + place.at);
  } else {
    for (int e = 0; e < place.count; ++e) pack.values[e] = codes[place.at + e];
  }
#pragma unroll
  for (int e = 0; e < kOfLane; ++e) {
    const float value = is_signed ? signed_value(maps.signed_values, pack.values[e])
                                  : maps.unsigned_values[pack.values[e]];
    values[e] = static_cast<A>(scale * value);
  }
}

// All lanes of the warp call it.
template <class A>
__device__ inline void store_state(void* data, StateFormat format, bool is_signed, bool is_drawn,
                                   const LanePlace& place, const SharedMaps& maps,
                                   const StateRandom& random, const A (&values)[kOfLane]) {
  if (format == StateFormat::bfloat16) {
    Pack<__nv_bfloat16, kOfLane> pack;
#pragma unroll
    for (int e = 0; e < kOfLane; ++e) {
      const float value = static_cast<float>(values[e]);
      pack.values[e] = is_drawn ? __ushort_as_bfloat16(random_bfloat16(value, random.bits(e)))
                                : narrow<__nv_bfloat16>(value);
    }
    store_lane(static_cast<__nv_bfloat16*>(data) + place.at, place.count, place.whole, pack);
    return;
  }
  float largest = 0.0f;
#pragma unroll
  for (int e = 0; e < kOfLane; ++e) {
    if (e < place.count) largest = fmaxf(largest, fabsf(static_cast<float>(values[e])));
  }
  largest = fold_lanes(largest, Max{});
  const float factor = share_factor(largest);
  auto* codes = static_cast<uint8_t*>(data);
  if (threadIdx.x % kWarp == 0) *place.scale(codes) = largest;
  Pack<uint8_t, kOfLane> pack;
#pragma unroll
  for (int e = 0; e < kOfLane; ++e) {
    const float share = static_cast<float>(values[e]) * factor;
    if (is_signed) {
      pack.values[e] = signed_code(maps.signed_values, share);
    } else {
      const float* entries = maps.unsigned_values;
      pack.values[e] =
          static_cast<uint8_t>(is_drawn ? random_entry(entries, 255, false, share, random.bits(e))
                                        : nearest_entry(entries, 255, false, share));
    }
  }
  store_lane(codes + place.at, place.count, place.whole, pack);
}

template <class T, class G, class Update, int kCapacity>
__global__ void __launch_bounds__(kThreads)
    small_state_kernel(const __grid_constant__ TensorTable<kCapacity> table,
                       const __grid_constant__ Update update, const DeviceControl control,
                       StateFormat format) {
  wait_for_stream();
  using A = Compute<T>;
  constexpr int kLists = Update::kLists;
  const ListChunk chunk(table);
  A grad_factor, scalars[kMaxScalars];
  if (!begin_update(table, chunk, control, update, grad_factor, scalars)) return;
  __shared__ SharedMaps maps;
  if (format == StateFormat::blocks8) {
    maps.load();
    __syncthreads();
  }
  void* const data[] = {table.data[0][chunk.tensor], table.data[1][chunk.tensor],
                        table.data[2][chunk.tensor], table.data[3][chunk.tensor],
                        table.data[4][chunk.tensor]};
  const auto step = static_cast<uint32_t>(real_step(table, chunk, control));
  const int64_t lane = threadIdx.x % kWarp;
  for (int64_t block = int64_t{threadIdx.x / kWarp} * kStateBlock; block < chunk.size;
       block += kThreads / kWarp * kStateBlock) {
    LanePlace place{table.sizes[chunk.tensor], chunk.begin + block + lane * kOfLane, 0, false};
    const int64_t left = place.size - place.at;
    place.count = static_cast<int>(left < 0 ? 0 : left < kOfLane ? left : kOfLane);
    place.whole = place.count == kOfLane && table.aligned[chunk.tensor];

    A x[kLists][kOfLane];
    load_lane(static_cast<const T*>(data[0]) + place.at, place.count, place.whole, x[0]);
    load_lane(static_cast<const G*>(data[1]) + place.at, place.count, place.whole, x[1]);
#pragma unroll
    for (int k = 2; k < kLists; ++k) {
      if ((update.reads >> k & 1u) != 0) {
        load_state(data[k], format, (Update::kUnsigned >> k & 1u) == 0, place, maps, x[k]);
      } else {
#pragma unroll
        for (int e = 0; e < kOfLane; ++e) x[k][e] = A(0);
      }
    }
#pragma unroll
    for (int e = 0; e < kOfLane; ++e) {
      A element[kLists];
#pragma unroll
      for (int k = 0; k < kLists; ++k) element[k] = x[k][e];
      element[1] *= grad_factor;
      update(element, scalars);
#pragma unroll
      for (int k = 0; k < kLists; ++k) x[k][e] = element[k];
    }
    store_narrow_lane(static_cast<T*>(data[0]) + place.at, place.count, place.whole, x[0]);
    if constexpr (!std::is_same_v<G, T>) {
      store_narrow_lane(static_cast<G*>(table.data[kLowParam][chunk.tensor]) + place.at,
                        place.count, place.whole, x[0]);
    }
    const StateRandom random(table.places[chunk.tensor], step, place.at);
#pragma unroll
    for (int k = 2; k < kLists; ++k) {
      if ((update.writes >> k & 1u) == 0) continue;
      store_state(data[k], format, (Update::kUnsigned >> k & 1u) == 0,
                  (Update::kDrawn >> k & 1u) != 0, place, maps, random, x[k]);
    }
  }
}

template <class T, class Update, int kLists>
void launch_small(const ParamList& list, const void* const* const (&lists)[kLists],
                  const Update& update) {
  const DeviceControl control = control_of(list);
  for_updates<T>(list, lists, update,
                 [&]<int kCapacity, class G>(const TensorTable<kCapacity>& table, uint32_t chunks,
                                             TypeTag<G>) {
                   launch_chunks(list.launches, small_state_kernel<T, G, Update, kCapacity>, chunks,
                                 table, update, control, list.state_format);
                 });
}

}  // namespace

void small_sgd(const SgdArgs& args) {
  visit_floating("sgd", args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    launch_small<T>(args, {args.params, args.grads, args.momentum_buffers},
                    SgdUpdate<Compute<T>>(args));
  });
  check_launch("sgd");
}

void small_adam(const AdamArgs& args) {
  visit_floating("adam", args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const void* const* highest = args.amsgrad ? args.max_exp_avg_sqs : nullptr;
    launch_small<T>(args, {args.params, args.grads, args.exp_avgs, args.exp_avg_sqs, highest},
                    AdamUpdate<Compute<T>>(args));
  });
  check_launch("adam");
}

}  // namespace taut::kernels::cuda
