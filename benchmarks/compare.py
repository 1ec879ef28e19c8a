#!/usr/bin/env python3
"""Runs each case in Taut and in PyTorch by turns and prints a table of times, their ratio and the bar for it.

    PYTHONPATH=build/release/python python3 benchmarks/compare.py            # all
    PYTHONPATH=build/release/python python3 benchmarks/compare.py small mlp  # cases whose group or name has a word

A case is one function of the library, so both run the same lines. Turns are short and alternate, and the best of each
counts: what else the machine does slows both alike. A ratio is Taut's time (or memory) over PyTorch's; below the bar is
a pass. Import time and memory are measured in processes of their own.
"""

import argparse
import importlib
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CASES = []


def case(name, group, bar=None, threads=(1,), per=1):
    """Registers make(lib) -> a function to time. `per` divides the time: how many ops one call does."""

    def register(make):
        CASES.append({"name": name, "group": group, "bar": bar, "threads": threads, "per": per, "make": make})
        return make

    return register


# ---- Small ops: overhead --------------------------------------------------------------------------------------------
for size in (1, 64):

    @case(f"a + b, {size} float{'s' if size > 1 else ''}", "small", bar=1 / 6)
    def _(lib, size=size):
        a, b = lib.rand(size), lib.rand(size)
        return lambda: a + b


@case("a + b, 1 float, on the tape", "small", bar=1 / 6)
def _(lib):
    a, b = lib.rand(1, requires_grad=True), lib.rand(1)
    return lambda: a + b


@case("a * 2.0, 1 float", "small")
def _(lib):
    a = lib.rand(1)
    return lambda: a * 2.0


@case("a.view(16, 4)", "small", bar=1 / 6)
def _(lib):
    a = lib.rand(4, 16)
    return lambda: a.view(16, 4)


@case("a[2]", "small")
def _(lib):
    a = lib.rand(4, 16)
    return lambda: a[2]


@case("a.sum(), 64 floats", "small")
def _(lib):
    a = lib.rand(64)
    return lambda: a.sum()


@case("a @ b, 2 x 2", "small")
def _(lib):
    a, b = lib.rand(2, 2), lib.rand(2, 2)
    return lambda: a @ b


@case("one op of 100, forward and backward", "small", bar=1 / 8, per=100)
def _(lib):
    x, factor = lib.rand(1, requires_grad=True), lib.full((1,), 1.01)

    def run():
        y = x
        for _ in range(50):
            y = y * factor + factor
        y.backward()
        x.grad = None

    return run


def training_step(lib, model, optimizer, loss_of):
    def step():
        optimizer.zero_grad()
        loss = loss_of(model)
        loss.backward()
        optimizer.step()

    return step


@case("AdamW step of a 16-16-1 MLP", "small", bar=1 / 10)
def _(lib):
    nn = lib.nn
    model = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 1))
    x, y = lib.rand(8, 16), lib.rand(8, 1)
    optimizer = lib.optim.AdamW(model.parameters(), lr=1e-3)
    return training_step(lib, model, optimizer, lambda net: nn.functional.mse_loss(net(x), y))


# ---- Memory-bound ops -----------------------------------------------------------------------------------------------
MILLION = 16 << 20  # floats: 64 MiB
LARGE = {
    "add": lambda lib, flat, rows: lambda other=lib.rand(MILLION): flat + other,
    "exp": lambda lib, flat, rows: lambda: lib.exp(flat),
    "relu": lambda lib, flat, rows: lambda: lib.relu(flat),
    "gelu": lambda lib, flat, rows: lambda: lib.nn.functional.gelu(flat),
    "softmax": lambda lib, flat, rows: lambda: lib.softmax(rows, 1),
    "layer_norm": lambda lib, flat, rows: lambda: lib.nn.functional.layer_norm(rows, (1024,)),
    "sum": lambda lib, flat, rows: lambda: flat.sum(),
    "sum of columns": lambda lib, flat, rows: lambda: rows.sum(0),
    "clone": lambda lib, flat, rows: lambda: flat.clone(),
    "transposed copy": lambda lib, flat, rows: lambda: rows.t().contiguous(),
}
for name, make in LARGE.items():

    @case(f"{name}, 64 MiB", "memory", bar=1.0, threads=(1, 2))
    def _(lib, make=make):
        flat = lib.rand(MILLION)
        return make(lib, flat, flat.view(-1, 1024))


@case("a + b, a fresh 10-million-float result", "memory", bar=1 / 4, threads=(1, 2))
def _(lib):
    a, b = lib.rand(10_000_000), lib.rand(10_000_000)
    return lambda: a + b


# ---- Products and convolutions --------------------------------------------------------------------------------------
for size in (256, 1024, 2048):

    @case(f"matmul, {size} x {size}", "matmul", threads=(1, 2))
    def _(lib, size=size):
        a, b = lib.rand(size, size), lib.rand(size, size)
        return lambda: a @ b


@case("conv2d 32 to 64 channels, 14 x 14, batch 64", "conv", threads=(1, 2))
def _(lib):
    x, weight, bias = lib.rand(64, 32, 14, 14), lib.rand(64, 32, 3, 3), lib.rand(64)
    return lambda: lib.nn.functional.conv2d(x, weight, bias, padding=1)


# ---- Training steps -------------------------------------------------------------------------------------------------
def mlp_step(lib, make_optimizer):
    nn = lib.nn
    model = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10))
    x, y = lib.rand(64, 784), lib.randint(0, 10, (64,))
    return training_step(lib, model, make_optimizer(model.parameters()), lambda net: nn.functional.cross_entropy(net(x), y))


@case("MLP 784-256-128-10, batch 64, SGD", "training", bar=0.5, threads=(1, 2))
def mlp(lib):
    return mlp_step(lib, lambda parameters: lib.optim.SGD(parameters, lr=0.01, momentum=0.9))


@case("MLP 784-256-128-10, batch 64, AdamW", "training", bar=0.5, threads=(1, 2))
def mlp_adamw(lib):
    return mlp_step(lib, lambda parameters: lib.optim.AdamW(parameters, lr=1e-3))


@case("CNN for 28 x 28 images, batch 64, AdamW", "training", bar=1.0, threads=(1, 2))
def cnn(lib):
    nn = lib.nn
    model = nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64 * 7 * 7, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip
    x, y = lib.rand(64, 1, 28, 28), lib.randint(0, 10, (64,))
    optimizer = lib.optim.AdamW(model.parameters(), lr=1e-3)
    return training_step(lib, model, optimizer, lambda net: nn.functional.cross_entropy(net(x), y))


@case("character GPT, 4 layers of 128, context 128, batch 16, AdamW", "training", bar=1.0, threads=(1, 2))
def gpt(lib):
    nn, functional = lib.nn, lib.nn.functional
    width, heads, context, batch, symbols = 128, 4, 128, 16, 65
    mask = lib.full((context, context), -math.inf).triu(1)

    def attend(q, k, v):
        if hasattr(functional, "scaled_dot_product_attention"):
            return functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return lib.softmax(q @ k.transpose(-2, -1) / math.sqrt(width // heads) + mask, -1) @ v

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

        def forward(self, x):
            q, k, v = self.qkv(self.norm1(x)).view(batch, context, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
            x = x + self.out(attend(q, k, v).transpose(1, 2).reshape(batch, context, width))
            return x + self.down(functional.gelu(self.up(self.norm2(x))))

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens, self.places = nn.Embedding(symbols, width), nn.Embedding(context, width)
            self.blocks = nn.Sequential(*[Block() for _ in range(4)])
            self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, symbols)

        def forward(self, x):
            return self.head(self.norm(self.blocks(self.tokens(x) + self.places(lib.arange(context)))))

    model = Model()
    text = lib.randint(0, symbols, (batch, context + 1))
    x, y = text[:, :-1], text[:, 1:].reshape(-1)
    optimizer = lib.optim.AdamW(model.parameters(), lr=1e-3)
    return training_step(
        lib, model, optimizer, lambda net: functional.cross_entropy(net(x).view(batch * context, symbols), y)
    )


# ---- Measuring ------------------------------------------------------------------------------------------------------
ROUNDS = 9
TURN = 0.05  # seconds
# Between turns, so that the threads of one OpenMP no longer spin when the other library's start.
PAUSE = 0.02


def calls_in(work, seconds):
    calls = 1
    while True:
        start = time.perf_counter()
        for _ in range(calls):
            work()
        elapsed = time.perf_counter() - start
        if elapsed > seconds / 4:
            return max(1, int(calls * seconds / elapsed))
        calls *= 4


def turn(work, calls):
    start = time.perf_counter()
    for _ in range(calls):
        work()
    return (time.perf_counter() - start) / calls


def alternate(works, rounds):
    """The best time of each, measured by turns."""
    calls = [calls_in(work, TURN) for work in works]
    best = [math.inf] * len(works)
    for _ in range(rounds):
        for i, work in enumerate(works):
            time.sleep(PAUSE)
            best[i] = min(best[i], turn(work, calls[i]))
    return best


def seconds_text(seconds):
    for unit, scale in (("s", 1), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


class Table:
    def __init__(self, markdown):
        self.markdown = markdown
        self.failed = 0
        self.row("case", "threads", "taut", "torch", "ratio", "bar", "")
        if markdown:
            print("|---" * 7 + "|")

    def row(self, *cells):
        if self.markdown:
            print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)
        else:
            widths = (62, 8, 12, 12, 8, 8, 6)
            print("".join(f"{cell!s:<{width}}" for cell, width in zip(cells, widths)).rstrip(), flush=True)

    def result(self, name, threads, ours, theirs, bar, text=seconds_text):
        ratio = ours / theirs
        verdict = "" if bar is None else "pass" if ratio <= bar else "FAIL"
        self.failed += verdict == "FAIL"
        self.row(name, threads, text(ours), text(theirs), f"{ratio:.3f}", "" if bar is None else f"{bar:.3f}", verdict)

    def absolute(self, name, ours, theirs, bar, text):
        """A bar on Taut's own value."""
        verdict = "pass" if ours <= bar else "FAIL"
        self.failed += verdict == "FAIL"
        self.row(name, "", text(ours), "" if theirs is None else text(theirs), "" if theirs is None else
                 f"{ours / theirs:.3f}", text(bar), verdict)  # fmt: skip


def megabytes(value):
    return f"{value:.1f} MB"


# ---- What needs a process of its own ----------------------------------------------------------------------------------
def peak_mb():
    """The most memory that this program held; unlike getrusage's, the number starts anew with the program."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def worker(lib_name, what):
    """Prints {"import": seconds, "start_mb": ..., "peak_mb": ...} as JSON."""
    start = time.perf_counter()
    lib = importlib.import_module(lib_name)
    result = {"import": time.perf_counter() - start}
    result["start_mb"] = peak_mb()
    if what != "import":
        lib.set_num_threads(2)
        step = {"mlp": mlp, "cnn": cnn, "gpt": gpt}[what](lib)
        for _ in range(10):
            step()
        result["peak_mb"] = peak_mb()
    print(json.dumps(result))


def run_worker(lib_name, what, times=1):
    """The best of several processes, entry by entry."""
    results = []
    for _ in range(times):
        run = subprocess.run(
            [sys.executable, __file__, "--worker", lib_name, what], capture_output=True, text=True, check=False
        )
        if run.returncode:
            raise RuntimeError(run.stderr.strip().splitlines()[-1])
        results.append(json.loads(run.stdout))
    return {key: min(result[key] for result in results) for key in results[0]}


def cpp_program(build):
    """Seconds to compile and to start a program of three lines."""
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder, "three.cpp"), Path(folder, "three")
        source.write_text("#include <taut/taut.h>\n#include <cstdio>\n"
                          'int main() { std::printf("%s\\n", taut::ones({2, 2}).add(1).str().c_str()); }\n')  # fmt: skip
        command = [os.environ.get("CXX", "g++"), "-std=c++20", source, "-o", program, f"-I{ROOT / 'include'}",
                   f"-I{build / 'include'}", f"-L{build / 'lib'}", "-ltaut", f"-Wl,-rpath,{build / 'lib'}"]  # fmt: skip

        def seconds(arguments):
            start = time.perf_counter()
            subprocess.run(arguments, check=True, capture_output=True)
            return time.perf_counter() - start

        return min(seconds(command) for _ in range(3)), min(seconds([program]) for _ in range(10))


def process_cases(table, chosen, build):
    def wanted(name):
        return chosen(name, "process")

    if wanted("import"):
        ours, theirs = run_worker("taut", "import", 5), run_worker("torch", "import", 2)
        table.absolute("import", ours["import"], theirs["import"], 0.1, seconds_text)
        table.absolute("memory after import", ours["start_mb"], theirs["start_mb"], 60, megabytes)
    for what, title in (("mlp", "MLP"), ("cnn", "CNN"), ("gpt", "character GPT")):
        name = f"peak memory of 10 steps, {title}"
        if not wanted(name):
            continue
        try:
            ours, theirs = run_worker("taut", what), run_worker("torch", what)
            table.result(name, 2, ours["peak_mb"], theirs["peak_mb"], 0.8, megabytes)
        except RuntimeError as error:
            table.row(name, 2, f"not run: {error}")
    if wanted("C++ program of three lines") and (build / "lib/libtaut.so").exists():
        compiled, started = cpp_program(build)
        table.absolute("C++ program of three lines: compile and link", compiled, None, 4.0, seconds_text)
        table.absolute("C++ program of three lines: run", started, None, 0.02, seconds_text)


def numpy_case(table, taut, chosen):
    if not chosen("a + b, 1 float, against NumPy", "small"):
        return
    import numpy

    a, b = taut.rand(1), taut.rand(1)
    x, y = numpy.ones(1, numpy.float32), numpy.ones(1, numpy.float32)
    ours, theirs = alternate([lambda: a + b, lambda: x + y], ROUNDS)
    table.result("a + b, 1 float, against NumPy (in the torch column)", 1, ours, theirs, 1.0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", help="only cases whose group or name contains one of these")
    parser.add_argument("--threads", type=int, action="append", help="only this number of threads")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="turns of each library")
    parser.add_argument("--build", type=Path, default=ROOT / "build/release", help="the build folder, for the C++ program")
    parser.add_argument("--markdown", action="store_true", help="print a table of Markdown")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        worker(*arguments.worker)
        return 0

    try:
        import taut
    except ImportError as error:
        sys.exit(f"taut not found ({error}); build it and set PYTHONPATH=build/release/python")
    try:
        import torch
    except ImportError:
        sys.exit("torch not found: this script measures Taut against PyTorch; run it with a Python that has torch and "
                 "numpy (pip install torch numpy)")  # fmt: skip

    def chosen(name, group):
        return not arguments.words or any(word.lower() in (group + " " + name).lower() for word in arguments.words)

    print(f"taut {taut.__version__}, torch {torch.__version__}, {os.cpu_count()} cores\n")
    table = Table(arguments.markdown)
    for entry in CASES:
        if not chosen(entry["name"], entry["group"]):
            continue
        for threads in entry["threads"]:
            if arguments.threads and threads not in arguments.threads:
                continue
            taut.set_num_threads(threads)
            torch.set_num_threads(threads)
            try:
                works = [entry["make"](taut), entry["make"](torch)]
                works[0]()
            except (AttributeError, NotImplementedError, ImportError) as error:
                table.row(entry["name"], threads, f"not run: {error}")
                continue
            best = alternate(works, arguments.rounds)
            table.result(entry["name"], threads, *(seconds / entry["per"] for seconds in best), entry["bar"])
    numpy_case(table, taut, chosen)
    process_cases(table, chosen, arguments.build)
    print(f"\n{table.failed} case(s) miss their bar")
    return 0


if __name__ == "__main__":
    sys.exit(main())
