// Functors that round, split or repair numbers; see Note [Functors].

struct Floor : Unary {
  static constexpr Domain domain = Domain::floating;
  static constexpr Derivative derivative = Derivative::zero;
  template <class T>
  TAUT_HD T operator()(T x) const {
    return floor(x);
  }
};

struct Ceil : Unary {
  static constexpr Domain domain = Domain::floating;
  static constexpr Derivative derivative = Derivative::zero;
  template <class T>
  TAUT_HD T operator()(T x) const {
    return ceil(x);
  }
};

struct Trunc : Unary {
  static constexpr Domain domain = Domain::floating;
  static constexpr Derivative derivative = Derivative::zero;
  template <class T>
  TAUT_HD T operator()(T x) const {
    return trunc(x);
  }
};

struct Frac : Unary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {0};
  static constexpr unsigned passes = kA;
  template <class T>
  TAUT_HD T operator()(T x) const {
    return x - trunc(x);
  }
  template <class V>
  TAUT_HD V vjp_a(V g) const {
    return g;
  }
};

// To the nearest multiple of 10^-decimals, ties to even.
struct Round : Unary {
  static constexpr Domain domain = Domain::floating;
  static constexpr Derivative derivative = Derivative::zero;
  double scale;    // 10^|decimals|
  double divides;  // 1 when decimals are negative
  static Round from(const double* parameters) { return {{}, parameters[0], parameters[1]}; }
  template <class T>
  TAUT_HD T operator()(T x) const {
    if (scale == 1) return round_to_even(x);
    const T factor = lit<T>(scale);
    return divides != 0 ? round_to_even(x / factor) * factor : round_to_even(x * factor) / factor;
  }
};

struct NanToNum : Unary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kA};
  double nan, posinf, neginf;
  static NanToNum from(const double* parameters) {
    return {{}, parameters[0], parameters[1], parameters[2]};
  }
  template <class T>
  TAUT_HD T operator()(T x) const {
    const T infinity = lit<T>(std::numeric_limits<double>::infinity());
    return where(isnan(x), lit<T>(nan),
                 where(x == infinity, lit<T>(posinf), where(x == -infinity, lit<T>(neginf), x)));
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V x) const {
    // x - x is 0 exactly for finite x.
    return where(x - x == lit<V>(0), g, g * lit<V>(0));
  }
};

struct Copysign : Binary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kA | kY, 0};
  template <class T>
  TAUT_HD T operator()(T a, T b) const {
    return copysign(a, b);
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V a, V y) const {
    // Neither sign is right for nan.
    return where(a == lit<V>(0), g * lit<V>(0), where(a == y, g, where(a == -y, -g, a)));
  }
  template <class V>
  TAUT_HD V vjp_b(V g) const {
    return g * lit<V>(0);
  }
};

// 0 below 0 and for nan, 1 above, the second argument at 0.
struct Heaviside : Binary {
  static constexpr Domain domain = Domain::arithmetic;
  static constexpr Derivative derivative = Derivative::none;
  template <class T>
  TAUT_HD T operator()(T x, T at_zero) const {
    return where(x == lit<T>(0), at_zero, where(x > lit<T>(0), lit<T>(1), lit<T>(0)));
  }
};
