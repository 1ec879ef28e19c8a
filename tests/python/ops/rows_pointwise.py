"""Functions of each number."""

import math

import numpy as np

import taut
from table import ALL, BOOL, FLOAT, FLOATS, INTS, NUMBERS, TRUTH, call, draw, row, vectorized


def digamma(x):
    if x == 0:
        return math.copysign(math.inf, -x) if x == 0 and math.copysign(1, x) < 0 else -math.inf
    if x < 0:
        return math.nan if x == math.floor(x) else digamma(1 - x) - math.pi / math.tan(math.pi * x)
    shift = 0.0
    while x < 12:  # psi(x) = psi(x + 1) - 1 / x; beyond 12 the series is exact to float64
        shift -= 1 / x
        x += 1
    square = 1 / (x * x)
    series = square * (1 / 12 - square * (1 / 120 - square * (1 / 252 - square * (1 / 240 - square / 132))))
    return shift + math.log(x) - 0.5 / x - series


def polygamma(n, x):
    """(-1)^(n+1) n! zeta(n+1, x), the zeta by Euler and Maclaurin."""
    if n == 0:
        return digamma(x)
    s = n + 1
    total = sum((x + k) ** -s for k in range(20))
    x += 20
    total += x ** (1 - s) / (s - 1) + 0.5 * x**-s + s * x ** (-s - 1) / 12
    total -= s * (s + 1) * (s + 2) * x ** (-s - 3) / 720
    return (-1) ** (n + 1) * math.factorial(n) * total


def lgamma(x):
    return math.inf if x <= 0 and x == math.floor(x) else math.lgamma(x)


def erfinv(y):
    """By bisection."""
    if abs(y) >= 1:
        return math.copysign(math.inf, y) if abs(y) == 1 else math.nan
    low, high = -7.0, 7.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if math.erf(middle) < y else (low, middle)
    return (low + high) / 2


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def logit(x, eps=None):
    if eps is not None:
        x = np.clip(x, eps, 1 - eps)
    return np.log(x / (1 - x))


def c_remainder(a, b):
    return np.fmod(a, b)


def one_tensor(name, reference, low=-3.0, high=3.0, **options):
    shapes = ((3, 4), (), (0,), (2, 0, 3), (5, 1), (37,))
    row(name, reference, *(call(draw(*shape, low=low, high=high)) for shape in shapes), **options)


# ---- One tensor, floats out -------------------------------------------------------------------------
for name, reference, low, high, also in (
    ("acos", np.arccos, -1, 1, ["arccos"]),
    ("acosh", np.arccosh, 1, 4, ["arccosh"]),
    ("asin", np.arcsin, -1, 1, ["arcsin"]),
    ("asinh", np.arcsinh, -3, 3, ["arcsinh"]),
    ("atan", np.arctan, -3, 3, ["arctan"]),
    ("atanh", np.arctanh, -1, 1, ["arctanh"]),
    ("cos", np.cos, -3, 3, []),
    ("cosh", np.cosh, -3, 3, []),
    ("deg2rad", np.deg2rad, -90, 90, []),
    ("digamma", vectorized(digamma), 0.1, 5, ["special.digamma", "special.psi"]),
    ("erf", vectorized(math.erf), -3, 3, ["special.erf"]),
    ("erfc", vectorized(math.erfc), -3, 3, ["special.erfc"]),
    ("erfinv", vectorized(erfinv), -1, 1, ["special.erfinv"]),
    ("exp", np.exp, -3, 3, []),
    ("exp2", np.exp2, -3, 3, ["special.exp2"]),
    ("expm1", np.expm1, -3, 3, ["special.expm1"]),
    ("lgamma", vectorized(lgamma), 0.1, 5, ["special.gammaln"]),
    ("log", np.log, 0, 9, []),
    ("log10", np.log10, 0, 9, []),
    ("log1p", np.log1p, -1, 9, ["special.log1p"]),
    ("log2", np.log2, 0, 9, []),
    ("rad2deg", np.rad2deg, -3, 3, []),
    ("reciprocal", lambda x: 1 / np.asarray(x, np.float64), -3, 3, []),
    ("rsqrt", lambda x: 1 / np.sqrt(x), 0, 9, []),
    ("sigmoid", sigmoid, -3, 3, ["special.expit", "nn.functional.sigmoid"]),
    ("sin", np.sin, -3, 3, []),
    ("sinc", np.sinc, -3, 3, ["special.sinc"]),
    ("sinh", np.sinh, -3, 3, []),
    ("sqrt", np.sqrt, -1, 9, []),
    ("tan", np.tan, -1.5, 1.5, []),
    ("tanh", np.tanh, -3, 3, ["nn.functional.tanh"]),
):
    takes_double = reference if name == "reciprocal" else (lambda x, f=reference: f(np.asarray(x, np.float64)))
    one_tensor(
        name,
        takes_double,
        low,
        high,
        also=also,
        dtypes=ALL,
        gives=FLOAT,
        loose=5 if name in ("digamma", "lgamma") else 1,
    )

row(
    "logit",
    logit,
    call(draw(3, 4, low=0, high=1)),
    call(draw(low=0, high=1), eps=0.25),
    call(draw(0), 0.1),
    call(draw(9, low=-1, high=2), 1e-2),
    also=["special.logit"],
    loose=4,
)
row(
    "polygamma",
    lambda n, x: np.vectorize(polygamma, otypes=[float])(n, x),
    *(call(n, draw(3, 2, low=0.25, high=5)) for n in range(5)),
    call(1, draw(0)),
    also=["special.polygamma"],
    loose=20,
)

# ---- One tensor, the dtype kept ---------------------------------------------------------------------
one_tensor("abs", np.abs, dtypes=NUMBERS, also=["absolute"])
one_tensor("neg", np.negative, dtypes=NUMBERS, also=["negative"])
one_tensor("positive", np.positive, dtypes=NUMBERS)
one_tensor("square", np.square, dtypes=NUMBERS)
for name in ("sign", "sgn"):
    one_tensor(name, lambda x: np.sign(x.astype(float)), dtypes=ALL)
    # NumPy gives nan for nan, PyTorch and Taut 0.
    row(name, lambda x: np.nan_to_num(np.sign(x)), call(np.array([np.nan, -0.0, np.inf, -np.inf, 2.0])))
one_tensor("floor", np.floor, dtypes=NUMBERS)
one_tensor("ceil", np.ceil, dtypes=NUMBERS)
one_tensor("trunc", np.trunc, dtypes=NUMBERS, also=["fix"])
one_tensor("frac", lambda x: x - np.trunc(x))
one_tensor(
    "relu", lambda x: np.maximum(x, 0), dtypes=NUMBERS, also=["nn.functional.relu", "relu_", "nn.functional.relu_"]
)
one_tensor("bitwise_not", np.invert, dtypes=INTS + BOOL)
row(
    "round",
    lambda x, decimals=0: np.round(x, decimals),
    call(draw(3, 4)),
    call(np.array([0.5, 1.5, 2.5, -0.5, -1.5])),
    call(draw()),
    call(draw(0)),
    also=["special.round"],
)
row(
    "round",
    lambda x, decimals=0: np.round(x, decimals),
    call(draw(3, 4), decimals=1),
    call(draw(5, low=-90, high=90), decimals=-1),
    dtypes=(taut.float64, taut.float32),
    also=["special.round"],
)
row("round", np.asarray, call(draw(3, 4)), dtypes=INTS)

SPECIAL = np.array([0.0, -0.0, 1.5, -2.0, np.inf, -np.inf, np.nan])
row(
    "nan_to_num",
    lambda x, nan=None, posinf=None, neginf=None: np.nan_to_num(x, True, nan or 0.0, posinf, neginf),
    call(SPECIAL, 1.0, 2.0, -3.0),
    call(SPECIAL, posinf=5.0, neginf=4.0),
    call(draw(0), 1.0),
    call(draw()),
)
row("nan_to_num", np.nan_to_num, call(SPECIAL), dtypes=(taut.float64,))
row("nan_to_num", lambda x, nan: x, call(draw(3), nan=1.0), dtypes=INTS)

for name, reference in (
    ("isnan", np.isnan),
    ("isinf", np.isinf),
    ("isfinite", np.isfinite),
    ("isposinf", np.isposinf),
    ("isneginf", np.isneginf),
    ("signbit", np.signbit),
    ("logical_not", np.logical_not),
):
    row(name, reference, call(SPECIAL), call(draw()), call(draw(2, 0)), call(SPECIAL.reshape(7, 1)), gives=TRUTH)
    row(name, lambda x, f=reference: f(x.astype(float)), call(draw(3, 2)), dtypes=INTS + BOOL, gives=TRUTH)


# ---- Two operands -----------------------------------------------------------------------------------
def pairs(low=-3.0, high=3.0, other_low=None, other_high=None):
    """Equal shapes, broadcasting in each direction, no dims, nothing at all."""
    other_low = low if other_low is None else other_low
    other_high = high if other_high is None else other_high
    shapes = (
        ((3, 4), (3, 4)),
        ((3, 1), (4,)),
        ((), (2, 3)),
        ((2, 1, 3), (5, 1)),
        ((), ()),
        ((0, 3), (1, 3)),
        ((0,), ()),
    )
    return [call(draw(*a, low=low, high=high), draw(*b, low=other_low, high=other_high)) for a, b in shapes]


def two(name, reference, *more, low=-3.0, high=3.0, other_low=None, other_high=None, **options):
    row(name, reference, *pairs(low, high, other_low, other_high), *more, **options)


def alpha_of(function):
    return lambda a, b, alpha=1: function(a, alpha * b)


X = draw(3, 4)
for name, reference, also in (("add", np.add, []), ("sub", np.subtract, ["subtract"])):
    two(
        name, alpha_of(reference), call(X, 2), call(X, draw(4), alpha=3), call(X, 5, alpha=2), dtypes=NUMBERS, also=also
    )
    row(name, alpha_of(reference), call(X, 0.5), call(X, draw(4), alpha=0.25), call(draw(), 1.5, alpha=-2))
row("add", np.logical_or, *pairs(), dtypes=BOOL)
two("rsub", lambda a, b, alpha=1: b - alpha * a, call(X, 2), call(X, draw(4), alpha=3), dtypes=NUMBERS)
two("mul", np.multiply, call(X, 3), call(3, X), dtypes=NUMBERS, also=["multiply"])
row("mul", np.logical_and, *pairs(), dtypes=BOOL, also=["multiply"])

ROUNDING = {None: np.true_divide, "floor": np.floor_divide, "trunc": lambda a, b: np.trunc(a / b)}


def divide(a, b, rounding_mode=None):
    if rounding_mode is None:
        return np.true_divide(np.asarray(a, np.float64), b)
    return ROUNDING[rounding_mode](a, b)


two("div", divide, call(X, 2), dtypes=NUMBERS, gives=FLOAT, also=["divide", "true_divide"])
for mode in ("floor", "trunc"):
    row(
        "div",
        divide,
        call(X, draw(4, low=1, high=4), rounding_mode=mode),
        call(X, draw(3, 1, low=-4, high=-1), rounding_mode=mode),
        call(X, 2, rounding_mode=mode),
        call(draw(0), 3, rounding_mode=mode),
        dtypes=FLOATS + INTS[:-1],
        also=["divide"],
    )

POSITIVE = {"other_low": 1.0, "other_high": 4.0}
NEGATIVE = {"other_low": -4.0, "other_high": -1.0}
for signs in (POSITIVE, NEGATIVE):
    two("floor_divide", np.floor_divide, call(X, 2), call(X, -2), dtypes=FLOATS + INTS[:-1], **signs)
    two("remainder", np.remainder, call(X, 2), call(X, -2), dtypes=FLOATS + INTS[:-1], **signs)
    two("fmod", c_remainder, call(X, 2), call(X, -2), dtypes=FLOATS + INTS[:-1], **signs)
two("pow", np.power, call(X, 2), call(X, 3), call(X, 0.5), call(X, -1.0), call(2.0, X), low=0.25, high=3, loose=4)
two("pow", np.power, call(X, 2), call(2, np.abs(X)), low=0, dtypes=INTS)
row("pow", np.power, call(X, 0), call(X, 1), call(X, 2), call(X, 3), call(draw(), 4))
two("maximum", np.maximum, call(X, 1), call(SPECIAL, draw(7)), call(draw(7), SPECIAL))
two("minimum", np.minimum, call(X, 1), call(SPECIAL, draw(7)), call(draw(7), SPECIAL))
two("maximum", np.maximum, call(X, 1), dtypes=INTS)
two("minimum", np.minimum, call(X, 1), dtypes=INTS)
row("maximum", np.logical_or, *pairs(), dtypes=BOOL)
row("minimum", np.logical_and, *pairs(), dtypes=BOOL)
two("fmax", np.fmax, call(X, 1.0), call(SPECIAL, draw(7)), call(draw(7), SPECIAL))
two("fmin", np.fmin, call(X, 1.0), call(SPECIAL, draw(7)), call(draw(7), SPECIAL))
two("fmax", np.fmax, dtypes=INTS)
two("fmin", np.fmin, dtypes=INTS)
two("atan2", lambda a, b: np.arctan2(a * 1.0, b), call(X, 2.0), dtypes=NUMBERS, gives=FLOAT, also=["arctan2"])
two("hypot", np.hypot, call(X, 2.0))
two("copysign", np.copysign, call(X, -1.0), call(X, -0.0), call(SPECIAL[:6], draw(6)))
two("copysign", np.copysign, dtypes=INTS, gives=FLOAT)
two("heaviside", np.heaviside, call(np.zeros(3), draw(3)), call(SPECIAL[:6], 0.5), call(np.zeros(2), np.array([np.nan, 1])))
row("heaviside", lambda a, b: np.nan_to_num(np.heaviside(a, b)), call(SPECIAL, draw(7)))
two("heaviside", np.heaviside, dtypes=INTS)
two(
    "xlogy",
    lambda a, b: np.where(a == 0, 0, a * np.log(b)),
    call(np.zeros(2), np.zeros(2)),
    call(X, 2.0),
    call(2.0, np.abs(X)),
    other_low=0.25,
    also=["special.xlogy"],
)
two("logaddexp", np.logaddexp, call(np.array([1e3, -1e3]), np.array([1e3, -1e3])))
two("logaddexp2", np.logaddexp2, call(np.array([1e3, -1e3]), np.array([1e3, -1e3])))
two("gcd", np.gcd, call(draw(9, low=-90, high=90), 12), low=-90, high=90, dtypes=INTS)
two("lcm", np.lcm, call(draw(9, low=-9, high=9), 6), low=-9, high=9, dtypes=INTS)
for name, reference in (
    ("bitwise_and", np.bitwise_and),
    ("bitwise_or", np.bitwise_or),
    ("bitwise_xor", np.bitwise_xor),
):
    two(name, reference, low=-90, high=90, dtypes=INTS + BOOL)
    row(name, reference, call(draw(3, 4, low=-90, high=90), 6), dtypes=INTS)
for name, reference in (("bitwise_left_shift", np.left_shift), ("bitwise_right_shift", np.right_shift)):
    two(name, reference, call(X, 2), low=-9, high=9, other_low=0, other_high=3, dtypes=INTS)
for name, reference, also in (
    ("eq", np.equal, []),
    ("ne", np.not_equal, ["not_equal"]),
    ("lt", np.less, ["less"]),
    ("le", np.less_equal, ["less_equal"]),
    ("gt", np.greater, ["greater"]),
    ("ge", np.greater_equal, ["greater_equal"]),
):
    more = (call(X, 1), call(np.round(X), np.round(draw(4))))
    row(name, reference, *pairs(), *more, dtypes=ALL, gives=TRUTH, also=also)
    row(name, reference, call(SPECIAL, SPECIAL[::-1].copy()), call(SPECIAL, SPECIAL), gives=TRUTH, also=also)
for name, reference in (
    ("logical_and", np.logical_and),
    ("logical_or", np.logical_or),
    ("logical_xor", np.logical_xor),
):
    two(name, reference, call(np.round(X), np.round(draw(4))), call(SPECIAL, 1), dtypes=FLOATS, gives=TRUTH)
    two(name, reference, call(X, 1), dtypes=INTS + BOOL, gives=TRUTH)


# ---- With parameters --------------------------------------------------------------------------------
def clamp(x, min=None, max=None):
    if min is not None:
        x = np.maximum(x, min)
    return x if max is None else np.minimum(x, max)


row(
    "clamp",
    clamp,
    call(X, -1, 1),
    call(X, min=0),
    call(X, max=1),
    call(X, 2, 1),
    call(draw(), -1, 1),
    call(draw(0), 0, 1),
    call(X, draw(4), draw(3, 1)),
    call(X, min=draw(4)),
    call(X, max=draw(3, 4)),
    dtypes=NUMBERS,
    also=["clip", "clamp_", "clip_"],
)
row("clamp", clamp, call(SPECIAL, -1.5, 1.5), also=["clip"])
row("clamp_min", np.maximum, call(X, 1), call(X, draw(4)), call(draw(), 1), call(draw(0), 1), dtypes=NUMBERS)
row("clamp_max", np.minimum, call(X, 1), call(X, draw(4)), call(draw(), 1), call(draw(0), 1), dtypes=NUMBERS)
row(
    "lerp",
    lambda a, b, w: a + w * (b - a),
    call(X, draw(4), 0.25),
    call(X, draw(3, 4), draw(3, 1)),
    call(draw(), draw(), 2.0),
    call(draw(0), draw(0), 0.5),
    loose=3,
)
row(
    "addcmul",
    lambda a, b, c, value=1: a + value * b * c,
    call(X, draw(4), draw(3, 1)),
    call(X, draw(3, 4), draw(), value=2),
    call(draw(0), draw(0), draw(0)),
    dtypes=FLOATS + INTS[:-1],
    loose=3,
)
row(
    "addcdiv",
    lambda a, b, c, value=1: a + value * b / c,
    call(X, draw(4), draw(3, 1, low=1, high=2)),
    call(X, draw(3, 4), draw(low=1, high=2), value=0.5),
    call(draw(0), draw(0), draw(0)),
    loose=3,
)
row(
    "where",
    np.where,
    call(X > 0, X, draw(4)),
    call(np.array(True), X, draw()),
    call(X[:, :1] > 0, draw(4), draw(3, 1)),
    call(np.zeros(0, bool), draw(0), draw(0)),
    call(X > 1, X, 2),
    call(X > 1, 0, X),
    dtypes=NUMBERS,
)
row(
    "where",
    lambda c, a, b: np.where(c, a, b).astype(np.float32),
    call(X > 1, 1.5, 0.0),
    dtypes=(taut.float64,),
    gives=taut.float32,
)
row("where", np.nonzero, call(X > 0), call(np.zeros((2, 0))), call(np.round(X)), dtypes=NUMBERS, gives=taut.int64)


def isclose(a, b, rtol=1e-5, atol=1e-8, equal_nan=False):
    return np.isclose(a, b, rtol, atol, equal_nan)


CLOSE = (
    call(X, X + 1e-9),
    call(X, draw(3, 4)),
    call(SPECIAL, SPECIAL),
    call(SPECIAL, SPECIAL, equal_nan=True),
    call(X, X * 1.25, 0.5, 0.25),
    call(X, X + 0.25, rtol=0, atol=0.5),
    call(draw(0), draw(0)),
    call(X, draw(4)),
)
row("isclose", isclose, *CLOSE, dtypes=(taut.float64,), gives=TRUTH)
row("isclose", isclose, call(X, draw(3, 4)), call(X, X), dtypes=INTS, gives=TRUTH)
row("allclose", lambda *args, **options: bool(isclose(*args, **options).all()), *CLOSE, dtypes=(taut.float64,))
row(
    "equal",
    np.array_equal,
    call(X, X),
    call(X, X + 1),
    call(X, X[:2]),
    call(draw(0), draw(0)),
    call(SPECIAL, SPECIAL),
    dtypes=FLOATS,
)
row("equal", np.array_equal, call(X, X), call(X, -X - 1), dtypes=INTS)
row("fill", lambda x, value: np.full_like(x, value), call(X, 2), call(draw(), 1), call(draw(0), 1), dtypes=ALL)
row("zero_", np.zeros_like, call(draw(3, 4)), dtypes=ALL)
