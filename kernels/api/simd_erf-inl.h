// erf, erfc and the inverse of erf, of vectors of float or double.
// Included inside every instruction set: see Note [One build, three instruction sets].

#if defined(TAUT_KERNELS_API_SIMD_ERF_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TAUT_KERNELS_API_SIMD_ERF_INL_H_
#undef TAUT_KERNELS_API_SIMD_ERF_INL_H_
#else
#define TAUT_KERNELS_API_SIMD_ERF_INL_H_
#endif

#include "kernels/api/simd_exp-inl.h"
#include "kernels/api/simd_log-inl.h"

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
HWY_INLINE hn::Vec<D> erf_of_floats(D d, hn::Vec<D> x) {
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
  auto result = hn::Mul(sum, y);
#if HWY_TARGET > HWY_AVX2  // without fused operations it may come out as the number after 1
  result = hn::Min(hn::Set(d, 1.0f), result);
#endif
  return hn::CopySign(result, x);
}

template <class T>
struct ErfConstants;
template <>
struct ErfConstants<float> {
  static constexpr float kVanishes = 10.1f;  // erfc rounds to 0 from here on
  static constexpr float kCentre = 3.0f;
  static constexpr float scaled[] = {-0.000267178911f, -0.000775116938f, 0.00200335202f,
                                     0.00256655961f,   -0.0237985385f,   0.0682957507f,
                                     -0.119270795f,    0.129646434f,     -0.0475624097f,
                                     -0.13562114f,     1.25300806f};
};
template <>
struct ErfConstants<double> {
  static constexpr double kVanishes = 27.3;
  static constexpr double kCentre = 3.75;
  static constexpr double scaled[] = {
      -2.2430610972447675e-09, -4.148873732889336e-10,  3.275745286426461e-08,
      1.4737372204195264e-08,  -2.5314843630159424e-07, -4.6725618889079486e-08,
      1.7491038875482918e-06,  -9.810499836729278e-07,  -1.1443775755229228e-05,
      2.2387577494737717e-05,  5.1649266711361905e-05,  -0.00029015503186589236,
      0.00029371357042285817,  0.001755626024594854,    -0.009746579537751288,
      0.028362277400148284,    -0.0586933985917772,     0.09230432116152038,
      -0.10880393014164258,    0.08227673849011309,     0.003585415485462491,
      -0.1402405985855467,     1.2375126308378275};
  // erf(x) / x for |x| <= 1, in x^2: relative error 1e-19.
  static constexpr double central[] = {
      5.945252694283175e-11,   -1.1365661012451599e-09, 1.4657878655718597e-08,
      -1.6350025057560472e-07, 1.6460972802128258e-06,  -1.4925593505968366e-05,
      0.0001205533103685957,   -0.0008548326978740998,  0.005223977624780843,
      -0.026866170645072893,   0.11283791670954857,     -0.3761263890318375,
      1.1283791670955126};
};

/// erfc(y) for y >= 0. e^(y^2) erfc(y) (1 + 2 y) is bounded, and a polynomial in (y - c) / (y + c)
/// comes close to it on the whole half-line, as Shepherd and Laframboise found (Chebyshev
/// Approximation of (1 + 2 x) exp(x^2) erfc x, 1981). The coefficients are of the least relative
/// error (Remez exchange; 2e-9 and 1e-17).
template <class D>
HWY_INLINE hn::Vec<D> erfc_of_positive(D d, hn::Vec<D> y) {
  using C = ErfConstants<LaneOf<D>>;
  const auto one = hn::Set(d, LaneOf<D>(1));
  const auto centre = hn::Set(d, C::kCentre);
  y = hn::Min(hn::Set(d, C::kVanishes), y);
  const auto t = hn::Div(hn::Sub(y, centre), hn::Add(y, centre));
  const auto scaled =
      hn::Div(polynomial(d, t, C::scaled), hn::MulAdd(y, hn::Set(d, LaneOf<D>(2)), one));
  // The rounding error of y^2 would be one of the result as many times over.
  const auto square = hn::Mul(y, y);
  const auto error = hn::MulSub(y, y, square);
  const auto power = exp_any(d, hn::Neg(square));
  return hn::Mul(hn::NegMulAdd(power, error, power), scaled);
}

/// erfc(x) = 1 - erf(x) for any x, with all digits where it is small.
template <class D>
HWY_INLINE hn::Vec<D> erfc_any(D d, hn::Vec<D> x) {
  const auto result = erfc_of_positive(d, hn::Abs(x));
  const auto two = hn::Set(d, LaneOf<D>(2));
  return hn::IfThenElse(hn::Lt(x, hn::Zero(d)), hn::Sub(two, result), result);
}

/// erf(x) for any x.
template <class D>
HWY_INLINE hn::Vec<D> erf_any(D d, hn::Vec<D> x) {
  if constexpr (sizeof(LaneOf<D>) == 4) {
    return erf_of_floats(d, x);
  } else {
    const auto one = hn::Set(d, 1.0);
    const auto magnitude = hn::Abs(x);
    const auto central = hn::Mul(polynomial(d, hn::Mul(x, x), ErfConstants<double>::central), x);
    if (hn::AllTrue(d, hn::Lt(magnitude, one))) return central;
    const auto far = hn::CopySign(hn::Sub(one, erfc_of_positive(d, magnitude)), x);
    return hn::IfThenElse(hn::Lt(magnitude, one), central, far);
  }
}

/// The inverse of erf, NaN outside [-1, 1]. As Giles has it (Approximating the erfinv function,
/// 2010), erfinv(x) / x is a polynomial in w = -log(1 - x^2) up to 5, and in sqrt(w) from there on;
/// the coefficients are of the least relative error (Remez exchange; 6e-9 and 9e-8 in float). In
/// double one step of Halley's method on erf(y) - x takes the error from 1e-6 under the last digit.
template <class D>
HWY_INLINE hn::Vec<D> erfinv_any(D d, hn::Vec<D> x) {
  using T = LaneOf<D>;
  constexpr T kCentral[] = {T(-8.79065576146e-09), T(2.21023085198e-07), T(-1.97639864123e-06),
                            T(3.98295890011e-06),  T(4.45659198875e-05), T(-0.00012748264512),
                            T(-0.00233429546001),  T(0.0115486537053),   T(0.232013818015),
                            T(0.886226920501)};
  constexpr T kFloatTail[] = {T(-0.000151571749491), T(7.68392540947e-05), T(0.00128067601977),
                              T(-0.00365071458901),  T(0.00577101239972),  T(-0.00762782565069),
                              T(0.00943416743607),   T(1.00167432287),     T(2.83297702585)};
  constexpr T kDoubleTail[] = {T(1.78250841992e-05), T(-0.000221517634618), T(0.00114202308776),
                               T(-0.00322616148722), T(0.00576213666412),   T(-0.00781458982272),
                               T(0.00944787407482),  T(1.00169711981),      T(2.83297677416)};
  const auto one = hn::Set(d, T(1));
  const auto below = hn::Sub(one, x), above = hn::Add(one, x);
  const auto w = hn::Neg(log_any(d, hn::Mul(below, above)));
  const auto s = hn::Sub(hn::Sqrt(w), hn::Set(d, T(3)));
  const auto tail = sizeof(T) == 4 ? polynomial(d, s, kFloatTail) : polynomial(d, s, kDoubleTail);
  auto y = hn::IfThenElse(hn::Lt(w, hn::Set(d, T(5))), polynomial(d, w, kCentral), tail);
  y = hn::Mul(y, x);
  if constexpr (sizeof(T) == 8) {
    // erf(y) - x, from the side where no digits are lost.
    const auto is_positive = hn::Gt(x, hn::Zero(d));
    const auto rest = erfc_of_positive(d, hn::Abs(y));
    const auto far = hn::IfThenElse(is_positive, hn::Sub(below, rest), hn::Sub(rest, above));
    const auto is_near = hn::Lt(hn::Abs(x), hn::Set(d, 0.5));
    const auto error = hn::IfThenElse(is_near, hn::Sub(erf_any(d, y), x), far);
    // Divided by erf'(y) = 2 / sqrt(pi) e^(-y^2).
    const auto slope = exp_any(d, hn::Mul(y, y));
    const auto newton = hn::Mul(hn::Mul(error, slope), hn::Set(d, 0.886226925452758013649));
    y = hn::Sub(y, hn::Div(newton, hn::MulAdd(y, newton, one)));
  }
  const auto infinity = hn::Set(d, std::numeric_limits<T>::infinity());
  return hn::IfThenElse(hn::Eq(hn::Abs(x), one), hn::CopySign(infinity, x), y);
}

}  // namespace HWY_NAMESPACE
}  // namespace taut::kernels
HWY_AFTER_NAMESPACE();

#endif
