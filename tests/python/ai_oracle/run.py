"""Runs the tests of this folder with the Python that has the vendors' libraries; ends with 77 (skipped) where none has.

python run.py PYTHON [arguments of pytest ...]
"""

import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
SKIPPED = 77
MISSING = """
import importlib.metadata, sys
for line in open(sys.argv[1]):
    name, _, version = line.partition("#")[0].strip().partition("==")
    if name:
        try:
            found = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found = "nothing"
        if found != version:
            print(f"{name}: expected {version}; found {found}")
try:
    import taut._ai
except ImportError as error:
    print(f"taut.ai: {error}")
"""


def what_is_missing(python):
    """Empty where every library is there in the version that the tests were written for."""
    try:
        command = [python, "-c", MISSING, str(HERE / "requirements.txt")]
        run = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        return f"{python} is not there"
    return (run.stdout + run.stderr).strip()


def main(python, *arguments):
    missing = what_is_missing(python)
    if missing:
        print(f"skipped: cmake/setup.sh oracle brings what these tests need.\n{missing}")
        return SKIPPED
    return subprocess.run([python, "-m", "pytest", str(HERE), "-p", "no:cacheprovider", *arguments]).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
