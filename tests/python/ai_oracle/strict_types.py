"""Validation by the libraries' typed parameters, with no other keys allowed and nothing left unread."""

import collections.abc
import functools
import sys

import pydantic
import typing_extensions


def forbid_other_keys(package):
    """Every TypedDict that is loaded refuses keys that it does not name, unless the library itself allows them."""
    for name, module in list(sys.modules.items()):
        if not name.startswith(package):
            continue
        for value in list(vars(module).values()):
            if typing_extensions.is_typeddict(value) and not hasattr(value, "__pydantic_config__"):
                value.__pydantic_config__ = pydantic.ConfigDict(extra="forbid")


def read_all(value):
    """Lists are validated as they are read: reads them."""
    if isinstance(value, dict):
        return {key: read_all(inner) for key, inner in value.items()}
    if isinstance(value, (str, bytes)):
        return value
    if isinstance(value, collections.abc.Iterable):
        return [read_all(inner) for inner in value]
    return value


@functools.lru_cache(maxsize=None)
def adapter_of(type_of_params):
    """It has to live for as long as what it validated is read."""
    return pydantic.TypeAdapter(type_of_params)


def validate(type_of_params, body):
    read_all(adapter_of(type_of_params).validate_python(body))
