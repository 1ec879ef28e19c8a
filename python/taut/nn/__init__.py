"""Layers, losses and what they are made of."""

from . import functional

__all__ = ["functional"]
