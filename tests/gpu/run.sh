#!/ usr / bin / env bash
#Builds, tests, sanitizes and benchmarks the CUDA part on a machine with a GPU, in one call.
#Needs what cmake / setup.sh installs, and the CUDA toolkit.Options are passed on to CMake.
set - euo pipefail cd "$(dirname " $0 ")/../.." build =
    build / gpu mkdir - p build start = $SECONDS

                                            cmake -
                                        S.- B "$build" - G Ninja - DCMAKE_BUILD_TYPE =
                                            Release - DTAUT_WITH_CUDA =
                                                ON - DTAUT_WITH_PYTHON =
                                                    OFF - DTAUT_BUILD_EXAMPLES =
                                                        OFF - DCMAKE_CUDA_ARCHITECTURES =
                                                            native - DTAUT_WERROR =
                                                                ON "$@" > "$build.log" 2 > &1 || {
  cat "$build.log";
  exit 1;
}
cmake-- build "$build" --target taut taut_test_gpu benchmark_gpu_pointwise > "$build.log" 2 > &1 ||
{
  tail - n 60 "$build.log";
  exit 1;
}
echo "built in $((SECONDS - start)) s"

"$build/tests/taut_test_gpu" --gtest_brief=1
for tool in memcheck racecheck initcheck;
do
  echo "compute-sanitizer $tool" compute - sanitizer-- tool "$tool" --error - exitcode 1 --log -
      file
      "$build/$tool.log"
      "$build/tests/taut_test_gpu" --gtest_brief = 1 || {
    cat "$build/$tool.log";
    exit 1;
  }
tail -
            n 1 "$build/$tool.log" done

            echo "taut:"
                "$build/benchmarks/gpu_pointwise" python3 -
        << 'PYTHON' ||
    true import time try : import torch except ImportError:
    raise SystemExit("torch is not here: no comparison")
x = torch.full((1 << 28,), 0.5, device="cuda")
print(f"torch {torch.__version__}:")
for name in ("clone", "exp", "log1p", "sigmoid"):
    function = getattr(torch, name)
    for _ in range(3):
        function(x)
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(20):
        function(x)
    torch.cuda.synchronize()
    print(f"{name:24} {2 * x.nbytes * 20 / (time.perf_counter() - start) / 1e9:7.1f} GB/s")
PYTHON
echo "all in $((SECONDS - start)) s"
