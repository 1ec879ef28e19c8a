"""What goes wrong between Taut and a provider."""

from __future__ import annotations

import json
from typing import Any

from .. import Error

# What each detail is where the error does not tell.
_DEFAULTS: dict[str, Any] = {
    "kind": "server_error",
    "provider": "",
    "model": "",
    "http_status": 0,
    "vendor_type": "",
    "vendor_code": "",
    "param": "",
    "request_id": "",
    "retry_after": None,
    "attempts": 1,
    "bytes_received": 0,
    "partial_output": False,
}


class ProviderError(Error):
    """A call to a provider that failed. Never holds a key.

    `kind` is one word for all providers: connection, timeout_connect, timeout_first_byte, timeout_idle, timeout_total,
    truncated_stream, stream_error, rate_limited, quota_exhausted, overloaded, server_error, auth, permission, not_found,
    invalid_request, unsupported_parameter, context_length, content_policy, request_too_large, malformed_response,
    tls_verify, cancelled, budget_exceeded or no_healthy_provider.
    """

    kind: str
    provider: str
    model: str
    http_status: int  # 0: there was no answer
    vendor_type: str
    vendor_code: str
    param: str
    request_id: str
    retry_after: float | None  # seconds
    attempts: int
    bytes_received: int
    partial_output: bool
    details: dict[str, Any]

    def __init__(self, message: str, **details: Any) -> None:
        unknown = set(details) - set(_DEFAULTS) - {"message"}
        if unknown:
            raise TypeError(f"ProviderError: unknown details {', '.join(sorted(unknown))}")
        super().__init__(message)
        self.details = {"message": message, **details}
        for name, default in _DEFAULTS.items():
            setattr(self, name, details.get(name, default))

    def __reduce__(self) -> Any:
        return _rebuild, (str(self), self.details)


def _rebuild(message: str, details: dict[str, Any]) -> ProviderError:
    error = ProviderError(message, **{key: value for key, value in details.items() if key != "message"})
    error.details = details
    return error


def from_json(message: str, details: str) -> ProviderError:
    """The error that the bindings raise."""
    return _rebuild(message, json.loads(details))


def to_json(error: BaseException) -> str:
    """An error of Python's own for the bindings."""
    if isinstance(error, ProviderError):
        return json.dumps(error.details)
    return json.dumps({"kind": "server_error", "message": f"{type(error).__name__}: {error}"})
