"""The preprocessing that weights were trained with, as stock Keras layers inside the model.

A model of this zoo takes RGB values in 0..255, whatever its weights expect. Preprocessing belongs to the weights,
not to the architecture: ResNet-50 from keras.applications wants Caffe's, the same network from torchvision wants
PyTorch's. Putting it into the graph ends "which preprocess_input?" and travels with the saved file.
"""

import keras
from keras import layers

IMAGENET_MEAN = (0.485, 0.456, 0.406)  # RGB, of pixel values in 0..1
IMAGENET_STD = (0.229, 0.224, 0.225)
CAFFE_MEAN = (123.68, 116.779, 103.939)  # RGB, of pixel values in 0..255
MODES = ("caffe", "tf", "torch", None)


def preprocess(x: keras.KerasTensor, mode: str | None) -> keras.KerasTensor:
    """Apply `mode` to pixels of shape `(batch, height, width, channels)`, RGB in 0..255.

    - "caffe": subtract ImageNet's mean, then reverse RGB to BGR (VGG and ResNet of keras.applications)
    - "tf": scale to -1..1 (Inception and MobileNet of keras.applications, LeNet-5 of this zoo)
    - "torch": scale to 0..1, subtract ImageNet's mean, divide by its standard deviation (torchvision, timm)
    - None: leave the pixels as they are

    With other than three channels there is no order to reverse, and the three statistics are repeated, or averaged
    for a single channel, as `surgery.adapt_stem` does with the kernel.

    Raises:
        ValueError: `mode` is none of the above.
    """
    channels = x.shape[-1]
    if mode == "tf":
        return layers.Rescaling(1 / 127.5, offset=-1.0, name="preprocessing")(x)
    if mode == "torch":
        mean, std = _per_channel(IMAGENET_MEAN, channels), _per_channel(IMAGENET_STD, channels)
        scale = [1 / (255 * s) for s in std]
        offset = [-m / s for m, s in zip(mean, std, strict=True)]
        return layers.Rescaling(scale, offset=offset, name="preprocessing")(x)
    if mode == "caffe":
        offset = [-m for m in _per_channel(CAFFE_MEAN, channels)]
        x = layers.Rescaling(1.0, offset=offset, name="preprocessing")(x)
        return keras.ops.flip(x, axis=-1) if channels == 3 else x
    if mode is None:
        return x
    raise ValueError(f"preprocessing must be one of {MODES}, found {mode!r}.")


def _per_channel(statistic: tuple[float, ...], channels: int) -> list[float]:
    if channels == 1:
        return [sum(statistic) / len(statistic)]
    return [statistic[i % len(statistic)] for i in range(channels)]
