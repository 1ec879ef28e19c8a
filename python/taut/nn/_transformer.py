"""What Python adds to the transformers of C++: activations that are functions, and modules that are copied."""

from copy import deepcopy

import taut

from .._C import _nn
from . import functional as F


def gelu_tanh(input):
    """F.gelu with its approximation by tanh."""
    return F.gelu(input, approximate="tanh")


_FUNCTIONS = {"relu": F.relu, "gelu": F.gelu, "gelu_tanh": gelu_tanh}
_NAMES = {function: name for name, function in _FUNCTIONS.items()} | {taut.relu: "relu"}


def _activation(self):
    """The function or module between linear1 and linear2. May be set, to "relu", "gelu" or "gelu_tanh" as well."""
    child = self._find("activation")
    return self.__dict__.get("_activation", F.relu) if child is NotImplemented else child


def _set_activation(self, value):
    if isinstance(value, _nn.Module):
        self.add_module("activation", value)
        return
    function = _FUNCTIONS.get(value) if isinstance(value, str) else value
    if isinstance(value, str) and function is None:
        raise taut.ValueError(f"{type(self).__name__}: activation must be 'relu', 'gelu' or 'gelu_tanh'; got {value!r}")
    if not callable(function):
        raise TypeError(f"{type(self).__name__}: activation must be a name, a function or a module; got {value!r}")
    self.__dict__["_activation"] = function
    try:
        name = _NAMES.get(function)
    except TypeError:  # not every callable can be a key
        name = None
    self._set_activation(name)


def _complete_layer(layer):
    construct = layer.__init__

    def __init__(
        self,
        d_model,
        nhead,
        dim_feedforward=2048,
        dropout=0.1,
        activation=F.relu,
        layer_norm_eps=1e-5,
        batch_first=False,
        norm_first=False,
        bias=True,
        device=None,
        dtype=None,
        recompute=False,
    ):
        construct(self, d_model, nhead, dim_feedforward, dropout, layer_norm_eps, batch_first, norm_first, bias, device, dtype, recompute)
        self.activation = activation

    layer.__init__ = __init__
    layer.activation = property(_activation, _set_activation)
    layer._fields = (*layer._fields, "activation")


def _clones(layer, count):
    return _nn.ModuleList([deepcopy(layer) for _ in range(count)])


def _put(stack, construct, layers, norm):
    """Makes a stack of its parts; a norm that is not there is an attribute, too."""
    construct(stack, layers, norm)
    if norm is None:
        stack.norm = None


def _complete_encoder(encoder):
    construct = encoder.__init__

    def __init__(self, encoder_layer, num_layers, norm=None, enable_nested_tensor=True, mask_check=True):
        _put(self, construct, _clones(encoder_layer, num_layers), norm)
        self.enable_nested_tensor, self.mask_check = enable_nested_tensor, mask_check

    encoder.__init__ = __init__
    encoder._shell = (None, 0)


def _complete_decoder(decoder):
    construct = decoder.__init__

    def __init__(self, decoder_layer, num_layers, norm=None):
        _put(self, construct, _clones(decoder_layer, num_layers), norm)

    decoder.__init__ = __init__
    decoder._shell = (None, 0)


def _complete_model(model):
    construct = model.__init__

    def __init__(
        self,
        d_model=512,
        nhead=8,
        num_encoder_layers=6,
        num_decoder_layers=6,
        dim_feedforward=2048,
        dropout=0.1,
        activation=F.relu,
        custom_encoder=None,
        custom_decoder=None,
        layer_norm_eps=1e-5,
        batch_first=False,
        norm_first=False,
        bias=True,
        device=None,
        dtype=None,
        recompute=False,
    ):
        def stack(kind, layer, count):
            norm = _nn.LayerNorm(d_model, layer_norm_eps, bias=bias, device=device, dtype=dtype, recompute=recompute)
            return kind(layer, count, norm)

        options = (dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias, device, dtype, recompute)
        if custom_encoder is None:
            layer = _nn.TransformerEncoderLayer(d_model, nhead, *options)
            custom_encoder = stack(_nn.TransformerEncoder, layer, num_encoder_layers)
        if custom_decoder is None:
            layer = _nn.TransformerDecoderLayer(d_model, nhead, *options)
            custom_decoder = stack(_nn.TransformerDecoder, layer, num_decoder_layers)
        construct(self, d_model, nhead, custom_encoder, custom_decoder, batch_first)

    model.__init__ = __init__
    model._shell = (1, 1, 0, 0)


_complete_layer(_nn.TransformerEncoderLayer)
_complete_layer(_nn.TransformerDecoderLayer)
_complete_encoder(_nn.TransformerEncoder)
_complete_decoder(_nn.TransformerDecoder)
_complete_model(_nn.Transformer)
