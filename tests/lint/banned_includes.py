"""Fails on an #include that costs too much where it stands, or that lets a third party out of its house.

Headers are banned where many files pay for them (a public header costs every user, and nvcc pays two to four times what
g++ does); each third party has one door, so that it can be replaced.
"""

import re
import sys

import tree

# Heavy standard headers: not in a public header, not in device code.
HEAVY = {
    "iostream", "sstream", "fstream", "ranges", "regex", "functional", "format", "filesystem", "chrono", "algorithm",
    "iomanip", "random", "future", "thread",
}
# What device code may include beside kernels/ and core's plain types.
DEVICE = re.compile(
    r"(cstdint|cstddef|type_traits|limits|initializer_list|cfloat|cmath|climits|utility|cuda\w*\.h|cuda\w*\.hpp|mma\.h"
    r"|cooperative_groups(/\w+)?\.h|cub/(block|warp|device|iterator|util)\w*/\w+\.cuh|cuda/std/\w+|cuda/barrier"
    r"|cuda/pipeline|curand_\w+\.h|src/core/cuda/(launch_context|captured_launches)\.h)$"
)

# A third party and the places that may include it.
DOORS = [
    (r"cblas(_\w+)?\.h|openblas\w*\.h|lapacke?\w*\.h", r"kernels/(matmul|linalg)/|benchmarks/", "OpenBLAS"),
    (r"hwy/", r"kernels/|tests/kernels/", "Highway"),
    (r"omp\.h", r"benchmarks/", "OpenMP (use taut/base/parallel.h)"),
    (r"cudnn\w*(\.h|/)", r"kernels/.*_cuda\.cpp|kernels/cudnn/", "cuDNN"),
    (r"cublas\w*\.h", r"kernels/.*_cuda\.(cpp|cu)|kernels/matmul/cublaslt\.h|benchmarks/gpu/", "cuBLAS"),
    (r"nccl\.h", r"src/distributed/|kernels/.*_cuda\.cpp", "NCCL"),
    (r"nvrtc\.h|cupti\w*\.h", r"kernels/|src/", "NVRTC and CUPTI"),
    (r"nlohmann/|json\.hpp", r"src/(ai|io|onnx)/.*\.cpp|src/ai/\w*json\w*\.h|tests/", "nlohmann_json"),
    (r"curl/", r"src/ai/.*\.cpp|benchmarks/ai/", "libcurl"),
    (r"sqlite3\.h", r"src/ai/.*\.cpp|tests/", "SQLite"),
    (r"google/protobuf/|.*\.pb\.h", r"src/onnx/.*\.cpp|tests/", "protobuf"),
    (r"pybind11/|Python\.h", r"python/(ai_)?src/", "pybind11"),
    (r"png\.h|jpeglib\.h|zlib\.h", r"src/(data|io)/.*\.cpp|examples/|tests/", "image codecs and zlib"),
    (r"(oneapi/)?dnnl\w*\.hp?p?", r"kernels/.*_cpu\.cpp", "oneDNN"),
    (r"gtest/|gmock/", r"tests/", "GoogleTest"),
    (r"benchmark/benchmark\.h", r"benchmarks/", "Google Benchmark"),
    (r"cuda_runtime(_api)?\.h|cuda\.h|driver_types\.h", r"kernels/|src/core/|src/profiler/|tests/gpu/", "the CUDA runtime"),
]
NOWHERE = [
    (r"thrust/", "thrust costs 20 s a file; write the kernel, or take the one header of cub"),
    (r"cub/cub\.cuh", "the umbrella costs 16 s a file; include the one header of cub that is needed"),
    (r"bits/stdc\+\+\.h", "it is not a standard header"),
]

INCLUDE = re.compile(r'\s*#\s*include\s*[<"]([^>"]+)[>"]')
OMP_REGION = re.compile(r"\s*#\s*pragma\s+omp\s+(?!simd|declare\s+simd)(\w+)")


def check_line(path, name, report, number):
    text = path.as_posix()
    public = path.parts[0] == "include"
    device = path.suffix in (".cu", ".cuh")
    for pattern, reason in NOWHERE:
        if re.match(pattern, name):
            report.add(path, number, f"<{name}>: {reason}")
            return
    for pattern, places, owner in DOORS:
        if re.match(rf"({pattern})", name) and not re.match(rf"({places})", text):
            report.add(path, number, f"<{name}>: {owner} may be included only from {places}")
            return
    if public and name in HEAVY:
        report.add(path, number, f"<{name}> costs every user of the header; move its use into the .cpp file")
    elif device and not name.startswith(("kernels/", "taut/")) and not DEVICE.match(name):
        report.add(path, number, f"<{name}> in device code costs nvcc seconds; keep to kernels/ and core's plain types")


def main():
    root = tree.parse_arguments(__doc__).root
    report = tree.Report("banned_includes")
    paths = tree.files(root)
    for path in paths:
        for number, line in tree.lines(root, path):
            match = INCLUDE.match(line)
            if match:
                check_line(path, match.group(1), report, number)
            region = OMP_REGION.match(line)
            if region and path.as_posix() != "src/base/parallel.cpp" and path.parts[0] in ("src", "kernels", "include"):
                report.add(path, number, "an OpenMP region of its own; there is one pool: use taut/base/parallel.h")
    report.finish(len(paths))


if __name__ == "__main__":
    sys.exit(main())
