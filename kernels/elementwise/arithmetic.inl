// Functors of arithmetic; see Note [Functors].

struct Abs : Unary {
  static constexpr Domain domain = Domain::arithmetic;
  static constexpr unsigned needs[] = {kA};
  template <class T>
  TAUT_HD T operator()(T x) const {
    return abs(x);
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V x) const {
    return where(x > lit<V>(0), g, where(x < lit<V>(0), -g, g * x));  // 0 at 0, NaN at NaN
  }
};

struct Neg : Unary {
  static constexpr Domain domain = Domain::numeric;
  static constexpr unsigned needs[] = {0};
  template <class T>
  TAUT_HD T operator()(T x) const {
    return -x;
  }
  template <class V>
  TAUT_HD V vjp_a(V g) const {
    return -g;
  }
};

struct Square : Unary {
  static constexpr Domain domain = Domain::arithmetic;
  static constexpr unsigned needs[] = {kA};
  template <class T>
  TAUT_HD T operator()(T x) const {
    return x * x;
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V x) const {
    return g * x * lit<V>(2);
  }
};

// 0 for nan, as in PyTorch.
struct Sgn : Unary {
  static constexpr Domain domain = Domain::arithmetic;
  static constexpr Derivative derivative = Derivative::zero;
  template <class T>
  TAUT_HD T operator()(T x) const {
    return where(x > lit<T>(0), lit<T>(1), where(x < lit<T>(0), lit<T>(-1), lit<T>(0)));
  }
};
struct Sign : Sgn {};

struct Reciprocal : Unary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kY};
  template <class T>
  TAUT_HD T operator()(T x) const {
    return lit<T>(1) / x;
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V y) const {
    return -(g * y * y);
  }
};

struct Sqrt : Unary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kY};
  template <class T>
  TAUT_HD T operator()(T x) const {
    return sqrt(x);
  }
  // y = sqrt(x); dy/dx = 1/(2y)
  template <class V>
  TAUT_HD V vjp_a(V g, V y) const {
    return g / (y * lit<V>(2));
  }
};

struct Rsqrt : Unary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kY};
  template <class T>
  TAUT_HD T operator()(T x) const {
    return rsqrt(x);
  }
  // y = x^(-1/2); dy/dx = -y^3/2
  template <class V>
  TAUT_HD V vjp_a(V g, V y) const {
    return g * y * y * y * lit<V>(-0.5);
  }
};

struct Deg2rad : Unary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {0};
  static constexpr double kScale = 0.017453292519943295769;  // pi/180
  template <class T>
  TAUT_HD T operator()(T x) const {
    return x * lit<T>(kScale);
  }
  template <class V>
  TAUT_HD V vjp_a(V g) const {
    return g * lit<V>(kScale);
  }
};

struct Rad2deg : Unary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {0};
  static constexpr double kScale = 57.295779513082320877;  // 180/pi
  template <class T>
  TAUT_HD T operator()(T x) const {
    return x * lit<T>(kScale);
  }
  template <class V>
  TAUT_HD V vjp_a(V g) const {
    return g * lit<V>(kScale);
  }
};

struct Add : Binary {
  static constexpr Domain domain = Domain::arithmetic;
  static constexpr unsigned needs[] = {0, 0};
  static constexpr unsigned passes = kA;
  double alpha;
  static Add from(const double* parameters) { return {{}, parameters[0]}; }
  template <class T>
  TAUT_HD T operator()(T a, T b) const {
    return a + b * lit<T>(alpha);
  }
  template <class V>
  TAUT_HD V vjp_a(V g) const {
    return g;
  }
  template <class V>
  TAUT_HD V vjp_b(V g) const {
    return g * lit<V>(alpha);
  }
};

struct Sub : Binary {
  static constexpr Domain domain = Domain::numeric;
  static constexpr unsigned needs[] = {0, 0};
  static constexpr unsigned passes = kA;
  double alpha;
  static Sub from(const double* parameters) { return {{}, parameters[0]}; }
  template <class T>
  TAUT_HD T operator()(T a, T b) const {
    return a - b * lit<T>(alpha);
  }
  template <class V>
  TAUT_HD V vjp_a(V g) const {
    return g;
  }
  template <class V>
  TAUT_HD V vjp_b(V g) const {
    return g * lit<V>(-alpha);
  }
};

struct Mul : Binary {
  static constexpr Domain domain = Domain::arithmetic;
  static constexpr unsigned needs[] = {kB, kA};
  template <class T>
  TAUT_HD T operator()(T a, T b) const {
    return a * b;
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V b) const {
    return g * b;
  }
  template <class V>
  TAUT_HD V vjp_b(V g, V a) const {
    return g * a;
  }
};

struct TrueDivide : Binary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kB, kA | kB};
  template <class T>
  TAUT_HD T operator()(T a, T b) const {
    return a / b;
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V b) const {
    return g / b;
  }
  template <class V>
  TAUT_HD V vjp_b(V g, V a, V b) const {
    return -(g * (a / b) / b);
  }
};

// The quotient rounded down, so that it goes with remainder: a = b * floor_divide + remainder. For
// floats as in Python: found from fmod, so that no rounding of a/b can push it to the next integer.
struct FloorDivide : Binary {
  static constexpr Domain domain = Domain::numeric;
  static constexpr Derivative derivative = Derivative::zero;
  static constexpr bool vectorized = false;
  template <class T>
  TAUT_HD T operator()(T a, T b) const {
    if constexpr (std::is_floating_point_v<T>) {
      if (b == T(0)) return a / b;
      T rest = std::fmod(a, b);
      T quotient = (a - rest) / b;
      if (rest != T(0) && (b < T(0)) != (rest < T(0))) quotient -= T(1);
      if (quotient == T(0)) return copysign(T(0), a / b);
      const T down = floor(quotient);
      return quotient - down > T(0.5) ? down + T(1) : down;
    } else {
      if (b == T(0)) return T(0);  // the op refuses it before
      if constexpr (std::is_signed_v<T>) {
        if (b == T(-1)) return static_cast<T>(-a);
      }
      const T quotient = static_cast<T>(a / b);
      return a % b != 0 && (a < 0) != (b < 0) ? static_cast<T>(quotient - 1) : quotient;
    }
  }
};

// The remainder with the sign of the dividend.
struct Fmod : Binary {
  static constexpr Domain domain = Domain::numeric;
  static constexpr unsigned needs[] = {0, kA | kB};
  static constexpr unsigned passes = kA;
  static constexpr bool vectorized = false;
  template <class T>
  TAUT_HD T operator()(T a, T b) const {
    if constexpr (std::is_floating_point_v<T>) {
      return std::fmod(a, b);
    } else {
      if (b == T(0)) return T(0);
      if constexpr (std::is_signed_v<T>) {
        if (b == T(-1)) return T(0);
      }
      return static_cast<T>(a % b);
    }
  }
  template <class V>
  TAUT_HD V vjp_a(V g) const {
    return g;
  }
  template <class V>
  TAUT_HD V vjp_b(V g, V a, V b) const {
    return -(g * trunc(a / b));
  }
};

// The remainder with the sign of the divisor.
struct Remainder : Binary {
  static constexpr Domain domain = Domain::numeric;
  static constexpr unsigned needs[] = {0, kA | kB};
  static constexpr unsigned passes = kA;
  static constexpr bool vectorized = false;
  template <class T>
  TAUT_HD T operator()(T a, T b) const {
    if constexpr (std::is_floating_point_v<T>) {
      T rest = std::fmod(a, b);
      if (rest != T(0) && (b < T(0)) != (rest < T(0))) rest += b;
      return rest;
    } else {
      if (b == T(0)) return T(0);
      if constexpr (std::is_signed_v<T>) {
        if (b == T(-1)) return T(0);
      }
      T rest = static_cast<T>(a % b);
      if (rest != 0 && (b < 0) != (rest < 0)) rest = static_cast<T>(rest + b);
      return rest;
    }
  }
  template <class V>
  TAUT_HD V vjp_a(V g) const {
    return g;
  }
  template <class V>
  TAUT_HD V vjp_b(V g, V a, V b) const {
    return -(g * floor(a / b));
  }
};

// Where both are equal, each gets half of the gradient.
struct Maximum : Binary {
  static constexpr Domain domain = Domain::arithmetic;
  static constexpr unsigned needs[] = {kA | kB, kA | kB};
  template <class T>
  TAUT_HD T operator()(T a, T b) const {
    return maximum(a, b);
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V a, V b) const {
    return where(a > b, g, where(a == b, g * lit<V>(0.5), g * lit<V>(0)));
  }
  template <class V>
  TAUT_HD V vjp_b(V g, V a, V b) const {
    return where(b > a, g, where(a == b, g * lit<V>(0.5), g * lit<V>(0)));
  }
};

struct Minimum : Binary {
  static constexpr Domain domain = Domain::arithmetic;
  static constexpr unsigned needs[] = {kA | kB, kA | kB};
  template <class T>
  TAUT_HD T operator()(T a, T b) const {
    return minimum(a, b);
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V a, V b) const {
    return where(a < b, g, where(a == b, g * lit<V>(0.5), g * lit<V>(0)));
  }
  template <class V>
  TAUT_HD V vjp_b(V g, V a, V b) const {
    return where(b < a, g, where(a == b, g * lit<V>(0.5), g * lit<V>(0)));
  }
};

// Like maximum, but a NaN gives way to the other; the first of two equals gets the gradient.
struct Fmax : Binary {
  static constexpr Domain domain = Domain::arithmetic;
  static constexpr unsigned needs[] = {kA | kB, kA | kB};
  template <class T>
  TAUT_HD T operator()(T a, T b) const {
    return where(a >= b, a, where(isnan(b), a, b));
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V a, V b) const {
    return where(a >= b, g, where(isnan(b), g, g * lit<V>(0)));
  }
  template <class V>
  TAUT_HD V vjp_b(V g, V a, V b) const {
    return where(a >= b, g * lit<V>(0), where(isnan(b), g * lit<V>(0), g));
  }
};

struct Fmin : Binary {
  static constexpr Domain domain = Domain::arithmetic;
  static constexpr unsigned needs[] = {kA | kB, kA | kB};
  template <class T>
  TAUT_HD T operator()(T a, T b) const {
    return where(a <= b, a, where(isnan(b), a, b));
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V a, V b) const {
    return where(a <= b, g, where(isnan(b), g, g * lit<V>(0)));
  }
  template <class V>
  TAUT_HD V vjp_b(V g, V a, V b) const {
    return where(a <= b, g * lit<V>(0), where(isnan(b), g * lit<V>(0), g));
  }
};

// max(x, low), the gradient going to x where x >= low.
struct ClampMin : Binary {
  static constexpr Domain domain = Domain::arithmetic;
  static constexpr unsigned needs[] = {kA | kB, kA | kB};
  template <class T>
  TAUT_HD T operator()(T x, T low) const {
    return maximum(x, low);
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V x, V low) const {
    return where(x >= low, g, g * lit<V>(0));
  }
  template <class V>
  TAUT_HD V vjp_b(V g, V x, V low) const {
    return where(x < low, g, g * lit<V>(0));
  }
};

struct ClampMax : Binary {
  static constexpr Domain domain = Domain::arithmetic;
  static constexpr unsigned needs[] = {kA | kB, kA | kB};
  template <class T>
  TAUT_HD T operator()(T x, T high) const {
    return minimum(x, high);
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V x, V high) const {
    return where(x <= high, g, g * lit<V>(0));
  }
  template <class V>
  TAUT_HD V vjp_b(V g, V x, V high) const {
    return where(x > high, g, g * lit<V>(0));
  }
};

// min(max(x, low), high): high wins where low > high.
struct Clamp : Ternary {
  static constexpr Domain domain = Domain::arithmetic;
  static constexpr unsigned needs[] = {kA | kB | kC, kA | kB | kC, kA | kB | kC};
  template <class T>
  TAUT_HD T operator()(T x, T low, T high) const {
    return minimum(maximum(x, low), high);
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V x, V low, V high) const {
    return where(x >= low, where(x <= high, g, g * lit<V>(0)), g * lit<V>(0));
  }
  template <class V>
  TAUT_HD V vjp_b(V g, V x, V low, V high) const {
    return where(x < low, where(low < high, g, g * lit<V>(0)), g * lit<V>(0));
  }
  template <class V>
  TAUT_HD V vjp_c(V g, V x, V low, V high) const {
    return where(x > high, g, where(low > high, g, g * lit<V>(0)));
  }
};

// The condition comes as a number of the computing dtype, 0 or not.
struct Where : Ternary {
  static constexpr Domain domain = Domain::arithmetic;
  static constexpr unsigned needs[] = {0, kA, kA};
  template <class T>
  TAUT_HD T operator()(T condition, T a, T b) const {
    return where(condition != lit<T>(0), a, b);
  }
  template <class V>
  TAUT_HD V vjp_a(V g) const {
    return g * lit<V>(0);
  }
  template <class V>
  TAUT_HD V vjp_b(V g, V condition) const {
    return where(condition != lit<V>(0), g, g * lit<V>(0));
  }
  template <class V>
  TAUT_HD V vjp_c(V g, V condition) const {
    return where(condition != lit<V>(0), g * lit<V>(0), g);
  }
};

// a + w (b - a), from the nearer end so that w = 1 gives b exactly.
struct Lerp : Ternary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kC, kC, kA | kB};
  template <class T>
  TAUT_HD T operator()(T a, T b, T w) const {
    return where(abs(w) < lit<T>(0.5), a + w * (b - a), b - (b - a) * (lit<T>(1) - w));
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V w) const {
    return g * (lit<V>(1) - w);
  }
  template <class V>
  TAUT_HD V vjp_b(V g, V w) const {
    return g * w;
  }
  template <class V>
  TAUT_HD V vjp_c(V g, V a, V b) const {
    return g * (b - a);
  }
};

// a + value * b * c
struct Addcmul : Ternary {
  static constexpr Domain domain = Domain::numeric;
  static constexpr unsigned needs[] = {0, kC, kB};
  static constexpr unsigned passes = kA;
  double value;
  static Addcmul from(const double* parameters) { return {{}, parameters[0]}; }
  template <class T>
  TAUT_HD T operator()(T a, T b, T c) const {
    return a + lit<T>(value) * b * c;
  }
  template <class V>
  TAUT_HD V vjp_a(V g) const {
    return g;
  }
  template <class V>
  TAUT_HD V vjp_b(V g, V c) const {
    return g * c * lit<V>(value);
  }
  template <class V>
  TAUT_HD V vjp_c(V g, V b) const {
    return g * b * lit<V>(value);
  }
};

// a + value * b / c
struct Addcdiv : Ternary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {0, kC, kB | kC};
  static constexpr unsigned passes = kA;
  double value;
  static Addcdiv from(const double* parameters) { return {{}, parameters[0]}; }
  template <class T>
  TAUT_HD T operator()(T a, T b, T c) const {
    return a + lit<T>(value) * b / c;
  }
  template <class V>
  TAUT_HD V vjp_a(V g) const {
    return g;
  }
  template <class V>
  TAUT_HD V vjp_b(V g, V c) const {
    return g / c * lit<V>(value);
  }
  template <class V>
  TAUT_HD V vjp_c(V g, V b, V c) const {
    return -(g * b / (c * c) * lit<V>(value));
  }
};
