"""Random networks whose answers differ from picture to picture, for tests and benchmarks of what answers must survive."""

import keras
import numpy as np
from helpers import randomize

from recipes.data.images import Framing
from recipes.formats.pictures import made_up

SEEN = 16  # pictures whose statistics batch norms get


def photographed(size, channels=3, count=100):
    """Crops of two photographs: (count, size, size, channels), uint8."""
    return np.stack([one.framed for one in made_up(Framing(size, size, channels), False, count)])


def varied(model, pixels):
    """Give a model random weights by which it answers unlike pictures (batch, height, width, channels) unlike; its answers.

    Random networks answer nearly the same to all pictures, and a conversion that lost the picture would answer as well. So
    batch norms get the statistics of pictures, and a dense classifier is scaled and shifted.
    """
    is_sum = any(isinstance(layer, keras.layers.Add) for layer in model.layers)
    randomize(model, gain=0.5 if is_sum else 1.0)
    model.compile(jit_compile=False)  # which takes longer than a hundred pictures
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for norm in norms:
        norm.momentum = 0.0
    if norms:
        model(pixels[:SEEN].astype("float32"), training=True)
    found = model.predict(pixels, batch_size=16, verbose=0)
    layer = model.get_layer("predictions")
    if not isinstance(layer, keras.layers.Dense):
        return found
    logits = np.log(np.maximum(found, 1e-30))
    logits -= logits.mean(axis=1, keepdims=True)
    scale = 1 / logits.std(axis=0).mean()
    layer.kernel.assign(layer.kernel * scale)
    layer.bias.assign((layer.bias - logits.mean(axis=0)) * scale)
    return model.predict(pixels, batch_size=16, verbose=0)
