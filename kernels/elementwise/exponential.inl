// Functors of exponentials, logarithms and powers; see Note [Functors].

struct Exp : Unary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kY};
  template <class T>
  TAUT_HD T operator()(T x) const {
    return exp(x);
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V y) const {
    return g * y;
  }
};

struct Exp2 : Unary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kY};
  template <class T>
  TAUT_HD T operator()(T x) const {
    return exp2(x);
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V y) const {
    return g * y * lit<V>(0.69314718055994530942);  // ln 2
  }
};

struct Expm1 : Unary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kY};
  template <class T>
  TAUT_HD T operator()(T x) const {
    return expm1(x);
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V y) const {
    return g * (y + lit<V>(1));
  }
};

struct Log : Unary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kA};
  template <class T>
  TAUT_HD T operator()(T x) const {
    return log(x);
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V x) const {
    return g / x;
  }
};

struct Log10 : Unary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kA};
  template <class T>
  TAUT_HD T operator()(T x) const {
    return log10(x);
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V x) const {
    return g / (x * lit<V>(2.3025850929940456840));  // ln 10
  }
};

struct Log1p : Unary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kA};
  template <class T>
  TAUT_HD T operator()(T x) const {
    return log1p(x);
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V x) const {
    return g / (x + lit<V>(1));
  }
};

struct Log2 : Unary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kA};
  template <class T>
  TAUT_HD T operator()(T x) const {
    return log2(x);
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V x) const {
    return g / (x * lit<V>(0.69314718055994530942));  // ln 2
  }
};

struct Sigmoid : Unary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kY};
  template <class T>
  TAUT_HD T operator()(T x) const {
    return sigmoid(x);
  }
  // y = 1/(1+e^-x); dy/dx = y(1-y)
  template <class V>
  TAUT_HD V vjp_a(V g, V y) const {
    return g * y * (lit<V>(1) - y);
  }
};

struct Pow : Binary {
  static constexpr Domain domain = Domain::numeric;
  static constexpr unsigned needs[] = {kA | kB, kA | kB | kY};
  template <class T>
  TAUT_HD T operator()(T base, T exponent) const {
    if constexpr (std::is_integral_v<T>) {
      return integer_power(base, exponent);
    } else {
      return power(base, exponent);
    }
  }
  // d/da a^b = b a^(b-1), which is 0 for b = 0 at a = 0 too
  template <class V>
  TAUT_HD V vjp_a(V g, V a, V b) const {
    return where(b == lit<V>(0), g * lit<V>(0), g * b * power(a, b - lit<V>(1)));
  }
  // d/db a^b = a^b ln a, with the limit 0 at a = 0 for b >= 0
  template <class V>
  TAUT_HD V vjp_b(V g, V a, V b, V y) const {
    return where((a == lit<V>(0)) & (b >= lit<V>(0)), g * lit<V>(0), g * y * log(a));
  }

 private:
  template <class V>
  TAUT_HD static V power(V a, V b) {
    if constexpr (std::is_floating_point_v<V>) {
      // The exponents that scripts write; pow itself rounds the square no better.
      if (b == V(2)) return a * a;
      if (b == V(1)) return a;
      return std::pow(a, b);
    } else {
      return pow(a, b);
    }
  }
  // Wraps as the multiplications would; a negative exponent gives 1, -1 or 0, as in integer
  // division.
  template <class T>
  TAUT_HD static T integer_power(T base, T exponent) {
    if constexpr (std::is_signed_v<T>) {
      if (exponent < 0) {
        if (base == 1) return 1;
        if (base == -1) return exponent % 2 == 0 ? 1 : -1;
        return 0;
      }
    }
    uint64_t result = 1;
    uint64_t factor = static_cast<uint64_t>(base);
    for (uint64_t left = static_cast<uint64_t>(exponent); left != 0; left >>= 1) {
      if (left & 1) result *= factor;
      factor *= factor;
    }
    return static_cast<T>(result);
  }
};

// a log(b), 0 where a is 0 unless b is NaN.
struct Xlogy : Binary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kA | kB, kA | kB};
  template <class T>
  TAUT_HD T operator()(T a, T b) const {
    return where(isnan(b), b, where(a == lit<T>(0), lit<T>(0), a * log(b)));
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V a, V b) const {
    return where((a == lit<V>(0)) & (b <= lit<V>(0)), g * lit<V>(0), g * log(b));
  }
  template <class V>
  TAUT_HD V vjp_b(V g, V a, V b) const {
    return g * a / b;
  }
};

// log(e^a + e^b), taken from the larger so that nothing overflows.
struct Logaddexp : Binary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kA | kB, kA | kB};
  template <class T>
  TAUT_HD T operator()(T a, T b) const {
    // Equal infinities have no difference; the sum of a and b is NaN only if one of them is.
    return where(a == b, a + lit<T>(0.69314718055994530942),
                 maximum(a, b) + log1p(exp(-abs(a - b))));
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V a, V b) const {
    return where(a == b, g * lit<V>(0.5), g * sigmoid(a - b));
  }
  template <class V>
  TAUT_HD V vjp_b(V g, V a, V b) const {
    return where(a == b, g * lit<V>(0.5), g * sigmoid(b - a));
  }
};

struct Logaddexp2 : Binary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kA | kB, kA | kB};
  static constexpr double kLn2 = 0.69314718055994530942;
  template <class T>
  TAUT_HD T operator()(T a, T b) const {
    return where(a == b, a + lit<T>(1),
                 maximum(a, b) + log1p(exp(abs(a - b) * lit<T>(-kLn2))) * lit<T>(1 / kLn2));
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V a, V b) const {
    return where(a == b, g * lit<V>(0.5), g * sigmoid((a - b) * lit<V>(kLn2)));
  }
  template <class V>
  TAUT_HD V vjp_b(V g, V a, V b) const {
    return where(a == b, g * lit<V>(0.5), g * sigmoid((b - a) * lit<V>(kLn2)));
  }
};
