// erf of vectors of float.
// Included inside every instruction set: see Note [One build, three instruction sets].

#if defined(TAUT_KERNELS_API_SIMD_ERF_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TAUT_KERNELS_API_SIMD_ERF_INL_H_
#undef TAUT_KERNELS_API_SIMD_ERF_INL_H_
#else
#define TAUT_KERNELS_API_SIMD_ERF_INL_H_
#endif

#include "kernels/api/simd_rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace taut::kernels {
namespace HWY_NAMESPACE {

/// table[index] for each lane, indices from 0 to 15.
template <class D>
HWY_INLINE hn::Vec<D> look_up(D d, const float (&table)[16], hn::Vec<hn::RebindToSigned<D>> index) {
#if HWY_TARGET <= HWY_AVX3
  return hn::TableLookupLanes(hn::Load(d, table), hn::IndicesFromVec(d, index));
#elif HWY_TARGET <= HWY_AVX2
  const hn::RebindToSigned<D> integers;
  const auto place = hn::IndicesFromVec(d, hn::And(index, hn::Set(integers, 7)));
  const auto low = hn::TableLookupLanes(hn::Load(d, table), place);
  const auto high = hn::TableLookupLanes(hn::Load(d, table + 8), place);
  return hn::IfThenElse(hn::RebindMask(d, hn::Gt(index, hn::Set(integers, 7))), high, low);
#else
  return hn::GatherIndex(d, table, index);
#endif
}

// erf(y) / y around the multiples of kErfStep, as a polynomial in the distance to the nearest: row
// k has the coefficients of power 5 - k at 0, kErfStep, 2 kErfStep, ... Each has the least relative
// error on its piece (Remez exchange; 3e-9).
inline constexpr float kErfStep = 0.2578125f;  // few digits, so that multiples are exact
alignas(64) inline constexpr float kErfPieces[6][16] = {
    {-0.010291771f, -0.0365069509f, -0.049669154f, -0.035514988f, -0.00934039056f, 0.0107151931f,
     0.0172234811f, 0.0137588652f, 0.00733322091f, 0.00239593489f, -7.05135535e-05f,
     -0.000832794409f, -0.000835000654f, -0.000632349169f, -0.00043753683f, -0.000296655751f},
    {0.114323281f, 0.0871710703f, 0.0284773335f, -0.0288015362f, -0.0579891093f, -0.0558612272f,
     -0.0364779271f, -0.0158226006f, -0.00220436836f, 0.0038159804f, 0.00508436374f, 0.0043785125f,
     0.00326053053f, 0.00230870885f, 0.00162384065f, 0.0011561478f},
    {-9.89906111e-05f, 0.107479587f, 0.168797165f, 0.166803196f, 0.118683845f, 0.0574084297f,
     0.00897175074f, -0.0175430365f, -0.0260115284f, -0.0245494936f, -0.0196471475f, -0.014672244f,
     -0.0107339639f, -0.00788847264f, -0.00588564062f, -0.00447014673f},
    {-0.376123399f, -0.332861602f, -0.222045094f, -0.0883997157f, 0.0239490103f, 0.091875881f,
     0.116225459f, 0.111521974f, 0.093773149f, 0.0738261268f, 0.0566556156f, 0.0434334874f,
     0.0336837396f, 0.0265454948f, 0.0212641936f, 0.0172903724f},
    {-3.29250369e-08f, -0.186386243f, -0.331496447f, -0.411455214f, -0.426451117f, -0.394537568f,
     -0.339271665f, -0.279677242f, -0.226473317f, -0.183316648f, -0.149841666f, -0.124203362f,
     -0.104452446f, -0.0890189931f, -0.076759465f, -0.0668665469f},
    {1.12837923f, 1.1038698f, 1.03587496f, 0.938614726f, 0.829354465f, 0.722771823f, 0.627912462f,
     0.548181295f, 0.483133942f, 0.430531293f, 0.387775481f, 0.352595717f, 0.323228389f,
     0.298367649f, 0.277056187f, 0.25858584f},
};

/// erf(x) for any x, within 2.5 units of the last place.
template <class D>
HWY_INLINE hn::Vec<D> erf_any(D d, hn::Vec<D> x) {
  // From here on erf rounds to 1, and so does the last piece at this very point. The second operand
  // wins where it is NaN.
  const auto y = hn::Min(hn::Set(d, 3.99f), hn::Abs(x));
  const auto shifter = hn::Set(d, 12582912.0f);  // 1.5 2^23 leaves the piece in the lowest bits
  const auto shifted = hn::MulAdd(y, hn::Set(d, 1 / kErfStep), shifter);
  const auto t = hn::NegMulAdd(hn::Sub(shifted, shifter), hn::Set(d, kErfStep), y);
  const hn::RebindToSigned<D> integers;
  const auto piece = hn::And(hn::BitCast(integers, shifted), hn::Set(integers, 15));
  auto sum = look_up(d, kErfPieces[0], piece);
  for (int k = 1; k < 6; ++k) sum = hn::MulAdd(sum, t, look_up(d, kErfPieces[k], piece));
  return hn::CopySign(hn::Min(hn::Set(d, 1.0f), hn::Mul(sum, y)), x);
}

}  // namespace HWY_NAMESPACE
}  // namespace taut::kernels
HWY_AFTER_NAMESPACE();

#endif
