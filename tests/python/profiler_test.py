"""taut.profiler from Python: context managers, schedules, modules, sums, files. tests/profiler tests what they stand on."""

import gc
import gzip
import json
import threading
import warnings

import pytest
import taut
from taut import nn, profiler
from taut.profiler import ProfilerAction, ProfilerActivity, profile, record_function


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 8)

    def forward(self, x, *, scale=1.0):
        return taut.relu(self.fc(x)) * scale


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.Sequential(Block(), Block())
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        return self.head(self.blocks(x))


def names(prof, kind=None):
    return [event.name for event in prof.events() if kind is None or event.kind == kind]


def row(averages, key):
    return next(row for row in averages if row.key == key)


def test_a_training_step():
    net = Net()
    optimizer = taut.optim.SGD(net.parameters(), lr=0.1)
    with profile(record_shapes=True) as prof:
        with record_function("forward"):
            loss = net(taut.ones(3, 8)).sum()
        loss.backward()
        optimizer.step()
    assert names(prof, "module") == [
        "Net", "Net.blocks", "Net.blocks.0", "Net.blocks.0.fc", "Net.blocks.1", "Net.blocks.1.fc", "Net.head",
    ]
    assert names(prof, "optimizer") == ["SGD.step"]
    events = prof.events()
    forward = next(event for event in events if event.name == "forward")
    assert forward.kind == "user" and [child.name for child in forward.cpu_children] == ["full", "Net", "sum"]
    linears = [event for event in events if event.name == "linear"]
    assert [event.module for event in linears] == ["Net.blocks.0.fc", "Net.blocks.1.fc", "Net.head"]
    assert linears[0].input_shapes == [[3, 8], [8, 8], [8]]
    assert linears[0].flops == 2 * 3 * 8 * 8
    assert all(event.self_cpu_time_total <= event.cpu_time_total for event in events)
    backward = [event for event in events if event.name == "linear_backward"]
    assert [event.forward for event in backward] == linears[::-1]
    assert all(event.module == event.forward.module for event in backward)


def test_sums_and_tables():
    x = taut.ones(4, 4, requires_grad=True)
    with profile(record_shapes=True) as prof:
        for size in (2, 3, 3):
            taut.ones(size).exp()
        (x @ x).sum().backward()
    averages = prof.key_averages()
    assert row(averages, "exp").count == 3
    assert row(averages, "matmul").flops == 3 * 2 * 4**3
    assert sum(each.self_cpu_time_total for each in averages) == pytest.approx(averages.self_cpu_time_total)
    assert len(averages) == len(list(averages)) and averages[-1].key == list(averages)[-1].key
    with pytest.raises(IndexError):
        averages[len(averages)]
    table = averages.table(sort_by="cpu_time_total", row_limit=-1)
    assert "matmul_backward" in table and "# of Calls" in table
    assert averages.table(sort_by="count", row_limit=1).count("\n") < table.count("\n")
    with pytest.raises(taut.ValueError, match='sort by "length"; expected one of cpu_time_total'):
        averages.table(sort_by="length")
    by_shape = {each.input_shapes: each.count for each in prof.key_averages(group_by_input_shape=True) if each.key == "exp"}
    assert by_shape == {"[[2]]": 1, "[[3]]": 2}
    with pytest.raises(taut.ValueError, match='got "color"'):
        prof.key_averages(group_by="color")


def test_calls_of_modules_with_hooks_and_keywords():
    block = Block()
    block.register_forward_hook(lambda module, args, output: output + 1)
    with profile() as prof:
        block(taut.ones(1, 8), scale=2.0)
        nn.ReLU()(taut.ones(2))
    assert names(prof, "module") == ["Block", "Block.fc", "ReLU"]
    assert nn.Module.__call__.__name__ == "__call__"  # nothing is left of the profile
    with profile(with_modules=False) as prof:
        block(taut.ones(1, 8))
    assert names(prof, "module") == []


def test_modules_that_fail_say_what_they_always_say():
    with profile() as prof:
        with pytest.raises(TypeError, match="expected a Module; got a int"):
            nn.Module.__call__(3, taut.ones(2))
        with pytest.raises(taut.ShapeError):
            nn.Linear(3, 3)(taut.ones(2))
        taut.ones(2) + 1
    assert "add" in names(prof)


def test_record_function_is_a_decorator_and_nests():
    @record_function("work")
    def work(depth):
        return taut.ones(2).exp() if depth == 0 else work(depth - 1)

    with profile() as prof:
        work(2)
        with record_function('odd "name"\n'):
            taut.ones(1)
    events = [event for event in prof.events() if event.kind == "user"]
    assert [event.name for event in events] == ["work", "work", "work", 'odd "name"\n']
    assert events[2].cpu_parent is events[1] and events[1].cpu_parent is events[0]
    assert work(0).shape == (2,)


def test_schedules():
    plan = profiler.schedule(wait=1, warmup=1, active=2, repeat=1, skip_first=1)
    none, warm, record, save = ProfilerAction.NONE, ProfilerAction.WARMUP, ProfilerAction.RECORD, ProfilerAction.RECORD_AND_SAVE
    assert [plan(i) for i in range(6)] == [none, none, warm, record, save, none]
    seen = []
    with profile(schedule=plan, on_trace_ready=lambda p: seen.append((p.step_num, names(p)))) as prof:
        for i in range(7):
            taut.ones(1).exp()
            prof.step()
    assert len(seen) == 1 and seen[0][0] == 5
    assert [name for name in seen[0][1] if name.startswith("Prof")] == ["ProfilerStep#3", "ProfilerStep#4"]
    assert seen[0][1].count("exp") == 2
    with pytest.raises(taut.ValueError, match="active must be at least 1; got 0"):
        profiler.schedule(wait=0, warmup=0, active=0)


def test_a_schedule_of_ones_own_and_errors_in_it():
    with profile(schedule=lambda step: ProfilerAction.RECORD_AND_SAVE if step == 1 else ProfilerAction.NONE) as prof:
        for _ in range(3):
            taut.ones(1).exp()
            prof.step()
    assert names(prof).count("exp") == 1
    with pytest.raises(TypeError, match="must return a ProfilerAction; got 2 for step 0"):
        profile(schedule=lambda step: 2).start()
    assert not profiler.is_profiling()

    def broken(step):
        if step == 1:
            raise KeyError("no plan")
        return ProfilerAction.RECORD

    prof = profile(schedule=broken)
    prof.start()
    with pytest.raises(KeyError, match="no plan"):
        prof.step()
    prof.stop()
    assert not profiler.is_profiling()


def test_one_profile_at_a_time():
    with profile() as prof:
        assert profiler.is_profiling()
        with pytest.raises(taut.ValueError, match="another profile runs, and profiles cannot be nested"):
            with profile():
                pass
        with pytest.raises(taut.ValueError, match="while this profile runs"):
            prof.start()
        taut.ones(1).exp()
    assert names(prof).count("exp") == 1
    with pytest.raises(taut.ValueError, match="does not run"):
        prof.stop()
    assert nn.Module.__call__.__name__ == "__call__"


def test_an_error_in_the_body_ends_the_profile():
    with pytest.raises(ZeroDivisionError):
        with profile() as prof:
            with record_function("range"):
                taut.ones(1).exp()
                1 / 0
    assert "exp" in names(prof) and not profiler.is_profiling()


def test_a_forgotten_profile_ends_itself():
    prof = profile()
    prof.start()
    taut.ones(1)
    del prof
    gc.collect()
    assert not profiler.is_profiling()
    assert nn.Module.__call__.__name__ == "__call__"
    with profile() as prof:
        pass
    assert prof.events() == []


def test_threads():
    def work():
        x = taut.ones(3, requires_grad=True)
        for _ in range(20):
            with record_function("round"):
                x.sin().sum().backward()

    with profile() as prof:
        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    events = prof.events()
    assert sum(event.name == "sin_backward" for event in events) == 60
    assert len({event.thread for event in events}) == 3
    assert all(event.cpu_parent is None or event.cpu_parent.thread == event.thread for event in events)


def test_files(tmp_path):
    net = Net()
    with profile(record_shapes=True, profile_memory=True) as prof:
        net(taut.ones(3, 8)).sum().backward()
    prof.export_chrome_trace(tmp_path / "trace.json")
    trace = json.loads((tmp_path / "trace.json").read_text())
    kinds = {event.get("cat") for event in trace["traceEvents"]}
    assert {"cpu_op", "module", "fwdbwd"} <= kinds
    prof.export_chrome_trace(str(tmp_path / "trace.json.gz"))
    assert json.loads(gzip.open(tmp_path / "trace.json.gz").read()) == trace
    prof.export_memory_timeline(tmp_path / "memory.json")
    rows = json.loads((tmp_path / "memory.json").read_text())
    assert len(rows) == len(prof.memory_events())
    assert any(each["module"] == "Net.blocks.0.fc" for each in rows)
    peak = prof.memory_peak()
    assert sum(holder["bytes"] for holder in peak["holders"]) == peak["bytes"]
    with profile() as bare:
        pass
    with pytest.raises(taut.ValueError, match="profile_memory=True"):
        bare.export_memory_timeline(tmp_path / "none.csv")
    with pytest.raises(OSError):
        prof.export_chrome_trace(tmp_path / "no" / "folder.json")


def test_memory_by_op():
    with profile(profile_memory=True) as prof:
        kept = taut.ones(1000).exp()
    assert row(prof.key_averages(), "exp").self_cpu_memory_usage >= 4000
    assert "Self CPU Mem" in prof.key_averages().table()
    del kept


def test_arguments():
    with pytest.raises(taut.ValueError, match="nothing is to be recorded"):
        profile(activities=[])
    with pytest.raises(TypeError, match="ProfilerActivity"):
        profile(activities=["cpu"])
    with pytest.raises(NotImplementedError, match="with_stack"):
        profile(with_stack=True)
    with pytest.raises(taut.ValueError, match="there is no trace"):
        profile().events()
    assert ProfilerActivity.CPU in profiler.supported_activities()


def test_custom_functions_and_loaders():
    class Double(taut.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, grad):
            return grad * 2

    data = taut.utils.data.TensorDataset(taut.arange(4))
    with profile() as prof:
        Double.apply(taut.ones(2, requires_grad=True)).sum().backward()
        for _ in taut.utils.data.DataLoader(data, batch_size=2):
            pass
    events = prof.events()
    double = next(event for event in events if event.name == "Double")
    assert [child.name for child in double.cpu_children] == ["mul"]
    assert any(event.forward is double for event in events)
    assert sum(event.kind == "data" for event in events) == 3


def test_emit_nvtx_does_nothing_bad():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with profiler.emit_nvtx():
            assert Net()(taut.ones(1, 8)).shape == (1, 2)
    assert len(caught) == (0 if profiler.has_nvtx() else 1)
    with profiler.emit_nvtx(enabled=False):
        taut.ones(1)
    assert nn.Module.__call__.__name__ == "__call__"


def test_peaks():
    assert profiler.peak_flops("cpu", taut.float32) > 1e8
    assert profiler.peak_bandwidth("cpu") > 1e8
    assert profiler.peak_flops("cpu", taut.int64) == 0
