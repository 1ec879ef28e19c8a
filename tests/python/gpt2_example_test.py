"""examples/python/gpt2.py at a small size: training learns, goes on to the same bits, and what writes is what was trained."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

PROGRAM = Path(__file__).resolve().parents[2] / "examples" / "python" / "gpt2.py"
SMALL = "--layers 2 --width 32 --heads 2 --context 32 --vocabulary 97 --batch 4 --accumulate 2 --warmup 5 --lr 0.01".split()


def gpt2(folder, *words, fails=False):
    command = [sys.executable, PROGRAM, "--device", "cpu", *map(str, words)]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert (result.returncode != 0) == fails, result.stdout + result.stderr
    return result.stderr if fails else result.stdout


def train(folder, *words, data="tokens.bin", losses="losses", fails=False):
    said = gpt2(folder, "train", "--data", data, *SMALL, "--losses", losses, *words, fails=fails)
    return said if fails else [float(line) for line in (folder / losses).read_text().split()]


@pytest.fixture
def folder(tmp_path):
    steps = np.random.default_rng(0).integers(1, 4, 20000)
    (np.cumsum(steps) % 97).astype(np.uint16).tofile(tmp_path / "tokens.bin")
    return tmp_path


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_goes_on_to_the_same_bits(folder, dtype):
    whole = train(folder, "--dtype", dtype, "--steps", 30)
    model = (folder / "gpt2.safetensors").read_bytes()
    assert len(whole) == 30 and whole[-1] < whole[0] - 0.5
    part = train(folder, "--dtype", dtype, "--steps", 30, "--stop", 12)
    rest = train(folder, "--steps", 30, "--resume")
    assert part + rest == whole
    assert (folder / "gpt2.safetensors").read_bytes() == model


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
    assert "--prompt-tokens" in gpt2(folder, "sample", fails=True)


def test_reads_files_with_a_header(folder):
    plain = train(folder, "--steps", 3)
    head = np.zeros(256, np.int32)
    head[0] = 20240520
    tokens = (folder / "tokens.bin").read_bytes()
    (folder / "llmc.bin").write_bytes(head.tobytes() + tokens)
    assert train(folder, "--steps", 3, data="llmc.bin") == plain


def test_refuses_what_it_cannot_train_on(folder):
    np.arange(40, dtype=np.uint16).tofile(folder / "few.bin")
    assert "40 tokens are too few" in train(folder, data="few.bin", fails=True)
    np.full(5000, 97, np.uint16).tofile(folder / "large.bin")
    assert "97" in train(folder, data="large.bin", fails=True)
    assert "none.bin" in train(folder, data="none.bin", fails=True)


def test_learns_a_tokenizer_from_text(folder):
    pytest.importorskip("sentencepiece", reason="sentencepiece, which splits text, is not installed")
    (folder / "text.txt").write_text("the cat sat on the mat and the dog sat on the log; " * 400, encoding="utf-8")
    train(folder, "--steps", 60, "--vocabulary", 300, data="text.txt")
    said = gpt2(folder, "sample", "--prompt", "the cat", "--length", 20)
    assert said.startswith("the cat") and "sat on" in said
