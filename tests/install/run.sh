#!/usr/bin/env bash
# Installs the build tree into a new prefix and builds the project of this folder against it, once with CMake's
# find_package and once with pkg-config; then moves the prefix and builds again, for an installed tree holds no fixed path.
#
#   run.sh <build tree> <C++ compiler> <cmake> [<Python that has the build tree's package>]
set -euo pipefail
source_dir=$(cd "$(dirname "$0")" && pwd)
build_tree=$1 compiler=$2 cmake=$3 python=${4-}
scratch=$build_tree/install-test
rm -rf "$scratch"
mkdir -p "$scratch"

"$cmake" --install "$build_tree" --component library --prefix "$scratch/first" >"$scratch/install.log"

with_cmake() {
  "$cmake" -S "$source_dir" -B "$scratch/$1-cmake" -G Ninja -DCMAKE_CXX_COMPILER="$compiler" \
    -DCMAKE_PREFIX_PATH="$2" -DCMAKE_BUILD_TYPE=Release >"$scratch/$1-cmake.log"
  "$cmake" --build "$scratch/$1-cmake" >>"$scratch/$1-cmake.log" || { cat "$scratch/$1-cmake.log"; return 1; }
  echo "find_package, $1 prefix:"
  "$scratch/$1-cmake/uses_taut"
  [ ! -e "$scratch/$1-cmake/uses_ai" ] || "$scratch/$1-cmake/uses_ai"
  "$scratch/$1-cmake/uses_plugin" "$scratch/$1-cmake/libplugin.so"
  # The package uses the build tree's libtaut: a plugin goes with any copy of the same version.
  [ -z "$python" ] || PYTHONPATH=$build_tree/python "$python" "$source_dir/uses_plugin.py" "$scratch/$1-cmake/libplugin.so"
}

with_pkg_config() {
  if ! command -v pkg-config >/dev/null; then
    echo "pkg-config is not here: left out"
    return
  fi
  local pc
  pc=$(dirname "$(find "$2" -name taut.pc)")
  # shellcheck disable=SC2046  # the flags are meant to split
  "$compiler" "$source_dir/main.cpp" -o "$scratch/$1-pkg-config" \
    $(PKG_CONFIG_PATH=$pc pkg-config --cflags --libs taut) -Wl,-rpath,"$pc/.."
  echo "pkg-config, $1 prefix:"
  "$scratch/$1-pkg-config"
  [ -e "$pc/taut-ai.pc" ] || return 0
  # shellcheck disable=SC2046
  "$compiler" "$source_dir/uses_ai.cpp" -o "$scratch/$1-pkg-config-ai" \
    $(PKG_CONFIG_PATH=$pc pkg-config --cflags --libs taut-ai) -Wl,-rpath,"$pc/.."
  "$scratch/$1-pkg-config-ai"
}

with_cmake first "$scratch/first"
with_pkg_config first "$scratch/first"
mv "$scratch/first" "$scratch/moved"
with_cmake moved "$scratch/moved"
with_pkg_config moved "$scratch/moved"
rm -rf "$scratch"
