#!/usr/bin/env bash
# Builds the wheel, installs it into a new environment and uses it there: the import, which needs no NumPy, the stubs
# through mypy, and what the wheel holds.
#
#   wheel.sh <source tree> <build tree> <python with pip, scikit-build-core, pybind11 and mypy> <NAME=VALUE> ...
#
# NAME=VALUE are the CMake options of the build tree, so that ccache knows the files.
set -euo pipefail
source_tree=$1 build_tree=$2 python=$3
shift 3
here=$(cd "$(dirname "$0")" && pwd)
scratch=$build_tree/wheel-test
rm -rf "$scratch"
mkdir -p "$scratch"

# Without isolation: what the build needs is in this environment already, so nothing is fetched.
"$python" -m pip wheel --quiet --disable-pip-version-check --no-build-isolation --no-deps --wheel-dir "$scratch" \
  "${@/#/-Ccmake.define.}" "$source_tree"
wheel=$(echo "$scratch"/taut-*.whl)

"$python" - "$wheel" <<'CHECK'
import os
import sys
import zipfile

megabytes = os.path.getsize(sys.argv[1]) / 1e6
print(f"the wheel has {megabytes:.1f} MB")
assert megabytes < 15, "the wheel is to stay under 15 MB"
names = set(zipfile.ZipFile(sys.argv[1]).namelist())
for wanted in ("taut/__init__.py", "taut/py.typed", "taut/libtaut.so"):
    assert wanted in names, f"the wheel lacks {wanted}; it holds {sorted(names)}"
assert any(name.startswith("taut/_C") and name.endswith(".so") for name in names), sorted(names)
assert any(name.endswith(".pyi") for name in names), "the wheel holds no stubs (.pyi)"
CHECK

"$python" -m venv "$scratch/venv"
"$scratch/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-index --no-deps "$wheel"
cd "$scratch"  # away from the source tree, so that only the installed package can be found
env -u PYTHONPATH "$scratch/venv/bin/python" "$here/uses_taut.py"
env -u PYTHONPATH "$python" -m mypy --strict --cache-dir="$scratch/mypy" --python-executable "$scratch/venv/bin/python" \
  "$here/uses_taut.py"
cd /
rm -rf "$scratch"
