# Written by python/make_stubs.py; do not edit.
from typing import Any

from . import functional as functional
