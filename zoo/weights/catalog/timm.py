"""The ImageNet weights of timm that fit a graph of this zoo, as safetensors on the Hugging Face hub."""

from zoo.weights.catalog.entry import Entry

ENTRIES: tuple[Entry, ...] = ()
