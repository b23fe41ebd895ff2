"""What batch norm does while a pretrained network is trained further: three policies.

- `inference`: statistics, scale and offset stay as pretrained. So does Keras' guide to fine-tuning; the default.
- `affine`: scale and offset learn, the statistics stay.
- `adapt`: batches are normalised by their own statistics, and the moving ones follow, with a momentum from the number of
  steps in an epoch: max(1 - 10 / steps, 0.9) (Kornblith et al. 2019, arXiv:1805.08974, appendix). Batches must be large enough
  (Wu & He 2018, arXiv:1803.08494, section 4.1: below 16 images the error grows quickly), and pictures many enough for the
  last ten batches, of which the statistics are made, to be different ones.
"""

import keras
from keras import layers

from recipes.errors import UserError

MIN_BATCH_SIZE = 16
STATISTICS_BATCHES = 10


def apply(model: keras.Model, policy: str, steps: int) -> None:
    """Set every batch norm that is not frozen, for epochs of so many steps; call this before `compile`."""
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization) and layer.trainable:
            if policy == "adapt":
                layer.momentum = max(1 - STATISTICS_BATCHES / steps, 0.9)
                continue
            layer.trainable = False  # so that it uses the moving statistics, and leaves them alone
            for variable in (layer.gamma, layer.beta):
                if variable is not None:  # a norm may be without either
                    variable.trainable = policy == "affine"


def require(policy: str, model: keras.Model) -> None:
    """Refuse a policy for a network that has no batch norm.

    Raises:
        UserError: it would change nothing.
    """
    if policy != "inference" and not any(isinstance(layer, layers.BatchNormalization) for layer in model.layers):
        raise UserError(f"--batch-norm {policy} has nothing to act on: {model.name} has no batch norm. Leave it out.")


def check(policy: str, images: int, batch_size: int) -> None:
    """Refuse a policy whose statistics could not be estimated from so many images in such batches.

    Raises:
        UserError: saying what it needs.
    """
    if policy != "adapt":
        return
    if batch_size < MIN_BATCH_SIZE:
        raise UserError(
            f"--batch-norm adapt needs batches of {MIN_BATCH_SIZE} images or more, found --batch-size {batch_size}: the mean "
            "and variance of fewer are too uncertain. Choose inference or affine, or larger batches."
        )
    if images < STATISTICS_BATCHES * batch_size:
        raise UserError(
            f"--batch-norm adapt needs {STATISTICS_BATCHES * batch_size} training images or more, "
            f"{STATISTICS_BATCHES} batches of {batch_size}, found {images}: the statistics would be those of the same few "
            "pictures again. Choose inference or affine."
        )
