"""Trains GPT-2 from tokens or from text, goes on from a checkpoint, and writes.

    gpt2.py train --data tokens.bin                  # 16-bit tokens, as nanoGPT and llm.c write them
    gpt2.py train --data book.txt --vocabulary 8192  # any text: learns a byte-pair tokenizer first (pip install sentencepiece)
    gpt2.py train --data tokens.bin --resume         # goes on where the checkpoint was written, to the same bits
    gpt2.py sample --prompt "Once upon a time"

On a GPU weights are bfloat16 and the optimizer keeps them in float32; on the CPU everything is float32.
The model is that of Radford et al., "Language Models are Unsupervised Multitask Learners" (2019). examples/cpp/gpt2.cpp
is the same program in C++, its losses are the same, and each goes on from the other's checkpoint.
"""

import argparse
import io
import math
import re
import sys
import time
from pathlib import Path

import numpy as np

import taut
import taut.nn.functional as F
from taut import nn

SIZES = {"124M": (12, 768, 12), "350M": (24, 1024, 16), "774M": (36, 1280, 20), "1558M": (48, 1600, 25)}
PEAKS = {"H100": 989e12, "H200": 989e12, "A100": 312e12}  # FLOP/s of dense products in bfloat16
LLMC_MAGIC, LLMC_HEADER = 20240520, 1024  # the first number of llm.c's token files, and the bytes before the tokens


def add_common(parser, **default):
    """Options that stand before or behind the command; `default` replaces their defaults."""
    device = "cuda" if taut.cuda.is_available() else "cpu"
    parser.add_argument("--checkpoint", **{"default": "gpt2.safetensors"} | default, help="where the model is kept (gpt2.safetensors)")
    parser.add_argument("--device", **{"default": device} | default, help="cpu, cuda, cuda:1")
    parser.add_argument("--seed", type=int, **{"default": 1} | default, help="seed of weights, batches and writing (1)")


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add_common(parser)
    commands = parser.add_subparsers(dest="command", required=True)

    train = commands.add_parser("train", help="trains and writes checkpoints")
    sample = commands.add_parser("sample", help="writes")
    for command in (train, sample):
        add_common(command, default=argparse.SUPPRESS)  # what stands before the command counts too

    train.add_argument("--data", required=True, help="a .bin of 16-bit tokens, or any text")
    train.add_argument("--resume", action="store_true", help="go on from the checkpoint")
    train.add_argument("--size", choices=SIZES, default="124M", help="which of the published models (124M)")
    train.add_argument("--layers", type=int, help="blocks, instead of the size's")
    train.add_argument("--width", type=int, help="numbers for a token, instead of the size's")
    train.add_argument("--heads", type=int, help="heads of attention, instead of the size's")
    train.add_argument("--context", type=int, default=1024, help="tokens that the model sees (1024)")
    train.add_argument("--vocabulary", type=int, default=50257, help="tokens that there are, or are learned from a text (50257)")
    train.add_argument("--dtype", choices=("float32", "bfloat16"), help="of weights (bfloat16 on GPUs, float32 on the CPU)")
    train.add_argument("--steps", type=int, default=1000, help="steps in all (1000)")
    train.add_argument("--stop", type=int, help="end here, with a checkpoint, as if more were to come")
    train.add_argument("--batch", type=int, default=16, help="sequences that are computed together (16)")
    train.add_argument("--accumulate", type=int, default=1, help="such batches to a step (1)")
    train.add_argument("--lr", type=float, default=6e-4, help="highest learning rate (0.0006)")
    train.add_argument("--warmup", type=int, default=100, help="steps until the learning rate is there (100)")
    train.add_argument("--clip", type=float, default=1.0, help="largest norm of the gradients (1)")
    train.add_argument("--every", type=int, default=250, help="steps between checkpoints and looks at unseen tokens (250)")
    train.add_argument("--losses", help="where the loss of every step goes, one in a line")

    sample.add_argument("--prompt", default="\n", help="how to begin")
    sample.add_argument("--prompt-tokens", type=int, nargs="*", help="the same in tokens")
    sample.add_argument("--length", type=int, default=200, help="tokens to write (200)")
    sample.add_argument("--temperature", type=float, default=0.8, help="how daring; 0: always the likeliest token (0.8)")
    sample.add_argument("--top-k", type=int, default=50, help="how many of the likeliest tokens to draw from (50)")
    sample.add_argument("--no-cache", action="store_true", help="compute all keys and values anew for each token")
    return parser.parse_args()


# ---- The model ------------------------------------------------------------------------------------------------------


class Cache:
    """The keys and values of what was read so far, so that a new token costs a token and not the whole text."""

    def __init__(self, shape, batch, like):
        layers, width, heads, context, _ = shape
        size = (batch, heads, context, width // heads)
        self.length = 0
        self.keys = [taut.empty(*size, dtype=like.dtype, device=like.device) for _ in range(layers)]
        self.values = [taut.empty_like(keys) for keys in self.keys]

    def extended(self, layer, keys, values):
        """All keys and values of a layer, those of the next tokens among them."""
        end = self.length + keys.shape[2]
        self.keys[layer][:, :, self.length : end] = keys
        self.values[layer][:, :, self.length : end] = values
        return self.keys[layer][:, :, :end], self.values[layer][:, :, :end]


def add_norm(norm, branch, x):
    """The norm of x + branch, and the sum itself, in one pass."""
    return F.add_layer_norm(branch, x, norm.normalized_shape, norm.weight, norm.bias, norm.eps)


class Block(nn.Module):
    def __init__(self, layer, width, heads):
        super().__init__()
        self.layer, self.heads = layer, heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def attend(self, x, cache):
        batch, length, width = x.shape
        q, k, v = (
            part.view(batch, length, self.heads, width // self.heads).transpose(1, 2)
            for part in self.qkv(x).split(width, 2)
        )
        is_start = cache is None or cache.length == 0
        if cache is not None:
            k, v = cache.extended(self.layer, k, v)
        # A token that comes alone sees all that is there.
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=is_start and length > 1)
        return self.out(mixed.transpose(1, 2).reshape(batch, length, width))

    def forward(self, h, x, next_norm, cache=None):
        """The residual stream x, of which h is norm1, and its next norm."""
        h, x = add_norm(self.norm2, self.attend(h, cache), x)
        mlp = F.mlp(h, self.up.weight, self.down.weight, self.up.bias, self.down.bias, activation="gelu_tanh")
        return add_norm(next_norm, mlp, x)


class Gpt2(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.shape = layers, width, heads, context, vocabulary = tuple(shape)
        rows = (vocabulary + 63) // 64 * 64  # products like such sizes better
        self.token, self.position = nn.Embedding(rows, width), nn.Embedding(context, width)
        self.blocks = nn.ModuleList([Block(layer, width, heads) for layer in range(layers)])
        self.norm = nn.LayerNorm(width)
        for name, weight in self.named_parameters():
            if weight.dim() > 1:
                # What is added to the residual stream grows with the layers.
                into_stream = name.endswith(("out.weight", "down.weight"))
                nn.init.normal_(weight, 0.0, 0.02 / math.sqrt(2 * layers if into_stream else 1))
            elif name.endswith("bias"):
                nn.init.zeros_(weight)

    def forward(self, tokens, cache=None):
        """Tokens (batch, length) to logits (batch, length, rows of the vocabulary)."""
        start = 0 if cache is None else cache.length
        places = taut.arange(start, start + tokens.shape[1], device=tokens.device)
        x = self.token(tokens) + self.position(places)
        norms = [block.norm1 for block in self.blocks] + [self.norm]
        h = norms[0](x)
        for block, next_norm in zip(self.blocks, norms[1:]):
            h, x = block(h, x, next_norm, cache)
        if cache is not None:
            cache.length += tokens.shape[1]
        return F.linear(h, self.token.weight)

    def flops_per_token(self):
        """Of a training step; attention sees half of the context on average."""
        layers, width, _, context, _ = self.shape
        weights = sum(p.numel() for p in self.parameters()) - self.position.weight.numel()
        return 6 * weights + 6 * layers * width * context


# ---- Tokens ---------------------------------------------------------------------------------------------------------


class Tokenizer:
    """A byte-pair tokenizer of sentencepiece, which gives back every text as it was. Its model is a tensor of bytes."""

    def __init__(self, model):
        import sentencepiece

        self.model = model
        self.pieces = sentencepiece.SentencePieceProcessor(model_proto=bytes(model.tolist()))

    @classmethod
    def learned(cls, text, vocabulary):
        import sentencepiece

        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(text.splitlines()), model_writer=model, model_type="bpe", vocab_size=vocabulary,
            hard_vocab_limit=False, byte_fallback=True, character_coverage=1.0, normalization_rule_name="identity",
            remove_extra_whitespaces=False, add_dummy_prefix=False, bos_id=-1, eos_id=-1, user_defined_symbols=["\n"],
            max_sentence_length=2**20, minloglevel=2,
        )  # fmt: skip
        return cls(taut.tensor(list(model.getvalue()), dtype=taut.uint8))

    def __len__(self):
        return self.pieces.vocab_size()

    def encode(self, text):
        return [token for line in text.splitlines(keepends=True) for token in self.pieces.encode(line)]

    def decode(self, tokens):
        return self.pieces.decode(tokens)


def read_tokens(path, vocabulary, tokenizer):
    """The tokens of a file, and the tokenizer that they are of; None for a file of tokens."""
    path = Path(path)
    if path.suffix == ".bin":
        head = np.fromfile(path, np.int32, 1)
        has_header = len(head) == 1 and head[0] == LLMC_MAGIC
        return np.memmap(path, np.uint16, "r", LLMC_HEADER if has_header else 0), None
    text = path.read_text(encoding="utf-8")
    if tokenizer is None:
        tokenizer = Tokenizer.learned(text, vocabulary)
    return np.array(tokenizer.encode(text), np.uint16), tokenizer


class Batches:
    """Pieces of the tokens; which ones follows from the seed and the step, so that nothing need be kept to go on."""

    def __init__(self, tokens, context, vocabulary, seed, device):
        held_out = max(len(tokens) // 20, context + 1)
        if len(tokens) < 2 * held_out:
            raise taut.ValueError(f"{len(tokens)} tokens are too few for a context of {context}")
        self.parts = {"train": tokens[:-held_out], "unseen": tokens[-held_out:]}
        self.context, self.vocabulary, self.seed, self.device = context, vocabulary, seed, device

    def take(self, part, step, count):
        """Inputs and targets (count, context) of a step."""
        tokens = self.parts[part]
        generator = taut.Generator().manual_seed(1_000_003 * self.seed + step)
        firsts = taut.randint(0, len(tokens) - self.context, (count,), generator=generator)
        pieces = np.stack([tokens[first : first + self.context + 1] for first in firsts.tolist()])
        # The model has more rows than the vocabulary, so that it would take some of those.
        if pieces.max() >= self.vocabulary:
            raise taut.ValueError(f"the data has token {pieces.max()}; expected less than the vocabulary, {self.vocabulary}")
        pieces = taut.from_numpy(pieces.astype(np.int64))
        if self.device.type == "cuda":
            pieces = pieces.pin_memory().to(self.device, non_blocking=True)
        return pieces[:, :-1].contiguous(), pieces[:, 1:].contiguous()


# ---- Training -------------------------------------------------------------------------------------------------------


def learning_rate(step, options):
    """Up in a line, down to a tenth along half a cosine."""
    if step < options.warmup:
        return options.lr * (step + 1) / options.warmup
    share = (step - options.warmup) / max(1, options.steps - options.warmup)
    return options.lr * (0.55 + 0.45 * math.cos(math.pi * share))


def make_optimizer(model):
    """Matrices decay, biases and norms do not."""
    matrices = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() <= 1]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    return taut.optim.AdamW(groups, betas=(0.9, 0.95), master_weights=True)


def loss_of(model, inputs, targets):
    with taut.autocast(inputs.device.type, taut.bfloat16):  # 16-bit logits, a float32 loss
        return F.cross_entropy(in_given_dtype(model, inputs).flatten(0, 1), targets.flatten())


def in_given_dtype(model, inputs):
    with taut.autocast(inputs.device.type, taut.bfloat16, enabled=False):
        return model(inputs)


def train_step(model, optimizer, batches, step, options):
    """One step; its loss, still on the device."""
    total = None
    for part in range(options.accumulate):
        inputs, targets = batches.take("train", step * options.accumulate + part, options.batch)
        loss = loss_of(model, inputs, targets) / options.accumulate
        loss.backward()
        total = loss.detach() if total is None else total + loss.detach()
    nn.utils.clip_grad_norm_(model.parameters(), options.clip)
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(step, options)
    optimizer.step()
    optimizer.zero_grad()
    return total


@taut.no_grad()
def unseen_loss(model, batches, options):
    losses = [loss_of(model, *batches.take("unseen", i, options.batch)) for i in range(4)]
    return sum(loss.item() for loss in losses) / len(losses)


def use_of_peak(speed, model, device):
    """The share of the GPU's peak that `speed` tokens a second are, in words; nothing where the peak is not known."""
    if device.type != "cuda":
        return ""
    name = taut.cuda.get_device_name(device)
    peak = next((peak for part, peak in PEAKS.items() if part in name), None)
    return f"  {100 * speed * model.flops_per_token() / peak:4.1f} % of the peak" if peak else ""


class Bar:
    """The progress on one line; the losses are read now and then, since to read one waits for the device."""

    def __init__(self, first, options, model, device):
        self.first, self.options, self.model, self.device = first, options, model, device
        self.start, self.unread, self.losses = time.perf_counter(), [], []

    def add(self, step, loss):
        self.unread.append(loss)
        done = step + 1
        if done % 10 != 0 and done < self.options.stop:
            return
        self.losses += [loss.item() for loss in self.unread]
        self.unread = []
        tokens = (done - self.first) * self.options.accumulate * self.options.batch * self.model.shape[3]
        speed = tokens / (time.perf_counter() - self.start)
        bar = "#" * (24 * done // self.options.steps)
        print(
            f"\rstep {done:5d}/{self.options.steps} [{bar:.<24}] loss {self.losses[-1]:.4f}  {speed:8.0f} tokens/s"
            + use_of_peak(speed, self.model, self.device),
            end="", flush=True,
        )


def save(path, model, optimizer, step, tokenizer):
    """All that it takes to go on, as tensors by name; the other program reads it too."""
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    for place, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{place}.{name}": value for name, value in state.items() if name != "step"}
    if tokenizer is not None:
        tensors["tokenizer"] = tokenizer.model
    dtype = str(model.norm.weight.dtype).split(".")[-1]
    taut.save(tensors, path, {"step": str(step), "shape": " ".join(map(str, model.shape)), "dtype": dtype})


class Checkpoint:
    """What save() wrote."""

    def __init__(self, path):
        self.tensors, metadata = taut.load(path), taut.io.read_metadata(path)

        def word(name, pattern):
            if re.fullmatch(pattern, metadata.get(name, "")) is None:
                what = f"{name} is {metadata[name]}" if name in metadata else f"no {name}"
                raise taut.FormatError(f"{path} is no checkpoint of GPT-2: {what}")
            return metadata[name]

        self.step = int(word("step", "[0-9]{1,9}"))
        self.shape = [int(size) for size in word("shape", "[1-9][0-9]{0,8}( [1-9][0-9]{0,8}){4}").split()]
        self.dtype = getattr(taut, word("dtype", "float32|bfloat16"))
        self.tokenizer = Tokenizer(self.tensors["tokenizer"]) if "tokenizer" in self.tensors else None

    def part(self, prefix):
        return {name[len(prefix):]: tensor for name, tensor in self.tensors.items() if name.startswith(prefix)}

    def model(self, device):
        model = Gpt2(self.shape).to(device).to(self.dtype)
        model.load_state_dict(self.part("model."))
        return model

    def load_optimizer(self, optimizer):
        state = {}
        for name, tensor in self.part("optimizer.").items():
            place, key = name.split(".")
            state.setdefault(int(place), {"step": self.step})[key] = tensor
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def shape_of(options, vocabulary):
    layers, width, heads = SIZES[options.size]
    return options.layers or layers, options.width or width, options.heads or heads, options.context, vocabulary


def train(options, device):
    taut.manual_seed(options.seed)
    if options.losses:
        Path(options.losses).touch()  # before the work: whether it can be written
    options.stop = min(options.stop or options.steps, options.steps)
    first, tokenizer, checkpoint = 0, None, None
    if options.resume:
        checkpoint = Checkpoint(options.checkpoint)
        first, tokenizer, model = checkpoint.step, checkpoint.tokenizer, checkpoint.model(device)
    tokens, tokenizer = read_tokens(options.data, options.vocabulary, tokenizer)
    if checkpoint is None:
        vocabulary = options.vocabulary if tokenizer is None else len(tokenizer)
        dtype = options.dtype or ("bfloat16" if device.type == "cuda" else "float32")
        model = Gpt2(shape_of(options, vocabulary)).to(device).to(getattr(taut, dtype))
    optimizer = make_optimizer(model)
    if checkpoint is not None:
        checkpoint.load_optimizer(optimizer)
    batches = Batches(tokens, *model.shape[3:], options.seed, device)
    print(f"{len(tokens)} tokens; {sum(p.numel() for p in model.parameters())} weights in {model.norm.weight.dtype} on {device}")

    bar = Bar(first, options, model, device)
    for step in range(first, options.stop):
        bar.add(step, train_step(model, optimizer, batches, step, options))
        if (step + 1) % options.every == 0 or step + 1 == options.stop:
            print(f"  unseen {unseen_loss(model, batches, options):.4f}")
            save(options.checkpoint, model, optimizer, step + 1, tokenizer)
    print(f"model: {options.checkpoint}; go on with --resume, or let it write: gpt2.py --checkpoint {options.checkpoint} sample")
    if options.losses:
        Path(options.losses).write_text("".join(f"{loss:.17g}\n" for loss in bar.losses))


# ---- Writing --------------------------------------------------------------------------------------------------------


def draw(logits, options, generator):
    """The next token from the logits of one place."""
    if options.temperature == 0:
        return logits.argmax().item()
    best = logits.topk(min(options.top_k, len(logits)))
    shares = F.softmax(best.values / options.temperature, dim=-1)
    return best.indices[taut.multinomial(shares, 1, generator=generator)].item()


@taut.no_grad()
def sample(options, device):
    checkpoint = Checkpoint(options.checkpoint)
    model, tokenizer = checkpoint.model(device).eval(), checkpoint.tokenizer
    if options.prompt_tokens is None and tokenizer is None:
        raise taut.ValueError("the model was trained on tokens: begin with --prompt-tokens, as in --prompt-tokens 1 2 3")
    tokens = options.prompt_tokens if options.prompt_tokens is not None else tokenizer.encode(options.prompt)
    context, vocabulary = model.shape[3:]
    generator = taut.Generator().manual_seed(options.seed)
    cache = None
    for _ in range(options.length):
        if cache is None or cache.length == context:
            # Where the context is full, go on with the half of it that was written last.
            cache = Cache(model.shape, 1, model.norm.weight)
            unread = tokens[-(context // 2) :]
        logits = model(taut.tensor([unread], device=device), cache)
        if options.no_cache:
            logits = model(taut.tensor([tokens[-cache.length :]], device=device))
        tokens.append(draw(logits[0, -1, :vocabulary].float().cpu(), options, generator))
        unread = tokens[-1:]
    print(tokenizer.decode(tokens) if tokenizer else " ".join(map(str, tokens)))


def main():
    options = parse()
    device = taut.device(options.device)
    (train if options.command == "train" else sample)(options, device)


if __name__ == "__main__":
    try:
        main()
    except (taut.Error, OSError) as error:
        sys.exit(f"gpt2: {error}")
    except ImportError as error:
        sys.exit(f"gpt2: {error}; a tokenizer is needed for text: pip install sentencepiece")
