#!/usr/bin/env python3
"""ResNets in Taut and in PyTorch: images a second of training steps, and the time of inference on one image.

    PYTHONPATH=build/gpu/python python3 benchmarks/gpu/resnet.py [train] [inference] [--batch 256] [--compile] [--profile]

train: ResNet-50, channels_last, bfloat16 by autocast, SGD with momentum, images at random. inference: ResNet-18, one image,
float32 and bfloat16. The same model and step for both; Taut's has nn.BatchNormReLU2d where PyTorch's has norm, sum and relu.
"""

import argparse
import time

import taut
import torch
from taut import profiler

FLOPS_PER_IMAGE = 3 * 2 * 4.09e9  # multiplications and additions of ResNet-50, forward and backward


def make_resnet(library, blocks, widens):
    """He et al., Deep Residual Learning for Image Recognition, 2015; strides in the 3x3 convolution."""
    nn = library.nn

    class NormReLU(nn.Module):
        def __init__(self, channels):
            super().__init__()
            self.norm = nn.BatchNorm2d(channels) if library is torch else nn.BatchNormReLU2d(channels)

        def forward(self, x, residual=None):
            if library is not torch:
                return self.norm(x) if residual is None else self.norm(x, residual)
            x = self.norm(x)
            return nn.functional.relu(x if residual is None else x + residual, inplace=True)

    def conv(inputs, outputs, size, stride=1):
        return nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False)

    class Block(nn.Module):
        def __init__(self, inputs, width, stride):
            super().__init__()
            outputs = width * (4 if widens else 1)
            if widens:
                self.convs = nn.ModuleList([conv(inputs, width, 1), conv(width, width, 3, stride), conv(width, outputs, 1)])
                self.norms = nn.ModuleList([NormReLU(width), NormReLU(width), NormReLU(outputs)])
            else:
                self.convs = nn.ModuleList([conv(inputs, width, 3, stride), conv(width, width, 3)])
                self.norms = nn.ModuleList([NormReLU(width), NormReLU(width)])
            self.shortcut = None
            if stride != 1 or inputs != outputs:
                self.shortcut = nn.Sequential(conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))

        def forward(self, x):
            residual = x if self.shortcut is None else self.shortcut(x)
            for layer in range(len(self.convs) - 1):
                x = self.norms[layer](self.convs[layer](x))
            return self.norms[-1](self.convs[-1](x), residual)

    class ResNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.norm, self.pool = conv(3, 64, 7, 2), NormReLU(64), nn.MaxPool2d(3, 2, 1)
            layers, inputs = [], 64
            for stage, count in enumerate(blocks):
                for number in range(count):
                    width = 64 * 2**stage
                    layers.append(Block(inputs, width, 2 if stage > 0 and number == 0 else 1))
                    inputs = width * (4 if widens else 1)
            self.blocks = nn.Sequential(*layers)
            self.average, self.head = nn.AdaptiveAvgPool2d(1), nn.Linear(inputs, 1000)

        def forward(self, x):
            x = self.blocks(self.pool(self.norm(self.stem(x))))
            return self.head(self.average(x).flatten(1))

    library.manual_seed(1)
    return ResNet().to("cuda")


def channels_last(library, thing):
    return thing.to(memory_format=library.channels_last)


def make_step(library, batch, compiled=False):
    F = library.nn.functional
    model = channels_last(library, make_resnet(library, (3, 4, 6, 3), True))
    run = torch.compile(model) if compiled else model
    optimizer = library.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    x = channels_last(library, library.randn(batch, 3, 224, 224, device="cuda"))
    y = library.randint(0, 1000, (batch,), device="cuda")

    def step():
        with library.autocast("cuda", library.bfloat16):
            loss = F.cross_entropy(run(x), y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss

    return step


def train(library, options, compiled=False):
    library.cuda.empty_cache()
    library.cuda.reset_peak_memory_stats()
    start = time.perf_counter()
    step = make_step(library, options.batch, compiled)
    losses = [step().item()]
    first = time.perf_counter() - start
    for _ in range(5):
        step()
    seconds, queued = [], []
    for _ in range(options.turns):
        library.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(10):
            loss = step()
        queued.append((time.perf_counter() - start) / 10)
        losses.append(loss.item())
        seconds.append((time.perf_counter() - start) / 10)
    best = min(seconds)
    print(
        f"{library.__name__}{' compiled' if compiled else ''} ResNet-50, batch {options.batch}: {options.batch / best:,.0f} images/s, "
        f"{1e3 * best:.2f} ms a step (host {1e3 * min(queued):.2f}), {library.cuda.max_memory_allocated() / 2**30:.2f} GiB, "
        f"{options.batch / best * FLOPS_PER_IMAGE / 1e12:.0f} TFLOP/s, first step {first:.2f} s; losses "
        + " ".join(f"{each:.3f}" for each in losses),
        flush=True,
    )


def infer(library, dtype, options, precision="highest"):
    """precision: how products of float32 are made; "high" rounds their factors to tf32, as PyTorch's convolutions do by default."""
    library.set_float32_matmul_precision(precision)
    torch.backends.cudnn.allow_tf32 = precision == "high"
    model = make_resnet(library, (2, 2, 2, 2), False)
    model.eval()
    dtype = getattr(library, dtype)
    model = channels_last(library, model.to(dtype))
    x = channels_last(library, library.randn(1, 3, 224, 224, device="cuda").to(dtype))
    times = []
    with library.inference_mode():
        for _ in range(20):
            model(x)
        for _ in range(options.turns):
            library.cuda.synchronize()
            start = time.perf_counter()
            for _ in range(50):
                model(x)
            library.cuda.synchronize()
            times.append((time.perf_counter() - start) / 50)
    print(f"{library.__name__} ResNet-18, one image, {dtype}{' by tf32' if precision == 'high' else ''}: {1e6 * min(times):.0f} us", flush=True)


def profile(options):
    """Where the time of a step of Taut goes."""
    step = make_step(taut, options.batch)
    for _ in range(10):
        step()
    taut.cuda.synchronize()
    with profiler.profile() as prof:
        step()
        taut.cuda.synchronize()
    print(prof.key_averages().table(sort_by="self_cuda_time_total", row_limit=30))
    print(prof.key_averages(group_by="kernel").table(sort_by="cuda_time_total", row_limit=40, max_name_column_width=100))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", nargs="*", default=["train", "inference"], help="train, inference")
    parser.add_argument("--batch", type=int, default=256, help="images in a batch (256)")
    parser.add_argument("--turns", type=int, default=4, help="how often to time (4)")
    parser.add_argument("--compile", action="store_true", help="PyTorch by torch.compile too")
    parser.add_argument("--profile", action="store_true", help="tell where Taut's time goes and leave PyTorch out")
    options = parser.parse_args()
    print(f"{taut.cuda.get_device_name()}, PyTorch {torch.__version__}")
    if options.profile:
        profile(options)
        return
    torch.backends.cudnn.benchmark = True
    if "train" in options.what:
        for library in taut, torch:
            train(library, options)
        if options.compile:
            train(torch, options, compiled=True)
    if "inference" in options.what:
        for dtype, precision in ("float32", "highest"), ("float32", "high"), ("bfloat16", "highest"):
            for library in taut, torch:
                infer(library, dtype, options, precision)


if __name__ == "__main__":
    main()
