"""Tensors of more than 2^31 elements on a GPU: the end of a result is that of the end of its input.

Runs where TAUT_TEST_LARGE=1 and the GPU has 60 GiB to spare; tests/gpu/run.sh sets it in its step `large`.
"""

import os

import pytest

import taut
import taut.nn.functional as F

ROWS, COLS = 32769, 65536  # 2^31 + 2^16 elements
GIB = 2**30


def enough_memory():
    return taut.cuda.is_available() and taut.cuda.mem_get_info()[0] > 60 * GIB


pytestmark = pytest.mark.skipif(
    os.environ.get("TAUT_TEST_LARGE") != "1" or not enough_memory(),
    reason="needs TAUT_TEST_LARGE=1 and a GPU with 60 GiB to spare",
)


@pytest.fixture(scope="module")
def x():
    taut.manual_seed(11)
    yield taut.randn(ROWS, COLS, dtype=taut.bfloat16, device="cuda")
    taut.cuda.empty_cache()


@pytest.fixture(autouse=True)
def give_memory_back():
    yield
    taut.cuda.empty_cache()


def assert_close(actual, expected, tolerance=1e-2):
    assert actual.shape == expected.shape and actual.dtype == expected.dtype
    assert taut.allclose(actual.float(), expected.float(), rtol=tolerance, atol=tolerance)


def assert_equal(actual, expected):
    assert actual.shape == expected.shape
    assert taut.equal(actual, expected)


# Functions of rows, each alone: the first rows and the last are what they are without the others.
BY_ROWS = {
    "gelu": F.gelu,
    "softmax": lambda x: F.softmax(x, dim=-1),
    "log_softmax": lambda x: F.log_softmax(x, dim=-1),
    "layer_norm": lambda x: F.layer_norm(x, (x.shape[1],)),
    "rms_norm": lambda x: F.rms_norm(x, (x.shape[1],)),
    "sum": lambda x: x.sum(-1),
    "var": lambda x: x.var(-1),
    "logsumexp": lambda x: taut.logsumexp(x, -1),
    "amax": lambda x: x.amax(-1),
    "cumsum": lambda x: taut.cumsum(x[:, :64], 1),
    "matmul, a large factor": lambda x: x @ taut.ones(x.shape[1], 8, dtype=x.dtype, device="cuda").mul(2**-8),
    "matmul, a large result": lambda x: x[:, :16] @ taut.ones(16, COLS, dtype=x.dtype, device="cuda"),
    "linear": lambda x: F.linear(x[:, :8], taut.ones(COLS, 8, dtype=x.dtype, device="cuda")),
    "pad": lambda x: F.pad(x, (1, 1)),
    "max_pool2d": lambda x: F.max_pool2d(x.view(-1, 1, 256, 256), 2),
    "avg_pool2d": lambda x: F.avg_pool2d(x.view(-1, 1, 256, 256), 2),
    "adaptive_avg_pool2d": lambda x: F.adaptive_avg_pool2d(x.view(-1, 1, 256, 256), 3),
    "conv2d": lambda x: F.conv2d(x.view(-1, 1, 256, 256), taut.ones(2, 1, 3, 3, dtype=x.dtype, device="cuda")),
    "group_norm": lambda x: F.group_norm(x.view(-1, 4, 64, 256), 2),
    "mul of a column": lambda x: x * x[:, :1],
    "where": lambda x: taut.where(x > 0, x, x[:, :1]),
}


@pytest.mark.parametrize("name", BY_ROWS)
def test_rows_and_their_gradients(x, name):
    function = BY_ROWS[name]
    leaf = x.detach().requires_grad_()
    ends = x[:2].clone().requires_grad_(), x[-2:].clone().requires_grad_()
    result = function(leaf)
    expected = [function(end) for end in ends]
    assert_close(result[:2], expected[0])
    assert_close(result[-2:], expected[1])
    result.sum().backward()
    for value in expected:
        value.sum().backward()
    del result
    # Gradients of sums of rows are as rough as a row is long.
    assert_close(leaf.grad[:2], ends[0].grad, 3e-2)
    assert_close(leaf.grad[-2:], ends[1].grad, 3e-2)


PLAIN = {
    "clone": lambda x: x.clone(),
    "to float32": lambda x: x.float(),
    "argmax": lambda x: x.argmax(-1),
    "sort": lambda x: taut.sort(x[:, :4096].contiguous(), dim=-1).values,
    "topk": lambda x: taut.topk(x, 5, dim=-1).values,
    "flip": lambda x: taut.flip(x, (1,)),
    "roll": lambda x: taut.roll(x, 3, 1),
    "gather": lambda x: taut.gather(x, 1, taut.arange(x.shape[1] - 1, -1, -COLS // 8, device="cuda").expand(x.shape[0], -1)),
    "index_select of columns": lambda x: x.index_select(1, taut.tensor([COLS - 1, 0, 7], device="cuda")),
    "cat": lambda x: taut.cat([x, x[:, :3]], 1),
    "masked_fill": lambda x: x.masked_fill(x > 1, 0.5),
    "isnan": taut.isnan,
    "one row after the other": lambda x: x.t().contiguous().t(),
}


@pytest.mark.parametrize("name", PLAIN)
def test_rows_without_gradients(x, name):
    function = PLAIN[name]
    result = function(x)
    assert_equal(result[:2], function(x[:2].contiguous()))
    assert_equal(result[-2:], function(x[-2:].contiguous()))


def test_rows_by_index(x):
    index = taut.tensor([ROWS - 1, 0, ROWS - 2, ROWS - 1], device="cuda")
    assert_equal(x.index_select(0, index), taut.stack([x[i] for i in index.tolist()]))
    assert_equal(F.embedding(index, x), x.index_select(0, index))
    assert_equal(x[index, COLS - 1], taut.stack([x[i, COLS - 1] for i in index.tolist()]))
    table = x.detach().requires_grad_()
    F.embedding(index, table).sum().backward()
    assert table.grad[-1].float().sum().item() == 2 * COLS
    assert table.grad[-2].float().sum().item() == COLS
    assert table.grad.float().sum(-1).count_nonzero().item() == 3


def test_writes_by_index(x):
    y = x.clone()
    y[ROWS - 1, COLS - 3 :] = 7
    y.index_fill_(0, taut.tensor([ROWS - 2], device="cuda"), 5)
    y.scatter_(1, taut.full((ROWS, 1), COLS - 4, device="cuda", dtype=taut.int64), 3)
    assert y[-1, -4:].tolist() == [3, 7, 7, 7]
    assert y[-2, -5:].tolist() == [5, 3, 5, 5, 5]
    assert_equal(y[: ROWS - 2, : COLS - 4], x[: ROWS - 2, : COLS - 4])


def test_finds_the_last_elements(x):
    y = taut.zeros(ROWS, COLS, dtype=taut.uint8, device="cuda")
    y[ROWS - 1, COLS - 2] = 9
    y[0, 5] = 4
    assert taut.nonzero(y).tolist() == [[0, 5], [ROWS - 1, COLS - 2]]
    assert y.masked_select(y > 3).tolist() == [4, 9]
    assert y.view(-1).argmax().item() == ROWS * COLS - 2


def test_loss_of_many_rows(x):
    targets = taut.arange(ROWS, device="cuda")
    leaf = x.detach().requires_grad_()
    losses = F.cross_entropy(leaf, targets, reduction="none")
    end = x[-2:].clone().requires_grad_()
    expected = F.cross_entropy(end, targets[-2:], reduction="none")
    assert_close(losses[-2:], expected)
    losses.sum().backward()
    expected.sum().backward()
    assert_close(leaf.grad[-2:], end.grad)


@pytest.mark.parametrize("draw", ["rand", "randn", "bernoulli", "dropout"])
def test_random_numbers_go_on(draw):
    taut.manual_seed(3)
    if draw == "bernoulli":
        y = taut.empty(ROWS, COLS, dtype=taut.uint8, device="cuda").bernoulli_(0.25)
    elif draw == "dropout":
        y = F.dropout(taut.ones(ROWS, COLS, dtype=taut.bfloat16, device="cuda"), 0.5)
    else:
        y = getattr(taut, draw)(ROWS, COLS, dtype=taut.bfloat16, device="cuda")
    first, last = y[0].float(), y[-1].float()
    assert not taut.equal(first, last)
    assert abs(first.mean().item() - last.mean().item()) < 0.05
    assert abs(first.std().item() - last.std().item()) < 0.05


def test_steps_of_optimizers():
    for make in (lambda p: taut.optim.SGD(p, lr=0.5), lambda p: taut.optim.AdamW(p, lr=0.5, weight_decay=0.0)):
        parameter = taut.ones(ROWS, COLS, dtype=taut.bfloat16, device="cuda").requires_grad_()
        parameter.grad = taut.zeros(ROWS, COLS, dtype=taut.bfloat16, device="cuda")
        parameter.grad[-1] = 1
        make([parameter]).step()
        with taut.no_grad():
            assert parameter[-1].float().sum().item() == COLS / 2
            assert parameter[:-1].float().sum(-1).eq(COLS).all().item()
        parameter = None
        taut.cuda.empty_cache()
