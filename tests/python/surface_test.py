"""Every public name has a docstring and a stub, and the examples in docstrings run."""

import ast
import doctest
import os
import subprocess
import sys
from pathlib import Path

import pytest

import taut
import taut.linalg
import taut.nn.functional
from taut import _docs

ROOT = Path(__file__).resolve().parents[2]


def ops():
    for prefix, holder in (("", taut), ("Tensor.", taut.Tensor), ("nn.functional.", taut.nn.functional), ("linalg.", taut.linalg)):
        for name, item in vars(holder).items():
            if hasattr(item, "_signatures") and (not name.startswith("_") or name.startswith("__dlpack")):
                yield prefix + name, item


def test_every_op_is_documented():
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


def test_every_public_name_has_a_stub():
    tree = ast.parse((ROOT / "python" / "taut" / "__init__.pyi").read_text())
    names = set()
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.AnnAssign):
            names.add(node.target.id)
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
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
    )
    result = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={tmp_path}", str(program)],
        capture_output=True, text=True, env={**os.environ, "MYPYPATH": str(ROOT / "python")},
    )
    assert result.returncode == 0, result.stdout + result.stderr
