"""The preprocessing that weights were trained with, as stock Keras layers inside the model.

A model of this zoo takes RGB values in 0..255, whatever its weights expect. Preprocessing belongs to the weights,
not to the architecture: ResNet-50 from keras.applications wants Caffe's, the same network from torchvision wants
PyTorch's. Putting it into the graph ends "which preprocess_input?" and travels with the saved file.
"""

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


MODES = {
    # VGG and ResNet of keras.applications
    "caffe": Mode(CAFFE_MEAN, (1.0, 1.0, 1.0), bgr=True),
    # Caffe's own models, such as BVLC GoogLeNet: the same mean, rounded
    "bvlc": Mode((123.0, 117.0, 104.0), (1.0, 1.0, 1.0), bgr=True),
    # -1..1: Inception, Xception and MobileNet of keras.applications, vision transformers of Google, LeNet-5 of this zoo
    "tf": Mode((127.5, 127.5, 127.5), (127.5, 127.5, 127.5)),
    # nearly the same: EfficientNetV2-S to -L of keras.applications, Google's Inception of 2015
    "inception": Mode((128.0, 128.0, 128.0), (128.0, 128.0, 128.0)),
    # torchvision, and most of timm and of the newer models of keras.applications
    "torch": Mode(tuple(255 * m for m in IMAGENET_MEAN), tuple(255 * s for s in IMAGENET_STD)),
    # OpenAI's CLIP, and what was fine-tuned from such models
    "clip": Mode(tuple(255 * m for m in CLIP_MEAN), tuple(255 * s for s in CLIP_STD)),
    # 0..1
    "unit": Mode((0.0, 0.0, 0.0), (255.0, 255.0, 255.0)),
}


def preprocess(x: keras.KerasTensor, mode: str | None) -> keras.KerasTensor:
    """Apply `mode`, a name of `MODES`, to pixels of shape `(batch, height, width, channels)`, RGB in 0..255.

    None leaves the pixels as they are. With other than three channels there is no order to reverse, and the three
    statistics are repeated, or averaged for a single channel, as `adapt_stem` does with the kernel.

    Raises:
        ValueError: `mode` is none of the above.
    """
    if mode is None:
        return x
    if mode not in MODES:
        raise ValueError(f"preprocessing must be None or one of {', '.join(MODES)}, found {mode!r}.")
    channels, rule = x.shape[-1], MODES[mode]
    mean, std = _per_channel(rule.mean, channels), _per_channel(rule.std, channels)
    scale, offset = [1 / s for s in std], [-m / s for m, s in zip(mean, std, strict=True)]
    if len(set(scale)) == len(set(offset)) == 1:  # one number serves all channels
        scale, offset = scale[0], offset[0]
    x = layers.Rescaling(scale, offset=offset, name="preprocessing")(x)
    return keras.ops.flip(x, axis=-1) if rule.bgr and channels == 3 else x


def _per_channel(statistic: tuple[float, ...], channels: int) -> list[float]:
    if channels == 1:
        return [sum(statistic) / len(statistic)]
    return [statistic[i % len(statistic)] for i in range(channels)]
