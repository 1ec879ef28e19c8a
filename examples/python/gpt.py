"""Trains a small transformer to write text, character by character, and lets it write.

    gpt.py                              # the poems that come with the examples
    gpt.py --text book.txt --steps 2000
    gpt.py --device cuda --amp          # on a GPU, products in bfloat16

examples/cpp/gpt.cpp is the same program in C++, and its losses are the same.
"""

import argparse
import math
import sys
import time
from pathlib import Path

import taut
import taut.nn.functional as F
from taut import nn

POEMS = Path(__file__).resolve().parents[1] / "data" / "poems.txt"


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--text", default=POEMS, help="what to learn from (examples/data/poems.txt)")
    parser.add_argument("--steps", type=int, default=300, help="batches to train on (300)")
    parser.add_argument("--batch", type=int, default=16, help="pieces of text in a batch (16)")
    parser.add_argument("--context", type=int, default=128, help="characters that the model sees (128)")
    parser.add_argument("--layers", type=int, default=4, help="blocks of the model (4)")
    parser.add_argument("--width", type=int, default=128, help="numbers that stand for a character (128)")
    parser.add_argument("--heads", type=int, default=4, help="heads of attention (4)")
    parser.add_argument("--lr", type=float, default=1e-3, help="highest learning rate (0.001)")
    parser.add_argument("--sample", type=int, default=400, help="characters to write at the end (400)")
    parser.add_argument("--temperature", type=float, default=0.8, help="how daring (0.8)")
    parser.add_argument("--prompt", default="\n", help="how to begin")
    parser.add_argument("--seed", type=int, default=1, help="seed of weights, batches and writing (1)")
    parser.add_argument("--device", default="cpu", help="where to compute: cpu, cuda, cuda:1 (cpu)")
    parser.add_argument("--amp", action="store_true", help="products in bfloat16")
    parser.add_argument("--save", default="gpt.safetensors", help="where the weights go (gpt.safetensors)")
    parser.add_argument("--losses", help="where the loss of every batch goes, one in a line")
    return parser.parse_args()


class Gpt(nn.Module):
    """Blocks of attention and a two-layer perceptron, each on top of a residual stream. Radford et al., 2019."""

    def __init__(self, characters, options):
        super().__init__()
        width = options.width
        self.token = nn.Embedding(characters, width)
        self.position = nn.Embedding(options.context, width)
        block = nn.TransformerEncoderLayer(
            width, options.heads, 4 * width, dropout=0.0, activation="gelu_tanh", batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(block, options.layers, nn.LayerNorm(width))
        self.head = nn.Linear(width, characters, bias=False)
        for name, parameter in self.named_parameters():
            if parameter.dim() > 1:
                nn.init.normal_(parameter, 0.0, 0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def forward(self, x):
        """Characters (batch, length) to logits (batch, length, characters)."""
        places = taut.arange(x.shape[1], device=x.device)
        return self.head(self.blocks(self.token(x) + self.position(places), is_causal=True))


def train(model, data, options):
    optimizer = taut.optim.AdamW(model.parameters(), lr=options.lr, betas=(0.9, 0.95), weight_decay=0.1)

    def rate(step):
        warm = min(1.0, (step + 1) / 50.0)
        return warm * (0.55 + 0.45 * math.cos(3.14159265 * step / options.steps))

    schedule = taut.optim.lr_scheduler.LambdaLR(optimizer, rate)
    losses = []
    start = time.perf_counter()
    for step in range(options.steps):
        firsts = taut.randint(0, len(data) - options.context, (options.batch, 1), device=data.device)
        places = firsts + taut.arange(options.context, device=data.device)
        input, target = taut.take(data, places), taut.take(data, places + 1)
        with taut.autocast(data.device.type, taut.bfloat16, enabled=options.amp):
            loss = F.cross_entropy(model(input).flatten(0, 1), target.flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.detach())
        if step % 20 == 0 or step + 1 == options.steps:
            speed = (step + 1) * options.batch * options.context / (time.perf_counter() - start)
            print(f"step {step:4d}  loss {loss.item():.3f}  {speed:6.0f} characters/s", flush=True)
    return [loss.item() for loss in losses]


@taut.no_grad()
def write(model, alphabet, options, device):
    model.eval()
    written = [max(alphabet.find(c), 0) for c in options.prompt.encode()]
    print("\n" + options.prompt, end="")
    for _ in range(options.sample):
        input = taut.tensor(written[-options.context :])
        logits = model(input.unsqueeze(0).to(device)).cpu()[:, -1].flatten() / options.temperature
        # The largest of logits plus Gumbel noise is a draw from their softmax.
        noise = -((-((taut.rand(logits.shape) + 1e-9).log()) + 1e-9).log())
        written.append((logits + noise).argmax().item())
        print(chr(alphabet[written[-1]]), end="", flush=True)
    print()


def run(options):
    device = taut.device(options.device)
    taut.manual_seed(options.seed)
    if options.losses:
        Path(options.losses).touch()  # before the work: whether it can be written
    text = Path(options.text).read_bytes()
    if len(text) <= options.context + 1:
        raise taut.ValueError("the text is shorter than the context")
    alphabet = bytes(sorted(set(text)))
    data = taut.tensor([alphabet.index(c) for c in text]).to(device)

    model = Gpt(len(alphabet), options).to(device)
    weights = sum(parameter.numel() for parameter in model.parameters())
    print(f"{len(text)} characters of {len(alphabet)} kinds; {weights} weights")
    losses = train(model, data, options)
    if options.losses:
        Path(options.losses).write_text("".join(f"{loss:.17g}\n" for loss in losses))
    taut.save(model, options.save, metadata={"alphabet": str(len(alphabet))})
    write(model, alphabet, options, device)


if __name__ == "__main__":
    try:
        run(parse())
    except (taut.Error, OSError) as error:
        sys.exit(f"gpt: {error}")
