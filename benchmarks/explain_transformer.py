"""Which heat map of a vision transformer with a class token: Grad-CAM of which stage, or attention rollout.

    python benchmarks/explain_transformer.py            # a few minutes of training on 2 CPU cores, then 200 pictures

No ImageNet weights of a transformer are at hand, and random ones look at nothing: so ViT-Ti/16 learns to tell a red, a green
and a blue square, anywhere in a picture of blurred noise in duller colours. There it is known where the right answer stands:
beside what hiding the hottest fifth does to the class's probability (`zoo explain`'s check), the share of pictures is counted
whose hottest pixel lies in the square.

Rollout (Abnar, Zuidema 2020, arXiv:2005.00928) multiplies the blocks' attention, averaged over the heads and with half of the
identity, and reads the class token's row: it knows of no class.
"""

import os
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from PIL import Image, ImageFilter

import zoo
from recipes.evaluation import occlusion
from recipes.transfer import gradients
from recipes.transfer.grad_cam import GradCam, resized

SIZE, BATCH, TESTED = 96, 24, 200
COLORS = ((220, 50, 50), (50, 200, 50), (60, 60, 230))


def picture(generator: np.random.Generator) -> tuple[np.ndarray, int, np.ndarray]:
    """Draw a picture: pixels `(size, size, 3)`, the number of its colour, and where that is, `(size, size)`."""
    noise = Image.fromarray(generator.integers(40, 216, (SIZE // 8, SIZE // 8, 3), dtype=np.uint8))
    image = noise.resize((SIZE, SIZE), Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(2))
    label, side = int(generator.integers(3)), int(generator.integers(16, 32))
    x, y = (int(one) for one in generator.integers(0, SIZE - side, 2))
    pixels, where = np.array(image), np.zeros((SIZE, SIZE), bool)
    where[y : y + side, x : x + side] = True
    pixels[where] = COLORS[label]
    return pixels, label, where


def pictures(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw some pictures, with their labels and masks."""
    generator = np.random.default_rng(seed)
    pixels, labels, masks = zip(*(picture(generator) for _ in range(count)), strict=True)
    return np.stack(pixels), np.array(labels), np.stack(masks)


def trained(seconds: float) -> keras.Model:
    """Train ViT-Ti/16 from a random start for so many seconds."""
    keras.utils.set_random_seed(0)
    model = zoo.vit_ti_16(num_classes=3, input_shape=(SIZE, SIZE, 3), preprocessing="tf", weights=None)
    model.compile(
        keras.optimizers.AdamW(3e-4, weight_decay=0.01, clipnorm=1.0), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    end, seed, seen = time.monotonic() + seconds, 1, []
    while time.monotonic() < end:
        x, y, _ = pictures(BATCH, seed)
        seen.append(model.train_on_batch(x, y, return_dict=True)["accuracy"])
        seed += 1
        if seed % 25 == 0:
            print(f"{seed} steps, accuracy so far {seen[-1]:.3f}", flush=True)
            model.reset_metrics()
    return model


def rollout(model: keras.Model, pixels: np.ndarray) -> np.ndarray:
    """Draw attention rollout, `(batch, size, size)`."""
    blocks = [layer.name.removesuffix("_q") for layer in model.layers if layer.name.endswith("_q")]
    both = [model.get_layer(f"{block}_{kind}").output for block in blocks for kind in "qk"]
    found = [keras.ops.convert_to_numpy(one) for one in keras.Model(model.input, both)(pixels, training=False)]
    total = np.eye(found[0].shape[1])
    for q, k in zip(found[::2], found[1::2], strict=True):
        scores = np.einsum("nqhc,nkhc->nhqk", q, k) / q.shape[-1] ** 0.5
        attention = np.exp(scores - scores.max(axis=-1, keepdims=True))
        attention = (attention / attention.sum(axis=-1, keepdims=True)).mean(axis=1)
        total = (attention + np.eye(attention.shape[-1])) / 2 @ total
    side = SIZE // 16
    return np.stack([resized(row.astype("float32").reshape(side, side), SIZE) for row in total[:, 0, 1:]])


def by_token(model: keras.Model, stage: str, pixels: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Draw the product of each patch with its own derivative, not the mean one: HiResCAM (arXiv:2011.08891)."""
    grad_cam = GradCam(model, stage)
    values = grad_cam.values(pixels)
    slopes = gradients.by_inputs(grad_cam.tail, values, np.eye(3)[labels])
    side = SIZE // 16
    maps = (values[0] * slopes[0]).sum(axis=-1)[:, 1:].reshape(-1, side, side)
    return np.stack([resized(one, SIZE) for one in maps])


def main() -> None:
    """Train, draw every map, and print a row for each."""
    model = trained(float(sys.argv[1]) if sys.argv[1:] else 270)
    x, y, masks = pictures(TESTED, 0)
    guess = keras.ops.convert_to_numpy(model(x, training=False))
    print(f"accuracy on {TESTED} new pictures: {(guess.argmax(axis=1) == y).mean():.3f}")
    drawn = {f"Grad-CAM, {stage}": GradCam(model, stage).heat(x, y[:, None])[:, 0] for stage in zoo.stages(model)[:4]}
    drawn |= {f"by token, {stage}": by_token(model, stage, x, y) for stage in zoo.stages(model)[:3]}
    drawn |= {"rollout": rollout(model, x), "no map: the middle": np.tile(middle(), (TESTED, 1, 1))}
    print(f"\n{'map':<22}{'hottest fifth':>15}{'random fifth':>15}{'in the square':>15}{'empty':>8}")
    for name, heat in drawn.items():
        checks = occlusion.check(x, heat, y, lambda some: model.predict(some, batch_size=100, verbose=0), moves=3)
        hot, by_chance = (
            np.mean([one.whole - getattr(one, f"without_{what}") for one in checks]) for what in ("hottest", "random")
        )
        flat = heat.reshape(TESTED, -1)
        pointed = masks.reshape(TESTED, -1)[np.arange(TESTED), flat.argmax(axis=1)].mean()
        print(f"{name:<22}{hot:>15.3f}{by_chance:>15.3f}{pointed:>15.3f}{(flat.max(axis=1) <= 0).mean():>8.2f}")


def middle() -> np.ndarray:
    """Draw a map that is hottest in the middle, whatever the picture."""
    line = -np.abs(np.arange(SIZE) - (SIZE - 1) / 2)
    return np.minimum(line[:, None], line[None]) + SIZE


if __name__ == "__main__":
    main()
