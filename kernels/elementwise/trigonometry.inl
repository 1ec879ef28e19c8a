// Trigonometric and hyperbolic functors; see Note [Functors].

struct Sin : Unary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kA};
  template <class T>
  TAUT_HD T operator()(T x) const {
    return sin(x);
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V x) const {
    return g * cos(x);
  }
};

struct Cos : Unary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kA};
  template <class T>
  TAUT_HD T operator()(T x) const {
    return cos(x);
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V x) const {
    return -(g * sin(x));
  }
};

struct Tan : Unary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kY};
  template <class T>
  TAUT_HD T operator()(T x) const {
    return tan(x);
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V y) const {
    return g * (y * y + lit<V>(1));
  }
};

struct Asin : Unary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kA};
  template <class T>
  TAUT_HD T operator()(T x) const {
    return asin(x);
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V x) const {
    return g * rsqrt(lit<V>(1) - x * x);
  }
};

struct Acos : Unary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kA};
  template <class T>
  TAUT_HD T operator()(T x) const {
    return acos(x);
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V x) const {
    return -(g * rsqrt(lit<V>(1) - x * x));
  }
};

struct Atan : Unary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kA};
  template <class T>
  TAUT_HD T operator()(T x) const {
    return atan(x);
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V x) const {
    return g / (x * x + lit<V>(1));
  }
};

struct Sinh : Unary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kA};
  template <class T>
  TAUT_HD T operator()(T x) const {
    return sinh(x);
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V x) const {
    return g * cosh(x);
  }
};

struct Cosh : Unary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kA};
  template <class T>
  TAUT_HD T operator()(T x) const {
    return cosh(x);
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V x) const {
    return g * sinh(x);
  }
};

struct Tanh : Unary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kY};
  template <class T>
  TAUT_HD T operator()(T x) const {
    return tanh(x);
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V y) const {
    return g * (lit<V>(1) - y * y);
  }
};

struct Asinh : Unary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kA};
  template <class T>
  TAUT_HD T operator()(T x) const {
    return asinh(x);
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V x) const {
    return g * rsqrt(x * x + lit<V>(1));
  }
};

struct Acosh : Unary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kA};
  template <class T>
  TAUT_HD T operator()(T x) const {
    return acosh(x);
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V x) const {
    return g * rsqrt(x * x - lit<V>(1));
  }
};

struct Atanh : Unary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kA};
  template <class T>
  TAUT_HD T operator()(T x) const {
    return atanh(x);
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V x) const {
    return g / (lit<V>(1) - x * x);
  }
};

// sin(pi x) / (pi x), 1 at 0.
struct Sinc : Unary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kA};
  static constexpr double kPi = 3.14159265358979323846;
  template <class T>
  TAUT_HD T operator()(T x) const {
    const T angle = x * lit<T>(kPi);
    return where(x == lit<T>(0), lit<T>(1), sin(angle) / angle);
  }
  // (cos(pi x) pi x - sin(pi x)) / (pi x^2), 0 at 0
  template <class V>
  TAUT_HD V vjp_a(V g, V x) const {
    const V angle = x * lit<V>(kPi);
    return where(x == lit<V>(0), g * lit<V>(0),
                 g * (cos(angle) * angle - sin(angle)) / (angle * x));
  }
};

struct Atan2 : Binary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kA | kB, kA | kB};
  static constexpr bool vectorized = false;
  template <class T>
  TAUT_HD T operator()(T a, T b) const {
    return atan2(a, b);
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V a, V b) const {
    return g * b / (a * a + b * b);
  }
  template <class V>
  TAUT_HD V vjp_b(V g, V a, V b) const {
    return -(g * a / (a * a + b * b));
  }
};

struct Hypot : Binary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kA | kY, kB | kY};
  static constexpr bool vectorized = false;
  template <class T>
  TAUT_HD T operator()(T a, T b) const {
    return hypot(a, b);
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V a, V y) const {
    return g * (a / y);
  }
  template <class V>
  TAUT_HD V vjp_b(V g, V b, V y) const {
    return g * (b / y);
  }
};
