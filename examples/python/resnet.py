"""Trains a residual network to tell pictures apart, and tells what is on pictures.

    resnet.py train --data FOLDER                  # FOLDER/train/CLASS/*.jpg and FOLDER/val/CLASS/*.jpg (pip install pillow)
    resnet.py train --data FOLDER --depth 50       # the deeper network
    resnet.py train --data FASHION_MNIST           # a folder with the IDX files of MNIST or Fashion-MNIST
    resnet.py train --data FOLDER --resume         # goes on behind the last whole epoch
    resnet.py classify picture.jpg ...             # the likeliest classes

The networks are ResNet-18 and ResNet-50 of He et al., "Deep Residual Learning for Image Recognition" (2015), with the stride in
the 3 x 3 convolution and torchvision's names of parameters, so that weights can be exchanged. Pictures up to 64 pixels wide get
a 3 x 3 convolution at the start and no pooling there. On a GPU images have their channels last and products are bfloat16.
examples/cpp/resnet.cpp is the same program in C++ (for pictures in JPEG and PNG), its losses are the same, and each goes on
from the other's checkpoint.
"""

import argparse
import math
import re
import sys
import time
from pathlib import Path

import numpy as np

import taut
import taut.nn.functional as F
from taut import nn
from taut.utils.data import DataLoader, Dataset, batch_generator

DEPTHS = {18: ((2, 2, 2, 2), 1), 50: ((3, 4, 6, 3), 4)}  # blocks of the four stages; how much a block widens what it computes
PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm")
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's red, green and blue, in 0..1


def parse(words):
    parser = argparse.ArgumentParser("resnet.py", description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train", help="trains and writes checkpoints")
    train.add_argument("--data", required=True, type=Path, help="folder of pictures by class, or of IDX files")
    train.add_argument("--depth", type=int, choices=DEPTHS, default=18, help="layers of the network (18)")
    train.add_argument("--size", type=int, help="pixels along each side that the network sees (224; those of IDX files)")
    train.add_argument("--epochs", type=int, help="how often to go through the training set (90; 15 for IDX files)")
    train.add_argument("--batch", type=int, default=256, help="pictures in a batch (256)")
    train.add_argument("--lr", type=float, help="highest learning rate (0.1 for each 256 pictures of a batch)")
    train.add_argument("--weight-decay", type=float, default=5e-4, help="of weights, not of norms and biases (0.0005)")
    train.add_argument("--workers", type=int, default=8, help="threads that read pictures (8)")
    train.add_argument("--resume", action="store_true", help="go on from the checkpoint")
    train.add_argument("--stop", type=int, help="end behind this epoch, as if more were to come")
    train.add_argument("--seed", type=int, default=1, help="seed of weights, order and augmentation (1)")
    train.add_argument("--losses", help="where the loss of every batch goes, one in a line")
    classify = commands.add_parser("classify", help="tells what is on pictures")
    classify.add_argument("pictures", nargs="+", type=Path)
    classify.add_argument("--top", type=int, default=5, help="how many classes to tell (5)")
    for command in (train, classify):
        command.add_argument("--checkpoint", default="resnet.safetensors", help="where the model is kept (resnet.safetensors)")
        command.add_argument("--device", default="cuda" if taut.cuda.is_available() else "cpu", help="cpu, cuda, cuda:1")
        command.add_argument("--precision", choices=("bfloat16", "float32"), help="of products (bfloat16 on GPUs)")
    return parser.parse_args(words)


# ---- The network ---------------------------------------------------------------------------------


def convolution(inputs, outputs, size, stride=1):
    return nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=False)


class Block(nn.Module):
    """Two 3 x 3 convolutions, or in a bottleneck one between two of 1 x 1, around which the input goes."""

    def __init__(self, inputs, width, stride, widening):
        super().__init__()
        outputs = width * widening
        sizes = [(inputs, width, 3, stride), (width, width, 3, 1)]
        if widening > 1:
            sizes = [(inputs, width, 1, 1), (width, width, 3, stride), (width, outputs, 1, 1)]
        self.layers = []
        for number, size in enumerate(sizes, 1):
            conv, norm = convolution(*size), nn.BatchNormReLU2d(size[1])
            setattr(self, f"conv{number}", conv)
            setattr(self, f"bn{number}", norm)
            self.layers.append((conv, norm))
        # A block starts as the identity: Goyal et al., "Accurate, Large Minibatch SGD" (2017).
        nn.init.zeros_(norm.weight)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(convolution(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))

    def forward(self, x):
        residual = x if self.downsample is None else self.downsample(x)
        *first, (last, last_norm) = self.layers
        for conv, norm in first:
            x = norm(conv(x))
        return last_norm(last(x), residual)


class ResNet(nn.Module):
    def __init__(self, depth, channels, classes, size):
        super().__init__()
        blocks, widening = DEPTHS[depth]
        is_small = size <= 64
        self.conv1 = convolution(channels, 64, 3) if is_small else convolution(channels, 64, 7, 2)
        self.bn1 = nn.BatchNormReLU2d(64)
        self.maxpool = nn.Identity() if is_small else nn.MaxPool2d(3, 2, 1)
        inputs = 64
        for stage, count in enumerate(blocks):
            width, stride = 64 * 2**stage, 1 if stage == 0 else 2
            layer = [Block(inputs, width, stride, widening)]
            inputs = width * widening
            layer += [Block(inputs, width, 1, widening) for _ in range(count - 1)]
            setattr(self, f"layer{stage + 1}", nn.Sequential(*layer))
        self.avgpool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(inputs, classes)
        for weight in self.parameters():
            if weight.dim() == 4:
                nn.init.kaiming_normal_(weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x):
        x = self.maxpool(self.bn1(self.conv1(x)))
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = layer(x)
        return self.fc(self.avgpool(x).flatten(1))


# ---- Pictures ------------------------------------------------------------------------------------


def pillow():
    try:
        from PIL import Image
    except ImportError:
        raise taut.ValueError("pictures need Pillow: pip install pillow") from None
    return Image


def opened(path):
    Image = pillow()
    with open(path, "rb") as file:
        try:
            picture = Image.open(file)
            if picture.mode.startswith("I"):  # 16 bits of gray, of which Pillow itself would keep the lower ones
                picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
            return picture.convert("RGB")
        except Image.UnidentifiedImageError:
            raise taut.FormatError(f"{path}: cannot identify image file") from None
        except Exception as error:  # what Pillow raises for a broken file depends on the format and the place
            raise taut.FormatError(f"{path}: {error}") from None


def cut(picture, left, top, width, height, size):
    """A part of a picture as (channels, size, size) of bytes."""
    part, filter = picture.crop((left, top, left + width, top + height)), pillow().BILINEAR
    # First across, then down: in one go it would be up to Pillow, and so would the rounding.
    part = part.resize((size, height), filter).resize((size, size), filter)
    return np.ascontiguousarray(np.asarray(part, np.uint8).transpose(2, 0, 1))


def middle(picture, size):
    """The square in the middle of a picture, 7/8 as wide as its shorter side."""
    width, height = picture.size
    side = max(1, round(min(width, height) * 7 / 8))
    return cut(picture, (width - side) // 2, (height - side) // 2, side, side, size)


def piece(picture, size, draw):
    """A piece of 8 to 100 % of a picture, up to a third longer than wide or wider than long, perhaps mirrored: Szegedy et al.,
    "Going Deeper with Convolutions" (2014). `draw` gives numbers in 0..1."""
    width, height = picture.size
    area = width * height * (0.08 + 0.92 * next(draw))
    ratio = math.exp((2 * next(draw) - 1) * math.log(4 / 3))
    across = min(width, max(1, round(math.sqrt(area * ratio))))
    down = min(height, max(1, round(math.sqrt(area / ratio))))
    left, top = int(next(draw) * (width - across + 1)), int(next(draw) * (height - down + 1))
    result = cut(picture, left, top, across, down, size)
    return np.ascontiguousarray(result[:, :, ::-1]) if next(draw) < 0.5 else result


class Folder(Dataset):
    """The pictures of a folder that has a folder for each class."""

    channels = 3

    def __init__(self, folder, size, is_training):
        if not folder.is_dir():
            raise taut.ValueError(f"{folder} is no folder; expected pictures in {folder}/CLASS/")
        self.classes = sorted(part.name for part in folder.iterdir() if part.is_dir())
        self.size, self.is_training = size, is_training
        if not self.classes:
            raise taut.ValueError(f"{folder} has no folders; expected pictures in {folder}/CLASS/")
        self.pictures = []
        for label, name in enumerate(self.classes):
            paths = [path for path in sorted((folder / name).rglob("*")) if path.suffix.lower() in PICTURES]
            if not paths:
                raise taut.ValueError(f"{folder / name} has no pictures; expected files *{', *'.join(PICTURES)}")
            self.pictures += [(path, label) for path in paths]

    def __len__(self):
        return len(self.pictures)

    def __getitems__(self, indices):
        pictures = []
        draws = taut.rand(len(indices), 5, generator=batch_generator()).tolist()
        for index, draw in zip(indices, draws):
            picture = opened(self.pictures[index][0])
            pictures.append(piece(picture, self.size, iter(draw)) if self.is_training else middle(picture, self.size))
        return taut.from_numpy(np.stack(pictures)), taut.tensor([self.pictures[index][1] for index in indices])


def holds_idx_files(folder):
    return any(folder.glob("train-images-idx3-ubyte*"))


class IdxFiles(Dataset):
    """MNIST or Fashion-MNIST; in training each picture is moved by up to 2 pixels and perhaps mirrored."""

    channels = 1

    def __init__(self, folder, size, is_training):
        def read(stem):
            path = folder / stem
            return taut.io.load_idx(str(path if path.exists() else folder / f"{stem}.gz")).numpy()

        stem = "train" if is_training else "t10k"
        self.pictures, self.labels = read(f"{stem}-images-idx3-ubyte"), read(f"{stem}-labels-idx1-ubyte")
        for name, array, dims in (("pictures", self.pictures, 3), ("labels", self.labels, 1)):
            if array.dtype != np.uint8 or array.ndim != dims or array.size == 0:
                raise taut.ValueError(f"{folder}: the {stem} {name} are {array.shape} of {array.dtype}; expected {dims} dims of uint8")
        if len(self.pictures) != len(self.labels):
            raise taut.ValueError(f"{folder}: there are {len(self.pictures)} {stem} pictures and {len(self.labels)} labels")
        self.size = size or self.pictures.shape[1]
        if self.pictures.shape[1:] != (self.size, self.size):
            raise taut.ValueError(f"{folder}: the {stem} pictures are {self.pictures.shape[1:]}; expected {(self.size, self.size)}")
        self.classes = [str(label) for label in range(int(self.labels.max()) + 1)]
        self.is_training = is_training

    def __len__(self):
        return len(self.labels)

    def __getitems__(self, indices):
        pictures = self.pictures[indices]
        if self.is_training:
            framed = np.pad(pictures, ((0, 0), (2, 2), (2, 2)))
            moves = taut.randint(0, 5, (len(indices), 3), generator=batch_generator()).tolist()
            for i, (down, right, turn) in enumerate(moves):
                window = framed[i, down : down + pictures.shape[1], right : right + pictures.shape[2]]
                pictures[i] = window[:, ::-1] if turn < 2 else window
        return taut.from_numpy(pictures[:, None]), taut.from_numpy(self.labels[indices].astype(np.int64))


def datasets(options):
    """What to train on, what to test on."""
    if holds_idx_files(options.data):
        train = IdxFiles(options.data, options.size, True)
        test = IdxFiles(options.data, train.size, False)
        if len(test.classes) > len(train.classes):
            raise taut.ValueError(f"{options.data}: there are {len(test.classes)} classes to test on, {len(train.classes)} to learn")
        return train, test
    size = options.size or 224
    train, test = Folder(options.data / "train", size, True), Folder(options.data / "val", size, False)
    if test.classes != train.classes:
        raise taut.ValueError(f"{options.data}: train has the classes {train.classes}, val has {test.classes}")
    return train, test


class Inputs:
    """From bytes to what the network sees, on its device."""

    def __init__(self, channels, device):
        self.device = device
        # One channel: no colours to tell apart.
        mean, std = (MEAN, STD) if channels == 3 else ((0.5,), (0.5,))
        self.mean, self.std = (taut.tensor(values, device=device).view(1, -1, 1, 1) for values in (mean, std))

    def moved(self, tensor):
        return tensor if self.device.type == "cpu" else tensor.pin_memory().to(self.device, non_blocking=True)

    def __call__(self, pictures):
        x = (self.moved(pictures).to(taut.float32) / 255 - self.mean) / self.std
        return x.contiguous(memory_format=taut.channels_last) if self.device.type == "cuda" else x


# ---- Training ------------------------------------------------------------------------------------


def make_optimizer(model, options):
    """Norms and biases do not decay."""
    groups = [
        {"params": [p for p in model.parameters() if p.dim() > 1], "weight_decay": options.weight_decay},
        {"params": [p for p in model.parameters() if p.dim() == 1], "weight_decay": 0.0},
    ]
    return taut.optim.SGD(groups, lr=options.lr, momentum=0.9, nesterov=True)


def learning_rate(step, steps, warmup, highest):
    """Up in a line, down along half a cosine."""
    if step < warmup:
        return highest * (step + 1) / warmup
    share = (step - warmup) / max(1, steps - warmup)
    return highest * (0.5 + 0.5 * math.cos(math.pi * share))


class Progress:
    """The bar of an epoch. Losses are read now and then, since to read one waits for the device."""

    def __init__(self, epoch, epochs, batches, log):
        self.head, self.batches, self.log = f"epoch {epoch + 1:3d}/{epochs}", batches, log
        self.start, self.unread, self.pictures, self.last = time.perf_counter(), [], 0, float("nan")

    def add(self, loss, pictures):
        self.unread.append(loss.detach())
        self.pictures += pictures
        done = len(self.log) + len(self.unread)
        if len(self.unread) < 10 and done % self.batches != 0:
            return
        self.log += [loss.item() for loss in self.unread]
        self.unread = []
        bar = "#" * (24 * ((done - 1) % self.batches + 1) // self.batches)
        speed = self.pictures / (time.perf_counter() - self.start)
        print(f"\r{self.head} [{bar:.<24}] loss {self.log[-1]:.4f}  {speed:6.0f} pictures/s", end="", flush=True)


def precision_of(options, device):
    precision = options.precision or ("bfloat16" if device.type == "cuda" else "float32")
    return taut.autocast(device.type, taut.bfloat16, enabled=precision == "bfloat16")


@taut.inference_mode()
def accuracy(model, loader, inputs, precision):
    model.eval()
    right = []
    for pictures, labels in loader:
        with precision:
            right.append(model(inputs(pictures)).argmax(1).eq(inputs.moved(labels)).sum())
    model.train()
    return sum(each.item() for each in right) / len(loader.dataset)


def save(path, model, optimizer, epoch, options, data):
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    for place, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{place}.{name}": value for name, value in state.items()}
    metadata = {"epoch": epoch, "depth": options.depth, "size": data.size, "channels": data.channels}
    taut.save(tensors, path, {name: str(value) for name, value in metadata.items()} | {"classes": "\n".join(data.classes)})


class Checkpoint:
    """What save() wrote."""

    def __init__(self, path):
        self.path, self.tensors, metadata = path, taut.load(path), taut.io.read_metadata(path)

        def word(name):
            if name not in metadata:
                raise taut.FormatError(f"{path} is no checkpoint of a ResNet: no {name}")
            return metadata[name]

        def number(name):
            if re.fullmatch("[0-9]{1,9}", word(name)) is None:
                raise taut.FormatError(f"{path} is no checkpoint of a ResNet: {name}: got '{word(name)}'; expected a number")
            return int(word(name))

        self.epoch, self.depth, self.size, self.channels = (number(name) for name in ("epoch", "depth", "size", "channels"))
        self.classes = word("classes").split("\n")
        if self.depth not in DEPTHS or self.size < 1 or self.channels not in (1, 3):
            shape = f"depth {self.depth}, {self.size} pixels and {self.channels} channels"
            raise taut.FormatError(f"{path} is no checkpoint of a ResNet: {shape}")

    def part(self, prefix):
        return {name[len(prefix):]: tensor for name, tensor in self.tensors.items() if name.startswith(prefix)}

    def check_fits(self, options, data):
        """That training can go on with these pictures."""
        if (self.depth, self.size, self.channels, self.classes) == (options.depth, data.size, data.channels, data.classes):
            return
        has_other_names = len(self.classes) == len(data.classes) and self.classes != data.classes
        raise taut.ValueError(
            f"{self.path} is of depth {self.depth}, {self.size} pixels, {self.channels} channels and {len(self.classes)} classes; "
            f"asked for depth {options.depth}, {data.size} pixels, {data.channels} channels and {len(data.classes)} classes"
            + (", which have other names" if has_other_names else "")
        )

    def model(self):
        model = ResNet(self.depth, self.channels, len(self.classes), self.size)
        model.load_state_dict(self.part("model."))
        return model

    def load_optimizer(self, optimizer):
        state = optimizer.state_dict()
        for name, tensor in self.part("optimizer.").items():
            place, dot, key = name.partition(".")
            if re.fullmatch("[0-9]{1,9}", place) is None or not dot:
                wrong = f"a tensor is named 'optimizer.{name}'; expected 'optimizer.PLACE.NAME'"
                raise taut.FormatError(f"{self.path} is no checkpoint of a ResNet: {wrong}")
            state["state"].setdefault(int(place), {})[key] = tensor
        optimizer.load_state_dict(state)


def on_device(model, device):
    return model.to(device, memory_format=taut.channels_last) if device.type == "cuda" else model.to(device)


def train(options):
    device = taut.device(options.device)
    taut.manual_seed(options.seed)
    if options.losses:
        Path(options.losses).touch()  # before the work: whether it can be written
    options.epochs = options.epochs or (15 if holds_idx_files(options.data) else 90)
    options.stop = min(options.stop or options.epochs, options.epochs)
    options.lr = options.lr or 0.1 * options.batch / 256
    if (options.size or 0) < 0:
        raise taut.ValueError(f"--size is {options.size}; expected a positive number of pixels")
    data, test = datasets(options)
    print(f"{len(data)} pictures of {len(data.classes)} classes to learn from, {len(test)} to test on")

    kept = Checkpoint(options.checkpoint) if options.resume else None
    if kept is not None:
        kept.check_fits(options, data)
    model = ResNet(options.depth, data.channels, len(data.classes), data.size) if kept is None else kept.model()
    model = on_device(model, device)
    print(f"ResNet-{options.depth}, {sum(p.numel() for p in model.parameters()):,} weights, on {device}")
    optimizer = make_optimizer(model, options)
    if kept is not None:
        kept.load_optimizer(optimizer)
    inputs, precision = Inputs(data.channels, device), precision_of(options, device)
    test_loader = DataLoader(test, options.batch, num_workers=options.workers, collate_fn=lambda batch: batch)

    log, first = [], 0 if kept is None else kept.epoch
    for epoch in range(first, options.stop):
        # The order and the pieces of an epoch follow from the seed and its number, so that nothing need be kept to go on.
        generator = taut.Generator().manual_seed(1_000_003 * options.seed + epoch)
        loader = DataLoader(
            data, options.batch, shuffle=True, num_workers=options.workers, drop_last=len(data) > options.batch,
            generator=generator, collate_fn=lambda batch: batch,
        )
        progress = Progress(epoch, options.epochs, len(loader), log)
        for number, (pictures, labels) in enumerate(loader):
            steps = options.epochs * len(loader)
            rate = learning_rate(epoch * len(loader) + number, steps, min(5 * len(loader), steps // 10), options.lr)
            for group in optimizer.param_groups:
                group["lr"] = rate
            with precision:
                loss = F.cross_entropy(model(inputs(pictures)), inputs.moved(labels), label_smoothing=0.1)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            progress.add(loss, len(labels))
        print(f"  test {100 * accuracy(model, test_loader, inputs, precision):5.2f} %", flush=True)
        save(options.checkpoint, model, optimizer, epoch + 1, options, data)
        if options.losses:
            Path(options.losses).write_text("".join(f"{loss:.17g}\n" for loss in log))
    print(f"model: {options.checkpoint}; what is on a picture: resnet.py classify picture.jpg")


def classify(options):
    device = taut.device(options.device)
    kept = Checkpoint(options.checkpoint)
    model = on_device(kept.model(), device)
    model.eval()
    inputs, precision = Inputs(kept.channels, device), precision_of(options, device)
    for path in options.pictures:
        pixels = middle(opened(path), kept.size)
        if kept.channels == 1:
            pixels = pixels.mean(0, keepdims=True).astype(np.uint8)
        with taut.inference_mode(), precision:
            logits = model(inputs(taut.from_numpy(pixels[None])))
        shares, classes = logits.to(taut.float32).softmax(1)[0].topk(min(options.top, len(kept.classes)))
        told = ", ".join(f"{kept.classes[index]} {100 * share:.1f} %" for share, index in zip(shares.tolist(), classes.tolist()))
        print(f"{path}: {told}")


def main(words=None):
    options = parse(words)
    try:
        (train if options.command == "train" else classify)(options)
    except (taut.Error, OSError) as error:
        sys.exit(f"resnet: {error}")


if __name__ == "__main__":
    main()
