// Activations; see Note [Functors].

struct Relu : Unary {
  static constexpr Domain domain = Domain::numeric;
  static constexpr unsigned needs[] = {kY};
  template <class T>
  TAUT_HD T operator()(T x) const {
    return maximum(x, lit<T>(0));
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V y) const {
    return where(y > lit<V>(0), g, g * lit<V>(0));
  }
};

struct Relu6 : Unary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kA};
  template <class T>
  TAUT_HD T operator()(T x) const {
    return minimum(maximum(x, lit<T>(0)), lit<T>(6));
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V x) const {
    return where((x > lit<V>(0)) & (x < lit<V>(6)), g, g * lit<V>(0));
  }
};

// Klambauer et al., Self-Normalizing Neural Networks, 2017, equation 2.
struct Selu : Unary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kA};
  static constexpr double kScale = 1.0507009873554804934193349852946;
  static constexpr double kAlpha = 1.6732632423543772848170429916717;
  template <class T>
  TAUT_HD T operator()(T x) const {
    return where(x > lit<T>(0), x * lit<T>(kScale), expm1(x) * lit<T>(kScale * kAlpha));
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V x) const {
    return where(x > lit<V>(0), g * lit<V>(kScale), g * exp(x) * lit<V>(kScale * kAlpha));
  }
};

// x sigmoid(x)
struct Silu : Unary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kA};
  template <class T>
  TAUT_HD T operator()(T x) const {
    return x * sigmoid(x);
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V x) const {
    const V s = sigmoid(x);
    return g * s * (x * (lit<V>(1) - s) + lit<V>(1));
  }
};

// x tanh(softplus(x)): Misra, Mish, 2019.
struct Mish : Unary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kA};
  template <class T>
  TAUT_HD T operator()(T x) const {
    return x * tanh(softplus(x));
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V x) const {
    const V t = tanh(softplus(x));
    return g * (t + x * sigmoid(x) * (lit<V>(1) - t * t));
  }

 private:
  // log(1 + e^x) = max(x, 0) + log1p(e^-|x|)
  template <class V>
  TAUT_HD static V softplus(V x) {
    return where(x > lit<V>(0), x, x * lit<V>(0)) + log1p(exp(-abs(x)));
  }
};

struct Hardsigmoid : Unary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kA};
  template <class T>
  TAUT_HD T operator()(T x) const {
    return minimum(maximum(x + lit<T>(3), lit<T>(0)), lit<T>(6)) / lit<T>(6);
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V x) const {
    return where((x > lit<V>(-3)) & (x < lit<V>(3)), g / lit<V>(6), g * lit<V>(0));
  }
};

// Howard et al., Searching for MobileNetV3, 2019, section 5.2.
struct Hardswish : Unary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kA};
  template <class T>
  TAUT_HD T operator()(T x) const {
    return x * minimum(maximum(x + lit<T>(3), lit<T>(0)), lit<T>(6)) / lit<T>(6);
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V x) const {
    return where(x <= lit<V>(-3), g * lit<V>(0),
                 where(x < lit<V>(3), g * (x / lit<V>(3) + lit<V>(0.5)), g));
  }
};

// log(sigmoid(x)) = min(x, 0) - log1p(e^-|x|)
struct Logsigmoid : Unary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kA};
  template <class T>
  TAUT_HD T operator()(T x) const {
    return minimum(x, lit<T>(0)) - log1p(exp(-abs(x)));
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V x) const {
    return g * sigmoid(-x);
  }
};

struct Softsign : Unary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kA};
  template <class T>
  TAUT_HD T operator()(T x) const {
    return x / (abs(x) + lit<T>(1));
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V x) const {
    const V divisor = abs(x) + lit<V>(1);
    return g / (divisor * divisor);
  }
};

struct Tanhshrink : Unary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kA};
  template <class T>
  TAUT_HD T operator()(T x) const {
    return x - tanh(x);
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V x) const {
    const V t = tanh(x);
    return g * t * t;
  }
};

struct LeakyRelu : Unary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kA};
  double slope;
  static LeakyRelu from(const double* parameters) { return {{}, parameters[0]}; }
  template <class T>
  TAUT_HD T operator()(T x) const {
    return where(x > lit<T>(0), x, x * lit<T>(slope));
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V x) const {
    return where(x > lit<V>(0), g, g * lit<V>(slope));
  }
};

// Clevert et al., Fast and Accurate Deep Network Learning by Exponential Linear Units, 2015.
struct Elu : Unary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kA};
  double alpha;
  static Elu from(const double* parameters) { return {{}, parameters[0]}; }
  template <class T>
  TAUT_HD T operator()(T x) const {
    return where(x > lit<T>(0), x, expm1(x) * lit<T>(alpha));
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V x) const {
    return where(x > lit<V>(0), g, g * exp(x) * lit<V>(alpha));
  }
};

// Barron, Continuously Differentiable Exponential Linear Units, 2017.
struct Celu : Unary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kA};
  double alpha;
  static Celu from(const double* parameters) { return {{}, parameters[0]}; }
  template <class T>
  TAUT_HD T operator()(T x) const {
    return where(x > lit<T>(0), x, expm1(x / lit<T>(alpha)) * lit<T>(alpha));
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V x) const {
    return where(x > lit<V>(0), g, g * exp(x / lit<V>(alpha)));
  }
};

// x Phi(x), Phi the normal distribution's cumulative function: Hendrycks and Gimpel, GELU, 2016.
struct Gelu : Unary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kA};
  static constexpr double kSqrtHalf = 0.70710678118654752440;
  static constexpr double kDensity = 0.39894228040143267794;  // 1/sqrt(2 pi)
  template <class T>
  TAUT_HD T operator()(T x) const {
    if constexpr (has_quick_gelu<T>) return quick_gelu(x);
    const T half = x * lit<T>(0.5);
    return multiply_add(half, erf(x * lit<T>(kSqrtHalf)), half);
  }
  // Phi(x) + x phi(x)
  template <class V>
  TAUT_HD V vjp_a(V g, V x) const {
    if constexpr (has_quick_gelu<V>) return g * quick_gelu_slope(x);
    const V cumulative = (erf(x * lit<V>(kSqrtHalf)) + lit<V>(1)) * lit<V>(0.5);
    return g * (cumulative + x * exp(x * x * lit<V>(-0.5)) * lit<V>(kDensity));
  }
};

// The same paper's approximation x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))).
struct GeluTanh : Unary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kA};
  static constexpr double kScale = 0.79788456080286535588;  // sqrt(2/pi)
  static constexpr double kCubic = 0.044715;
  template <class T>
  TAUT_HD T operator()(T x) const {
    const T inner = x * (x * x * lit<T>(kCubic) + lit<T>(1)) * lit<T>(kScale);
    const T half = x * lit<T>(0.5);
    return multiply_add(half, tanh(inner), half);
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V x) const {
    const V square = x * x;
    const V t = tanh(x * (square * lit<V>(kCubic) + lit<V>(1)) * lit<V>(kScale));
    const V slope = (square * lit<V>(3 * kCubic) + lit<V>(1)) * lit<V>(kScale);
    return g * lit<V>(0.5) * ((t + lit<V>(1)) + x * (lit<V>(1) - t * t) * slope);
  }
};

struct Hardtanh : Unary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kA};
  double low, high;
  static Hardtanh from(const double* parameters) { return {{}, parameters[0], parameters[1]}; }
  template <class T>
  TAUT_HD T operator()(T x) const {
    return minimum(maximum(x, lit<T>(low)), lit<T>(high));
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V x) const {
    return where((x > lit<V>(low)) & (x < lit<V>(high)), g, g * lit<V>(0));
  }
};

// x above the threshold, a value elsewhere.
struct Threshold : Unary {
  static constexpr Domain domain = Domain::numeric;
  static constexpr unsigned needs[] = {kA};
  double threshold, value;
  static Threshold from(const double* parameters) { return {{}, parameters[0], parameters[1]}; }
  template <class T>
  TAUT_HD T operator()(T x) const {
    return where(x <= lit<T>(threshold), lit<T>(value), x);
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V x) const {
    return where(x <= lit<V>(threshold), g * lit<V>(0), g);
  }
};

// log(1 + e^(beta x)) / beta, and x itself once beta x passes the threshold.
struct Softplus : Unary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kA};
  double beta, threshold;
  static Softplus from(const double* parameters) { return {{}, parameters[0], parameters[1]}; }
  template <class T>
  TAUT_HD T operator()(T x) const {
    const T scaled = x * lit<T>(beta);
    const T smooth = (maximum(scaled, lit<T>(0)) + log1p(exp(-abs(scaled)))) / lit<T>(beta);
    return where(scaled > lit<T>(threshold), x, smooth);
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V x) const {
    const V scaled = x * lit<V>(beta);
    return where(scaled > lit<V>(threshold), g, g * sigmoid(scaled));
  }
};

struct Softshrink : Unary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kA};
  double lambda;
  static Softshrink from(const double* parameters) { return {{}, parameters[0]}; }
  template <class T>
  TAUT_HD T operator()(T x) const {
    return where(x > lit<T>(lambda), x - lit<T>(lambda),
                 where(x < lit<T>(-lambda), x + lit<T>(lambda), x * lit<T>(0)));
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V x) const {
    return where((x <= lit<V>(lambda)) & (x >= lit<V>(-lambda)), g * lit<V>(0), g);
  }
};

struct Hardshrink : Unary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kA};
  double lambda;
  static Hardshrink from(const double* parameters) { return {{}, parameters[0]}; }
  template <class T>
  TAUT_HD T operator()(T x) const {
    return where((x <= lit<T>(lambda)) & (x >= lit<T>(-lambda)), lit<T>(0), x);
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V x) const {
    return where((x <= lit<V>(lambda)) & (x >= lit<V>(-lambda)), g * lit<V>(0), g);
  }
};

// log(x / (1 - x)), x first clamped to [eps, 1 - eps] when eps >= 0.
struct Logit : Unary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kA};
  double eps;
  static Logit from(const double* parameters) { return {{}, parameters[0]}; }
  template <class T>
  TAUT_HD T operator()(T x) const {
    if (eps >= 0) x = minimum(maximum(x, lit<T>(eps)), lit<T>(1 - eps));
    return log(x / (lit<T>(1) - x));
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V x) const {
    V slope = g / (x * (lit<V>(1) - x));
    if (eps < 0) return slope;
    return where((x >= lit<V>(eps)) & (x <= lit<V>(1 - eps)), slope, g * lit<V>(0));
  }
};

struct Prelu : Binary {
  static constexpr Domain domain = Domain::floating;
  static constexpr unsigned needs[] = {kA | kB, kA};
  template <class T>
  TAUT_HD T operator()(T x, T slope) const {
    return where(x > lit<T>(0), x, x * slope);
  }
  template <class V>
  TAUT_HD V vjp_a(V g, V x, V slope) const {
    return where(x > lit<V>(0), g, g * slope);
  }
  template <class V>
  TAUT_HD V vjp_b(V g, V x) const {
    return where(x > lit<V>(0), g * lit<V>(0), g * x);
  }
};
