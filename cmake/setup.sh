#!/usr/bin/env bash
# Makes a fresh Debian (12, 13) or Ubuntu (24.04) machine ready to build Taut: the system packages that are missing, and a
# virtual environment in build/venv for the Python parts. Says what it does; does nothing when all is there.
#
#   cmake/setup.sh          what `make build` and `make test` need
#   cmake/setup.sh oracle   and, in build/oracle, the vendors' libraries that judge the clients of AI providers
#   cmake/setup.sh tidy     and clang-tidy
#   cmake/setup.sh docs     and what writes the API reference
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

# One line each: how to see that it is there | the Debian package that brings it | whether the build can do without it.
# A sign that begins with / is a file pattern, anything else a command.
requirements=(
  'g++|g++|needed'
  'cmake|cmake|needed'
  'ninja|ninja-build|needed'
  'pkg-config|pkg-config|helpful'
  'ccache|ccache|helpful'
  'ld.lld|lld|helpful'
  # What the benchmarks measure products against.
  '/usr/lib/*/openblas-openmp/libopenblas.so|libopenblas-openmp-dev|helpful'
  '/usr/include/hwy/highway.h|libhwy-dev|needed'
  '/usr/include/nlohmann/json.hpp|nlohmann-json3-dev|needed'
  '/usr/include/png.h|libpng-dev|helpful'
  '/usr/include/jpeglib.h|libjpeg-dev|helpful'
  '/usr/include/zlib.h|zlib1g-dev|needed'
  # The clients of AI providers.
  '/usr/include/*/curl/curl.h|libcurl4-openssl-dev|helpful'
  '/usr/include/sqlite3.h|libsqlite3-dev|helpful'
  '/usr/include/gtest/gtest.h|libgtest-dev|needed'
  '/usr/include/benchmark/benchmark.h|libbenchmark-dev|helpful'
)
for target in "$@"; do
  case "$target" in
    tidy) requirements+=('clang-tidy|clang-tidy|needed') ;;
    docs) requirements+=('doxygen|doxygen|needed') ;;
    oracle) ;;
    *) fail "unknown argument '$target'; expected nothing, oracle, tidy or docs" ;;
  esac
done

needed=() helpful=()
for row in "${requirements[@]}"; do
  IFS='|' read -r sign package kind <<<"$row"
  if [[ $sign == /* ]]; then
    compgen -G "$sign" >/dev/null && continue
  else
    command -v "$sign" >/dev/null && continue
  fi
  if [ "$kind" = needed ]; then needed+=("$package"); else helpful+=("$package"); fi
done
# The interpreter may come from elsewhere than the system, with its headers and venv in it.
if command -v python3 >/dev/null; then
  python3 -c 'import ensurepip, venv' 2>/dev/null || needed+=(python3-venv)
  python3 -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' || needed+=(python3-dev)
else
  needed+=(python3 python3-venv python3-dev)
fi
# What an earlier run could not have and went on without is not tried again.
without=build/.setup-without
if [ ${#needed[@]} -eq 0 ] && [ "$(cat $without 2>/dev/null)" = "${helpful[*]}" ]; then
  helpful=()
fi
missing=("${needed[@]}" "${helpful[@]}")

# What keeps this run from installing packages itself; empty when nothing does.
obstacle='' sudo=()
if ! command -v apt-get >/dev/null; then
  obstacle='this system has no apt-get: install what corresponds to these Debian packages, then start again:'
elif [ "$(id -u)" -ne 0 ]; then
  if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    sudo=(sudo)
  else
    obstacle='installing them needs root. Run this, then start again:
  sudo apt-get update && sudo apt-get install -y --no-install-recommends'
  fi
fi

if [ ${#missing[@]} -gt 0 ] && [ -z "$obstacle" ]; then
  say "missing system packages: ${missing[*]}"
  start=$SECONDS
  say "installing them with apt-get (a minute or two) ..."
  log=$(mktemp)
  # A new machine often installs its updates at that moment: apt-get waits for them.
  wait=(-o DPkg::Lock::Timeout=300)
  if { "${sudo[@]}" apt-get -q "${wait[@]}" update && "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
       apt-get -q "${wait[@]}" install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    say "installed in $((SECONDS - start)) s"
  else
    tail -n 10 "$log" >&2
    obstacle='apt-get could not install them (its last lines are above); install these by hand, then start again:'
  fi
  rm -f "$log"
fi
if [ ${#missing[@]} -gt 0 ] && [ -n "$obstacle" ]; then
  [ ${#needed[@]} -eq 0 ] || fail "missing system packages: ${needed[*]}
$obstacle ${missing[*]}"
  say "going on without ${helpful[*]}, which would help"
  mkdir -p build
  printf '%s' "${helpful[*]}" >$without
fi

cmake_version=$(cmake --version | sed -n '1s/[^0-9]*\([0-9.]*\).*/\1/p')
if [ "$(printf '%s\n' 3.25 "$cmake_version" | sort -V | head -n 1)" != 3.25 ]; then
  fail "cmake $cmake_version is too old; Taut needs 3.25 or newer (Debian 12 and Ubuntu 24.04 have it)"
fi
python3 -c 'import sys; sys.exit(sys.version_info < (3, 9))' ||
  fail "$(python3 --version) is too old; Taut needs Python 3.9 or newer"

# ---- build/venv ---------------------------------------------------------------------------------
# clang-format's output differs between versions, so the one that the tree is formatted with comes from here.
python_packages=(
  'pybind11>=3' 'scikit-build-core>=0.10' numpy pytest hypothesis mypy safetensors matplotlib h2 'clang-format==18.1.8'
)
stamp=build/venv/.taut-setup
wanted="$(python3 -c 'import sys; print(sys.version, sys.base_prefix)') ${python_packages[*]}"
if [ ! -f "$stamp" ] || [ "$(cat "$stamp")" != "$wanted" ] || ! build/venv/bin/python -c '' 2>/dev/null; then
  start=$SECONDS
  say "making the Python environment build/venv (${python_packages[*]}) ..."
  mkdir -p build
  rm -rf build/venv
  python3 -m venv build/venv || fail "python3 -m venv failed; on Debian: apt-get install python3-venv"
  log=$(mktemp)
  if ! build/venv/bin/python -m pip install -q --disable-pip-version-check --retries 1 "${python_packages[@]}" >"$log" 2>&1; then
    tail -n 5 "$log" >&2
    # A machine without a network may have the packages in the system's Python.
    rm -rf build/venv
    python3 -m venv --system-site-packages build/venv
    build/venv/bin/python -m pybind11 --version >/dev/null 2>&1 ||
      fail "pip could not install the Python packages (its last lines are above), and python3 has no pybind11 of its own. Without \
it the C++ parts still build: cmake --preset release -DTAUT_WITH_PYTHON=OFF"
    say "pip could not install them; build/venv uses the packages of $(command -v python3) instead"
  fi
  rm -f "$log"
  printf '%s' "$wanted" >"$stamp"
  say "build/venv is ready after $((SECONDS - start)) s"
fi

# ---- build/oracle -------------------------------------------------------------------------------
# Apart from build/venv: these packages are large, pinned, and only a judge. Without them one test is skipped.
if [[ " $* " == *" oracle "* ]]; then
  list=tests/python/ai_oracle/requirements.txt
  stamp=build/oracle/.taut-setup
  wanted="$(build/venv/bin/python -c 'import sys; print(sys.version, sys.base_prefix)') $(cat $list)"
  if [ ! -f "$stamp" ] || [ "$(cat "$stamp")" != "$wanted" ] || ! build/oracle/bin/python -c '' 2>/dev/null; then
    start=$SECONDS
    say "making build/oracle, the vendors' libraries for the test ai.oracle (220 MB, about a minute) ..."
    rm -rf build/oracle
    log=$(mktemp)
    if build/venv/bin/python -m venv build/oracle >"$log" 2>&1 &&
       build/oracle/bin/python -m pip install -q --disable-pip-version-check --retries 1 -r $list >>"$log" 2>&1; then
      printf '%s' "$wanted" >"$stamp"
      say "build/oracle is ready after $((SECONDS - start)) s"
    else
      tail -n 5 "$log" >&2
      rm -rf build/oracle
      say "pip could not install them (its last lines are above): the test ai.oracle will be skipped"
    fi
    rm -f "$log"
  fi
fi

# With a CUDA toolkit: the headers by which the library talks to cuDNN, which come as a wheel.
has_cuda() { command -v nvcc >/dev/null || [ -x /usr/local/cuda/bin/nvcc ]; }
if has_cuda && ! compgen -G 'build/venv/lib/python3*/site-packages/include/cudnn_frontend.h' >/dev/null &&
   ! [ -e build/venv/.taut-without-cudnn ]; then
  say "installing the headers of cudnn-frontend in build/venv ..."
  build/venv/bin/python -m pip install -q --disable-pip-version-check --retries 1 --no-deps nvidia-cudnn-frontend \
    >/dev/null 2>&1 || { say "pip could not install nvidia-cudnn-frontend; convolutions on GPUs go without cuDNN"
                         touch build/venv/.taut-without-cudnn; }
fi

if [[ " $* " == *" docs "* ]] && [ ! -x build/venv/bin/pdoc ]; then
  say "installing pdoc in build/venv ..."
  build/venv/bin/python -m pip install -q --disable-pip-version-check pdoc || fail "pip could not install pdoc"
fi
