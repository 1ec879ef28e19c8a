"""Writes transformer.safetensors: parameters, inputs, outputs and gradients of torch.nn's transformers, in float64.

    PYTHONPATH=build/release/python python tests/golden/make_transformer.py      # where torch is

Each case has tensors by names that begin with its own, and its options in the file's metadata, as JSON.
"""

import json
from pathlib import Path

import torch

import taut

FILE = Path(__file__).with_name("transformer.safetensors")
SIZES = dict(d_model=8, nhead=2, num_encoder_layers=1, num_decoder_layers=1, dim_feedforward=12, dropout=0.0)
MODELS = {
    "norm last": dict(SIZES, activation="relu"),
    "norm first": dict(SIZES, activation="gelu", norm_first=True, batch_first=True, bias=False),
}
ATTENTIONS = {
    "attention": dict(embed_dim=8, num_heads=2, add_bias_kv=True, add_zero_attn=True),
    "attention of other features": dict(embed_dim=8, num_heads=4, kdim=5, vdim=3, batch_first=True),
}
BATCH, SOURCE, TARGET = 2, 4, 3


def fill(module):
    """Other numbers than those a module starts with, many of which are 0 or 1."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape) * 0.4 + parameter.mean().round())


def sequence(length, features, batch_first):
    size = (BATCH, length) if batch_first else (length, BATCH)
    return torch.randn(*size, features, dtype=torch.float64, requires_grad=True)


def parts(prefix, module, inputs, output, **others):
    """All tensors of a case: gradients are of sum(output * slope)."""
    slope = torch.linspace(-1, 1, output.numel(), dtype=output.dtype).view(output.shape)
    (output * slope).sum().backward()
    tensors = {"state." + name: tensor for name, tensor in module.state_dict().items()}
    tensors |= {"grad." + name: parameter.grad for name, parameter in module.named_parameters()}
    for name, tensor in inputs.items():
        tensors |= {"input." + name: tensor, "input_grad." + name: tensor.grad}
    tensors |= {"output": output, **others}
    return {f"{prefix}/{name}": taut.from_numpy(tensor.detach().numpy().copy()) for name, tensor in tensors.items()}


def main():
    torch.manual_seed(5)
    torch.backends.mha.set_fastpath_enabled(False)
    padding = torch.arange(SOURCE) >= torch.tensor([[SOURCE], [2]])
    tensors = {}
    for name, options in MODELS.items():
        model = torch.nn.Transformer(**options, dtype=torch.float64)
        fill(model)
        batch_first = options.get("batch_first", False)
        inputs = {"src": sequence(SOURCE, 8, batch_first), "tgt": sequence(TARGET, 8, batch_first)}
        mask = model.generate_square_subsequent_mask(TARGET, dtype=torch.float64)
        hides = padding.double().masked_fill(padding, -torch.inf)  # of the dtype of the other mask
        output = model(*inputs.values(), tgt_mask=mask, src_key_padding_mask=hides, memory_key_padding_mask=hides)
        tensors |= parts(name, model, inputs, output, padding=padding)
    for name, options in ATTENTIONS.items():
        model = torch.nn.MultiheadAttention(**options, dtype=torch.float64)
        fill(model)
        batch_first = options.get("batch_first", False)
        sizes = {"query": (TARGET, 8), "key": (SOURCE, options.get("kdim", 8)), "value": (SOURCE, options.get("vdim", 8))}
        inputs = {name: sequence(*size, batch_first) for name, size in sizes.items()}
        mask = torch.randn(BATCH * options["num_heads"], TARGET, SOURCE, dtype=torch.float64)
        output, weights = model(*inputs.values(), attn_mask=mask)
        tensors |= parts(name, model, inputs, output, weights=weights, mask=mask)
    taut.save(tensors, FILE, metadata={"models": json.dumps(MODELS), "attentions": json.dumps(ATTENTIONS)})
    print(f"{FILE}: {len(tensors)} tensors, {FILE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
