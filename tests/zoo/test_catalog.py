"""The catalog says of every file what its publisher says: compared with the installed packages of the publishers."""

import base64
import configparser
import math
import re
from collections import Counter
from importlib import metadata
from pathlib import Path

import keras
import pytest
from helpers import ROOT
from parity import in_torchvision, torchvision

import zoo
from zoo.preprocessing import MODES
from zoo.weights import catalog

KERAS, TORCHVISION = catalog.keras.ENTRIES, catalog.torchvision.ENTRIES
TIMM = [entry for entry in catalog.ENTRIES if entry.url.startswith("https://huggingface.co/timm/")]
PUBLISHED = [entry for entry in catalog.ENTRIES if "://" in entry.url]
DIGITS = {"sha256": 64, "sha256-prefix": 8, "md5": 32}


def label(entry):
    return "-".join([entry.model, entry.tag, *map(str, entry.options.values())])


def each(entries):
    return pytest.mark.parametrize("entry", entries, ids=label)


# ---------------------------------------------------------------------------------------------- in itself
def test_no_two_are_alike():
    keys = Counter((entry.model, entry.tag, *entry.options.items()) for entry in catalog.ENTRIES)
    assert max(keys.values()) == 1, keys.most_common(3)
    files = Counter(entry.file for entry in catalog.ENTRIES)
    assert max(files.values()) == 1, files.most_common(3)


@each(catalog.ENTRIES)
def test_every_field_is_sound(entry):
    assert catalog.find(entry.model, entry.tag, entry.options) is entry
    assert entry in PUBLISHED or entry.package or entry.model == "lenet5"
    assert entry not in PUBLISHED or re.fullmatch(r"https://[\w./-]+\.(h5|pth|th|safetensors)", entry.url)
    kind, _, digest = entry.hash.partition(":")
    assert entry.hash == "none" or re.fullmatch(rf"[0-9a-f]{{{DIGITS[kind]}}}", digest)
    assert re.fullmatch(r"\w+", entry.tag) and entry.variant in ("keras", "torch", "timm", "paper")
    assert entry.num_classes or entry.top1 is None
    assert entry.parameters > 1000 and entry.source and entry.license
    assert entry.top1 is None or 40 < entry.top1 < 100
    assert entry.top5 is None or entry.top1 < entry.top5 < 100
    assert entry.year is None or 1998 <= entry.year <= 2026
    assert entry.preprocessing in ("", *MODES) and entry.interpolation in ("bilinear", "bicubic")
    height, width, channels = entry.input_shape
    assert height == width <= entry.resize and channels in (1, 3) and 0.8 < entry.crop <= 1


def test_a_network_has_one_size_whoever_trained_it():
    sizes = {}
    for entry in catalog.ENTRIES:
        key = (entry.model, entry.variant, entry.input_shape, entry.num_classes, *entry.options.items())
        sizes.setdefault(key, set()).add(entry.parameters)
    assert {key: counts for key, counts in sizes.items() if len(counts) > 1} == {}


def test_what_to_cite_is_the_paper_then_the_training_then_the_publisher():
    def cited(model, tag):
        return [re.search(r"arXiv:\S+|doi:\S+|github\S+", text)[0] for text in catalog.find(model, tag, {}).citations]

    assert cited("vgg16", "imagenet") == ["arXiv:1409.1556"]
    assert cited("resnet50", "imagenet_timm_a1") == ["arXiv:1512.03385", "arXiv:2110.00476", "doi:10.5281/zenodo.4414861"]
    assert cited("vit_b_16", "imagenet_torchvision_swag") == [
        "arXiv:2010.11929",
        "arXiv:2201.08371",
        "github.com/pytorch/vision",
    ]
    assert cited("resnet50", "imagenet_dino") == ["arXiv:1512.03385", "arXiv:2104.14294"]
    assert all(entry.citations and entry.license for entry in catalog.ENTRIES)


def test_tags_say_who_published():
    for entries, tags in (
        (KERAS, r"imagenet(_\d+)?|mnist"),
        (TORCHVISION, r"imagenet_torchvision(_v2|_swag|_swag_linear)?"),
        (TIMM, r"imagenet_timm_\w+|lvd142m_timm|lvd1689m_timm_dinov3"),
        (catalog.packages.ENTRIES, "imagenet"),
    ):
        assert [entry.tag for entry in entries if not re.fullmatch(tags, entry.tag)] == []
    assert [entry.tag for entry in catalog.entries("resnet50")][:4] == [
        "imagenet",
        "imagenet_torchvision",
        "imagenet_torchvision_v2",
        "imagenet_timm_a1",
    ]


@pytest.mark.parametrize("name", zoo.MODELS)
def test_tags_in_a_docstring_exist(name):
    tags = {entry.tag for entry in catalog.entries(name)}
    assert set(re.findall(r'"(imagenet\w*|mnist|cifar\w*)"', zoo.MODELS[name].__doc__)) <= tags


# ---------------------------------------------------------------------------------------------- Python packages
@each(catalog.packages.ENTRIES)
def test_the_package_lists_the_file_with_the_same_digest(entry):
    """What its RECORD says, which the publisher has written."""
    name, version = entry.package.split("==")
    try:
        distribution = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        pytest.skip(f"{name} is not installed: its entry cannot be compared")
    assert distribution.version == version
    (file,) = [file for file in distribution.files if str(file) == entry.url]
    digest = base64.urlsafe_b64decode(file.hash.value + "=").hex()
    assert (file.hash.mode, f"sha256:{digest}") == ("sha256", entry.hash)
    assert digest.startswith(entry.file.rpartition("-")[2].removesuffix(".pth"))  # and so says its name


def test_setup_installs_the_packages_of_the_catalog():
    """The first is always there, the others by the extra "lite"; a version is said once in each."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    lines = config["options"]["install_requires"].split(), config["options.extras_require"]["lite"].split()
    always, extra = ([line for line in part if "pytorch-model" in line] for part in lines)
    assert [*always, *extra] == [entry.package for entry in catalog.packages.ENTRIES] and len(always) == 1


# ---------------------------------------------------------------------------------------------- keras.applications
@each([entry for entry in KERAS if entry in PUBLISHED])
def test_files_of_keras_applications(entry):
    """Its sources give the folder, in a string that may be wrapped, and each digest after the name it belongs to."""
    modules = ["convnext", "densenet", "efficientnet_v2", "efficientnet", "mobilenet_v2", "mobilenet_v3", "mobilenet", "resnet"]
    module = next((module for module in modules if entry.model.startswith(module)), entry.model)
    sources = Path(keras.__path__[0], "src", "applications")
    source = (sources / f"{module}.py").read_text()
    folder, _, file = entry.url.rpartition("/")
    assert f"{folder}/" in re.sub(r'"\s*f?"', "", source)
    if re.fullmatch(r"resnet\d+v2", entry.model):  # whose files are listed with those of the first version
        source += (sources / "resnet_v2.py").read_text()
    modes = re.findall(r'\bmode="(\w+)"', source)
    assert not modes or modes[-1] == entry.preprocessing  # the newer networks have it inside the model
    kind, _, digest = entry.hash.partition(":")
    if kind != "none":
        names = re.findall(r'"([\w.-]+)"', source[: source.index(digest)])
        assert [name for name in names if name != "models"][-1].removesuffix(".h5") in file


def test_all_of_keras_applications_is_there():
    assert len([entry for entry in KERAS if entry.model == "mobilenet"]) == 4 * 4
    assert len([entry for entry in KERAS if entry.model == "mobilenet_v2"]) == 4 * 5 + 2
    functions = set()
    for name in {entry.model for entry in KERAS} - {"lenet5"}:
        plain = name.replace("_", "").lower()
        functions |= {f for f in dir(keras.applications) if f.lower() == plain}
    others = {f for f in dir(keras.applications) if f[0].isupper()} - functions
    assert others == {"InceptionResNetV2", "NASNetLarge", "NASNetMobile"}  # which the zoo does not build


# ---------------------------------------------------------------------------------------------- torchvision
def metas():
    models = torchvision().models
    names = dict.fromkeys(in_torchvision(entry.model) for entry in TORCHVISION)
    return {weights.url: weights for name in names for weights in models.get_model_weights(name)}


@pytest.mark.slow
def test_all_of_torchvision_is_there():
    assert set(metas()) - {entry.url for entry in TORCHVISION} == {  # the first has no classifier
        "https://download.pytorch.org/models/vgg16_features-amdegroot-88682ab5.pth",
    }


@pytest.mark.slow
@each(TORCHVISION)
def test_torchvision_says_the_same(entry):
    weights = metas()[entry.url]
    meta, transforms = weights.meta, weights.transforms()
    accuracies = meta["_metrics"]["ImageNet-1K"]
    assert (entry.top1, entry.top5) == (accuracies["acc@1"], accuracies["acc@5"])
    assert ([entry.input_shape[0]], [entry.resize]) == (transforms.crop_size, transforms.resize_size)
    assert entry.interpolation == transforms.interpolation.value
    assert (
        entry.tag
        == "imagenet_torchvision"
        + {
            "IMAGENET1K_V1": "",
            "IMAGENET1K_V2": "_v2",
            "IMAGENET1K_SWAG_E2E_V1": "_swag",
            "IMAGENET1K_SWAG_LINEAR_V1": "_swag_linear",
        }[weights.name]
    )
    if entry.model not in ("googlenet", "inception_v3"):  # which convert the pixels once more, inside
        same_statistics(entry, transforms.mean, transforms.std)
    assert ("SWAG" in meta.get("license", "")) == ("swag" in entry.tag) == (entry.license != "BSD-3-Clause")
    auxiliary = {"inception_v3": 27_161_264 - 23_834_568}.get(entry.model, 0)
    statistics = entry.parameters - (meta["num_params"] - auxiliary)
    with_batch_norm = not re.match("alexnet|vgg..$|squeezenet|convnext|swin|vit", entry.model)
    assert 0 < statistics < 0.02 * entry.parameters if with_batch_norm else statistics == 0


def same_statistics(entry, mean, std):
    mode = MODES[entry.preprocessing]
    assert mode.mean == pytest.approx([255 * m for m in mean]) and mode.std == pytest.approx([255 * s for s in std])


# ---------------------------------------------------------------------------------------------- timm
@pytest.mark.slow
@each(TIMM)
def test_timm_says_the_same(entry):
    torchvision()
    timm = pytest.importorskip("timm", reason="timm is not installed: its entries cannot be compared")
    name = entry.file.removesuffix(".safetensors")
    config = timm.models.get_pretrained_cfg(name)
    assert entry.url == f"https://huggingface.co/{config.hf_hub_id}/resolve/main/model.safetensors"
    assert (entry.num_classes, entry.interpolation) == (config.num_classes, config.interpolation)
    framing = (*config.input_size[1:], config.input_size[0]), math.floor(config.input_size[1] / config.crop_pct)
    if entry.model.startswith("dinov2"):  # used at the size of its authors' evaluation, not at that of its file
        assert framing == ((518, 518, 3), 518)
        framing = (224, 224, 3), 256
    assert (entry.input_shape, entry.resize) == framing
    assert entry.license.lower() == config.license
    same_statistics(entry, config.mean, config.std)
