"""Automatic mixed precision: 16-bit products with float32 weights, and losses scaled for float16.

    scaler = taut.amp.GradScaler()
    for data, labels in batches:
        optimizer.zero_grad()
        with taut.autocast("cuda", taut.float16):
            loss = criterion(model(data), labels)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()

bfloat16 has the range of float32 and needs no scaler.
"""

import functools

from . import _C
from ._autocast import autocast, get_autocast_dtype, is_autocast_enabled

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd", "is_autocast_available"]

GradScaler = _C._amp.GradScaler
GradScaler.__doc__ = """Multiplies a loss so that its gradients do not vanish in float16, and watches over the steps.

step() divides gradients by the scale. A step whose gradients are not finite is skipped, and makes the scale smaller by
backoff_factor; growth_interval good steps in a row make it larger by growth_factor. With the optimizers of taut.optim none of it
waits for the GPU; what an optimizer written in Python does depends on a number that is read from there.

Disabled (enabled=False, or "cuda" without a GPU) it passes losses and steps on as they are.
"""


def is_autocast_available(device_type):
    """Whether autocast knows a type of device."""
    return device_type in ("cpu", "cuda")


def _cast(value, device_type, dtype):
    if isinstance(value, _C.Tensor):
        follows = value.is_floating_point() and value.device.type == device_type and value.dtype is not _C.float64
        return value.to(dtype) if follows else value
    if isinstance(value, dict):
        return {key: _cast(item, device_type, dtype) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_cast(item, device_type, dtype) for item in value)
    return value


def custom_fwd(fwd=None, *, device_type, cast_inputs=None):
    """Decorates forward of an autograd.Function: its backward, under custom_bwd, gets the same autocast.

    With cast_inputs, a dtype, an active autocast casts the floating arguments to it and is off within forward.
    """
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)

    @functools.wraps(fwd)
    def run(ctx, *args, **kwargs):
        is_enabled = is_autocast_enabled(device_type)
        ctx._autocast_dtype = get_autocast_dtype(device_type)
        ctx._autocast_enabled = is_enabled and cast_inputs is None
        if not is_enabled or cast_inputs is None:
            return fwd(ctx, *args, **kwargs)
        with autocast(device_type, enabled=False):
            return fwd(ctx, *_cast(args, device_type, cast_inputs), **_cast(kwargs, device_type, cast_inputs))

    return run


def custom_bwd(bwd=None, *, device_type):
    """Decorates backward of an autograd.Function: it runs under the autocast of its forward, which custom_fwd decorates."""
    if bwd is None:
        return functools.partial(custom_bwd, device_type=device_type)

    @functools.wraps(bwd)
    def run(ctx, *args):
        with autocast(device_type, ctx._autocast_dtype, enabled=ctx._autocast_enabled):
            return bwd(ctx, *args)

    return run
