#!/usr/bin/env bash
# Builds, tests, sanitizes and benchmarks the CUDA part on a machine with a GPU, in one call.
# Needs what cmake/setup.sh installs, and the CUDA toolkit.
#
#   tests/gpu/run.sh [--only STEP[,STEP...]] [--filter GOOGLETEST_FILTER] [-D...]
#
# Steps, all by default: build, gpu (tests/gpu, and fused functions), large (tensors of more than 2^31 elements), ops (the op table in C++),
# python (the op table and the devices' tests in Python), sanitize, bench. What begins with -D goes to CMake. Says at the end what failed.
set -uo pipefail
cd "$(dirname "$0")/../.."
build=build/gpu
steps=build,gpu,large,ops,python,sanitize,bench
filter='*'
options=()
while [ $# -gt 0 ]; do
  case "$1" in
    --only) steps=$2; shift 2 ;;
    --filter) filter=$2; shift 2 ;;
    -D*) options+=("$1"); shift ;;
    *) echo "run.sh: unknown argument '$1'" >&2; exit 2 ;;
  esac
done
wants() { [[ ",$steps," == *",$1,"* ]]; }
failed=()
# A step by its name: runs the rest of the line, tells the time it took, notes a failure.
step() {
  local name=$1 begin=$SECONDS
  shift
  "$@" || failed+=("$name")
  echo "-- $name: $((SECONDS - begin)) s"
}

mkdir -p build
python=$(command -v python3)
if [ -x build/venv/bin/python ]; then python=$PWD/build/venv/bin/python; fi

build_all() {
  cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DTAUT_WITH_CUDA=ON -DTAUT_WITH_PYTHON=AUTO -DTAUT_BUILD_EXAMPLES=ON \
    -DTAUT_BUILD_BENCHMARKS=ON -DCMAKE_CUDA_ARCHITECTURES=native -DTAUT_WERROR=ON -DPython_EXECUTABLE="$python" \
    "${options[@]}" >"$build-configure.log" 2>&1 || { cat "$build-configure.log"; return 1; }
  grep -E '^--   (CUDA|cuDNN|Python) ' "$build-configure.log"
  local bindings=taut_python
  grep -q 'Python  *no$' "$build-configure.log" && bindings=
  cmake --build "$build" --target taut $bindings taut_test_gpu taut_test_extension taut_test_fusion taut_test_ops taut_test_core example_digits example_gpt example_gpt2 example_resnet custom_attention \
    $(cd benchmarks && for source in gpu/*.cpp; do n=${source%.cpp}; echo "benchmark_${n//\//_}"; done) >"$build.log" 2>&1 ||
    { grep -E 'error|FAILED' -A5 "$build.log" | head -n 60; return 1; }
}
# What the tools would hang on or misjudge: a test that measures who waits for whom, the largest tensors, tests that fill
# the device (the shards share it), tests of the profiler, whose place at the driver the tools themselves hold.
unfit='*NoStepWaits*:*Large*:*OutOfMemory*:*ThreadsAndStreams*:CudaProfiler.*'
# Tests of the libraries' products. Their kernels write by the tensor memory accelerator, which initcheck does not see,
# and racecheck does not run beside them.
products='CudaTransformer.*:CudaMatmul.*:CudaMlp.*:CudaAmp.*:CudaGraph*:CudaCapture.*:CudaDevice.*:*SecondDerivatives*:*OfAnMlp*'
# Tests under one tool, as a shard of $shards or whole; the tool's words stand among the tests' in the log.
#   sanitize_tests NAME TOOL GPU PROGRAM FILTER
sanitize_tests() {
  local name=$1 tool=$2 gpu=$3 program=$4 filter=$5 only=
  case $tool in
    racecheck) only='--kernel-name kernel_substring=taut' ;;
  esac
  [ "$tool" = memcheck ] || export TAUT_TEST_OWN_KERNELS=1
  # Without caching every tensor is a block of its own, whose bounds the tool knows.
  # shellcheck disable=SC2086
  CUDA_VISIBLE_DEVICES=$gpu TAUT_TEST_UNDER_TOOL=1 TAUT_CUDA_CACHING=0 compute-sanitizer --tool "$tool" $only \
    --error-exitcode 1 --print-limit 20 "$build/tests/$program" --gtest_filter="$filter" >"$build/$name.log" 2>&1
  echo $? >"$build/$name.rc"
}
# The verdict of a shard, and what was found, each under the test that was running.
tell_shard() {
  local name=$1 log=$build/$1.log
  echo "$name: exit $(cat "$build/$name.rc"), $(grep -c '^\[       OK' "$log") passed, $(grep '=\{9\} [A-Z]* *SUMMARY' "$log" | tail -n 1)"
  [ "$(cat "$build/$name.rc")" = 0 ] || grep -v '^\[       OK\|^\[ RUN .*\n\[       OK\|Host Frame\|^=\{9\} *$' "$log" |
    grep -B1 -A6 '^=\{9\} [A-Z]\|Failure' | grep -v '^--' | head -n 40
}
sanitize() {
  local tool shard left_out name names=() fused status=0 shards=$((($(nproc) + 3) / 4)) gpus
  gpus=$(nvidia-smi -L | wc -l)
  for tool in memcheck racecheck initcheck; do
    left_out=$unfit fused='FusedOnGpu.*'
    [ "$tool" = memcheck ] || left_out="$unfit:$products" fused='FusedOnGpu.*-*WhatCannotBeFused*'
    for ((shard = 0; shard < shards; shard++)); do
      names+=("$tool.$shard")
      GTEST_TOTAL_SHARDS=$shards GTEST_SHARD_INDEX=$shard \
        sanitize_tests "$tool.$shard" $tool $((shard % gpus)) taut_test_gpu "$filter-$left_out" &
    done
    names+=("$tool.fusion")
    sanitize_tests "$tool.fusion" $tool $((gpus - 1)) taut_test_fusion "$fused" &
  done
  for name in "${names[@]}"; do echo killed >"$build/$name.rc"; done
  wait
  for name in "${names[@]}"; do
    tell_shard "$name"
    [ "$(cat "$build/$name.rc")" = 0 ] || status=1
  done
  return $status
}
bench() {
  local program
  for program in "$build"/benchmarks/gpu_*; do "$program" || return 1; done
  if python3 -c 'import torch' 2>/dev/null && [ -e "$build/python/taut" ]; then
    PYTHONPATH="$PWD/$build/python" python3 benchmarks/gpu/compare.py || return 1
    PYTHONPATH="$PWD/$build/python" python3 benchmarks/gpu/fuse.py --compile || return 1
    PYTHONPATH="$PWD/$build/python" python3 examples/custom_attention/benchmark.py || return 1
  fi
}
python_tests() {
  PYTHONPATH="$PWD/$build/python" TAUT_TEST_DEVICE=cuda PYTHONDONTWRITEBYTECODE=1 timeout 400 "$python" -m pytest -q --maxfail=60 \
    tests/python/ops/reference_test.py tests/python/ops/devices_test.py tests/python/cuda_test.py \
    tests/python/graphed_test.py tests/python/kernel_test.py tests/python/custom_op_test.py tests/python/custom_attention_test.py \
    tests/python/memory_options_test.py tests/python/fuse_test.py tests/python/resnet_example_test.py::test_both_learn_the_same_on_a_gpu \
    tests/python/multihead_attention_test.py tests/python/transformer_test.py tests/python/transformer_peer_test.py
}

large_tests() {
  "$build/tests/taut_test_gpu" --gtest_brief=1 --gtest_also_run_disabled_tests --gtest_filter='*DISABLED_*' || return 1
  [ -e "$build/python/taut" ] || return 0
  PYTHONPATH="$PWD/$build/python" TAUT_TEST_LARGE=1 PYTHONDONTWRITEBYTECODE=1 "$python" -m pytest -q -rs tests/python/cuda_large_test.py
}

if wants build; then
  step build build_all
  [ ${#failed[@]} -eq 0 ] || exit 1
fi
if wants gpu; then
  step gpu timeout 300 "$build/tests/taut_test_gpu" --gtest_brief=1 --gtest_filter="$filter"
  step fusion timeout 300 "$build/tests/taut_test_fusion" --gtest_brief=1 --gtest_filter='FusedOnGpu.*'
fi
if wants large; then step large large_tests; fi
if wants ops; then step ops timeout 300 env TAUT_TEST_DEVICE=cuda "$build/tests/taut_test_ops" --gtest_brief=1; fi
if wants python && [ -e "$build/python/taut" ]; then step python python_tests; fi
if wants sanitize; then step sanitize sanitize; fi
if wants bench; then step bench bench; fi
if [ ${#failed[@]} -gt 0 ]; then
  echo "failed: ${failed[*]}"
  exit 1
fi
echo "all passed in $SECONDS s"
