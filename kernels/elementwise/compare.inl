// Functors that answer in bool; see Note [Functors]. They are called element by element: the
// compiler makes vectors of these loops by itself.

struct Question : Unary {
  static constexpr Domain domain = Domain::compare;
  static constexpr Derivative derivative = Derivative::none;
};
struct Isnan : Question {
  template <class T>
  TAUT_HD bool operator()(T x) const {
    return x != x;
  }
};
struct Isinf : Question {
  template <class T>
  TAUT_HD bool operator()(T x) const {
    return x == x && x - x != T(0);
  }
};
struct Isfinite : Question {
  template <class T>
  TAUT_HD bool operator()(T x) const {
    return x - x == T(0);
  }
};
struct Isposinf : Question {
  template <class T>
  TAUT_HD bool operator()(T x) const {
    return x > T(0) && x - x != T(0);
  }
};
struct Isneginf : Question {
  template <class T>
  TAUT_HD bool operator()(T x) const {
    return x < T(0) && x - x != T(0);
  }
};
struct Signbit : Question {
  template <class T>
  TAUT_HD bool operator()(T x) const {
    if constexpr (std::is_floating_point_v<T>) {
      return std::signbit(x);
    } else {
      return x < T(0);
    }
  }
};
struct LogicalNot : Question {
  template <class T>
  TAUT_HD bool operator()(T x) const {
    return x == T(0);
  }
};

struct Comparison : Binary {
  static constexpr Domain domain = Domain::compare;
  static constexpr Derivative derivative = Derivative::none;
};
struct Eq : Comparison {
  template <class T>
  TAUT_HD bool operator()(T a, T b) const {
    return a == b;
  }
};
struct Ne : Comparison {
  template <class T>
  TAUT_HD bool operator()(T a, T b) const {
    return a != b;
  }
};
struct Lt : Comparison {
  template <class T>
  TAUT_HD bool operator()(T a, T b) const {
    return a < b;
  }
};
struct Le : Comparison {
  template <class T>
  TAUT_HD bool operator()(T a, T b) const {
    return a <= b;
  }
};
struct Gt : Comparison {
  template <class T>
  TAUT_HD bool operator()(T a, T b) const {
    return a > b;
  }
};
struct Ge : Comparison {
  template <class T>
  TAUT_HD bool operator()(T a, T b) const {
    return a >= b;
  }
};
struct LogicalAnd : Comparison {
  template <class T>
  TAUT_HD bool operator()(T a, T b) const {
    return (a != T(0)) & (b != T(0));
  }
};
struct LogicalOr : Comparison {
  template <class T>
  TAUT_HD bool operator()(T a, T b) const {
    return (a != T(0)) | (b != T(0));
  }
};
struct LogicalXor : Comparison {
  template <class T>
  TAUT_HD bool operator()(T a, T b) const {
    return (a != T(0)) ^ (b != T(0));
  }
};
