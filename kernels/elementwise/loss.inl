// Elementwise losses of an input and a target; see Note [Functors].

struct SquaredError : Binary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kA | kB, kA | kB};
  template <class T>
  TAUT_HD T operator()(T input, T target) const {
    const T d = input - target;
    return d * d;
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V input, V target) const {
    return g * (input - target) * lit<V>(2);
  }
  template <class V>
  TAUT_HD V vjp_b(V g, V input, V target) const {
    return g * (target - input) * lit<V>(2);
  }
};

struct AbsoluteError : Binary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kA | kB, kA | kB};
  template <class T>
  TAUT_HD T operator()(T input, T target) const {
    return abs(input - target);
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V input, V target) const {
    return where(input > target, g, where(input < target, -g, g * (input - target)));
  }
  template <class V>
  TAUT_HD V vjp_b(V g, V input, V target) const {
    return where(input > target, -g, where(input < target, g, g * (input - target)));
  }
};

// d^2 / (2 beta) for |d| < beta, |d| - beta/2 beyond: Girshick, Fast R-CNN, 2015, equation 3.
struct SmoothL1 : Binary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kA | kB, kA | kB};
  double beta;
  static SmoothL1 from(const double* parameters) { return {{}, parameters[0]}; }
  template <class T>
  TAUT_HD T operator()(T input, T target) const {
    const T d = abs(input - target);
    return where(d < lit<T>(beta), d * d * lit<T>(0.5) / lit<T>(beta), d - lit<T>(0.5 * beta));
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V input, V target) const {
    const V d = input - target;
    return where(d <= lit<V>(-beta), -g, where(d >= lit<V>(beta), g, g * d / lit<V>(beta)));
  }
  template <class V>
  TAUT_HD V vjp_b(V g, V input, V target) const {
    return -vjp_a(g, input, target);
  }
};

// d^2/2 for |d| < delta, delta (|d| - delta/2) beyond: Huber, 1964.
struct Huber : Binary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kA | kB, kA | kB};
  double delta;
  static Huber from(const double* parameters) { return {{}, parameters[0]}; }
  template <class T>
  TAUT_HD T operator()(T input, T target) const {
    const T d = abs(input - target);
    return where(d < lit<T>(delta), d * d * lit<T>(0.5), (d - lit<T>(0.5 * delta)) * lit<T>(delta));
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V input, V target) const {
    const V d = input - target;
    return where(d <= lit<V>(-delta), g * lit<V>(-delta),
                 where(d >= lit<V>(delta), g * lit<V>(delta), g * d));
  }
  template <class V>
  TAUT_HD V vjp_b(V g, V input, V target) const {
    return -vjp_a(g, input, target);
  }
};

// -(t log p + (1 - t) log(1 - p)), each logarithm held above -100 so that p = 0 and 1 stay finite.
struct BinaryCrossEntropy : Binary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kA | kB, kA};
  template <class T>
  TAUT_HD T operator()(T p, T t) const {
    const T floor_value = lit<T>(-100);
    return (t - lit<T>(1)) * maximum(log1p(-p), floor_value) - t * maximum(log(p), floor_value);
  }
  // (p - t) / (p (1 - p)), the divisor held above 1e-12
  template <class V>
  TAUT_HD V vjp_a(V g, V p, V t) const {
    const V divisor = p * (lit<V>(1) - p);
    return g * (p - t) / where(divisor < lit<V>(1e-12), p * lit<V>(0) + lit<V>(1e-12), divisor);
  }
  template <class V>
  TAUT_HD V vjp_b(V g, V p) const {
    return g * (log1p(-p) - log(p));
  }
};

// max(x, 0) - x t + log(1 + e^-|x|)
struct BinaryCrossEntropyWithLogits : Binary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kA | kB, kA};
  template <class T>
  TAUT_HD T operator()(T x, T t) const {
    return maximum(x, lit<T>(0)) - x * t + log1p(exp(-abs(x)));
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V x, V t) const {
    return g * (sigmoid(x) - t);
  }
  template <class V>
  TAUT_HD V vjp_b(V g, V x) const {
    return -(g * x);
  }
};
