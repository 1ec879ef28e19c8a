"""Linear algebra."""

from ._C import _linalg

globals().update({name: op for name, op in vars(_linalg).items() if not name.startswith("_")})
__all__ = sorted(name for name in vars(_linalg) if not name.startswith("_"))
