"""Writes the reference of the Python package, from its docstrings, as pages of HTML:

python docs/python_reference.py FOLDER

The ops are callables of a type of their own, which pdoc would list as constants: it is shown functions in their place.
"""

import importlib
import pkgutil
import sys
import warnings
from pathlib import Path

import pdoc

import taut


def public_modules():
    yield taut
    for found in pkgutil.walk_packages(taut.__path__, "taut."):
        if "._" not in found.name:
            yield importlib.import_module(found.name)


def described(op, module):
    """A function with the name, the forms and the words of an op."""

    def function(*args, **kwargs):
        return op(*args, **kwargs)

    function.__name__ = function.__qualname__ = op.__name__
    function.__module__ = module.__name__
    forms, _, words = op.__doc__.partition("\n\n")
    function.__doc__ = f"```python\n{forms.strip()}\n```\n\n{words}"
    return function


def main():
    op_type = type(taut.add)
    for module in public_modules():
        for name, value in list(vars(module).items()):
            if type(value) is op_type:
                setattr(module, name, described(value, module))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pdoc cannot run the stubs, which it does not need
        pdoc.render.configure(docformat="google", show_source=False)
        pdoc.pdoc(*(module.__name__ for module in public_modules()), output_directory=Path(sys.argv[1]))


if __name__ == "__main__":
    main()
