# Written by python/make_stubs.py; do not edit.
from typing import Any

from . import checkpoint as checkpoint, data as data
