"""The examples in Python and in C++ are the same programs: the same words, the same losses to the last bit, the same files."""

import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest

import taut

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(taut.__file__).parents[2] / "examples"  # of the build that this package belongs to
VARYING = re.compile(r" +\d+ (samples|characters)/s|trained in .* s|curves and worst mistakes.*|no picture.*")


def run(command, folder, **options):
    folder.mkdir()
    words = []
    for name, value in options.items():
        words += [f"--{name}"] if value is True else [f"--{name}", str(value)]
    result = subprocess.run([*command, *words, "--losses", "losses"], cwd=folder, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    lines = [VARYING.sub("", line) for line in re.split(r"[\r\n]+", result.stdout)]
    return [line for line in lines if line], (folder / "losses").read_text().split()


def both(name, tmp_path, **options):
    tmp_path.mkdir(exist_ok=True)
    if not (PROGRAMS / name).exists():
        pytest.skip(f"{PROGRAMS / name} is not built")
    in_cpp = run([PROGRAMS / name], tmp_path / "cpp", **options)
    in_python = run([sys.executable, ROOT / "examples" / "python" / f"{name}.py"], tmp_path / "python", **options)
    assert in_python[0] == in_cpp[0]
    assert [float(loss) for loss in in_python[1]] == [float(loss) for loss in in_cpp[1]]
    files = [(tmp_path / language / f"{name}.safetensors").read_bytes() for language in ("cpp", "python")]
    assert files[0] == files[1]
    return in_python


@pytest.mark.parametrize("name", ["digits", "gpt"])
def test_losses_that_cannot_be_written_are_refused_before_the_work(name, tmp_path):
    programs = [[sys.executable, ROOT / "examples" / "python" / f"{name}.py"]]
    if (PROGRAMS / name).exists():
        programs.append([PROGRAMS / name])
    for program in programs:
        command = [*program, "--losses", "no-such-folder/losses"]
        result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
        assert result.returncode != 0 and "no-such-folder/losses" in result.stderr
        assert result.stdout == "" and list(tmp_path.iterdir()) == []


def test_digits(tmp_path):
    options = dict(data=ROOT / "examples/data/optdigits.csv.gz", epochs=1, workers=2, picture="picture.png")
    lines, losses = both("digits", tmp_path, **options)
    assert len(losses) == 44 and float(losses[-1]) < float(losses[0])
    assert any(line.startswith("epoch  1/1 [########################] loss") for line in lines)
    pytest.importorskip("matplotlib", reason="matplotlib, which draws the pictures, is not installed")
    assert (tmp_path / "python" / "picture.png").read_bytes().startswith(b"\x89PNG")


def test_digits_from_idx_files(tmp_path):
    folder = tmp_path / "idx"
    folder.mkdir()
    generator = taut.Generator().manual_seed(2)
    for stem, count in (("train", 300), ("t10k", 100)):
        pictures = taut.randint(0, 256, (count, 28, 28), dtype=taut.uint8, generator=generator)
        labels = taut.randint(0, 10, (count,), dtype=taut.uint8, generator=generator)
        for kind, array in ((f"{stem}-images-idx3-ubyte", pictures), (f"{stem}-labels-idx1-ubyte", labels)):
            head = bytes([0, 0, 8, array.dim()]) + struct.pack(f">{array.dim()}I", *array.shape)
            (folder / kind).write_bytes(head + bytes(array.reshape(-1).tolist()))
    _, losses = both("digits", tmp_path, idx=folder, epochs=1, seed=7, picture="picture.png")
    assert len(losses) == 2


def test_gpt(tmp_path):
    lines, losses = both("gpt", tmp_path, text=ROOT / "examples/data/poems.txt", steps=4, sample=30, layers=2, width=32)
    assert len(losses) == 4 and float(losses[-1]) < float(losses[0])


def test_amp(tmp_path):
    text = ROOT / "examples/data/poems.txt"
    _, exact = both("gpt", tmp_path / "exact", text=text, steps=4, sample=5, layers=2, width=32)
    _, losses = both("gpt", tmp_path / "amp", text=text, steps=4, sample=5, layers=2, width=32, amp=True)
    assert losses != exact
    assert [float(loss) for loss in losses] == pytest.approx([float(loss) for loss in exact], rel=0.01)


@pytest.mark.parametrize("name", ["digits", "gpt"])
def test_says_when_there_is_no_gpu(name, tmp_path):
    if taut.cuda.is_available():
        pytest.skip("there is one")
    commands = [[sys.executable, ROOT / "examples" / "python" / f"{name}.py"]]
    if (PROGRAMS / name).exists():
        commands.append([PROGRAMS / name])
    for command in commands:
        data = ["--data", ROOT / "examples/data/optdigits.csv.gz"] if name == "digits" else ["--text", ROOT / "examples/data/poems.txt"]
        result = subprocess.run([*command, "--device", "cuda", *data], cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert result.returncode == 1 and result.stderr.startswith(f"{name}: ") and "CUDA" in result.stderr


@pytest.mark.parametrize("name", ["digits", "gpt"])
def test_both_take_the_same_options(name):
    if not (PROGRAMS / name).exists():
        pytest.skip(f"{PROGRAMS / name} is not built")
    texts = [
        subprocess.run([*command, "--help"], capture_output=True, text=True, timeout=60).stdout
        for command in ([PROGRAMS / name], [sys.executable, ROOT / "examples" / "python" / f"{name}.py"])
    ]
    options = [set(re.findall(r"--[a-z]+", text)) - {"--help"} for text in texts]
    assert options[0] == options[1] and len(options[0]) > 8
