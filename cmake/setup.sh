#!/usr/bin/env bash
# Makes a fresh Debian 12 or Ubuntu 24.04 machine ready to build Taut: the system packages that are missing, and a virtual
# environment in build/venv for the Python parts. Says what it does; does nothing when all is there.
#
#   cmake/setup.sh          what `make build` and `make test` need
#   cmake/setup.sh tidy     and clang-tidy
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

# One line each: how to see that it is there | the Debian package that brings it.
# A leading / or * is a file pattern, anything else a command.
requirements=(
  'g++|g++'
  'cmake|cmake'
  'ninja|ninja-build'
  'pkg-config|pkg-config'
  'ccache|ccache'
  'ld.lld|lld'
  '/usr/lib/*/openblas-openmp/libopenblas.so|libopenblas-openmp-dev'
  '/usr/include/hwy/highway.h|libhwy-dev'
  '/usr/include/nlohmann/json.hpp|nlohmann-json3-dev'
  '/usr/include/png.h|libpng-dev'
  '/usr/include/zlib.h|zlib1g-dev'
  '/usr/include/gtest/gtest.h|libgtest-dev'
  '/usr/include/benchmark/benchmark.h|libbenchmark-dev'
  'python3|python3'
)
for target in "$@"; do
  case "$target" in
    tidy) requirements+=('clang-tidy|clang-tidy') ;;
    *) fail "unknown argument '$target'; expected nothing or tidy" ;;
  esac
done

missing=()
for row in "${requirements[@]}"; do
  sign=${row%%|*} package=${row##*|}
  if [[ $sign == /* ]]; then
    compgen -G "$sign" >/dev/null || missing+=("$package")
  else
    command -v "$sign" >/dev/null || missing+=("$package")
  fi
done
# The interpreter may come from elsewhere than the system, with its headers and venv in it.
if command -v python3 >/dev/null; then
  python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
  python3 -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' || missing+=(python3-dev)
else
  missing+=(python3-venv python3-dev)
fi

if [ ${#missing[@]} -gt 0 ]; then
  say "missing system packages: ${missing[*]}"
  sudo=()
  if [ "$(id -u)" -ne 0 ]; then
    if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
      sudo=(sudo)
    else
      fail "installing them needs root. Run this, then start again:
  sudo apt-get update && sudo apt-get install -y --no-install-recommends ${missing[*]}"
    fi
  fi
  command -v apt-get >/dev/null || fail "this system has no apt-get; install the equivalents of these Debian packages: ${missing[*]}"
  start=$SECONDS
  say "installing them with apt-get (a minute or two) ..."
  log=$(mktemp)
  if ! { "${sudo[@]}" apt-get -q update && "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
         apt-get -q install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    fail "apt-get could not install them (its last lines are above, all of them in $log)"
  fi
  rm -f "$log"
  say "installed in $((SECONDS - start)) s"
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
  'pybind11>=3' 'scikit-build-core>=0.10' numpy pytest hypothesis mypy safetensors matplotlib 'clang-format==18.1.8'
)
stamp=build/venv/.taut-setup
wanted="$(python3 -c 'import sys; print(sys.version, sys.base_prefix)') ${python_packages[*]}"
if [ ! -f "$stamp" ] || [ "$(cat "$stamp")" != "$wanted" ] || ! build/venv/bin/python -c '' 2>/dev/null; then
  start=$SECONDS
  say "making the Python environment build/venv (${python_packages[*]}) ..."
  mkdir -p build
  rm -rf build/venv
  python3 -m venv build/venv || fail "python3 -m venv failed; on Debian: apt-get install python3-venv"
  if ! build/venv/bin/python -m pip install -q --disable-pip-version-check "${python_packages[@]}"; then
    fail "pip could not install the Python packages. Without them the C++ parts still build: cmake --preset release -DTAUT_WITH_PYTHON=OFF"
  fi
  printf '%s' "$wanted" >"$stamp"
  say "build/venv is ready after $((SECONDS - start)) s"
fi
