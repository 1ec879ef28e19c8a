"""gpt2.py and gpt2.cpp of the examples at a small size: training learns and goes on to the same bits, in either language and from
one to the other; what writes is what was trained."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import taut

PYTHON = [sys.executable, Path(__file__).resolve().parents[2] / "examples" / "python" / "gpt2.py"]
CPP = Path(taut.__file__).parents[2] / "examples" / "gpt2"  # of the build that this package belongs to
SMALL = "--layers 2 --width 32 --heads 2 --context 32 --vocabulary 97 --batch 4 --accumulate 2 --warmup 5 --lr 0.01".split()

languages = pytest.mark.parametrize("language", ["python", "cpp"])


def gpt2(folder, *words, language="python", fails=False):
    if language == "cpp" and not CPP.exists():
        pytest.skip(f"{CPP} is not built")
    command = [*(PYTHON if language == "python" else [CPP]), "--seed", "1", *map(str, words), "--device", "cpu"]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert (result.returncode != 0) == fails, result.stdout + result.stderr
    return result.stderr if fails else result.stdout


def train(folder, *words, data="tokens.bin", language="python", fails=False):
    said = gpt2(folder, "train", "--data", data, *SMALL, "--losses", "losses", *words, language=language, fails=fails)
    return said if fails else [float(line) for line in (folder / "losses").read_text().split()]


@pytest.fixture
def folder(tmp_path):
    steps = np.random.default_rng(0).integers(1, 4, 20000)
    (np.cumsum(steps) % 97).astype(np.uint16).tofile(tmp_path / "tokens.bin")
    return tmp_path


def checkpoint(folder):
    return (folder / "gpt2.safetensors").read_bytes()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@languages
def test_goes_on_to_the_same_bits(folder, dtype, language):
    whole = train(folder, "--dtype", dtype, "--steps", 30)
    model = checkpoint(folder)
    assert len(whole) == 30 and whole[-1] < whole[0] - 0.5
    part = train(folder, "--dtype", dtype, "--steps", 30, "--stop", 12, language=language)
    assert checkpoint(folder) != model
    rest = train(folder, "--steps", 30, "--resume", language=language)
    assert part + rest == whole
    assert checkpoint(folder) == model


@pytest.mark.parametrize("first, second", [("python", "cpp"), ("cpp", "python")])
def test_one_language_goes_on_from_the_other(folder, first, second):
    whole = train(folder, "--steps", 20)
    model = checkpoint(folder)
    part = train(folder, "--steps", 20, "--stop", 7, language=first)
    assert part + train(folder, "--steps", 20, "--resume", language=second) == whole
    assert checkpoint(folder) == model


def test_writes_the_same_with_and_without_a_cache(folder):
    train(folder, "--steps", 200)
    for words in (["--temperature", 0], ["--top-k", 3]):
        # Past the end of the context too.
        sample = ["sample", "--prompt-tokens", 5, 6, 8, "--length", 50, *words]
        with_cache = gpt2(folder, *sample)
        assert gpt2(folder, *sample, "--no-cache") == with_cache
        tokens = np.array(with_cache.split(), int)
        assert len(tokens) == 53 and tokens[:3].tolist() == [5, 6, 8]
        # What it learned: the next token is one to three further.
        assert np.isin(np.diff(tokens[3:]) % 97, [1, 2, 3]).mean() > 0.8
        assert gpt2(folder, *sample, language="cpp") == with_cache
        assert gpt2(folder, *sample, "--no-cache", language="cpp") == with_cache


@languages
def test_reads_files_with_a_header(folder, language):
    plain = train(folder, "--steps", 3, language=language)
    head = np.zeros(256, np.int32)
    head[0] = 20240520
    (folder / "llmc.bin").write_bytes(head.tobytes() + (folder / "tokens.bin").read_bytes())
    assert train(folder, "--steps", 3, data="llmc.bin", language=language) == plain


@languages
def test_refuses_what_it_cannot_train_on(folder, language):
    np.arange(40, dtype=np.uint16).tofile(folder / "few.bin")
    assert "40 tokens are too few" in train(folder, data="few.bin", language=language, fails=True)
    np.full(5000, 97, np.uint16).tofile(folder / "large.bin")
    assert "97" in train(folder, data="large.bin", language=language, fails=True)
    assert "none.bin" in train(folder, data="none.bin", language=language, fails=True)
    assert not (folder / "gpt2.safetensors").exists()


@languages
def test_refuses_what_is_no_checkpoint(folder, language):
    taut.save({"weight": taut.zeros(3)}, folder / "gpt2.safetensors")
    assert "gpt2.safetensors" in gpt2(folder, "sample", "--prompt-tokens", 1, language=language, fails=True)
    words = {"step": "1", "shape": "2 32 2 32 97", "dtype": "float32"}
    for name, word in [("step", "one"), ("step", "-1"), ("shape", "2 32 0 32 97"), ("shape", "2 32"), ("dtype", "int8")]:
        taut.save({"weight": taut.zeros(3)}, folder / "gpt2.safetensors", words | {name: word})
        said = gpt2(folder, "sample", "--prompt-tokens", 1, language=language, fails=True)
        assert "gpt2.safetensors is no checkpoint of GPT-2: " + name in said and word in said
    train(folder, "--steps", 1, language=language)
    assert "--prompt-tokens" in gpt2(folder, "sample", language=language, fails=True)


@languages
def test_learns_a_tokenizer_from_text(folder, language):
    (folder / "text.txt").write_text("the cat sat on the mat and the dog sat on the log; " * 400, encoding="utf-8")
    words = ["--steps", 60, "--vocabulary", 300]
    if language == "python":
        pytest.importorskip("sentencepiece", reason="sentencepiece, which splits text, is not installed")
    elif CPP.exists() and b"without sentencepiece" in CPP.read_bytes():
        assert "libsentencepiece-dev" in train(folder, *words, data="text.txt", language=language, fails=True)
        return
    train(folder, *words, data="text.txt", language=language)
    said = gpt2(folder, "sample", "--prompt", "the cat", "--length", 20, language=language)
    assert said.startswith("the cat") and "sat on" in said
