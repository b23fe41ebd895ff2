"""The graphs of all architectures, the deepest too, without values: what holds of shapes and names costs a second each."""

import fnmatch

import keras
import numpy as np
import pytest
from keras import applications
from parity import TWINS, untrained
from test_zoo_contract import CONVOLUTIONAL, FLAT, PATCHES, check_freezing, size_of, smallest

import zoo
from zoo import MODELS, analysis, facts, features, new_head, split, stages
from zoo.weights import loading
from zoo.weights.formats.tensors import plain_names

# Those whose files name their tensors as ours; of the others the parity tests tell how the names are found.
KERAS = {k: v for k, v in TWINS.items() if k != "mobilenet" and not k.startswith(("mobilenet_v3", "convnext"))}
TORCH = [
    f.model
    for f in facts.read()
    if f.variant == "torch" and f.num_classes == 1000 and not f.options.get("alpha") and f.model != "convnext_xlarge"
]  # which torchvision lacks


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_stages_freezing_splitting_and_heads(name):
    model = analysis.blueprint(MODELS[name], num_classes=7, input_shape=size_of(name))
    declared = next(f for f in facts.read() if f.model == name)
    assert stages(model) == [stage.name for stage in declared.stages]
    assert [model.get_layer(s.name).output.shape[-1] for s in declared.stages] == [s.channels for s in declared.stages]
    strides = [stage.stride for stage in declared.stages if stage.stride]
    assert strides == sorted(strides)
    for stage in stages(model):
        body, head = split(model, stage)
        assert head.input_shape == body.output_shape and head.output_shape == (None, 7)
    check_freezing(model)
    assert new_head(model, 3).output_shape == (None, 3)


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_channels_and_sizes(name):
    low = smallest(name)
    assert analysis.blueprint(MODELS[name], num_classes=1, input_shape=(low, low, 1)).output_shape == (None, 1)
    sizes = (low, 2 * low) if name in FLAT else (low + 1, low + 15) if name in PATCHES else (None, None)
    body = analysis.blueprint(MODELS[name], num_classes=0, input_shape=(*sizes, 4))
    declared = next(f for f in facts.read() if f.model == name)
    assert body.output_shape == (None, declared.stages[-1].channels)


def covered(model, tensors, variant):
    """Every variable of the model finds its tensor, of the right shape, and every tensor its variable."""
    rename = model.origin.torch_names[variant] if variant else None
    _, missing, differing, unused = loading.match(model, tensors, rename, new_classes=False)
    assert (missing, differing) == ([], [])
    assert [name for name in unused if not name.startswith(model.origin.spare)] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", dict.fromkeys(TORCH))
def test_names_cover_torchvisions_files(name):
    theirs = untrained(name, "cpu" if name.startswith("regnet") else "meta")  # RegNet looks at values as it builds
    tensors = plain_names(theirs.state_dict())
    covered(analysis.blueprint(MODELS[name], variant="torch"), tensors, "torch")


@pytest.mark.slow
@pytest.mark.parametrize("name", KERAS)
def test_names_cover_keras_applications_files(name):
    with keras.StatelessScope(initialize_variables=False):
        theirs = getattr(applications, KERAS[name])(weights=None)
    tensors = {f"{layer.name}/{v.name}": v for layer in theirs.layers for v in layer.weights}
    covered(analysis.blueprint(MODELS[name], variant="keras"), tensors, None)


def test_every_name_is_in_some_family():
    assert CONVOLUTIONAL == tuple(fnmatch.filter(MODELS, "squeezenet*")) and {*zoo.list_models("vit_*")} < {*PATCHES}


def test_features_of_one_stage_are_a_layer_among_others():
    """In a list of one, Keras' pooling took the batch for a list."""
    body = features(MODELS["lenet5"](), ["stage2"])
    model = keras.Sequential([body, keras.layers.GlobalMaxPooling2D()])
    assert model.output_shape == (None, 16) and model(np.zeros((2, 32, 32, 1))).shape == (2, 16)
