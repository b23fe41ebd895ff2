"""A network of the zoo's kind that trains in no time: two convolutions with batch norm."""

from typing import Unpack

import keras
from keras import layers

import zoo
from zoo.builder import Family, Options, build
from zoo.layers import stage

FAMILY = Family({"keras": "tf"}, (32, 32, 3), num_classes=10, min_size=8, resize=32)


def tinynet(**options: Unpack[Options]) -> keras.Model:
    """Build the network."""
    return build("tinynet", _body, FAMILY, **options)


def _body(x: keras.KerasTensor, variant: str) -> keras.KerasTensor:
    for number, filters in enumerate((4, 8), 1):
        x = layers.Conv2D(filters, 3, 2, "same", use_bias=False, name=f"conv{number}")(x)
        x = layers.BatchNormalization(name=f"bn{number}")(x)
        x = stage(layers.ReLU(name=f"relu{number}")(x), f"stage{number}")
    return stage(layers.GlobalAveragePooling2D(name="average")(x), "pre_logits")


def register() -> None:
    """Let the commands of this process know it."""
    zoo.MODELS["tinynet"] = tinynet
