"""What random ops draw: ranges, moments and distributions with fixed seeds, and seeds, states and threads."""

import math
import os
import subprocess
import sys

import numpy as np
import pytest

import taut
import taut.nn.functional as F

N = 40000


def normal_cdf(x):
    return 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def distance(sample, cdf):
    """Kolmogorov and Smirnov: how far the sample's distribution is from `cdf` anywhere, in units of 1 / sqrt(n)."""
    x = np.sort(sample)
    steps = np.arange(len(x) + 1) / len(x)
    expected = cdf(x)
    return max(np.max(steps[1:] - expected), np.max(expected - steps[:-1])) * math.sqrt(len(x))


def fill(name, *args):
    return lambda: getattr(taut.empty(N, dtype=taut.float64), name)(*args)


# The draw, its distribution function, its range.
CONTINUOUS = {
    "rand": (lambda: taut.rand(N), lambda x: x, (0, 1)),
    "rand float64": (lambda: taut.rand(N, dtype=taut.float64), lambda x: x, (0, 1)),
    "rand_like": (lambda: taut.rand_like(taut.empty(N)), lambda x: x, (0, 1)),
    "uniform_": (fill("uniform_", -2, 5), lambda x: (x + 2) / 7, (-2, 5)),
    "randn": (lambda: taut.randn(N), normal_cdf, (-6, 6)),
    "randn float64": (lambda: taut.randn(N, dtype=taut.float64), normal_cdf, (-6, 6)),
    "randn_like": (lambda: taut.randn_like(taut.empty(N)), normal_cdf, (-6, 6)),
    "normal_": (fill("normal_", 3, 0.5), lambda x: normal_cdf((x - 3) / 0.5), (0, 6)),
    "normal": (lambda: taut.normal(2.0, 3.0, (N,)), lambda x: normal_cdf((x - 2) / 3), (-16, 20)),
    "normal of tensors": (
        lambda: taut.normal(taut.full((N,), 2.0), taut.full((N,), 3.0)),
        lambda x: normal_cdf((x - 2) / 3),
        (-16, 20),
    ),
    "exponential_": (fill("exponential_", 2.0), lambda x: 1 - np.exp(-2 * x), (0, 20)),
    "log_normal_": (fill("log_normal_", 0.5, 0.25), lambda x: normal_cdf((np.log(x) - 0.5) / 0.25), (0, 10)),
    "cauchy_": (fill("cauchy_", 1.0, 2.0), lambda x: 0.5 + np.arctan((x - 1) / 2) / np.pi, (-math.inf, math.inf)),
}


@pytest.mark.parametrize("name", CONTINUOUS)
def test_distribution(name):
    draw, cdf, (low, high) = CONTINUOUS[name]
    sample = draw().double().numpy()
    # 1.95 is passed by one honest sample in a thousand; the seed is fixed.
    assert distance(sample, cdf) < 1.95
    assert sample.min() >= low and sample.max() < high
    # Neighbours know nothing of each other.
    ranks = np.argsort(np.argsort(sample)) / N - 0.5
    assert abs(np.mean(ranks[1:] * ranks[:-1])) * 12 * math.sqrt(N) < 4


@pytest.mark.parametrize("dtype", [taut.float16, taut.bfloat16])
def test_half_numbers_stay_in_range(dtype):
    uniform = taut.rand(N, dtype=dtype).double().numpy()
    assert 0 <= uniform.min() and uniform.max() < 1 and abs(uniform.mean() - 0.5) < 0.01
    normal = taut.randn(N, dtype=dtype).double().numpy()
    assert abs(normal.mean()) < 0.02 and abs(normal.std() - 1) < 0.02


# The draw, its first value and the probability of each.
DISCRETE = {
    "randint": (lambda: taut.randint(-2, 3, (N,)), -2, [0.2] * 5),
    "randint of one": (lambda: taut.randint(7, (N,)), 0, [1 / 7] * 7),
    "randint_like": (lambda: taut.randint_like(taut.empty(N), 3, 6), 3, [1 / 3] * 3),
    "randint float": (lambda: taut.randint(0, 4, (N,), dtype=taut.float32), 0, [0.25] * 4),
    "random_": (lambda: taut.empty(N, dtype=taut.int32).random_(2, 6), 2, [0.25] * 4),
    "bernoulli": (lambda: taut.bernoulli(taut.full((N,), 0.3)), 0, [0.7, 0.3]),
    "bernoulli of p": (lambda: taut.bernoulli(taut.empty(N), 0.3), 0, [0.7, 0.3]),
    "bernoulli_": (lambda: taut.empty(N).bernoulli_(0.9), 0, [0.1, 0.9]),
    "multinomial": (
        lambda: taut.multinomial(taut.tensor([1.0, 0.0, 2.0, 5.0]), N, replacement=True),
        0,
        [1 / 8, 0, 2 / 8, 5 / 8],
    ),
    "geometric_": (lambda: taut.empty(N).geometric_(0.5).clamp(max=5), 1, [0.5, 0.25, 0.125, 0.0625, 0.0625]),
    "dropout": (lambda: F.dropout(taut.ones(N), 0.25) * 0.75, 0, [0.25, 0.75]),
}


@pytest.mark.parametrize("name", DISCRETE)
def test_frequencies(name):
    draw, first, expected = DISCRETE[name]
    sample = np.round(draw().double().numpy()).astype(int) - first
    assert sample.min() >= 0 and sample.max() < len(expected)
    counts = np.bincount(sample, minlength=len(expected))
    expected = np.array(expected) * N
    assert (counts[expected == 0] == 0).all()
    kept = expected > 0
    chi = np.sum((counts[kept] - expected[kept]) ** 2 / expected[kept])
    freedom = kept.sum() - 1
    assert chi < freedom + 4.5 * math.sqrt(2 * freedom)


def test_ranges_of_integers():
    for dtype, high in ((taut.uint8, 256), (taut.int8, 128), (taut.int16, 32768)):
        numbers = taut.empty(N, dtype=dtype).random_(high)
        assert numbers.min().item() >= 0 and numbers.max().item() > high * 0.98
    wide = taut.randint(-(2**62), 2**62, (N,))
    assert wide.min().item() < -(2**61) and wide.max().item() > 2**61
    assert (taut.randint(5, 6, (100,)) == 5).all()


def test_integers_without_bounds_fill_the_dtype():
    largest = {taut.float32: 2**24, taut.float64: 2**53, taut.float16: 2**11, taut.bfloat16: 2**8, taut.bool: 1}
    for dtype in (taut.int8, taut.uint8, taut.int16, taut.int32, taut.int64):
        largest[dtype] = taut.iinfo(dtype).max
    for dtype, last in largest.items():
        for numbers in (taut.empty(N, dtype=dtype).random_(), taut.empty(N, dtype=dtype).random_(0, None)):
            low, high = numbers.min().item(), numbers.max().item()
            assert 0 <= low <= last * 0.02 and last * 0.98 <= high <= last, dtype
    wide = taut.empty(N, dtype=taut.int64).random_(-(2**63), None)
    assert wide.min().item() < -0.99 * 2**63 and wide.max().item() > 0.99 * 2**63
    assert taut.empty(N, dtype=taut.int8).random_(to=3).unique().tolist() == [0, 1, 2]
    assert taut.empty(N, dtype=taut.int8).random_(126, None).unique().tolist() == [126, 127]


def test_integers_in_floats_stay_in_their_range():
    # 4099 and 4101 would round to 4100 and 4104 in float16.
    numbers = taut.empty(N, dtype=taut.float16).random_(4097, 4102)
    assert numbers.unique().tolist() == [4100]
    assert taut.empty(N, dtype=taut.float16).random_(-4099, -4093).unique().tolist() == [-4096, -4094]
    with pytest.raises(ValueError, match="float16 holds no integer from 4097 to 4099"):
        taut.empty(1, dtype=taut.float16).random_(4097, 4100)


@pytest.mark.parametrize(
    "wrong, bounds",
    [
        (lambda: taut.empty(2, dtype=taut.int8).random_(129), "0 to 128 do not fit int8"),
        (lambda: taut.empty(2, dtype=taut.uint8).random_(-1, 3), "-1 to 2 do not fit uint8"),
        (lambda: taut.empty(2, dtype=taut.bool).random_(3), "0 to 2 do not fit bool"),
        (lambda: taut.empty(2, dtype=taut.float16).random_(70000), "69999 does not fit float16"),
        (lambda: taut.randint(300, (2,), dtype=taut.int8), "randint: numbers from 0 to 299 do not fit int8"),
        (lambda: taut.empty(2, dtype=taut.float16).random_(4096, None), "low 4096 is above 2048"),
    ],
)
def test_bounds_that_a_dtype_does_not_hold(wrong, bounds):
    with pytest.raises(ValueError, match=bounds):
        wrong()


def test_permutations():
    p = taut.randperm(1000)
    assert p.sort().values.tolist() == list(range(1000)) and p.tolist() != list(range(1000))
    firsts = np.bincount([taut.randperm(4)[0].item() for _ in range(2000)], minlength=4)
    assert abs(firsts - 500).max() < 80
    without = taut.multinomial(taut.ones(200, 6), 6)
    assert (without.sort(1).values == taut.arange(6)).all()


def test_dropout():
    x = taut.ones(N, requires_grad=True)
    y = F.dropout(x, 0.4)
    kept = y.detach().numpy() != 0
    np.testing.assert_allclose(y.detach().numpy()[kept], 1 / 0.6, rtol=1e-6)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), y.detach().numpy())
    for dtype in (taut.float32, taut.bfloat16):
        h, residual = taut.randn(1000, dtype=dtype), taut.randn(1000, dtype=dtype)
        taut.manual_seed(4)
        expected = F.dropout(h, 0.3) + residual
        taut.manual_seed(4)
        assert (F.dropout_add(h, residual, 0.3) == expected).all()
    images = F.dropout2d(taut.ones(40, 50, 3, 3), 0.5).numpy().reshape(2000, 9)
    assert (images == images[:, :1]).all() and 0.4 < (images[:, 0] == 0).mean() < 0.6


DRAWS = {**{name: row[0] for name, row in CONTINUOUS.items()}, **{name: row[0] for name, row in DISCRETE.items()}}
DRAWS["randperm"] = lambda: taut.randperm(100)


@pytest.mark.parametrize("name", DRAWS)
def test_seeds_and_states(name):
    draw = DRAWS[name]
    taut.manual_seed(11)
    first, second = draw(), draw()
    assert not taut.equal(first, second)
    taut.manual_seed(11)
    assert taut.equal(draw(), first)
    state = taut.get_rng_state()
    assert taut.equal(draw(), second)
    draw()
    taut.set_rng_state(state)
    assert taut.equal(draw(), second)
    taut.manual_seed(12)
    assert not taut.equal(draw(), first)


def test_generators_are_apart():
    a, b = taut.Generator().manual_seed(5), taut.Generator().manual_seed(5)
    taut.manual_seed(1)
    alone = taut.rand(4)
    taut.manual_seed(1)
    x = taut.randn(7, generator=a)
    assert taut.equal(taut.rand(4), alone)
    assert taut.equal(taut.randn(7, generator=b), x) and a.initial_seed() == 5
    state = a.get_state()
    y = taut.randint(0, 100, (9,), generator=a)
    a.set_state(state)
    assert taut.equal(taut.randint(0, 100, (9,), generator=a), y)
    b.set_state(state)
    assert taut.equal(taut.randint(0, 100, (9,), generator=b), y)
    b.set_state(state)
    for replacement in (False, True):
        a.set_state(state)
        draws = taut.multinomial(taut.ones(50), 20, replacement, generator=a)
        b.set_state(state)
        assert taut.equal(taut.multinomial(taut.ones(50), 20, replacement, generator=b), draws)
    before = a.get_state()
    for wrong in (taut.zeros(1), taut.zeros(3, dtype=taut.uint8), None, "state"):
        with pytest.raises((RuntimeError, TypeError, ValueError)):
            a.set_state(wrong)
    assert taut.equal(a.get_state(), before)


def test_fork_leaves_no_trace():
    taut.manual_seed(3)
    expected = taut.rand(3)
    taut.manual_seed(3)
    with taut.random.fork_rng():
        taut.rand(100)
        taut.manual_seed(99)
    assert taut.equal(taut.rand(3), expected)
    assert isinstance(taut.seed(), int) and taut.initial_seed() != 3


def test_any_number_of_threads_draws_the_same():
    program = (
        "import taut\n"
        "taut.manual_seed(4)\n"
        "p = taut.rand(70001)\n"
        "x = [taut.randn(300001), taut.randint(0, 1000, (200003,)), taut.randperm(50021), taut.bernoulli(p),\n"
        "     taut.nn.functional.dropout(p), taut.empty(100003).exponential_(), taut.multinomial(p, 1000)]\n"
        "import hashlib\n"
        "print(hashlib.sha256(b''.join(t.numpy().tobytes() for t in x)).hexdigest())\n"
    )
    digests = set()
    for threads in ("1", "2", "5"):
        environment = {**os.environ, "OMP_NUM_THREADS": threads}
        digests.add(
            subprocess.run(
                [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment
            ).stdout
        )
    assert len(digests) == 1


def test_wrong_parameters_draw_nothing():
    x = taut.ones(3)
    before = taut.get_rng_state()
    for wrong in (
        lambda: x.uniform_(2, 1),
        lambda: x.normal_(0, -1),
        lambda: x.exponential_(0),
        lambda: x.exponential_(-1),
        lambda: x.geometric_(0),
        lambda: x.geometric_(1),
        lambda: x.geometric_(2),
        lambda: x.cauchy_(0, 0),
        lambda: x.log_normal_(0, 0),
        lambda: x.random_(3, 3),
        lambda: x.bernoulli_(-0.5),
        lambda: taut.arange(3).uniform_(),
        lambda: x.to(taut.bool).normal_(),
        lambda: taut.multinomial(x, 0),
        lambda: taut.multinomial(x, 4),
    ):
        with pytest.raises((RuntimeError, TypeError, ValueError)):
            wrong()
    assert x.tolist() == [1, 1, 1] and taut.equal(taut.get_rng_state(), before)
