"""Trains a small convolutional network to read handwritten digits, or to tell clothes apart.

    digits.py                                  # 1,797 digits of 8 x 8 pixels, in seconds
    digits.py --idx FOLDER                     # 70,000 pictures of 28 x 28 pixels, in minutes
    digits.py --device cuda --amp              # on a GPU, products in bfloat16

examples/cpp/digits.cpp is the same program in C++, and its losses are the same.
"""

import argparse
import os
import sys
import time
from pathlib import Path

import taut
import taut.nn.functional as F
from taut import nn
from taut.utils.data import DataLoader, TensorDataset, batch_generator, stratified_split

DIGITS = Path(__file__).resolve().parents[1] / "data" / "optdigits.csv.gz"


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", default=DIGITS, help="CSV file (may be gzipped) of pixels and a label in each line")
    parser.add_argument("--idx", help="folder with the IDX files of MNIST or Fashion-MNIST, to train on instead")
    parser.add_argument("--epochs", type=int, help="how often to go through the training set (30; 12 for IDX files)")
    parser.add_argument("--batch", type=int, help="pictures in a batch (32; 128 for IDX files)")
    parser.add_argument("--lr", type=float, help="the highest learning rate of the one-cycle schedule (0.004; 0.002 for IDX files)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the split, the weights, the order and the augmentation (1)")
    parser.add_argument("--workers", type=int, default=1, help="threads that prepare batches (1)")
    parser.add_argument("--threads", type=int, default=0, help="threads that compute (all cores)")
    parser.add_argument("--device", default="cpu", help="where to compute: cpu, cuda, cuda:1 (cpu)")
    parser.add_argument("--amp", action="store_true", help="products and convolutions in bfloat16")
    parser.add_argument("--save", default="digits.safetensors", help="where the trained weights go (digits.safetensors)")
    parser.add_argument("--picture", default="digits.png", help="where curves and worst mistakes are drawn (digits.png)")
    parser.add_argument("--losses", help="where the loss of every batch goes, one in a line")
    options = parser.parse_args()
    options.epochs = options.epochs or (12 if options.idx else 30)
    options.batch = options.batch or (128 if options.idx else 32)
    options.lr = options.lr or (2e-3 if options.idx else 4e-3)
    return options


def load_data(options, generator):
    """(pictures, labels) to learn from and to test on: pictures (n, 1, height, width) in 0..1, labels (n)."""
    if options.idx:

        def read(stem):
            path = os.path.join(options.idx, stem)
            return taut.io.load_idx(path if os.path.exists(path) else path + ".gz")

        def split(stem):
            pictures = read(stem + "-images-idx3-ubyte").unsqueeze(1).to(taut.float32) / 255
            return pictures, read(stem + "-labels-idx1-ubyte").to(taut.int64)

        return split("train"), split("t10k")
    table = taut.io.load_csv(options.data)
    pictures = (table[:, :64] / 16).to(taut.float32).reshape(-1, 1, 8, 8)
    labels = table[:, 64].to(taut.int64)
    train, test = stratified_split(labels, 0.2, generator)
    return (pictures[train], labels[train]), (pictures[test], labels[test])


class Augmented(TensorDataset):
    """The training set, of which every batch is moved by up to a tenth of its width and strewn with a little noise."""

    def __init__(self, pictures, labels):
        super().__init__(pictures, labels)
        self.reach = max(pictures.shape[3] // 12, 1)

    def __getitems__(self, indices):
        generator, reach = batch_generator(), self.reach
        pictures, labels = (tensor[indices] for tensor in self.tensors)
        count, _, height, width = pictures.shape
        # A picture in a frame of zeros, from which a window is cut for each sample.
        framed = taut.zeros(count, 1, height + 2 * reach, width + 2 * reach)
        framed[:, :, reach : reach + height, reach : reach + width] = pictures
        shifts = taut.randint(0, 2 * reach + 1, (count, 2), generator=generator)
        moved = taut.empty_like(pictures)
        for i, (down, right) in enumerate(shifts.tolist()):
            moved[i] = framed[i, :, down : down + height, right : right + width]
        return moved + taut.randn(moved.shape, generator=generator) * 0.03, labels


class Net(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(True), nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU(True), nn.MaxPool2d(2), nn.Flatten(),
        )
        self.classifier = nn.Sequential(
            nn.Linear(64 * (size // 4) * (size // 4), 128), nn.ReLU(True), nn.Dropout(0.3), nn.Linear(128, 10)
        )

    def forward(self, x):
        return self.classifier(self.features(x))


def moved(tensor, device):
    """A tensor on the device; the host need not wait until it is there."""
    return tensor if device.type == "cpu" else tensor.pin_memory().to(device, non_blocking=True)


@taut.no_grad()
def predict(model, pictures, device):
    """Logits of all pictures, in eval mode."""
    model.eval()
    logits = taut.cat([model(moved(part, device)) for part in pictures.split(500)])
    model.train()
    return logits.cpu()


def accuracy(logits, labels):
    return logits.argmax(1).eq(labels).to(taut.float32).mean().item()


def print_confusion(logits, labels):
    counts = [[0] * 10 for _ in range(10)]
    for label, predicted in zip(labels.tolist(), logits.argmax(1).tolist()):
        counts[label][predicted] += 1
    print("\nrows: what it is; columns: what was read")
    print("     " + "".join(f"{column:6d}" for column in range(10)))
    for row, numbers in enumerate(counts):
        print(f"{row:4d} " + "".join(f"{number:6d}" if number else "     ." for number in numbers))


def draw(path, losses, accuracies, logits, pictures, labels):
    """Loss and accuracy over the epochs, and the test pictures that were read wrong with the most confidence."""
    try:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot
    except ImportError:
        print("no picture: matplotlib is missing (pip install matplotlib)")
        return
    worst = F.cross_entropy(logits, labels, reduction="none").sort(descending=True).indices[:20].tolist()
    predicted = logits.argmax(1)
    figure = pyplot.figure(figsize=(10, 7), layout="constrained")
    parts = figure.add_gridspec(3, 10, height_ratios=[3, 1, 1])
    curves = figure.add_subplot(parts[0, :])
    curves.plot(losses, ".-", color="tab:red", label="training loss")
    curves.set_xlabel("epoch")
    right = curves.twinx()
    right.plot(accuracies, ".-", color="tab:blue", label="test accuracy")
    figure.legend(loc="outside upper center", ncols=2)
    for k, index in enumerate(worst):
        cell = figure.add_subplot(parts[1 + k // 10, k % 10])
        cell.imshow(pictures[index, 0].numpy(), cmap="gray_r", vmin=0, vmax=1)
        cell.set_title(f"{labels[index].item()} read as {predicted[index].item()}", fontsize=6)
        cell.axis("off")
    figure.savefig(path)
    print(f"curves and worst mistakes: {path}")


def print_bar(epoch, epochs, batches, all_batches, loss, train_accuracy, speed):
    bar = "#" * (24 * batches // all_batches)
    print(
        f"\repoch {epoch + 1:2d}/{epochs} [{bar:.<24}] loss {loss:.4f}  accuracy {100 * train_accuracy:5.2f} %  {speed:6.0f} samples/s",
        end="", flush=True,
    )


class Tally:
    """What batches came to, on their device until somebody asks: to read it waits for all work there."""

    def __init__(self):
        self.unread, self.loss_sum, self.right_sum = [], 0.0, 0

    def add(self, loss, right):
        self.unread.append((loss.detach(), right))

    def read(self, every_loss):
        """Takes over what was added since, and appends each loss to a list."""
        for loss, right in self.unread:
            every_loss.append(loss.item())
            self.loss_sum += every_loss[-1]
            self.right_sum += right.item()
        self.unread = []


def run(options):
    if options.threads > 0:
        taut.set_num_threads(options.threads)
    device = taut.device(options.device)
    taut.manual_seed(options.seed)
    if options.losses:
        Path(options.losses).touch()  # before the work: whether it can be written
    train, test = load_data(options, taut.Generator().manual_seed(options.seed))
    print(f"{len(train[1])} pictures to learn from, {len(test[1])} to test on")

    model = Net(train[0].shape[3]).to(device)
    print(model)
    loader = DataLoader(
        Augmented(*train), batch_size=options.batch, shuffle=True, num_workers=options.workers, drop_last=True,
        generator=taut.Generator().manual_seed(options.seed), collate_fn=lambda batch: batch,
    )
    optimizer = taut.optim.AdamW(model.parameters(), lr=options.lr, weight_decay=0.01)
    schedule = taut.optim.lr_scheduler.OneCycleLR(optimizer, options.lr, epochs=options.epochs, steps_per_epoch=len(loader))
    loss_of = nn.CrossEntropyLoss(label_smoothing=0.05)

    losses, accuracies, every_loss = [], [], []
    start = time.perf_counter()
    for epoch in range(options.epochs):
        epoch_start = time.perf_counter()
        tally, seen = Tally(), 0
        for batches, batch in enumerate(loader, 1):
            pictures, labels = (moved(tensor, device) for tensor in batch)
            with taut.autocast(device.type, taut.bfloat16, enabled=options.amp):
                logits = model(pictures)
                loss = loss_of(logits, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if batches < len(loader) or epoch + 1 < options.epochs:
                schedule.step()
            tally.add(loss, logits.argmax(1).eq(labels).sum())
            seen += len(labels)
            if batches % 10 == 0 or batches == len(loader):
                tally.read(every_loss)
                speed = seen / (time.perf_counter() - epoch_start)
                print_bar(epoch, options.epochs, batches, len(loader), tally.loss_sum / batches, tally.right_sum / seen, speed)
        losses.append(tally.loss_sum / batches)
        accuracies.append(accuracy(predict(model, test[0], device), test[1]))
        print(f"  test {100 * accuracies[-1]:5.2f} %")
    print(f"trained in {time.perf_counter() - start:.1f} s")
    if options.losses:
        Path(options.losses).write_text("".join(f"{loss:.17g}\n" for loss in every_loss))

    # What was saved is what was trained.
    taut.save(model, options.save, metadata={"classes": "10"})
    again = Net(train[0].shape[3])
    again.load_state_dict(taut.load(options.save))
    logits = predict(again.to(device), test[0], device)
    print_confusion(logits, test[1])
    draw(options.picture, losses, accuracies, logits, *test)
    print(f"weights: {options.save}\ntest accuracy {100 * accuracy(logits, test[1]):.2f} %")


if __name__ == "__main__":
    try:
        run(parse())
    except (taut.Error, OSError) as error:
        sys.exit(f"digits: {error}")
