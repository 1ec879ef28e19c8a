"""Uses an installed taut as a user would; mypy reads it too."""

import importlib.util

import taut


def use_ai() -> None:
    import taut.ai

    echo = taut.ai.local("echo", lambda messages: messages[-1].text)
    answer: str = echo.chat("hello").text
    assert answer == "hello", answer
    print("taut.ai works")


def main() -> None:
    threads: int = taut.get_num_threads()
    assert threads >= 1, threads
    print(f"taut from {taut.__file__}, {threads} thread(s)")


main()
if importlib.util.find_spec("taut._ai") is not None:
    use_ai()
