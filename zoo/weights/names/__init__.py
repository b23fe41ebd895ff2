"""Pure maps from this zoo's layer names, which are those of keras.applications, to the names in other files.

A map takes a layer's name and gives the PyTorch module's (`conv2_block1_3_bn` -> `layer1.0.bn3`), to whose variables
`TORCH_VARIABLES` applies, or several such names, for files of several ages; or, where a tensor has no module of its own,
a dictionary from variable to the whole name, or to several (`class_token` -> `{"embeddings": "class_token"}`). One file a
family, one function a publisher.
"""

from collections.abc import Callable, Mapping

from zoo.weights.names import convnext

Rename = Callable[[str], str | tuple[str, ...] | dict[str, str] | dict[str, tuple[str, ...]]]
TorchNames = Mapping[str, Rename]  # variant of the graph ("torch", "timm") -> the map for its files

# What official Keras files call the classifier, and SqueezeNet's paper.
KERAS_CLASSIFIERS = ("predictions", "Logits", "logits", "probs", "fc1000", "conv_preds", "conv10", *convnext.KERAS_CLASSIFIERS)

TORCH_VARIABLES = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
