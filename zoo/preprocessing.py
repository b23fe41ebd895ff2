"""The preprocessing that weights were trained with, as stock Keras layers inside the model.

A model of this zoo takes RGB values in 0..255, whatever its weights expect. Preprocessing belongs to the weights,
not to the architecture: ResNet-50 from keras.applications wants Caffe's, the same network from torchvision wants
PyTorch's. Putting it into the graph ends "which preprocess_input?" and travels with the saved file.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import keras
from keras import layers

IMAGENET_MEAN = (0.485, 0.456, 0.406)  # RGB, of pixel values in 0..1
IMAGENET_STD = (0.229, 0.224, 0.225)
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
CAFFE_MEAN = (123.68, 116.779, 103.939)  # RGB, of pixel values in 0..255


@dataclass(frozen=True)
class Mode:
    """A rule: (pixel − mean) / std for each of R, G, B, of pixel values in 0..255; then BGR, if so."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    bgr: bool = False

    def __str__(self) -> str:
        """Name the rule, or say its statistics as `parsed` reads them."""
        name = next((name for name, mode in MODES.items() if mode == self), None)
        return name or "/".join(",".join(f"{value / 255 + 0:.8g}" for value in part) for part in (self.mean, self.std))

    def affine(self, channels: int) -> tuple[list[float], list[float]]:
        """Compute (scale, offset) for each of so many channels."""
        mean, std = _per_channel(self.mean, channels), _per_channel(self.std, channels)
        return [1 / s for s in std], [-m / s for m, s in zip(mean, std, strict=True)]

    def does(self, scale: Sequence[float], offset: Sequence[float], bgr: bool) -> bool:
        """Whether the rule multiplies each channel by `scale` and adds `offset`, but for rounding."""
        channels = len(scale)
        pairs = zip((*scale, *offset), itertools.chain(*self.affine(channels)), strict=True)
        return (self.bgr and channels == 3) == bgr and all(math.isclose(*pair, rel_tol=1e-5, abs_tol=1e-5) for pair in pairs)


MODES = {
    # VGG and ResNet of keras.applications
    "caffe": Mode(CAFFE_MEAN, (1.0, 1.0, 1.0), bgr=True),
    # Caffe's own models, such as BVLC GoogLeNet: the same mean, rounded
    "bvlc": Mode((123.0, 117.0, 104.0), (1.0, 1.0, 1.0), bgr=True),
    # -1..1: Inception, Xception and MobileNet of keras.applications, vision transformers of Google, LeNet-5 of this zoo
    "tf": Mode((127.5, 127.5, 127.5), (127.5, 127.5, 127.5)),
    # nearly the same: EfficientNetV2-S to -L of keras.applications, Google's Inception of 2015
    "inception": Mode((128.0, 128.0, 128.0), (128.0, 128.0, 128.0)),
    # once more: EfficientNet-Lite, as Google trained it
    "lite": Mode((127.0, 127.0, 127.0), (128.0, 128.0, 128.0)),
    # torchvision, and most of timm and of the newer models of keras.applications
    "torch": Mode(tuple(255 * m for m in IMAGENET_MEAN), tuple(255 * s for s in IMAGENET_STD)),
    # OpenAI's CLIP, and what was fine-tuned from such models
    "clip": Mode(tuple(255 * m for m in CLIP_MEAN), tuple(255 * s for s in CLIP_STD)),
    # 0..1
    "unit": Mode((0.0, 0.0, 0.0), (255.0, 255.0, 255.0)),
}


# A name of `MODES`; statistics of R, G, B in 0..1, as publishers write them; or these in text, "MEAN/STD" with commas.
Preprocessing = str | tuple[Sequence[float], Sequence[float]] | Mode


def parsed(preprocessing: Preprocessing) -> Mode:
    """Read a preprocessing in any of its spellings.

    Raises:
        ValueError: it is none.
    """
    if isinstance(preprocessing, Mode):
        return preprocessing
    if isinstance(preprocessing, str) and preprocessing in MODES:
        return MODES[preprocessing]
    try:
        parts = preprocessing
        if isinstance(preprocessing, str):
            parts = [part.split(",") for part in preprocessing.split("/")]
        mean, std = (tuple(255 * float(value) for value in part) for part in parts)
        is_finite = all(map(math.isfinite, (*mean, *std)))
        if not (len(mean) == len(std) == 3 and is_finite and min(std) > 0 and max(*mean, *std) <= 255):
            raise ValueError
    except (ValueError, TypeError):
        raise ValueError(
            f"preprocessing must be one of {', '.join(MODES)}, or the mean and the deviation of R, G and B in 0..1, such as "
            f"((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)) or the text 0.5,0.5,0.5/0.5,0.5,0.5, found {preprocessing!r}."
        ) from None
    return named(*Mode(mean, std).affine(3))


def named(scale: Sequence[float], offset: Sequence[float], bgr: bool = False) -> Mode:
    """Find the rule that multiplies each channel by `scale` and adds `offset`: one of `MODES`, if any does the same."""
    if found := next((mode for mode in MODES.values() if mode.does(scale, offset, bgr)), None):
        return found
    return Mode(tuple(-o / s for s, o in zip(scale, offset, strict=True)), tuple(1 / s for s in scale), bgr)


def preprocess(x: keras.KerasTensor, mode: Mode | None) -> keras.KerasTensor:
    """Apply a rule to pixels of shape `(batch, height, width, channels)`, RGB in 0..255; None leaves them as they are.

    With other than three channels there is no order to reverse, and the three statistics are repeated, or averaged for a
    single channel, as `adapt_stem` does with the kernel.
    """
    if mode is None:
        return x
    scale, offset = mode.affine(x.shape[-1])
    if len(set(scale)) == len(set(offset)) == 1:  # one number serves all channels
        scale, offset = scale[0], offset[0]
    x = layers.Rescaling(scale, offset=offset, name="preprocessing")(x)
    return keras.ops.flip(x, axis=-1) if mode.bgr and x.shape[-1] == 3 else x


def _per_channel(statistic: tuple[float, ...], channels: int) -> list[float]:
    if channels == 1:
        return [sum(statistic) / len(statistic)]
    return [statistic[i % len(statistic)] for i in range(channels)]
