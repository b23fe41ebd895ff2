"""Names of other libraries in the sentences that refuse them, and each row of docs/migrating.md, run on both sides."""

import ast
import contextlib
import re
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from helpers import ROOT, array, pixels, randomize, write_legacy
from keras.src.backend import config as keras_config
from parity import randomize_torch, torchvision
from safetensors.numpy import save_file

import zoo
from recipes.errors import UserError
from recipes.settings.finetune import Recipe
from recipes.transfer.backbone import backbone
from zoo import analysis, facts
from zoo.weights import catalog

PAGE = (ROOT / "docs" / "migrating.md").read_text(encoding="utf-8")
SECTIONS = re.findall(r"^## (\S+)\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S)
ROWS = [(name, *row) for name, text in SECTIONS for row in re.findall(r"^\| `(.*?)` \| `(.*?)` \|$", text, re.M)]
OURS = {**vars(zoo.api), **zoo.MODELS, "keras": keras, "facts": facts, "np": np}
KERAS_FILE, TIMM_NAME = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224.h5", "mobilenetv2_050.lamb_in1k"


# ---------------------------------------------------------------------------------------------- sentences
@pytest.mark.parametrize(
    "options, message",
    [
        ({"include_top": False}, "vgg16 has no option include_top: num_classes=0 leaves out the classifier"),
        ({"classes": 10}, "vgg16 has no option classes: it is num_classes here"),
        ({"pooling": "avg"}, "no option pooling: num_classes=0 ends the model behind its own pooling"),
        (
            {"classes": 2, "input_tensor": None},
            "option classes: it is num_classes here; no option input_tensor: call the",
        ),
        ({"pretrained": True}, 'no option pretrained: weights="default"'),
        ({"in_chans": 1}, r"no option in_chans: give input_shape=\(height, width, channels\)"),
        ({"drop_rate": 0.5}, "no option drop_rate: it is dropout here"),
        ({"drop_path_rate": 0.5}, "no option drop_path_rate: it has no stochastic depth"),
        ({"features_only": True}, r"no option features_only: zoo.features\(model, stages\)"),
        ({"progress": False}, "no option progress: .* leave it out"),
        ({"alpha": 0.5}, "vgg16 has no option alpha: only MobileNet V1 to V3 have a width multiplier"),
        ({"num_clases": 3}, r"vgg16 has no option num_clases \(did you mean num_classes\?\)"),
        ({"Dropout": 0.5}, r"no option Dropout \(did you mean dropout\?\)"),
        ({"includetop": False}, "no option includetop: num_classes=0"),
        ({"drop_path": 0.1}, "no option drop_path: it has no stochastic depth"),
        ({"num_channels": 1}, "no option num_channels: give input_shape="),
        ({"logits": True}, "no option logits: activation=None gives logits"),
        ({"weight_decay": 0.1}, "no option weight_decay: it is l2 here"),
        ({"trainable": False}, "no option trainable: zoo.freeze"),
        ({"growth_rate": 32}, "no option growth_rate: its options are"),
        ({"norm_layer": None}, "no option norm_layer: its options are"),
        ({"attn_drop_rate": 0.1}, "no option attn_drop_rate: its options are"),
        ({"xyz": 3}, "no option xyz: its options are num_classes, input_shape, weights, .*, activation"),
    ],
)
@pytest.mark.fault(
    "Models",
    "An option that a builder does not have: misspelt, or another library's, such as include_top or pretrained",
    "Refused: the sentence names the builder, what is meant, and what replaces it",
    "Python's own sentence named an inner function, and not what to do.",
)
def test_an_option_that_there_is_not(options, message):
    for build in (zoo.vgg16, lambda **options: zoo.get_model("vgg16", **options)):
        with pytest.raises(TypeError, match=message) as caught:
            build(**options)
        assert str(caught.value).count("\n") == 0 and str(caught.value).endswith(".")


def test_an_option_of_some_builders():
    with pytest.raises(TypeError, match="mobilenet has no option width_mult: it is alpha here"):
        zoo.mobilenet(width_mult=0.5)
    with pytest.raises(TypeError, match="vgg16 has no option aux_logits: it has no auxiliary classifiers"):
        zoo.vgg16(aux_logits=True)


@pytest.mark.parametrize(
    "name, message",
    [
        ("ResNet50", "here it is 'resnet50'."),
        ("resnet-50", "here it is 'resnet50'."),
        ("microsoft/resnet-50", "here it is 'resnet50'."),
        ("resnet_50_imagenet", "here it is 'resnet50'."),
        ("EfficientNetV2B0", "here it is 'efficientnet_v2_b0'."),
        ("MobileNetV2", "here it is 'mobilenet_v2'."),
        ("MobileNetV1", "here it is 'mobilenet'."),
        ("ViT-B/16", "here it is 'vit_b_16'."),
        ("mobilenetv2_050", "here it is 'mobilenet_v2' with alpha=0.5."),
        ("mobilenetv2_050.lamb_in1k", "here it is 'mobilenet_v2' with alpha=0.5 and weights='imagenet_timm_lamb'."),
        ("tf_efficientnet_b0", "here it is 'efficientnet_b0'."),
        ("vit_base_patch16_224", "here it is 'vit_b_16'."),
        ("vit_small_patch14_dinov2.lvd142m", "here it is 'dinov2_s_14' with weights='lvd142m_timm'."),
        ("vit_small_patch16_224.dino", "here it is 'vit_s_16' with weights='imagenet_timm_dino'."),
        ("mobilenetv1_125", "here it is 'mobilenet' with alpha=1.25."),
        ("mobilenetv4_conv_small", "here it is 'mobilenet_v4_conv_small'."),
        ("convnextv2_nano", "here it is 'convnext_v2_nano'."),
        ("convnext_tiny.dinov3_lvd1689m", "here it is 'convnext_tiny' with weights='lvd1689m_timm_dinov3'."),
        ("facebook/dinov2_vitb14_reg", "here it is 'dinov2_b_14_reg'."),
        ("dino_resnet50", "here it is 'resnet50' with weights='imagenet_dino'."),
        ("regnety_016", "here it is 'regnet_y_1_6gf'."),
        ("resnet", "choose one of resnet18, resnet34, "),
        ("lenet", "choose lenet5; zoo.list_models"),
        ("vit_h_14", "choose one of vit_"),
        ("xyzzy", "zoo.list_models() and `zoo models` list the "),
    ],
)
def test_a_model_of_another_name(name, message):
    with pytest.raises(ValueError, match=f"^There is no model '{re.escape(name)}': {re.escape(message)}"):
        zoo.get_model(name)


def test_every_name_of_keras_applications_is_known_or_refused_in_one_line():
    there = [name for name, value in vars(keras.applications).items() if callable(value) and "NASNet" not in name]
    assert len(there) > 30
    for name in there:
        if name in ("InceptionResNetV2", "ResNet101", "ResNet50") or not name.startswith("InceptionRes"):
            with pytest.raises(ValueError, match=r"here it is '\w+'\.$" if name != "InceptionResNetV2" else "choose"):
                zoo.get_model(name)


@pytest.mark.parametrize("name", [5, None, ["resnet50"], zoo.vgg16])
def test_a_name_that_is_no_text(name):
    with pytest.raises(ValueError, match="The name of a model, such as 'resnet50', was expected, found "):
        zoo.get_model(name)


def test_a_pattern_of_other_spelling():
    assert zoo.list_models("ResNet*") == zoo.list_models("resnet*") and len(zoo.list_models("ResNet*")) == 13
    assert zoo.list_models("resnet-50") == zoo.list_models("ResNet_50") == ["resnet50"]
    assert zoo.list_models("EfficientNetB*") == [f"efficientnet_b{i}" for i in range(8)]
    assert zoo.list_models("mobilenet_v2") == ["mobilenet_v2"] and zoo.list_models("nasnet*") == []
    with pytest.raises(ValueError, match="list_models: pattern must be a text .*, found None"):
        zoo.list_models(None)


# ---------------------------------------------------------------------------------------------- weights="default"
@pytest.mark.parametrize("name", zoo.MODELS)
def test_default_is_the_most_accurate_as_published(name):
    for options in [dict(options) for options in {tuple(entry.options.items()) for entry in catalog.entries(name)}]:
        fitting = [entry for entry in catalog.entries(name) if dict(entry.options) == options]
        for variant in (None, *{entry.variant for entry in fitting}):
            best = catalog.best(name, options, variant)
            free = [entry for entry in fitting if variant in (None, entry.variant) and "-NC" not in entry.license]
            tops = [entry.top1 for entry in free if entry.top1]
            assert best in free if free else best is None
            assert best is None or best.top1 == max(tops, default=best.top1)


def test_no_default_forbids_commercial_use(monkeypatch):
    """ResNet-18's most accurate file, 73.29 %, and ResNet-50's, 81.15 %, are CC-BY-NC."""
    assert catalog.best("resnet18", {}, None).tag == "imagenet_timm_a1"
    assert catalog.best("resnet50", {}, None).tag == "imagenet_torchvision_v2"
    entry = replace(catalog.find("lenet5", "mnist", {}), license="CC-BY-NC-4.0")
    monkeypatch.setattr(catalog, "ENTRIES", [entry])
    told = r"forbids commercial use \(CC-BY-NC-4.0\): name those that you may use \('mnist'\)"
    with pytest.raises(zoo.WeightsError, match=f"lenet5 has no default: the licence of its weights {told}"):
        zoo.lenet5(weights="default")
    with pytest.raises(UserError, match=f"lenet5 has no weights by default: .* {told}, as --weights"):
        backbone(Recipe(Path("anything"), model="lenet5"))
    assert zoo.lenet5(weights="mnist").origin.weights  # named, it is taken


def test_default_loads_the_file_of_the_entry():
    model = zoo.lenet5(weights="default")
    assert model.origin.weights.endswith("lenet5_mnist.safetensors")
    again = zoo.lenet5(weights="mnist")
    np.testing.assert_array_equal(model.get_weights()[0], again.get_weights()[0])


@pytest.mark.parametrize(
    "name, options, message",
    [
        ("inception_v1", {}, "inception_v1 with lrn=True has no published weights: give a file as weights="),
        ("lenet5", {"modern": True}, "lenet5 with modern=True has no published weights: give a file"),
        ("mobilenet_v2", {"alpha": 0.3}, "mobilenet_v2 with alpha=0.3 has no published weights: give a file"),
        ("convnext_xlarge", {"variant": "torch"}, "convnext_xlarge has no published weights for variant 'torch'"),
    ],
)
def test_default_of_what_has_none(name, options, message):
    with pytest.raises(zoo.WeightsError, match=message):
        zoo.get_model(name, weights="default", **options)


# ---------------------------------------------------------------------------------------------- the page
def test_each_library_has_its_rows():
    assert {name: sum(row[0] == name for row in ROWS) for name, _ in SECTIONS}.keys() == {
        "keras.applications",
        "KerasHub",
        "timm",
        "torchvision",
    }
    assert PAGE.count("\n| `") == len(ROWS) > 40


def keras_names():
    return {**vars(keras.applications), "keras": keras}


def timm_names():
    torchvision()
    timm = pytest.importorskip("timm", reason="timm is not installed: rows of docs/migrating.md cannot be compared")
    return {"timm": timm}


def torchvision_names():
    models = torchvision().models
    import torch
    from torchvision.models.feature_extraction import create_feature_extractor

    return {**vars(models), "models": models, "torch": torch, "create_feature_extractor": create_feature_extractor}


LIBRARIES = {"keras.applications": keras_names, "timm": timm_names, "torchvision": torchvision_names}


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Random weights under published names, where each library would have put its download, and a mirror of ours."""
    official = randomize(keras.applications.MobileNetV2(weights=None), gain=0.7)
    (tmp_path / "models").mkdir()
    write_legacy(official, tmp_path / "models" / KERAS_FILE)
    write_legacy(official, tmp_path / KERAS_FILE)
    write_legacy(official, tmp_path / "mine.h5")
    monkeypatch.setattr(keras_config, "_KERAS_DIR", str(tmp_path))
    monkeypatch.setenv("ZOO_MIRROR", str(tmp_path))
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def on_the_hub(tmp_path, monkeypatch):
    """Random weights in timm's layout, in the hub's cache and in a mirror of ours."""
    hub = pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed: timm cannot read a hub's cache")
    model = randomize_torch(timm_names()["timm"].create_model(TIMM_NAME), gain=0.7)
    cached = tmp_path / f"models--timm--{TIMM_NAME}"
    for folder in ("refs", "snapshots/1"):
        (cached / folder).mkdir(parents=True)
    (cached / "refs" / "main").write_text("1")
    tensors = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    for path in (cached / "snapshots" / "1" / "model.safetensors", tmp_path / f"{TIMM_NAME}.safetensors"):
        save_file(tensors, path)
    monkeypatch.setattr(hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("ZOO_MIRROR", str(tmp_path))
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("library, theirs, here", ROWS, ids=lambda text: re.sub(r"\W+", "-", text)[:60])
def test_a_row_is_the_same_on_both_sides(library, theirs, here, request):
    tagged, given = re.search(r'weights="(\w+)"', here), {}
    if tagged and library == "torchvision":  # their digests are known: no file of a test's is taken
        return same_address(theirs, here, tagged[1])
    if "weights=" in here:
        path = request.getfixturevalue("on_the_hub" if library == "timm" else "files")
        given = {"path": path / "mine.h5", "pixels": pixels(2, 224, 224, 3)}
    run = (lambda build: build()) if given else without_values
    ours = run(lambda: done(here, {**OURS, **given}))
    if library in LIBRARIES:
        names = {**LIBRARIES[library](), **given}
        compare(run(lambda: done(theirs, names)), ours)


def without_values(build):
    """What it builds, in Keras and in PyTorch, with shapes alone, which take no time."""
    torch = sys.modules.get("torch")
    with torch.device("meta") if torch else contextlib.nullcontext():
        return analysis.blueprint(build)


def done(code, names):
    """What the code's last expression gives, or, if that is nothing, what it calls `model`."""
    tree, names = ast.parse(code), dict(names)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "row", "exec"), names)
    value = eval(compile(ast.Expression(last.value), "row", "eval"), names) if last else None
    return names.get("model") if value is None else value


def compare(theirs, ours):
    if isinstance(ours, keras.Model):
        assert form(ours, None) == form(theirs, ours.input_shape[1:])
    elif keras.ops.is_tensor(ours):
        np.testing.assert_allclose(array(ours), array(theirs), rtol=1e-3, atol=1e-5)
    else:
        assert theirs == ours


def form(model, shape):
    """Shapes of a picture's outputs, channels last, and the number of parameters, moving statistics included."""
    if isinstance(model, keras.Model):
        return [output.shape[1:] for output in model.outputs], model.count_params()
    import torch

    with torch.no_grad():
        outputs = model.eval()(torch.zeros(2, shape[2], *shape[:2], device=next(model.parameters()).device))
    outputs = list(outputs.values()) if isinstance(outputs, dict) else [outputs]
    statistics = [buffer for name, buffer in model.named_buffers() if "running" in name]
    parameters = sum(tensor.numel() for tensor in [*model.parameters(), *statistics])
    return [tuple(o.shape[2:] + o.shape[1:2]) if o.ndim == 4 else tuple(o.shape[1:]) for o in outputs], parameters


def same_address(theirs, here, tag):
    name = re.match(r"\w+", here)[0]
    their_tag = re.search(r'weights=(?:"|\w+\.)(\w+)', theirs)[1]
    weights = torchvision().models.get_model_weights(name)[their_tag]
    assert weights.url in [entry.url for entry in catalog.entries(name) if entry.tag == tag]
