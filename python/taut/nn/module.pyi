# Written by python/make_stubs.py; do not edit.
from . import Module as Module
