// Functors of integers and bool; see Note [Functors].

struct BitwiseAnd : Binary {
  static constexpr Domain domain = Domain::integral;
  static constexpr Derivative derivative = Derivative::none;
  template <class T>
  TAUT_HD T operator()(T a, T b) const {
    return static_cast<T>(a & b);
  }
};

struct BitwiseOr : Binary {
  static constexpr Domain domain = Domain::integral;
  static constexpr Derivative derivative = Derivative::none;
  template <class T>
  TAUT_HD T operator()(T a, T b) const {
    return static_cast<T>(a | b);
  }
};

struct BitwiseXor : Binary {
  static constexpr Domain domain = Domain::integral;
  static constexpr Derivative derivative = Derivative::none;
  template <class T>
  TAUT_HD T operator()(T a, T b) const {
    return static_cast<T>(a ^ b);
  }
};

// A shift by a negative number or past the width of the type gives 0 (or -1, to the right of a
// negative number), where C++ leaves it undefined.
struct BitwiseLeftShift : Binary {
  static constexpr Domain domain = Domain::integer;
  static constexpr Derivative derivative = Derivative::none;
  template <class T>
  TAUT_HD T operator()(T a, T b) const {
    constexpr int kBits = static_cast<int>(8 * sizeof(T));
    if (b < 0 || b >= kBits) return 0;
    return static_cast<T>(static_cast<uint64_t>(a) << b);
  }
};

struct BitwiseRightShift : Binary {
  static constexpr Domain domain = Domain::integer;
  static constexpr Derivative derivative = Derivative::none;
  template <class T>
  TAUT_HD T operator()(T a, T b) const {
    constexpr int kBits = static_cast<int>(8 * sizeof(T));
    if (b < 0 || b >= kBits) return a < 0 ? static_cast<T>(-1) : static_cast<T>(0);
    return static_cast<T>(a >> b);
  }
};

// The greatest common divisor, by Euclid, never negative.
struct Gcd : Binary {
  static constexpr Domain domain = Domain::integer;
  static constexpr Derivative derivative = Derivative::none;
  template <class T>
  TAUT_HD T operator()(T a, T b) const {
    uint64_t x = magnitude(a);
    uint64_t y = magnitude(b);
    while (y != 0) {
      const uint64_t rest = x % y;
      x = y;
      y = rest;
    }
    return static_cast<T>(x);
  }
  template <class T>
  TAUT_HD static uint64_t magnitude(T x) {
    return x < 0 ? 0 - static_cast<uint64_t>(x) : static_cast<uint64_t>(x);
  }
};

struct Lcm : Binary {
  static constexpr Domain domain = Domain::integer;
  static constexpr Derivative derivative = Derivative::none;
  template <class T>
  TAUT_HD T operator()(T a, T b) const {
    const uint64_t divisor = static_cast<uint64_t>(Gcd{}(a, b));
    if (divisor == 0) return 0;
    return static_cast<T>(Gcd::magnitude(a) / divisor * Gcd::magnitude(b));
  }
};
