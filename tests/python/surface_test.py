"""Every public name has a docstring and a stub, and the examples in docstrings run."""

import ast
import doctest
import importlib
import inspect
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import taut
import taut.linalg
import taut.nn.functional
import taut.nn.init
from taut import _docs

ROOT = Path(__file__).resolve().parents[2]


def ops():
    holders = {"": taut, "Tensor.": taut.Tensor, "nn.functional.": taut.nn.functional, "nn.init.": taut.nn.init, "linalg.": taut.linalg}
    for prefix, holder in holders.items():
        for name, item in vars(holder).items():
            if hasattr(item, "_signatures") and (not name.startswith("_") or name.startswith("__dlpack")):
                yield prefix + name, item


def test_every_op_says_something():
    missing = [name for name, _ in ops() if not _docs.text_of(name)]
    assert missing == []
    assert "alpha" in taut.add.__doc__ and taut.add.__name__ == "add" and taut.add.__module__ == "taut"


def test_no_text_without_an_op():
    names = {name for name, _ in ops()}
    known = {name.rpartition(".")[2] for name in names} | names
    assert [name for name in _docs.DOCS if name not in known] == []


@pytest.mark.parametrize("name", sorted(_docs._EXAMPLES))
def test_examples_in_docstrings(name):
    example = doctest.DocTestParser().get_doctest(_docs.text_of(name) + "\n", {"taut": taut}, name, None, 0)
    output = []
    runner = doctest.DocTestRunner(verbose=False)
    runner.run(example, out=output.append)
    assert runner.failures == 0, "".join(output)


def test_stubs_are_up_to_date():
    script = ROOT / "python" / "make_stubs.py"
    result = subprocess.run([sys.executable, str(script), "--check"], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def public_modules():
    names = [info.name for info in pkgutil.walk_packages(taut.__path__, "taut.")]
    return ["taut", *(name for name in names if not any(part.startswith("_") for part in name.split(".")))]


def names_of(module):
    return getattr(module, "__all__", None) or [name for name in dir(module) if not name.startswith("_")]


def text_of(item):
    """The docstring; of what pybind11 bound, the part that somebody wrote."""
    text = inspect.unwrap(item).__doc__ or ""
    first, _, rest = text.partition("\n\n")
    return rest if " -> " in first and "(" in first and "_signatures" not in dir(item) else text


@pytest.mark.parametrize("module_name", public_modules())
def test_every_public_name_has_a_docstring(module_name):
    module = importlib.import_module(module_name)
    missing = [] if module.__doc__ else ["the module"]
    for name in names_of(module):
        item = getattr(module, name)
        if inspect.ismodule(item) or not (callable(item) or isinstance(item, type)):
            continue
        if not (item.__doc__ or "").strip():
            missing.append(name)
        if not inspect.isclass(item) or not item.__module__.startswith("taut"):
            continue
        for method, function in vars(item).items():
            function = getattr(function, "__func__", function)
            says_something = isinstance(function, property) or callable(function)
            if method.startswith("_") or not says_something or inspect.isclass(function):
                continue
            if not (function.__doc__ if isinstance(function, property) else text_of(function) or "").strip():
                missing.append(f"{name}.{method}")
    assert missing == []


@pytest.mark.parametrize("module_name", public_modules()[1:])
def test_every_public_name_of_a_module_has_a_stub(module_name):
    module = importlib.import_module(module_name)
    path = ROOT / "python" / Path(*module_name.split("."))
    stub = path / "__init__.pyi" if path.is_dir() else path.with_suffix(".pyi")
    stubbed = stub_names(stub)
    assert [name for name in names_of(module) if name not in stubbed] == []


def stub_names(path):
    names = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.AnnAssign):
            names.add(node.target.id)
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
    return names


def test_every_public_name_has_a_stub():
    names = stub_names(ROOT / "python" / "taut" / "__init__.pyi")
    missing = [name for name in dir(taut) if name not in names and name != "function"]
    assert missing == []


def test_mypy_accepts_the_stubs(tmp_path):
    pytest.importorskip("mypy")
    program = tmp_path / "program.py"
    program.write_text(
        "import taut\n"
        "x: taut.Tensor = taut.zeros(2, 3, dtype=taut.float32) + 1\n"
        "values, indices = x.max(0)\n"
        "y: float = float(x.sum(dim=(0, 1), keepdim=True))\n"
        "with taut.no_grad():\n"
        "    z: taut.Tensor = taut.nn.functional.relu(x @ x.T)\n"
        "(g,) = taut.autograd.grad(z.sum(), x)\n"
        "from taut import nn\n"
        "from taut.utils.data import DataLoader, Dataset, TensorDataset\n"
        "class Net(nn.Module):\n"
        "    def __init__(self) -> None:\n"
        "        super().__init__()\n"
        "        self.layers = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2, bias=False))\n"
        "    def forward(self, x: taut.Tensor) -> taut.Tensor:\n"
        "        return taut.log_softmax(self.layers(x), -1)\n"
        "net = Net()\n"
        "nn.init.kaiming_normal_(net.layers[0].weight, mode='fan_out')\n"
        "optimizer = taut.optim.AdamW(net.parameters(), lr=1e-3)\n"
        "schedule = taut.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=10)\n"
        "data: Dataset = TensorDataset(x, taut.ones(2))\n"
        "for inputs, target in DataLoader(data, batch_size=2, num_workers=1):\n"
        "    norm: taut.Tensor = nn.utils.clip_grad_norm_(net.parameters(), 1.0)\n"
        "taut.save({'net': net.state_dict()}, 'file', metadata={'a': 'b'})\n"
        "net.load_state_dict(taut.load('file')['net'])\n"
    )
    result = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={tmp_path}", str(program)],
        capture_output=True, text=True, env={**os.environ, "MYPYPATH": str(ROOT / "python")},
    )
    assert result.returncode == 0, result.stdout + result.stderr
