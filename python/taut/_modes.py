"""Whether ops are recorded on the tape: context managers that are decorators too."""

import functools

from . import _C

# Of a code object (co_flags); the module inspect, which has them too, takes longer to import than this package.
_GENERATOR, _COROUTINE = 0x20, 0x80


def _kind(function):
    return getattr(getattr(function, "__code__", None), "co_flags", 0) & (_GENERATOR | _COROUTINE)


class _Mode:
    """Enters on `with`, or around every call of a function it decorates."""

    def _again(self):
        """A mode like this one, for one entry; the same object may be entered many times at once."""
        return type(self)()

    def __call__(self, function):
        if _kind(function) == _GENERATOR:
            return self._around_generator(function)
        if _kind(function) == _COROUTINE:

            @functools.wraps(function)
            async def run_coroutine(*args, **kwargs):
                with self._again():
                    return await function(*args, **kwargs)

            return run_coroutine

        @functools.wraps(function)
        def run(*args, **kwargs):
            with self._again():
                return function(*args, **kwargs)

        return run

    def _around_generator(self, function):
        # The mode holds while the generator runs, not while its consumer does.
        @functools.wraps(function)
        def run(*args, **kwargs):
            with self._again():
                generator = function(*args, **kwargs)
                step = functools.partial(next, generator)
            try:
                while True:
                    with self._again():
                        try:
                            item = step()
                        except StopIteration as stop:
                            return stop.value
                    try:
                        sent = yield item
                    except GeneratorExit:
                        with self._again():
                            generator.close()
                        raise
                    except BaseException as error:
                        step = functools.partial(generator.throw, error)
                    else:
                        step = functools.partial(generator.send, sent)
            finally:
                generator.close()

        return run


class _GradMode(_Mode):
    """Sets recording to _enabled; serves as `with no_grad():` and as `@no_grad`, with or without a call."""

    def __new__(cls, function=None):
        self = super().__new__(cls)
        self._previous = []
        return self if function is None else self(function)

    def __enter__(self):
        self._previous.append(_C.is_grad_enabled())
        _C._set_grad_enabled(self._enabled)

    def __exit__(self, *_):
        _C._set_grad_enabled(self._previous.pop())


class no_grad(_GradMode):
    """Ops are not recorded on the tape, within a `with` or a function that it decorates."""

    _enabled = False


class enable_grad(_GradMode):
    """Ops are recorded again inside no_grad."""

    _enabled = True


class set_grad_enabled(_Mode):
    """Ops are recorded or not from now on; within a `with`, up to its end."""

    def __init__(self, mode):
        # Takes effect at once, also without `with`.
        self.mode = bool(mode)
        self._previous = _C.is_grad_enabled()
        _C._set_grad_enabled(self.mode)

    def _again(self):
        return set_grad_enabled(self.mode)

    def __call__(self, function):
        _C._set_grad_enabled(self._previous)
        return super().__call__(function)

    def __enter__(self):
        _C._set_grad_enabled(self.mode)

    def __exit__(self, *_):
        _C._set_grad_enabled(self._previous)


class inference_mode(_Mode):
    """As no_grad; and tensors made within cannot be saved for backward, nor written to outside."""

    def __new__(cls, mode=True):
        self = super().__new__(cls)
        self.mode = True if callable(mode) else bool(mode)
        self._previous = []
        return self(mode) if callable(mode) else self

    def _again(self):
        return inference_mode(self.mode)

    def __enter__(self):
        self._previous.append((_C._is_inference_mode(), _C.is_grad_enabled()))
        _C._set_inference_mode(self.mode)
        if self.mode:
            _C._set_grad_enabled(False)

    def __exit__(self, *_):
        inference, grad = self._previous.pop()
        _C._set_inference_mode(inference)
        _C._set_grad_enabled(grad)


def is_inference_mode_enabled():
    """Whether inference_mode holds on this thread."""
    return _C._is_inference_mode()
