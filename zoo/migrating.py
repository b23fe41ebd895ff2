"""What other libraries call an option or a network, and what it is called here: for the sentence that refuses it.

`docs/migrating.md` is the same for readers, with code.
"""

import difflib
import re
from collections.abc import Collection, Mapping

from zoo.arguments import shown
from zoo.weights import catalog
from zoo.weights.catalog import Entry, timm, timm_convnext, timm_mobile, timm_vit

# Options of other libraries that are one of this zoo under another name.
RENAMED = {
    # keras.applications and KerasHub
    "classes": "num_classes",
    "classifier_activation": "activation",
    "image_shape": "input_shape",
    "preset": "weights",
    "drop_connect_rate": "drop_path_rate",
    "kernel_regularizer": "l2",
    "weight_decay": "l2",
    # timm
    "checkpoint_path": "weights",
    "in_chans": "input_shape",
    "img_size": "input_shape",
    "drop_rate": "dropout",
    "drop_path": "drop_path_rate",
    # torchvision and transformers
    "aux_logits": "aux",
    "dropout_aux": "aux_dropout",
    "dropout_rate": "dropout",
    "image_size": "input_shape",
    "in_channels": "input_shape",
    "num_channels": "input_shape",
    "num_labels": "num_classes",
    "stochastic_depth_prob": "drop_path_rate",
    "width_mult": "alpha",
    "width_multiplier": "alpha",
}

_POOLING = (
    "num_classes=0 ends the model behind its own pooling, zoo.features(model, stages) gives feature maps before it, and "
    'zoo.new_head(model, num_classes, pooling="max") pools otherwise'
)
_PREPROCESSING = "every model takes RGB in 0..255 and has the preprocessing of its weights inside: leave it out"

# Those in whose place something else is done.
REPLACED = {
    # keras.applications and KerasHub
    "include_top": (
        "num_classes=0 leaves out the classifier, and zoo.features(model, stages) gives feature maps before the pooling"
    ),
    "pooling": _POOLING,
    "pool": _POOLING,
    "input_tensor": "call the model on the tensor, model(tensor)",
    "name": "a model has the name of its builder; keras.Model(model.inputs, model.outputs, name=...) gives it another",
    "include_preprocessing": _PREPROCESSING,
    "include_rescaling": _PREPROCESSING,
    "load_weights": 'weights="default" loads the best published weights, and without weights they are random',
    "data_format": "channels come last",
    "trainable": "zoo.freeze(model, until) says which stages are trained",
    "dtype": "keras.config.set_dtype_policy(...) sets it for all that is built afterwards",
    # timm
    "pretrained": 'weights="default" loads the best published weights, and without weights they are random',
    "global_pool": _POOLING,
    "features_only": "zoo.features(model, stages) gives the feature maps",
    "out_indices": "zoo.features(model, stages) gives the feature maps of the stages that you name",
    # torchvision and transformers
    "logits": "activation=None gives logits",
    "progress": "a download shows its progress on standard error: leave it out",
    "transform_input": _PREPROCESSING,
}

# Options of some builders, and why another has none.
WITHOUT = {
    "alpha": "only MobileNet V1 to V3 have a width multiplier",
    "aux": "it has no auxiliary classifiers",
    "aux_dropout": "it has no dropout before auxiliary classifiers",
    "drop_path_rate": "it has no stochastic depth",
}


# How alike a misspelt option of another library must be, of 1.
FOREIGN_CUTOFF = 0.85
# How alike the name of a network must be.
NAME_CUTOFF = 0.6

# timm's sizes of RegNet, in hundreds of millions of multiply-adds.
REGNETS = {"004": "400mf", "008": "800mf", "016": "1_6gf", "032": "3_2gf", "080": "8gf", "160": "16gf", "320": "32gf"}


def unknown_options(builder: str, given: Collection[str], known: Collection[str]) -> str:
    """Say in one sentence which options a builder does not have, and what was meant or replaces them."""
    return f"{builder} has {'; '.join(f'no option {name}{_instead(name, known)}' for name in given)}."


def _instead(name: str, known: Collection[str]) -> str:
    """Say what replaces an option that is not known, as the end of a clause."""
    ours = RENAMED.get(name, name)
    if ours in WITHOUT and ours not in known:
        return f": {WITHOUT[ours]}"
    if ours == "input_shape":
        return ": give input_shape=(height, width, channels)"
    if ours != name:
        return f": it is {ours} here"
    if name in REPLACED:
        return f": {REPLACED[name]}"
    # A foreign name must be nearly the same: growth_rate and attn_drop_rate are no drop_rate.
    near = difflib.get_close_matches(name.lower(), [*known, *RENAMED, *REPLACED], n=1, cutoff=FOREIGN_CUTOFF)
    if near and near[0] not in known:
        return _instead(near[0], known)
    near = difflib.get_close_matches(name.lower(), known, n=1)
    return f" (did you mean {near[0]}?)" if near else f": its options are {', '.join(known)}"


def unknown_model(name: object, models: Collection[str]) -> str:
    """Say in one sentence that there is no model of this name, and which are meant or near."""
    if not isinstance(name, str):
        return f"The name of a model, such as 'resnet50', was expected, found {shown(name)}."
    # Without its owner on a hub; "ViT-B/16" has none.
    asked = name if _key(name) in {_key(model) for model in models} else name.rpartition("/")[2]
    key = _key(asked.partition(".")[0])
    same: dict[str, tuple[str, Mapping[str, object]]] = {_key(model): (model, {}) for model in models}
    same = {_key(network): (model, options) for network, (model, options) in _foreign().items() if model in models} | same
    if key in same:
        model, options = same[key]
        entry = _published(asked)
        chosen = [f"{option}={value!r}" for option, value in [*options.items(), *([("weights", entry.tag)] if entry else [])]]
        return f"There is no model {name!r}: here it is {model!r}{' with ' * bool(chosen)}{' and '.join(chosen)}."
    near = [model for model in models if key and _key(model).startswith(key)]
    near = near or [same[one][0] for one in difflib.get_close_matches(key, same, n=3, cutoff=NAME_CUTOFF)]
    if not near:
        return f"There is no model {name!r}: zoo.list_models() and `zoo models` list the {len(models)} that there are."
    listed = ("one of " if len(set(near)) > 1 else "") + ", ".join(dict.fromkeys(near))
    return f"There is no model {name!r}: choose {listed}; zoo.list_models() and `zoo models` list all."


def _foreign() -> dict[str, tuple[str, Mapping[str, object]]]:
    """List networks of other names: the builder, and its own options."""
    networks = timm.NETWORKS | timm_convnext.NETWORKS | timm_mobile.NETWORKS | timm_vit.NETWORKS
    return {network: (model, options) for network, (model, *_, options) in networks.items()} | {
        "mobilenetv1": ("mobilenet", {}),
        **{f"swin_{size}_patch4_window7_224": (f"swin_{size}", {}) for size in ("tiny", "small", "base")},
        **{f"swin_{size[0]}": (f"swin_{size}", {}) for size in ("tiny", "small", "base")},
        "swin_base_patch4_window12_384": ("swin_base_384", {}),
        **{f"tiny_vit_{size}m_224": (f"tiny_vit_{size}m", {}) for size in (5, 11, 21)},
        **{f"dinov2_vit{size}14{end}": (f"dinov2_{size}_14{end}", {}) for size in "sbl" for end in ("", "_reg")},
        "dino_vits16": ("vit_s_16", {"weights": "imagenet_timm_dino"}),
        "dino_vitb16": ("vit_b_16", {"weights": "imagenet_timm_dino"}),
        "dino_resnet50": ("resnet50", {"weights": "imagenet_dino"}),
        **{f"resnetv2_{depth}": (f"resnet{depth}v2", {}) for depth in (50, 101, 152)},
        **{f"regnet{kind}_{size}": (f"regnet_{kind}_{ours}", {}) for kind in "xy" for size, ours in REGNETS.items()},
    }


def _key(name: str) -> str:
    """Reduce a name to what libraries agree on: "MobileNetV2", "mobilenet_v2" and "tf_mobilenetv2" are one."""
    return re.sub(r"^tf_|_imagenet.*$|[^a-z0-9]", "", name.lower())


def _published(name: str) -> Entry | None:
    """Find the weights that timm calls so, as "resnet50.a1_in1k"; None if the name has no tag that is known."""
    return next((entry for entry in catalog.ENTRIES if entry.file == f"{name}.safetensors"), None)
