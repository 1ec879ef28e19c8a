"""Bounds for gradients between backward and step, and parameters as one vector."""

from .._C import Tensor, _nn_utils

__all__ = ["clip_grad_norm_", "clip_grad_value_", "get_total_norm", "parameters_to_vector", "vector_to_parameters"]


def _listed(tensors):
    return (tensors,) if isinstance(tensors, Tensor) else tuple(tensors)


def clip_grad_norm_(parameters, max_norm, norm_type=2.0, error_if_nonfinite=False, foreach=None):
    """Scales the gradients of all parameters so that their norm, over all elements together, is at most max_norm.

    Returns the norm before, a tensor without dims. Parameters without a gradient are passed over. norm_type may be inf.
    Raises ValueError for a norm that is not finite, with error_if_nonfinite."""
    return _nn_utils.clip_grad_norm_(_listed(parameters), float(max_norm), float(norm_type), error_if_nonfinite)


def clip_grad_value_(parameters, clip_value, foreach=None):
    """Clamps every element of the gradients to [-clip_value, clip_value]."""
    _nn_utils.clip_grad_value_(_listed(parameters), float(clip_value))


def get_total_norm(tensors, norm_type=2.0, error_if_nonfinite=False, foreach=None):
    """The norm of all elements of the tensors together, a tensor without dims.

    Raises ValueError for a norm that is not finite, with error_if_nonfinite."""
    norm = _nn_utils.get_total_norm(_listed(tensors), float(norm_type))
    if error_if_nonfinite and not norm.isfinite():
        raise ValueError(f"get_total_norm: the norm is {norm.item()}")
    return norm


def parameters_to_vector(parameters):
    """The elements of all parameters, one after the other, on the tape."""
    return _nn_utils.parameters_to_vector(_listed(parameters))


def vector_to_parameters(vec, parameters):
    """The reverse, in place. Raises ShapeError unless the vector has as many elements as the parameters."""
    _nn_utils.vector_to_parameters(vec, _listed(parameters))
