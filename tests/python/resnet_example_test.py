"""resnet.py and resnet.cpp of the examples: the networks of the paper, training that goes on to the same bits, in either language
and from one to the other, pictures told apart, and errors that say what is wrong and lose nothing."""

import contextlib
import gzip
import importlib.util
import io
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import taut

PROGRAM = Path(__file__).resolve().parents[2] / "examples" / "python" / "resnet.py"
CPP = Path(taut.__file__).parents[2] / "examples" / "resnet"  # of the build that this package belongs to
COLORS = {"blue": (40, 40, 220), "green": (40, 200, 40), "red": (220, 40, 40)}

languages = pytest.mark.parametrize("language", ["python", "cpp"])


spec = importlib.util.spec_from_file_location("resnet_example", PROGRAM)
example = importlib.util.module_from_spec(spec)
spec.loader.exec_module(example)


def command(language):
    if language == "cpp" and not CPP.exists():
        pytest.skip(f"{CPP} is not built")
    return [sys.executable, PROGRAM] if language == "python" else [CPP]


def run(folder, words, language):
    """The status, what was printed, and the errors."""
    line = [*command(language), *words]
    result = subprocess.run(line, cwd=folder, capture_output=True, text=True, timeout=300)
    return result.returncode, result.stdout, result.stderr


def run_here(folder, words):
    """The same for the program in Python in this process, which takes less time."""
    out, err, before = io.StringIO(), io.StringIO(), os.getcwd()
    os.chdir(folder)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            example.main(words)
    except SystemExit as end:
        if isinstance(end.code, str):
            return 1, out.getvalue(), f"{end.code}\n"
        return end.code, out.getvalue(), err.getvalue()
    finally:
        os.chdir(before)
    return 0, out.getvalue(), err.getvalue()


def resnet(folder, *words, language="python", status=0, device="cpu"):
    words = [*map(str, words), "--device", device]
    got, out, err = run(folder, words, language) if language == "cpp" or status == 0 else run_here(folder, words)
    assert got == status, out + err
    return err if status else out


def losses(folder, *words, **options):
    resnet(folder, "train", *words, "--losses", "losses", **options)
    return [float(line) for line in (folder / "losses").read_text().split()]


def checkpoint(folder, name="resnet.safetensors"):
    return (folder / name).read_bytes()


# ---- What to learn from --------------------------------------------------------------------------


def pillow():
    return pytest.importorskip("PIL.Image", reason="Pillow, which reads pictures, is not installed")


def needs_pictures(language):
    pillow()
    if language == "cpp" and CPP.exists():
        for library in (b"without libjpeg", b"without libpng"):
            if library in CPP.read_bytes():
                pytest.skip(f"{CPP} was built {library.decode()}, which reads pictures")


def colored(random, color, smallest=20, largest=50):
    """A picture of about one color, of some size."""
    size = random.integers(smallest, largest, 2)
    pixels = np.array(color) + random.integers(-40, 40, (*size, 3))
    return pillow().fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


@pytest.fixture
def pictures(tmp_path):
    """A folder of pictures of three colors, of different sizes and formats."""
    random = np.random.default_rng(0)
    for part, count in (("train", 12), ("val", 4)):
        for name, color in COLORS.items():
            folder = tmp_path / part / name
            folder.mkdir(parents=True)
            for number in range(count):
                colored(random, color).save(folder / f"{number}.{'png' if number % 2 else 'jpg'}")
    return tmp_path


def write_array(path, array):
    head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    with (gzip.open if path.suffix == ".gz" else open)(path, "wb") as file:
        file.write(head + array.tobytes())


def write_idx(folder, suffix="", classes=3, count=16, size=8):
    random = np.random.default_rng(1)
    for stem in ("train", "t10k"):
        labels = np.arange(count).astype(np.uint8) % classes
        pixels = random.integers(0, 40, (count, size, size)).astype(np.uint8)
        for i, label in enumerate(labels):
            pixels[i, 2 * label : 2 * label + 2] += 200
        write_array(folder / f"{stem}-images-idx3-ubyte{suffix}", pixels)
        write_array(folder / f"{stem}-labels-idx1-ubyte{suffix}", labels)


IDX = ["--data", ".", "--batch", 8, "--lr", 0.02, "--epochs", 2]


# ---- Training ------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth, count", [(18, 11_689_512), (50, 25_557_032)])
def test_the_networks_are_those_of_the_paper(depth, count):
    """The numbers of weights are torchvision's, and so are names and shapes where they were looked at."""
    net = example.ResNet(depth, 3, 1000, 224)
    assert sum(p.numel() for p in net.parameters()) == count
    state = net.state_dict()
    last = 3 if depth == 50 else 2
    for name in ("conv1.weight", "bn1.running_var", f"layer2.0.conv{last}.weight", f"layer4.1.bn{last}.num_batches_tracked",
                 "layer3.0.downsample.0.weight", "layer3.0.downsample.1.bias", "fc.weight"):
        assert name in state, name
    net.eval()
    assert net(taut.randn(1, 3, 64, 64)).shape == (1, 1000)


def test_pictures_are_told_apart(pictures):
    needs_pictures("python")
    words = ["--data", pictures, "--size", 8, "--epochs", 3, "--batch", 12, "--lr", 0.02, "--workers", 2]
    said = resnet(pictures, "train", *words)
    assert "36 pictures of 3 classes to learn from, 12 to test on" in said
    assert re.search(r"epoch   3/3 \[#{24}\] loss 0\.\d{4} +\d+ pictures/s  test 100\.00 %\nmodel: resnet\.safetensors; ", said), said
    ask = ["classify", pictures / "val" / "red" / "0.jpg", pictures / "val" / "blue" / "1.png", "--top", 2]
    told = resnet(pictures, *ask)
    first, second = told.splitlines()
    assert "0.jpg: red " in first and "1.png: blue " in second and first.count("%") == 2
    needs_pictures("cpp")
    assert resnet(pictures, *ask, language="cpp") == told


def test_goes_on_to_the_same_bits_in_either_language(tmp_path):
    write_idx(tmp_path)
    whole = losses(tmp_path, *IDX, "--checkpoint", "whole.safetensors")
    assert len(set(whole)) == 4
    pairs = [("python", "cpp"), ("cpp", "python")] if CPP.exists() else [("python", "python")]
    for first, second in pairs:
        part = losses(tmp_path, *IDX, "--stop", 1, language=first)
        assert checkpoint(tmp_path) != checkpoint(tmp_path, "whole.safetensors")
        assert part + losses(tmp_path, *IDX, "--resume", language=second) == whole
        assert checkpoint(tmp_path) == checkpoint(tmp_path, "whole.safetensors")


def test_the_deep_network_is_the_same_in_both_languages(tmp_path):
    """Of packed files too, with other options, and in bfloat16."""
    write_idx(tmp_path, ".gz", count=5, size=9)
    words = [*IDX, "--depth", 50, "--epochs", 1, "--batch", 4, "--seed", 3, "--workers", 1, "--weight-decay", 0.01]
    words += ["--precision", "bfloat16"]
    in_python = losses(tmp_path, *words)
    written = checkpoint(tmp_path)
    assert len(in_python) == 1
    assert losses(tmp_path, *words, language="cpp") == in_python
    assert checkpoint(tmp_path) == written


def test_both_learn_the_same_on_a_gpu(tmp_path):
    """In bfloat16 and with channels last; and each goes on from what the other wrote."""
    if not taut.cuda.is_available():
        pytest.skip("there is no GPU")
    write_idx(tmp_path)
    runs = {}
    for first, second in [("python", "cpp"), ("cpp", "python")]:
        part = losses(tmp_path, *IDX, "--stop", 1, language=first, device="cuda")
        runs[first] = part + losses(tmp_path, *IDX, "--resume", language=second, device="cuda")
    assert len(runs["python"]) == 4
    assert runs["cpp"] == pytest.approx(runs["python"], rel=0.02)
    on_cpu = losses(tmp_path, *IDX, "--stop", 1)
    assert runs["python"][0] == pytest.approx(on_cpu[0], rel=0.02)


@pytest.mark.parametrize("kind, tolerance", [("png", 0), ("jpg", 1e-3)])
def test_pictures_of_every_kind_are_the_same_pixels(tmp_path, kind, tolerance):
    """What comes of a PNG file is settled; of a JPEG file the libraries may round otherwise, by a 255th here and there."""
    needs_pictures("cpp")
    random = np.random.default_rng(2)
    kinds = {
        "png": [("1", {}), ("L", {}), ("LA", {}), ("P", {}), ("P", {"transparency": 3}), ("RGB", {}), ("RGBA", {}), ("I;16", {})],
        "jpg": [("L", {}), ("RGB", {}), ("RGB", {"subsampling": 0}), ("RGB", {"progressive": True}), ("CMYK", {})],
    }[kind]
    for part in ("train", "val"):
        for name, color in COLORS.items():
            folder = tmp_path / part / name / "deeper"
            folder.mkdir(parents=True)
            for number, (mode, options) in enumerate(kinds):
                picture = colored(random, color, 5, 90)
                if mode == "I;16":
                    picture = pillow().fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 200)
                elif mode == "P":
                    picture = picture.quantize(16)
                else:
                    picture = picture.convert(mode)
                picture.save(folder / f"{number}.{kind.upper() if number == 0 else kind}", **options)
    words = ["--data", ".", "--size", 11, "--epochs", 1, "--batch", 8]
    in_python, in_cpp = (losses(tmp_path, *words, language=language) for language in ("python", "cpp"))
    assert len(in_python) == len(kinds) * 3 // 8
    assert in_cpp == (pytest.approx(in_python, rel=tolerance) if tolerance else in_python)


# ---- What is wrong -------------------------------------------------------------------------------


def refused(folder, *words, language, data="."):
    """What is said of data that cannot be trained on; the checkpoint that is there stays as it is."""
    path = folder / "resnet.safetensors"
    before = path.read_bytes() if path.exists() else None
    said = resnet(folder, "train", "--data", data, "--epochs", 1, *words, language=language, status=1)
    assert said.startswith("resnet: ") and said.count("\n") == 1, said
    assert (path.read_bytes() if path.exists() else None) == before
    return said


@languages
def test_refuses_folders_without_pictures(pictures, language):
    needs_pictures(language)
    assert "nowhere/train is no folder; expected pictures in nowhere/train/CLASS/" in refused(pictures, data="nowhere", language=language)
    assert "train/red/train is no folder" in refused(pictures, data="train/red", language=language)
    (pictures / "none" / "train").mkdir(parents=True)
    assert "none/train has no folders; expected" in refused(pictures, data="none", language=language)
    (pictures / "val" / "purple").mkdir()
    (pictures / "val" / "purple" / "notes.txt").write_text("none yet")
    assert "val/purple has no pictures; expected files *.jpg, *.jpeg, *.png" in refused(pictures, language=language)
    colored(np.random.default_rng(0), (128, 0, 128)).save(pictures / "val" / "purple" / "0.png")
    said = refused(pictures, language=language)
    assert "train has the classes ['blue', 'green', 'red'], val has ['blue', 'green', 'purple', 'red']" in said


@languages
def test_refuses_a_broken_picture(pictures, language):
    needs_pictures(language)
    (pictures / "resnet.safetensors").write_bytes(b"what was learned")
    for name, told, broken in [
        ("0.jpg", "cannot identify image file", lambda data: b"no picture"),
        ("1.png", "cannot identify image file", lambda data: b""),
        ("0.jpg", "", lambda data: data[: len(data) // 2]),
        ("1.png", "", lambda data: data[: len(data) // 2]),
    ]:
        path = pictures / "train" / "red" / name
        whole = path.read_bytes()
        path.write_bytes(broken(whole))
        assert f"train/red/{name}: {told}" in refused(pictures, "--size", 16, language=language)
        path.write_bytes(whole)


def test_refuses_a_format_that_it_does_not_read(pictures):
    needs_pictures("cpp")
    colored(np.random.default_rng(0), (0, 0, 0)).save(pictures / "val" / "red" / "9.bmp")
    said = refused(pictures, language="cpp")
    assert "val/red/9.bmp: this program reads JPEG and PNG" in said


@languages
def test_refuses_broken_idx_files(tmp_path, language):
    write_idx(tmp_path)
    for name, told, array in [
        ("train-labels-idx1-ubyte", "there are 16 train pictures and 15 labels", np.zeros(15, np.uint8)),
        ("t10k-images-idx3-ubyte", "the t10k pictures are (8, 7); expected (8, 8)", np.zeros((16, 8, 7), np.uint8)),
        ("train-images-idx3-ubyte", "the train pictures are (16, 8) of", np.zeros((16, 8), np.uint8)),
        ("t10k-labels-idx1-ubyte", "there are 10 classes to test on, 3 to learn", np.full(16, 9, np.uint8)),
    ]:
        whole = (tmp_path / name).read_bytes()
        write_array(tmp_path / name, array)
        assert told in refused(tmp_path, language=language)
        (tmp_path / name).write_bytes(whole[:-5])
        assert f"{name} has {len(whole) - 5 - 4 - 4 * whole[3]} bytes of data; expected" in refused(tmp_path, language=language)
        (tmp_path / name).write_bytes(whole)
    assert "the train pictures are (8, 8); expected (16, 16)" in refused(tmp_path, "--size", 16, language=language)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    assert "t10k-labels-idx1-ubyte.gz" in refused(tmp_path, language=language)


@languages
def test_refuses_the_checkpoint_of_another_network(tmp_path, language):
    write_idx(tmp_path)
    words = {"epoch": "1", "depth": "18", "size": "8", "channels": "1", "classes": "0\n1\n2"}

    def told(tensors=None, **changes):
        metadata = {name: word for name, word in (words | changes).items() if word is not None}
        taut.save(tensors or {"x": taut.zeros(1)}, str(tmp_path / "resnet.safetensors"), metadata)
        return refused(tmp_path, "--resume", language=language)

    for changes in ({"depth": "50"}, {"size": "16"}, {"channels": "3"}, {"classes": "0\n1"}):
        assert "asked for depth 18, 8 pixels, 1 channels and 3 classes" in told(**changes)
    assert "3 classes, which have other names" in told(classes="a\nb\nc")
    assert "resnet.safetensors is no checkpoint of a ResNet: no epoch" in told(epoch=None)
    assert "resnet.safetensors is no checkpoint of a ResNet: size: got 'large'" in told(size="large")
    assert "resnet.safetensors is no checkpoint of a ResNet: depth 34, 8 pixels and 1 channels" in told(depth="34")
    assert "conv1.weight" in told()  # no such tensor
    (tmp_path / "resnet.safetensors").write_bytes(b"12345678 and no more")
    assert "resnet.safetensors" in refused(tmp_path, "--resume", language=language)
    said = resnet(tmp_path, "classify", "x.jpg", "--checkpoint", "none", language=language, status=1)
    assert "none" in said and "No such file" in said


@languages
def test_refuses_options_that_it_does_not_understand(tmp_path, language):
    write_idx(tmp_path)
    train = ["train", "--data", "."]
    for words, told in [
        ([*train, "--depth", 34], "--depth"), ([*train, "--batch", "many"], "--batch"), ([*train, "--precision", "int8"], "--precision"),
        ([*train, "--lr"], "--lr"), (["train"], "--data"), (["classify"], "pictures"), (["classify", "x.jpg", "--best", 3], "--best"), (["test"], "train"),
    ]:  # fmt: skip
        assert told in resnet(tmp_path, *words, language=language, status=2)
    for words in (["--size", -3], ["--batch", 0], ["--workers", -1]):
        assert str(words[1]) in refused(tmp_path, *words, language=language)


def test_both_take_the_same_options():
    def options(*words):
        return set(re.findall(r"--[a-z-]+", subprocess.run(words, capture_output=True, text=True, timeout=60).stdout)) - {"--help"}

    in_python = set().union(*(options(*command("python"), name, "--help") for name in ("train", "classify")))
    assert options(*command("cpp"), "--help") == in_python and len(in_python) > 12
