"""Attention and transformers against PyTorch's: numbers that it gave once, and itself where it is installed."""

import copy
import json
import re
from pathlib import Path

import pytest

import taut
from taut import nn

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "transformer.safetensors"  # written by the script beside it
METADATA = {kind: json.loads(text) for kind, text in taut.io.read_metadata(GOLDEN).items()}
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not taut.cuda.is_available(), reason="no GPU"))]


def close(actual, wanted, what, tolerance=1e-11):
    assert actual.shape == wanted.shape, what
    difference = (actual.detach().cpu().double() - wanted).abs().max().item() if wanted.numel() else 0.0
    assert difference <= tolerance * max(1.0, wanted.abs().max().item()), (what, difference)


class Golden:
    """The tensors of a case."""

    def __init__(self, name):
        self.tensors = {key[len(name) + 1 :]: tensor for key, tensor in taut.io.load_file(GOLDEN).items() if key.startswith(name + "/")}

    def under(self, prefix):
        return {key[len(prefix) :]: tensor for key, tensor in self.tensors.items() if key.startswith(prefix)}

    def compare(self, module, device, run):
        """run(module, inputs) gives the output."""
        module.load_state_dict(self.under("state."))
        module.to(device)
        inputs = {name: tensor.clone().to(device).requires_grad_() for name, tensor in self.under("input.").items()}
        output = run(module, inputs)
        close(output, self.tensors["output"], "output")
        (output * taut.linspace(-1, 1, output.numel(), dtype=output.dtype, device=device).view(output.shape)).sum().backward()
        for name, grad in self.under("input_grad.").items():
            close(inputs[name].grad, grad, name)
        for name, parameter in module.named_parameters():
            close(parameter.grad, self.tensors["grad." + name], name)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", list(METADATA["models"]))
def test_models_give_its_numbers(device, name):
    golden, options = Golden(name), METADATA["models"][name]
    padding = golden.tensors["padding"].to(device)
    mask = nn.Transformer.generate_square_subsequent_mask(3, dtype=taut.float64, device=device)
    for tgt in (dict(tgt_mask=mask), dict(tgt_is_causal=True)):
        model = nn.Transformer(**options, dtype=taut.float64)
        golden.compare(
            model, device, lambda model, inputs: model(**inputs, **tgt, src_key_padding_mask=padding, memory_key_padding_mask=padding)
        )


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", list(METADATA["attentions"]))
def test_attention_gives_its_numbers(device, name):
    golden, options = Golden(name), METADATA["attentions"][name]
    mask = golden.tensors["mask"].to(device)

    def run(attention, inputs):
        output, weights = attention(*inputs.values(), attn_mask=mask)
        close(weights, golden.tensors["weights"], "weights")
        return output

    inputs_in_order = ("query", "key", "value")
    assert set(golden.under("input.")) == set(inputs_in_order)
    golden.compare(
        nn.MultiheadAttention(**options, dtype=taut.float64), device, lambda module, inputs: run(module, {name: inputs[name] for name in inputs_in_order})
    )


# With PyTorch at hand ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def torch():
    torch = pytest.importorskip("torch")
    torch.manual_seed(3)
    return torch


def ours(tensor):
    return taut.from_numpy(tensor.detach().numpy().copy())


def alike(torch, name, **options):
    """A layer of each library, with the same numbers."""
    theirs = getattr(torch.nn, name)(**options, dtype=torch.float64)
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(torch.randn(parameter.shape) * 0.1)
    mine = getattr(nn, name)(**options, dtype=taut.float64)
    mine.load_state_dict({key: ours(value) for key, value in theirs.state_dict().items()})
    assert [key for key, _ in mine.named_parameters()] == [key for key, _ in theirs.named_parameters()]
    assert shown(mine) == shown(theirs)
    return mine, theirs


def train(torch, mine, theirs, inputs, masks, name="masks"):
    """Three steps of Adam with each; outputs stay the same."""
    optimizers = taut.optim.Adam(mine.parameters(), lr=1e-2), torch.optim.Adam(theirs.parameters(), lr=1e-2)
    for _ in range(3):
        outputs = mine(*map(ours, inputs), **{key: ours(mask) for key, mask in masks.items()}), theirs(*inputs, **masks)
        outputs = [output[0] if isinstance(output, tuple) else output for output in outputs]
        close(outputs[0], ours(outputs[1]), name, 1e-9)
        for optimizer, output in zip(optimizers, outputs):
            optimizer.zero_grad()
            (output**2).mean().backward()
            optimizer.step()
    for (key, parameter), other in zip(mine.named_parameters(), theirs.parameters()):
        close(parameter, ours(other), (name, key), 1e-7)


def shown(module):
    """A module as it is printed, but for what differs from one PyTorch to another."""
    text = repr(module).replace("NonDynamicallyQuantizableLinear", "Linear")
    return re.sub("elementwise_affine=True, bias=(True|False)", "elementwise_affine=True", text)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_layers_agree_with_pytorch(torch, norm_first, batch_first, bias):
    options = dict(norm_first=norm_first, batch_first=batch_first, bias=bias, dropout=0.0)
    x, memory = torch.randn(4, 4, 8, dtype=torch.float64), torch.randn(4, 4, 8, dtype=torch.float64)
    mask = torch.triu(torch.ones(4, 4, dtype=torch.bool), 1)
    padding = torch.arange(4) >= torch.tensor([[4], [2], [1], [4]])
    mine, theirs = alike(torch, "TransformerEncoderLayer", d_model=8, nhead=2, dim_feedforward=16, activation="gelu", **options)
    train(torch, mine, theirs, [x], dict(src_mask=mask, src_key_padding_mask=padding))
    mine, theirs = alike(torch, "TransformerDecoderLayer", d_model=8, nhead=4, dim_feedforward=16, **options)
    train(torch, mine, theirs, [x, memory], dict(tgt_mask=mask, memory_key_padding_mask=padding))
    sizes = dict(d_model=8, nhead=2, num_encoder_layers=2, num_decoder_layers=2, dim_feedforward=16)
    mine, theirs = alike(torch, "Transformer", **sizes, **options)
    train(torch, mine, theirs, [memory, x], dict(tgt_mask=mask, src_key_padding_mask=padding, memory_key_padding_mask=padding))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("options", [{}, dict(bias=False), dict(kdim=3, vdim=5), dict(add_bias_kv=True, add_zero_attn=True)], ids=str)
@pytest.mark.parametrize("need_weights", [False, True])
def test_attention_agrees_with_pytorch(torch, options, need_weights):
    mine, theirs = alike(torch, "MultiheadAttention", embed_dim=8, num_heads=2, **options)
    q, k, v = (torch.randn(length, 3, features, dtype=torch.float64) for length, features in ((4, 8), (5, theirs.kdim), (5, theirs.vdim)))
    padding, mask = torch.arange(5) >= torch.tensor([[5], [2], [1]]), torch.randn(6, 4, 5, dtype=torch.float64)
    for masks in ({}, dict(attn_mask=mask), dict(key_padding_mask=padding), dict(attn_mask=mask[0], key_padding_mask=padding)):
        ours_given = {key: ours(value) for key, value in masks.items()}
        for average in (False, True):
            a = mine(ours(q), ours(k), ours(v), need_weights=need_weights, average_attn_weights=average, **ours_given)
            b = theirs(q, k, v, need_weights=need_weights, average_attn_weights=average, **masks)
            close(a[0], ours(b[0]), "output")
            assert a[1] is b[1] is None if not need_weights else close(a[1], ours(b[1]), "weights") is None
    train(torch, mine, theirs, [q, k, v], dict(attn_mask=mask))


@pytest.mark.filterwarnings("ignore")
def test_signatures_are_pytorchs(torch):
    import inspect

    for name in ("TransformerEncoderLayer", "TransformerDecoderLayer", "TransformerEncoder", "TransformerDecoder", "Transformer"):
        theirs = inspect.signature(getattr(torch.nn, name).__init__).parameters
        mine = inspect.signature(getattr(nn, name).__init__).parameters
        assert [key for key in mine if key not in ("recompute",)] == list(theirs), name
        for key, parameter in mine.items():
            if key in theirs and key != "activation":
                assert parameter.default == theirs[key].default, (name, key)
    layer = torch.nn.TransformerEncoderLayer(8, 2)
    assert copy.deepcopy(nn.TransformerEncoderLayer(8, 2)).load_state_dict({key: ours(value) for key, value in layer.state_dict().items()}).missing_keys == []
