"""taut.cuda from Python."""

import gc

import numpy as np
import pytest
import taut

needs_gpu = pytest.mark.skipif(not taut.cuda.is_available(), reason="no GPU")


@pytest.mark.skipif(taut.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_everything_else_works():
    assert taut.cuda.device_count() == 0 and taut.cuda.memory_allocated() == 0
    assert taut.cuda.current_device() == 0
    taut.cuda.synchronize()
    taut.cuda.empty_cache()
    for call in (
        lambda: taut.zeros(2, device="cuda"),
        lambda: taut.zeros(2).cuda(),
        lambda: taut.zeros(2).pin_memory(),
        lambda: taut.cuda.Stream(),
        lambda: taut.cuda.get_device_name(),
        lambda: taut.cuda.memory_stats(),
        lambda: taut.cuda.set_device(0),
        lambda: taut.cuda.graph(taut.cuda.CUDAGraph()).__enter__(),
        lambda: taut.cuda.CUDAGraph().capture_begin(),
    ):
        with pytest.raises(taut.DeviceError, match="cuda:0"):
            call()
    with pytest.raises(ValueError, match="no capture"):
        taut.cuda.CUDAGraph().replay()
    assert not taut.cuda.is_current_stream_capturing()
    assert not taut.zeros(2).is_pinned()
    assert taut.zeros(2).add(1).tolist() == [1, 1]


@needs_gpu
def test_streams_and_events():
    side = taut.cuda.Stream()
    assert side != taut.cuda.default_stream() and side == taut.cuda.ExternalStream(side.cuda_stream)
    x = taut.rand(1000, device="cuda")
    start, end = taut.cuda.Event(enable_timing=True), taut.cuda.Event(enable_timing=True)
    side.wait_stream(taut.cuda.current_stream())
    with taut.cuda.stream(side):
        assert taut.cuda.current_stream() == side
        start.record()
        y = x.exp()
        end.record()
    assert taut.cuda.current_stream() == taut.cuda.default_stream()
    taut.cuda.current_stream().wait_event(end)
    y.record_stream(taut.cuda.current_stream())
    np.testing.assert_allclose(y.cpu().numpy(), np.exp(x.cpu().numpy()), 1e-5)
    end.synchronize()
    assert start.elapsed_time(end) >= 0 and end.query() and side.query()
    assert "cuda:0" in repr(side) and len({side, taut.cuda.ExternalStream(side.cuda_stream)}) == 1


@needs_gpu
def test_graphs_replay_a_step_with_its_random_numbers():
    x = taut.rand(32, 8, device="cuda")
    layer = taut.nn.Linear(8, 4).cuda()
    step = lambda: taut.nn.functional.dropout(layer(x), 0.5)  # noqa: E731
    step()
    graph = taut.cuda.CUDAGraph()
    with taut.cuda.graph(graph):
        y = step()
        assert taut.cuda.is_current_stream_capturing()
    assert not taut.cuda.is_current_stream_capturing()
    for _ in range(3):
        x.copy_(taut.rand(32, 8, device="cuda"))
        state = taut.get_rng_state()
        graph.replay()
        taut.set_rng_state(state)
        assert taut.equal(y, step())
    graph.reset()
    with pytest.raises(ValueError, match="no capture"):
        graph.replay()


@needs_gpu
def test_what_cannot_be_captured_says_so():
    x = taut.rand(8, device="cuda")
    optimizer = taut.optim.AdamW([taut.rand(8).requires_grad_()])
    optimizer.param_groups[0]["params"][0].grad = taut.ones(8)
    for call in (lambda: x.sum().item(), lambda: x.cpu(), lambda: x.nonzero(), taut.cuda.synchronize, optimizer.step):
        graph = taut.cuda.CUDAGraph()
        with pytest.raises(taut.CudaError, match="captured into a graph"):
            with taut.cuda.graph(graph):
                x.exp()
                call()
        with pytest.raises(ValueError, match="no capture"):
            graph.replay()
        assert x.exp().sum().item() > 8
    with pytest.raises(ValueError, match="default stream"):
        taut.cuda.CUDAGraph().capture_begin()
    with pytest.raises(KeyError):
        with taut.cuda.graph(taut.cuda.CUDAGraph()):
            raise KeyError("mine")
    assert taut.cuda.current_stream() == taut.cuda.default_stream()


@needs_gpu
def test_gradients_come_back_to_the_cpu():
    x = taut.rand(3, requires_grad=True)
    x.cuda().mul(2).sum().backward()
    assert x.grad.tolist() == [2, 2, 2] and x.grad.device.type == "cpu"


@needs_gpu
def test_memory_is_told():
    gc.collect()
    before = taut.cuda.memory_allocated()
    x = taut.zeros(1 << 20, device="cuda")
    assert taut.cuda.memory_allocated() >= before + (4 << 20)
    assert taut.cuda.max_memory_allocated() >= taut.cuda.memory_allocated()
    free, total = taut.cuda.mem_get_info()
    assert 0 < free < total == taut.cuda.get_device_properties()["total_memory"] or free < total
    taut.cuda.record_memory_history()
    y = x.exp()
    taut.cuda.record_memory_history(False)
    holders = {block["address"]: block["holder"] for block in taut.cuda.memory_snapshot()}
    assert holders[y.data_ptr()] == "exp"
    assert "held by tensors" in taut.cuda.memory_summary()
    del x, y
    assert taut.cuda.memory_allocated() == before


@needs_gpu
def test_out_of_memory_is_an_error_to_go_on_after():
    free, total = taut.cuda.mem_get_info()
    with pytest.raises(taut.OutOfMemoryError, match=str(4 * total)):
        taut.empty(total, device="cuda")
    assert taut.ones(3, device="cuda").sum().item() == 3


@needs_gpu
def test_pinned_memory():
    x = taut.arange(1000.0).pin_memory()
    assert x.is_pinned() and not taut.zeros(2).is_pinned()
    y = x.cuda(non_blocking=True).to("cpu")
    assert y.tolist() == x.tolist()


@needs_gpu
def test_the_same_seed_gives_the_same_numbers_on_both_devices():
    for make in (
        lambda device: taut.rand(1001, device=device),
        lambda device: taut.randn(1001, device=device),
        lambda device: taut.randint(0, 1000, (1001,), device=device),
        lambda device: taut.randperm(1001, device=device),
        lambda device: taut.nn.functional.dropout(taut.ones(1001, device=device), 0.3),
        lambda device: taut.empty(1001, device=device).exponential_(),
    ):
        taut.manual_seed(5)
        here = make("cpu")
        taut.manual_seed(5)
        there = make("cuda").cpu()
        np.testing.assert_allclose(there.numpy(), here.numpy(), 2e-5, 1e-6)


class Training:
    """A small CNN, its optimizer and random pictures on a device."""

    def __init__(self, device):
        taut.manual_seed(3)
        self.device = device
        self.model = taut.nn.Sequential(
            taut.nn.Conv2d(1, 8, 3, padding=1),
            taut.nn.BatchNorm2d(8),
            taut.nn.ReLU(),
            taut.nn.MaxPool2d(2),
            taut.nn.Flatten(),
            taut.nn.Dropout(0.2),
            taut.nn.Linear(8 * 4 * 4, 10),
        ).to(device)
        self.optimizer = taut.optim.AdamW(self.model.parameters(), lr=1e-2)
        self.x, self.y = self.batch(64)

    def batch(self, size):
        return taut.randn(size, 1, 8, 8).to(self.device), taut.randint(0, 10, (size,)).to(self.device)

    def step(self, x, y):
        loss = taut.nn.functional.cross_entropy(self.model(x), y)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss

    def losses(self, steps):
        return [self.step(self.x, self.y).item() for _ in range(steps)]


@needs_gpu
def test_a_network_trains_on_the_gpu_as_on_the_cpu():
    np.testing.assert_allclose(Training("cuda").losses(20), Training("cpu").losses(20), 2e-3)


def resident_bytes():
    line = next(line for line in open("/proc/self/status") if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


@needs_gpu
def test_a_thousand_steps_take_no_more_memory_than_a_hundred():
    training = Training("cuda")
    training.losses(100)
    gc.collect()
    held, reserved, resident = taut.cuda.memory_allocated(), taut.cuda.memory_reserved(), resident_bytes()
    training.losses(1000)
    gc.collect()
    assert taut.cuda.memory_allocated() == held and taut.cuda.memory_reserved() == reserved
    assert resident_bytes() - resident < 1 << 20


@needs_gpu
def test_training_goes_on_with_a_smaller_batch_after_running_out_of_memory():
    training = Training("cuda")
    training.losses(2)
    held = taut.cuda.memory_allocated()
    total = taut.cuda.mem_get_info()[1]
    taut.cuda.set_per_process_memory_fraction(min(1, (taut.cuda.memory_reserved() + (64 << 20)) / total))
    try:
        with pytest.raises(taut.OutOfMemoryError, match="this process may take"):
            training.step(*training.batch(1 << 17))
        training.optimizer.zero_grad()
        gc.collect()
        losses = training.losses(20)
    finally:
        taut.cuda.set_per_process_memory_fraction(1.0)
    assert losses[-1] < losses[0]
    assert taut.cuda.memory_allocated() <= held
