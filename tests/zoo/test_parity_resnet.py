"""ResNets against keras.applications, torchvision, timm, and the CIFAR-10 files of the repository that trained them."""

import tarfile
from pathlib import Path

import numpy as np
import pytest
from keras import applications
from parity import CLASSES, cifar, torchvision, with_keras, with_torch
from PIL import Image

import zoo
from zoo.weights import catalog

slow = pytest.mark.slow


@pytest.mark.parametrize(
    "name, function, sizes",
    [
        pytest.param("resnet50", "ResNet50", (64, 75, 33), marks=slow),
        pytest.param("resnet101", "ResNet101", (32,), marks=slow),
        pytest.param("resnet152", "ResNet152", (32,), marks=slow),
    ],
)
def test_keras(name, function, sizes, tmp_path):
    with_keras(name, applications.resnet, function, tmp_path, sizes)


@pytest.mark.parametrize(
    "name, function, sizes",
    [
        pytest.param("resnet50v2", "ResNet50V2", (64, 75, 33), marks=slow),
        pytest.param("resnet101v2", "ResNet101V2", (32,), marks=slow),
        pytest.param("resnet152v2", "ResNet152V2", (32,), marks=slow),
    ],
)
def test_keras_v2(name, function, sizes, tmp_path):
    with_keras(name, applications.resnet_v2, function, tmp_path, sizes)


@slow
@pytest.mark.parametrize(
    "name, sizes",
    [
        ("resnet18", (64,)),
        pytest.param("resnet34", (64,), marks=slow),
        pytest.param("resnet50", (64, 75), marks=slow),
        pytest.param("resnet101", (64,), marks=slow),
        pytest.param("resnet152", (64,), marks=slow),
    ],
)
def test_torchvision(name, sizes, tmp_path):
    theirs = torchvision().models.get_model(name, num_classes=CLASSES)
    with_torch(name, theirs, tmp_path, sizes)


@slow
@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_timm_has_the_graph_and_the_names_of_torchvision(name, tmp_path):
    torchvision()
    timm = pytest.importorskip("timm", reason="timm is not installed: its graphs cannot be compared")
    with_torch(name, timm.create_model(name, num_classes=CLASSES), tmp_path, (64,))


@pytest.mark.parametrize(
    "name, depth",
    [
        ("resnet20", 3),
        pytest.param("resnet32", 5, marks=slow),
        pytest.param("resnet44", 7, marks=slow),
        pytest.param("resnet56", 9, marks=slow),
        pytest.param("resnet110", 18, marks=slow),
    ],
)
@pytest.mark.slow
def test_cifar(name, depth, tmp_path):
    with_torch(name, cifar(depth), tmp_path, (32, 37, 16) if depth == 3 else (32,))


@pytest.mark.slow
def test_the_catalog_has_the_papers_cifar_networks():
    entries = {entry.model: entry for entry in catalog.ENTRIES if entry.tag == "cifar10"}
    assert list(entries) == ["resnet20", "resnet32", "resnet44", "resnet56", "resnet110"]
    for name, entry in entries.items():
        assert zoo.get_model(name).count_params() == entry.parameters
        assert entry.hash.removeprefix("sha256-prefix:") in entry.url


@pytest.fixture(scope="module")
def cifar10_test(shared, tmp_path_factory):
    """The 10,000 test pictures, and their classes: the rank of the folder's name."""
    folder = tmp_path_factory.mktemp("cifar10")
    with tarfile.open(shared / "data" / "cifar10.tar.xz") as archive:
        for member in archive:
            if member.isfile() and "/test/" in f"/{member.name}":
                archive.extract(member, folder, filter="data")
    files = sorted(folder.rglob("*.jp*g"))
    classes = sorted({path.parent.name for path in files})
    assert len(files) == 10_000 and len(classes) == 10
    pixels = np.stack([np.asarray(Image.open(path).convert("RGB")) for path in files])
    return pixels, np.array([classes.index(path.parent.name) for path in files])


@pytest.mark.deep
@slow
@pytest.mark.parametrize(
    "name, file, right", [("resnet20", "resnet20-12fca82f.th", 8_103), ("resnet56", "resnet56-4bfd9763.th", 8_320)]
)
def test_cifar_files_answer_as_in_pytorch(name, file, right, shared, cifar10_test):
    entry = catalog.find(name, "cifar10", {})
    assert Path(entry.url).name == file
    model = zoo.get_model(name, weights=shared / "weights" / file, activation=None)
    pixels, classes = cifar10_test
    found = np.sum(model.predict(pixels, batch_size=500, verbose=0).argmax(axis=1) == classes)
    assert abs(found - right) <= 3
