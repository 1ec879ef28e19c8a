"""Files: tensors, checkpoints, tables."""

import gzip
import io as streams
import json
import os
import struct

import pytest

import taut
from taut import nn

DTYPES = ["float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"]


def some_tensors():
    tensors = {name: taut.arange(6).reshape(2, 3).to(getattr(taut, name)) for name in DTYPES}
    return tensors | {"empty": taut.zeros(0, 3), "scalar": taut.tensor(2.5), "strided": taut.arange(6.0).reshape(2, 3).t()}


def assert_same(a, b):
    assert list(a) == list(b)
    for name in a:
        assert a[name].dtype is b[name].dtype and a[name].shape == b[name].shape and taut.equal(a[name], b[name]), name


def test_dict_of_tensors(tmp_path):
    tensors = some_tensors()
    taut.save(tensors, tmp_path / "t.safetensors", metadata={"epoch": "7"})
    assert_same(taut.load(tmp_path / "t.safetensors"), tensors)
    assert_same(taut.io.load_file(str(tmp_path / "t.safetensors")), tensors)
    assert taut.io.read_metadata(tmp_path / "t.safetensors") == {"epoch": "7"}


def test_modules_and_checkpoints(tmp_path):
    path = tmp_path / "c.safetensors"
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    optimizer = taut.optim.AdamW(net.parameters(), lr=0.1)
    net(taut.randn(5, 3)).square().sum().backward()
    optimizer.step()
    taut.save(net, path)
    assert list(taut.load(path)) == list(net.state_dict())

    state = {
        "model": net.state_dict(), "optimizer": optimizer, "epoch": 3, "loss": 0.1 + 0.2, "best": float("inf"), "none": None,
        "name": "Grüße", "flags": [True, (1, "a")], "rng": taut.get_rng_state(), 7: "a number as a key",
    }
    taut.save(state, path)
    back = taut.load(path)
    assert list(back) == list(state)
    for name in ("epoch", "loss", "best", "none", "name", "flags", 7):
        assert back[name] == state[name] and type(back[name]) is type(state[name])
    assert taut.io.load_file(path)["model.0.weight"].shape == (4, 3)
    other = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    other.load_state_dict(back["model"])
    again = taut.optim.AdamW(other.parameters(), lr=0.5)
    again.load_state_dict(back["optimizer"])
    assert again.param_groups[0]["lr"] == 0.1 and again.param_groups[0]["betas"] == (0.9, 0.999)
    x = taut.randn(5, 3)
    for model, opt in ((net, optimizer), (other, again)):
        opt.zero_grad()
        model(x).square().sum().backward()
        opt.step()
    assert all(taut.equal(a, b) for a, b in zip(net.parameters(), other.parameters()))


def test_files_are_mapped_and_not_changed(tmp_path):
    path = tmp_path / "big.safetensors"
    taut.save({"x": taut.zeros(1 << 22)}, path)
    before = taut.memory_stats()["allocated"]
    x = taut.load(path)["x"]
    assert taut.memory_stats()["allocated"] - before < 1 << 20
    x.fill_(1)
    assert x.sum() == 1 << 22 and taut.load(path)["x"].sum() == 0
    path.unlink()
    assert x[-1] == 1
    taut.save({"x": taut.ones(3)}, path)
    loaded = taut.load(path)
    taut.save({name: tensor * 2 for name, tensor in loaded.items()}, path)
    assert loaded["x"].tolist() == [1, 1, 1] and taut.load(path)["x"].tolist() == [2, 2, 2]


def test_the_safetensors_package_reads_and_writes_the_same(tmp_path):
    numpy_files = pytest.importorskip("safetensors.numpy", reason="the package safetensors is not installed")
    numpy = pytest.importorskip("numpy")
    from safetensors import safe_open

    tensors = {name: tensor for name, tensor in some_tensors().items() if name != "bfloat16"}
    taut.save(tensors, tmp_path / "ours.safetensors", metadata={"made": "here"})
    arrays = numpy_files.load_file(tmp_path / "ours.safetensors")
    assert set(arrays) == set(tensors)
    for name, tensor in tensors.items():
        assert arrays[name].dtype == tensor.numpy().dtype
        numpy.testing.assert_array_equal(arrays[name], tensor.numpy())
    with safe_open(tmp_path / "ours.safetensors", framework="numpy") as file:
        assert file.metadata() == {"made": "here"}
    numpy_files.save_file(arrays, tmp_path / "theirs.safetensors", metadata={"made": "there"})
    theirs = taut.load(tmp_path / "theirs.safetensors")
    assert_same({name: theirs[name] for name in tensors}, tensors)
    assert taut.io.read_metadata(tmp_path / "theirs.safetensors") == {"made": "there"}


def test_errors_name_the_path_and_the_place(tmp_path):
    missing = tmp_path / "missing.safetensors"
    with pytest.raises(taut.IoError, match="missing.safetensors.*No such file"):
        taut.load(missing)
    with pytest.raises(OSError, match="nowhere"):
        taut.save({"x": taut.ones(1)}, tmp_path / "nowhere" / "x.safetensors")
    with pytest.raises(TypeError, match=r"'model\.hook' is a function"):
        taut.save({"model": {"hook": lambda: None}}, missing)
    with pytest.raises(TypeError, match="open file"):
        taut.load(streams.BytesIO())
    with pytest.raises(TypeError, match="metadata maps str to str"):
        taut.save({"x": taut.ones(1)}, missing, metadata={"epoch": 7})
    with pytest.raises(ValueError, match="__metadata__"):
        taut.save({"__metadata__": taut.ones(1)}, missing)
    with pytest.raises(ValueError, match="taut.tree"):
        taut.save({"a": 1}, missing, metadata={"taut.tree": "mine"})
    assert os.listdir(tmp_path) == []


def write_file(path, header, data=b""):
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


@pytest.mark.parametrize(
    "tree",
    ["", "[1]", '{"tensor": "y"}', '{"tensor": []}', '{"dict": 3}', '{"dict": [[[], 1]]}', '{"a": 1, "b": 2}', '{"what": 1}', "{}",
     '{"float": "x"}', "[" * 100000],
)
def test_hostile_descriptions(tmp_path, tree):
    path = write_file(tmp_path / "bad.safetensors", {"__metadata__": {"taut.tree": tree}})
    with pytest.raises(taut.FormatError, match="bad.safetensors has a bad description"):
        taut.load(path)


def test_other_files_are_told_from_ours(tmp_path):
    path = tmp_path / "model.pt"
    path.write_bytes(b"PK\x03\x04" + bytes(100))
    with pytest.raises(taut.FormatError, match="torch.save"):
        taut.load(path)
    path.write_bytes(b"\x80\x02}q\x00." + bytes(100))
    with pytest.raises(taut.FormatError, match="model.pt"):
        taut.load(path)


def test_idx_and_csv(tmp_path):
    path = tmp_path / "pictures.gz"
    path.write_bytes(gzip.compress(bytes([0, 0, 8, 2]) + struct.pack(">II", 2, 3) + bytes(range(6))))
    array = taut.io.load_idx(path)
    assert array.dtype is taut.uint8 and array.tolist() == [[0, 1, 2], [3, 4, 5]]
    with pytest.raises(taut.IoError, match="no-file"):
        taut.io.load_idx(tmp_path / "no-file")
    table = tmp_path / "table.csv"
    table.write_text("a;b\n1;2.5\n\n-3;4e2\n")
    numbers = taut.io.load_csv(table, delimiter=";", skip_rows=1)
    assert numbers.dtype is taut.float64 and numbers.tolist() == [[1, 2.5], [-3, 400]]
    with pytest.raises(taut.FormatError, match="line 1"):
        taut.io.load_csv(table, ";")
    with pytest.raises(ValueError, match="delimiter"):
        taut.io.load_csv(table, ";;")
