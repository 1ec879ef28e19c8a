// Functors of the error and gamma functions; see Note [Functors].

struct Erf : Unary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kA};
  template <class T>
  TAUT_HD T operator()(T x) const {
    return erf(x);
  }
  // 2/sqrt(pi) e^(-x^2)
  template <class V>
  TAUT_HD V vjp_a(V g, V x) const {
    return g * exp(-(x * x)) * lit<V>(1.1283791670955125739);
  }
};

struct Erfc : Unary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kA};
  template <class T>
  TAUT_HD T operator()(T x) const {
    return erfc(x);
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V x) const {
    return g * exp(-(x * x)) * lit<V>(-1.1283791670955125739);
  }
};

struct Erfinv : Unary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kY};
  template <class T>
  TAUT_HD T operator()(T x) const {
    return erfinv(x);
  }
  // sqrt(pi)/2 e^(y^2)
  template <class V>
  TAUT_HD V vjp_a(V g, V y) const {
    return g * exp(y * y) * lit<V>(0.88622692545275801365);
  }
};

struct Lgamma : Unary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kA};
  static constexpr bool vectorized = false;
  template <class T>
  TAUT_HD T operator()(T x) const {
    return lgamma(x);
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V x) const {
    return g * digamma(x);
  }
};

struct Digamma : Unary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kA};
  static constexpr bool vectorized = false;
  template <class T>
  TAUT_HD T operator()(T x) const {
    return digamma(x);
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V x) const {
    return g * polygamma(1, x);
  }
};

// The n-th derivative of digamma.
struct Polygamma : Unary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kA};
  static constexpr bool vectorized = false;
  double order;
  static Polygamma from(const double* parameters) { return {{}, parameters[0]}; }
  template <class T>
  TAUT_HD T operator()(T x) const {
    return polygamma(static_cast<int64_t>(order), x);
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V x) const {
    return g * polygamma(static_cast<int64_t>(order) + 1, x);
  }
};
