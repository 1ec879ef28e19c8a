"""Uses an installed taut as a user would; mypy reads it too."""

import taut


def main() -> None:
    threads: int = taut.get_num_threads()
    assert threads >= 1, threads
    print(f"taut from {taut.__file__}, {threads} thread(s)")


main()
