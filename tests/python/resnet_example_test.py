"""resnet.py of the examples: the networks of the paper, training that goes on to the same bits, pictures told apart."""

import importlib.util
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import taut

PROGRAM = Path(__file__).resolve().parents[2] / "examples" / "python" / "resnet.py"
COLORS = {"blue": (40, 40, 220), "green": (40, 200, 40), "red": (220, 40, 40)}


def resnet(folder, *words, fails=False):
    command = [sys.executable, PROGRAM, *map(str, words), "--device", "cpu"]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert (result.returncode != 0) == fails, result.stdout + result.stderr
    return result.stderr if fails else result.stdout


def example():
    spec = importlib.util.spec_from_file_location("resnet_example", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def pictures(tmp_path):
    """A folder of pictures of three colors, of different sizes and formats."""
    Image = pytest.importorskip("PIL.Image", reason="Pillow, which reads pictures, is not installed")
    random = np.random.default_rng(0)
    for part, count in (("train", 12), ("val", 4)):
        for name, color in COLORS.items():
            folder = tmp_path / part / name
            folder.mkdir(parents=True)
            for number in range(count):
                size = (*random.integers(20, 50, 2), 3)
                pixels = np.clip(np.array(color) + random.integers(-40, 40, size), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.{'png' if number % 2 else 'jpg'}")
    return tmp_path


def write_idx(folder, classes=3):
    random = np.random.default_rng(1)
    for stem, count in (("train", 48), ("t10k", 12)):
        labels = random.integers(0, classes, count).astype(np.uint8)
        pixels = random.integers(0, 40, (count, 12, 12)).astype(np.uint8)
        for i, label in enumerate(labels):
            pixels[i, 4 * label : 4 * label + 4] += 200
        for kind, array in ((f"{stem}-images-idx3-ubyte", pixels), (f"{stem}-labels-idx1-ubyte", labels)):
            (folder / kind).write_bytes(bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes())


@pytest.mark.parametrize("depth, count", [(18, 11_689_512), (50, 25_557_032)])
def test_the_networks_are_those_of_the_paper(depth, count):
    """The numbers of weights are torchvision's, and so are names and shapes where they were looked at."""
    net = example().ResNet(depth, 3, 1000, 224)
    assert sum(p.numel() for p in net.parameters()) == count
    state = net.state_dict()
    last = 3 if depth == 50 else 2
    for name in ("conv1.weight", "bn1.running_var", f"layer2.0.conv{last}.weight", f"layer4.1.bn{last}.num_batches_tracked",
                 "layer3.0.downsample.0.weight", "layer3.0.downsample.1.bias", "fc.weight"):
        assert name in state, name
    net.eval()
    assert net(taut.randn(1, 3, 64, 64)).shape == (1, 1000)


def test_pictures_are_told_apart(pictures):
    said = resnet(pictures, "train", "--data", pictures, "--size", 16, "--epochs", 4, "--batch", 12, "--lr", 0.02, "--workers", 2)
    assert "36 pictures of 3 classes to learn from, 12 to test on" in said
    assert said.rstrip().splitlines()[-2].split("test")[-1].strip() == "100.00 %", said
    told = resnet(pictures, "classify", pictures / "val" / "red" / "0.jpg", pictures / "val" / "blue" / "1.png", "--top", 2)
    first, second = told.splitlines()
    assert "0.jpg: red " in first and "1.png: blue " in second and first.count("%") == 2


def test_goes_on_to_the_same_bits(tmp_path):
    write_idx(tmp_path)
    words = ["train", "--data", tmp_path, "--batch", 16, "--lr", 0.02, "--losses", "losses"]

    def losses(*more):
        resnet(tmp_path, *words, *more)
        return [float(line) for line in (tmp_path / "losses").read_text().split()]

    whole = losses("--epochs", 3, "--checkpoint", "whole.safetensors")
    assert len(whole) == 9 and whole[-1] < whole[0]
    part = losses("--epochs", 3, "--stop", 1)
    assert part + losses("--epochs", 3, "--resume") == whole
    assert (tmp_path / "resnet.safetensors").read_bytes() == (tmp_path / "whole.safetensors").read_bytes()


def test_what_is_wrong_is_said(pictures):
    train = ["train", "--size", 16, "--epochs", 1, "--batch", 16, "--data"]
    assert "no folder; expected pictures in" in resnet(pictures, *train, pictures / "nowhere", fails=True)
    (pictures / "val" / "purple").mkdir()
    assert "val has ['blue', 'green', 'purple', 'red']" in resnet(pictures, *train, pictures, fails=True)
    (pictures / "val" / "purple").rmdir()
    (pictures / "train" / "red" / "0.jpg").write_text("no picture")
    assert "0.jpg: cannot identify image file" in resnet(pictures, *train, pictures, fails=True)
    assert "No such file" in resnet(pictures, "classify", pictures / "nothing.jpg", "--checkpoint", "none", fails=True)
    taut.save({"x": taut.zeros(1)}, str(pictures / "other.safetensors"))
    said = resnet(pictures, "classify", "x.jpg", "--checkpoint", "other.safetensors", fails=True)
    assert "other.safetensors is no checkpoint of a ResNet: no epoch" in said
