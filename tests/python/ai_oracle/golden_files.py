"""Where the golden files are."""

import pathlib

GOLDEN = pathlib.Path(__file__).parents[2] / "golden" / "ai"
