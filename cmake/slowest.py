"""Names the files that took longest to compile in a Ninja build tree: slowest.py BUILD [COUNT].

A file that takes more than half a minute holds up every build that touches it; split it by theme.
"""

import sys
from pathlib import Path


def compile_seconds(log):
    """The last wall time of every object file in a .ninja_log."""
    seconds = {}
    for line in log.read_text(encoding="utf-8").splitlines():
        fields = line.split("\t")
        if len(fields) == 5 and fields[3].endswith(".o"):
            source = fields[3].partition(".dir/")[2] or fields[3]
            seconds[source.removesuffix(".o")] = (int(fields[1]) - int(fields[0])) / 1000
    return seconds


def main():
    log = Path(sys.argv[1], ".ninja_log")
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    if log.is_file():
        rows = sorted(compile_seconds(log).items(), key=lambda row: -row[1])[:count]
        print("slowest to compile: " + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in rows))


if __name__ == "__main__":
    main()
