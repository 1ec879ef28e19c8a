"""taut.cuda.make_graphed, and whole steps in taut.cuda.graph."""

import collections
import gc
import warnings
import weakref

import pytest
import taut

needs_gpu = pytest.mark.skipif(not taut.cuda.is_available(), reason="no GPU")
Pair = collections.namedtuple("Pair", "first second")

# ---- arguments and results, on any machine ----------------------------------------------------------


def test_the_function_is_called_on_the_cpu():
    calls = []

    def step(x, scale, *, shift=0):
        calls.append(shift)
        return x * scale + shift

    graphed = taut.cuda.make_graphed(step, device="cpu")
    for i in range(5):
        assert graphed(taut.ones(2), 3, shift=i).tolist() == [3 + i, 3 + i]
    assert calls == [0, 1, 2, 3, 4]
    assert graphed.graphs == 0 and graphed.fallback_reason == ""
    assert graphed(taut.ones(2, dtype=taut.int64), True).dtype is taut.int64


def test_structures_come_and_go():
    def step(batch, extra):
        x, (y, named) = batch
        assert extra == {"lr": 0.5, 3: None}
        return Pair(x + y, {"named": [named["z"], "word"], "none": None}), ()

    graphed = taut.cuda.make_graphed(step, device="cpu")
    result = graphed([taut.ones(1), (taut.ones(1), {"z": taut.zeros(1)})], {"lr": 0.5, 3: None})
    assert isinstance(result, tuple) and result[1] == ()
    assert isinstance(result[0], Pair) and result[0].first.tolist() == [2]
    assert result[0].second["named"][0].tolist() == [0] and result[0].second["named"][1] == "word"
    assert result[0].second["none"] is None


def test_results_are_outside_of_the_tape():
    weight = taut.ones(2, requires_grad=True)
    graphed = taut.cuda.make_graphed(lambda x: x * weight, device="cpu")
    assert not graphed(taut.ones(2)).requires_grad
    with pytest.raises(ValueError, match="input 0 requires grad"):
        graphed(weight)


def test_arguments_of_other_types_are_refused():
    graphed = taut.cuda.make_graphed(lambda *args: None, device="cpu")
    assert graphed(1, 2.5, "a", b"b", None, True, taut.float32, taut.device("cpu")) is None
    with pytest.raises(TypeError, match="got an argument of type set"):
        graphed(taut.ones(1), {1, 2})
    for wrong in ({"warmup": -1}, {"max_graphs": 0}):
        with pytest.raises(ValueError, match="make_graphed"):
            taut.cuda.make_graphed(lambda: None, device="cpu", **wrong)


def test_what_the_function_raises_is_raised():
    graphed = taut.cuda.make_graphed(lambda x: x[5], device="cpu")
    with pytest.raises(IndexError):
        graphed(taut.ones(2))
    with pytest.raises(ZeroDivisionError):
        taut.cuda.make_graphed(lambda: 1 // 0, device="cpu")()


def test_texts_of_structures_differ_when_those_do():
    from taut import _graphed, _structure

    def text(*args, **kwargs):
        return _structure.name_of(_structure.take_apart((args, kwargs), [], _graphed._plain))

    x = taut.ones(1)
    structures = [
        text(x), text(x, x), text((x, x)), text([x, x]), text(Pair(x, x)), text({"a": x}), text({"b": x}), text({1: x}), text({"1": x}),
        text(a=x), text(x, 1), text(x, 1.0), text(x, True), text(x, "1"), text(x, None), text(x, "_"), text(()), text([]),
        text(x, 0.1 + 0.2), text(x, 0.3),
    ]
    assert len(set(structures)) == len(structures)
    assert text(taut.zeros(5), 2) == text(x, 2)


def test_the_step_goes_with_the_graphed_function():
    class Step:
        def __call__(self, x):
            return x + 1

    step = Step()
    gone = weakref.ref(step)
    graphed = taut.cuda.make_graphed(step, device="cpu")
    graphed(taut.ones(1))
    del step, graphed
    gc.collect()
    assert gone() is None


# ---- on a GPU ---------------------------------------------------------------------------------------


class Training:
    """A small network with dropout, and what trains it."""

    def __init__(self, make_optimizer, device="cuda"):
        taut.manual_seed(3)
        self.model = taut.nn.Sequential(
            taut.nn.Linear(16, 40), taut.nn.ReLU(), taut.nn.Dropout(0.2), taut.nn.Linear(40, 5)
        ).to(device)
        self.optimizer = make_optimizer(self.model.parameters())
        self.schedule = taut.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, 40)

    def step(self, x, y):
        loss = taut.nn.functional.mse_loss(self.model(x), y)
        self.optimizer.zero_grad()
        loss.backward()
        taut.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.schedule.step()
        return loss

    def weights(self):
        return [p.detach().cpu() for p in self.model.parameters()]


OPTIMIZERS = {
    "sgd": lambda params: taut.optim.SGD(params, lr=0.05, momentum=0.9, nesterov=True),
    "adam": lambda params: taut.optim.Adam(params, lr=0.01, amsgrad=True),
    "adamw": lambda params: taut.optim.AdamW(params, lr=0.01),
    "rmsprop": lambda params: taut.optim.RMSprop(params, lr=0.01, centered=True),
    "adagrad": lambda params: taut.optim.Adagrad(params, lr=0.1, lr_decay=0.1),
}


def batches(sizes):
    taut.manual_seed(4)
    return [(taut.randn(n, 16), taut.randn(n, 5)) for n in sizes]


@needs_gpu
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_captured_step_trains_as_the_step(name):
    data = [(x.cuda(), y.cuda()) for x, y in batches([32] * 8)]
    plain, captured = Training(OPTIMIZERS[name]), Training(OPTIMIZERS[name])
    taut.manual_seed(5)
    for x, y in data:
        plain.step(x, y)
    taut.manual_seed(5)
    captured.step(*data[0])
    x, y = (t.clone() for t in data[1])
    graph = taut.cuda.CUDAGraph()
    with taut.cuda.graph(graph):
        captured.step(x, y)
    for new_x, new_y in data[1:]:
        x.copy_(new_x)
        y.copy_(new_y)
        graph.replay()
    for mine, other in zip(captured.weights(), plain.weights()):
        assert taut.equal(mine, other)
    assert captured.schedule.get_last_lr() == plain.schedule.get_last_lr()
    mine, other = captured.optimizer.state_dict(), plain.optimizer.state_dict()
    assert mine["param_groups"] == other["param_groups"]
    for place, state in other["state"].items():
        assert state.get("step") == mine["state"][place].get("step")


@needs_gpu
@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("place", ["cpu", "pinned", "cuda"])
def test_make_graphed_trains_as_the_step(name, place):
    sizes = ([32] * 3 + [20]) * 5
    plain, graphed = Training(OPTIMIZERS[name]), Training(OPTIMIZERS[name])
    plain_data = [(x.cuda(), y.cuda()) for x, y in batches(sizes)]
    taut.manual_seed(6)
    expected = [plain.step(x, y).item() for x, y in plain_data]
    put = {"cpu": lambda t: t, "pinned": lambda t: t.pin_memory(), "cuda": lambda t: t.cuda()}[place]
    step = taut.cuda.make_graphed(graphed.step)
    data = [(put(x), put(y)) for x, y in batches(sizes)]
    taut.manual_seed(6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        losses = [step(x, y=y).clone() for x, y in data]
    assert [loss.item() for loss in losses] == expected
    assert step.graphs == 2
    for mine, other in zip(graphed.weights(), plain.weights()):
        assert taut.equal(mine, other)


@needs_gpu
def test_a_scaler_goes_into_the_graph():
    def run(steps_as_graph):
        training = Training(OPTIMIZERS["adamw"])
        scaler = taut.amp.GradScaler("cuda", init_scale=2.0**10, growth_interval=2)

        def step(x, y):
            training.optimizer.zero_grad()
            with taut.autocast("cuda", dtype=taut.float16):
                loss = taut.nn.functional.mse_loss(training.model(x), y)
            scaler.scale(loss).backward()
            scaler.unscale_(training.optimizer)
            taut.nn.utils.clip_grad_norm_(training.model.parameters(), 1.0)
            scaler.step(training.optimizer)
            scaler.update()
            return loss

        call = taut.cuda.make_graphed(step) if steps_as_graph else step
        data = batches([32] * 10)
        data[6][0].fill_(float("inf"))
        taut.manual_seed(7)
        for x, y in data:
            call(x.cuda(), y.cuda())
        if steps_as_graph:
            assert call.graphs == 1
        return training.weights(), scaler.state_dict(), training.optimizer.state_dict()["state"][0]["step"]

    (plain, scaler, steps), (mine, my_scaler, my_steps) = run(False), run(True)
    assert scaler == my_scaler and steps == my_steps == 9
    assert all(taut.equal(a, b) for a, b in zip(mine, plain))


@needs_gpu
def test_what_cannot_be_captured_is_told_with_its_line():
    def step(x):
        total = x.sum()
        return total.item()  # the line that is told

    graphed = taut.cuda.make_graphed(step, warmup=1)
    line = step.__code__.co_firstlineno + 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert graphed(taut.ones(3)) == 3
    with pytest.warns(UserWarning, match=rf"copy: cannot be captured.*graphed_test.py:{line}, in step"):
        assert graphed(taut.ones(3)) == 3
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert graphed(taut.ones(3) * 2) == 6
    assert graphed.graphs == 0 and "cannot be captured" in graphed.fallback_reason
    assert taut.ones(3, device="cuda").sum().item() == 3


@needs_gpu
def test_plain_values_make_kinds_of_calls():
    graphed = taut.cuda.make_graphed(lambda x, by: {"x": x * by, "by": by}, warmup=1, clone_outputs=True)
    for _ in range(3):
        for by in (2, 3):
            result = graphed(taut.ones(2), by)
            assert result["by"] == by and result["x"].tolist() == [by, by] and result["x"].is_cuda
    assert graphed.graphs == 2


@needs_gpu
def test_an_exception_at_the_capture_leaves_all_usable():
    fails = True

    def step(x):
        if fails and taut.cuda.is_current_stream_capturing():
            raise KeyError("mine")
        return x + 1

    graphed = taut.cuda.make_graphed(step, warmup=1)
    assert graphed(taut.ones(2)).tolist() == [2, 2]
    with pytest.raises(KeyError, match="mine"):
        graphed(taut.ones(2))
    assert not taut.cuda.is_current_stream_capturing()
    fails = False
    for value in (1, 5):
        assert graphed(taut.full((2,), float(value))).tolist() == [value + 1, value + 1]
    assert graphed.graphs == 1


@needs_gpu
def test_an_optimizer_that_is_gone_is_an_error():
    weight = taut.ones(3, device="cuda", requires_grad=True)
    weight.grad = taut.ones(3, device="cuda")
    optimizer = taut.optim.Adam([weight])
    graph = taut.cuda.CUDAGraph()
    with taut.cuda.graph(graph):
        optimizer.step()
    graph.replay()
    assert optimizer.state[weight]["step"] == 1
    del optimizer
    gc.collect()
    with pytest.raises(taut.CudaError, match="optimizer whose step was captured is gone"):
        graph.replay()
