"""taut.cuda.Kernel: what can be tried without a GPU, and what cannot."""

import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

import taut

needs_gpu = pytest.mark.skipif(not taut.cuda.is_available(), reason="no GPU")

SOURCE = """
#include <cuda_fp16.h>
struct Pair { float scale; int shift; };
__global__ void scale(const float* x, float* y, float factor, int64_t n) {
  const int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) y[i] = factor * x[i];
}
template <class T> __global__ void negate(T* x, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) x[i] = -x[i];
}
__global__ void apply(Pair pair, float* x) { x[threadIdx.x] = x[threadIdx.x] * pair.scale + pair.shift; }
__global__ void reverse(const float* x, float* y) {
  extern __shared__ float row[];
  row[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  y[threadIdx.x] = row[blockDim.x - 1 - threadIdx.x];
}
"""


def has_nvrtc():
    try:
        taut.cuda.Kernel("__global__ void f() {}", "f").compile("sm_80")
        return True
    except taut.DeviceError:
        return False


needs_nvrtc = pytest.mark.skipif("not has_nvrtc()", reason="no NVRTC")


def test_making_one_compiles_nothing():
    kernel = taut.cuda.Kernel("this is no C++", "f")
    assert kernel.name == "f" and repr(kernel) == "<taut.cuda.Kernel f>"
    with pytest.raises(taut.DeviceError, match="kernel f: argument 0 is on cpu; expected a tensor on a GPU"):
        kernel(1, 32, (taut.zeros(3), 1))
    with pytest.raises(ValueError, match="argument 1 is an undefined tensor"):
        kernel(1, 32, (1, None))
    with pytest.raises(TypeError, match="got a str"):
        kernel(1, 32, ("x",))
    with pytest.raises(TypeError, match="args is a tuple of arguments; got a tensor"):
        kernel(1, 32, taut.zeros(3))
    with pytest.raises(TypeError, match="one to three of them"):
        kernel((1, 1, 1, 1), 32, ())
    with pytest.raises(TypeError, match="hold ints; got 1.5"):
        kernel(1, (1, 1.5), ())
    with pytest.raises(ValueError, match=r"the grid is \(0, 1, 1\)"):
        kernel(0, 32, ())
    with pytest.raises(ValueError, match="2048 threads; expected at most 1024"):
        kernel(1, (64, 32), ())
    with pytest.raises(ValueError, match="source is empty"):
        taut.cuda.Kernel("", "f")


@needs_nvrtc
def test_compiles_without_a_gpu():
    assert taut.cuda.Kernel(SOURCE, "scale").compile("sm_90") == ["float const*", "float*", "float", "long long"]
    assert taut.cuda.Kernel(SOURCE, "negate<__half>").compile("sm_80") == ["__half*", "int"]
    assert taut.cuda.Kernel(SOURCE, "apply", options=["--use_fast_math"]).compile("compute_80") == ["Pair", "float*"]
    with pytest.raises(taut.CudaError, match=r'f.cu\(2\): error: identifier "y" is undefined'):
        taut.cuda.Kernel("\n__global__ void f() { y = 1; }", "f").compile("sm_90")


@needs_nvrtc
def test_code_is_kept_on_the_disk(tmp_path):
    program = "import taut; print(taut.cuda.Kernel('__global__ void f(int n) {}', 'f').compile('sm_90'))"

    def run():
        environment = {**os.environ, "TAUT_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(Path(taut.__file__).parents[1])}
        result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, timeout=60)
        assert result.stdout == "['int']\n", result.stderr
        (path,) = (tmp_path / "kernels").iterdir()
        return path

    path = run()
    first, inode = path.read_bytes(), path.stat().st_ino
    assert run() == path and path.stat().st_ino == inode  # read, not written
    path.write_bytes(first[:-1])
    assert run() == path and path.read_bytes() == first  # compiled anew
    assert path.stat().st_mode & 0o077 == 0 and path.parent.stat().st_mode & 0o077 == 0


# ---- on a GPU -------------------------------------------------------------------------------------


@needs_gpu
def test_launches():
    scale = taut.cuda.Kernel(SOURCE, "scale")
    for n in (1, 1000, 100_000):
        x, y = taut.randn(n, device="cuda"), taut.zeros(n, device="cuda")
        versions = x._version, y._version
        scale((n + 255) // 256, 256, (x, y, 2, n))
        assert taut.equal(y, x * 2) and (x._version, y._version) == (versions[0], versions[1] + 1)
    for type_name, dtype in (("float", taut.float32), ("__half", taut.float16), ("int", taut.int32), ("long long", taut.int64)):
        x = taut.arange(100, device="cuda").to(dtype)
        before = x.clone()
        taut.cuda.Kernel(SOURCE, f"negate<{type_name}>")((1,), (128, 1), (x, 100))
        assert taut.equal(x, -before)


@needs_gpu
def test_structs_and_shared_memory():
    x = taut.ones(8, device="cuda")
    kernel = taut.cuda.Kernel(SOURCE, "apply")
    kernel(1, 8, (struct.pack("fi", 2.5, 3), x))
    assert x.tolist() == [5.5] * 8
    with pytest.raises(ValueError, match="it has 8 bytes; got 4"):
        kernel(1, 8, (b"four", x))
    reverse = taut.cuda.Kernel(SOURCE, "reverse")
    x, y = taut.arange(1024, device="cuda").float(), taut.empty(1024, device="cuda")
    for shared_memory in (4096, 64 << 10):
        y.zero_()
        reverse(1, 1024, (x, y), shared_memory=shared_memory)
        assert taut.equal(y, x.flip(0))
    with pytest.raises(taut.CudaError, match="kernel reverse: shared_memory is 1048576 bytes"):
        reverse(1, 1024, (x, y), shared_memory=1 << 20)
    assert taut.equal(y, x.flip(0))


@needs_gpu
def test_arguments_are_checked():
    scale = taut.cuda.Kernel(SOURCE, "scale")
    x, y = taut.ones(4, 4, device="cuda"), taut.zeros(4, 4, device="cuda")
    leaf = taut.ones(4, 4, device="cuda", requires_grad=True)
    version = y._version
    for arguments, kind, words in (
        ((x, y, 1.0), ValueError, "it has 4 parameters; got 3"),
        ((x.double(), y, 1.0, 16), taut.DTypeError, r"argument 0 \(float const\*\)"),
        ((x, y.t(), 1.0, 16), taut.ShapeError, "not contiguous"),
        ((x, y, 1e60, 16), ValueError, "does not fit"),
        ((x, y, 1.0, 1.5), taut.DTypeError, "an integer is wanted"),
        ((x, y, y, 16), ValueError, "no pointer"),
        ((x, 5, 1.0, 16), ValueError, "a tensor is wanted"),
        ((leaf, y, 1.0, 16), taut.AutogradError, "no derivative"),
        ((x, leaf, 1.0, 16), taut.AutogradError, "leaf that requires grad"),
        ((x, leaf * 1, 1.0, 16), taut.AutogradError, "no derivative"),
    ):
        with pytest.raises(kind, match=words):
            scale(1, 16, arguments)
    assert y._version == version and not y.any()
    with taut.no_grad():
        scale(1, 16, (leaf, y, 3.0, 16))
    assert (y == 3).all()
    strided = taut.cuda.Kernel(SOURCE, "scale", strided=True)
    strided(1, 16, (x, y.t(), 2.0, 16))
    assert (y == 2).all()


@needs_gpu
def test_versions_stop_a_stale_backward():
    x = taut.ones(4, device="cuda", requires_grad=True)
    y = x * 1
    z = (y * y).sum()
    with taut.no_grad():
        taut.cuda.Kernel(SOURCE, "negate<float>")(1, 4, (y, 4))
    with pytest.raises(taut.AutogradError, match="version"):
        z.backward()


@needs_gpu
def test_graphs_and_streams():
    scale = taut.cuda.Kernel(SOURCE, "scale")
    x, y = taut.ones(64, device="cuda"), taut.empty(64, device="cuda")
    scale(1, 64, (x, y, 3.0, 64))
    graph = taut.cuda.CUDAGraph()
    with taut.cuda.graph(graph):
        scale(1, 64, (x, y, 3.0, 64))
        y.add_(1)
    x.fill_(2)
    graph.replay()
    assert (y == 7).all()
    side = taut.cuda.Stream()
    side.wait_stream(taut.cuda.current_stream())
    with taut.cuda.stream(side):
        scale(1, 64, (x, y, 5.0, 64))
        z = y + 1
    taut.cuda.current_stream().wait_stream(side)
    assert (z == 11).all()


@needs_gpu
def test_failures_name_the_kernel():
    x = taut.ones(4, device="cuda")
    with pytest.raises(taut.CudaError, match="kernel f: NVRTC"):
        taut.cuda.Kernel("__global__ void f(float* x) { y = 1; }", "f")(1, 1, (x,))
    source = "__global__ void __launch_bounds__(64) f(float* x) { x[threadIdx.x % 4] = 2; }"
    kernel = taut.cuda.Kernel(source, "f")
    with pytest.raises(taut.CudaError, match=r"kernel f: .*block \(128, 1, 1\).*at most 64 threads"):
        kernel(1, 128, (x,))
    kernel(1, 64, (x,))
    assert (x == 2).all()
