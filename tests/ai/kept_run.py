"""Keeps what a run of the tests of taut::ai writes, for search_for_keys.py.

  kept_run.py begin FOLDER                 empties the folder and draws the keys of this run
  kept_run.py run FOLDER NAME COMMAND...   runs a command with TAUT_TEST_AI_RUN; its output is shown, and kept in FOLDER/NAME.out
"""

import os
import secrets
import shutil
import subprocess
import sys
from pathlib import Path

LETTERS = "ghjkmnpqrstvwxyz"  # of keys: marker_key.cpp's

def begin(folder):
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "files").mkdir(parents=True)
    (folder / "marker").write_text("".join(secrets.choice(LETTERS) for _ in range(40)))


def run(folder, name, command):
    environment = {**os.environ, "TAUT_TEST_AI_RUN": str(folder)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment)
    with open(folder / f"{name}.out", "wb") as kept:
        while piece := process.stdout.read1(65536):
            kept.write(piece)
            sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
    return process.wait()


def main():
    action, folder, *rest = sys.argv[1:]
    if action == "begin":
        begin(Path(folder))
        return 0
    name, *command = rest
    status = run(Path(folder), name, command)
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main())
