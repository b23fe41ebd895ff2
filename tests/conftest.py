"""What every test gets: a cache folder of its own, a quiet TensorFlow, and the shared data where they are."""

import os
import re
import tempfile
from pathlib import Path

import pytest

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # read when TensorFlow is imported, which is later than this


def pytest_configure(config):
    """No test reads or fills the user's cache, whatever it forgets to say."""
    folder = tempfile.TemporaryDirectory(prefix="zoo-cache-")
    config.add_cleanup(folder.cleanup)
    os.environ["ZOO_CACHE"] = folder.name
    os.environ.pop("ZOO_MIRROR", None)


# Longer or wider forms of a network whose smallest form is tested by the same code. Their graphs, names and counts are
# tested with the others (test_zoo_graphs.py, test_analysis.py); what needs their values takes an hour of two cores.
DEEP = {
    "vgg11", "vgg13", "vgg19", "vgg13_bn", "vgg16_bn", "vgg19_bn", "resnet34", "resnet101", "resnet152", "resnet101v2",
    "resnet152v2", "resnet32", "resnet44", "resnet56", "resnet110", "densenet161", "densenet169", "densenet201",
    *(f"efficientnet_b{i}" for i in range(1, 8)), *(f"efficientnet_v2_{size}" for size in ("b1", "b2", "b3", "m", "l")),
    *(f"regnet_{kind}_{size}" for kind in "xy" for size in ("800mf", "1_6gf", "3_2gf", "8gf", "16gf", "32gf")),
    "convnext_small", "convnext_base", "convnext_large", "convnext_xlarge", "vit_s_16", "vit_b_16", "vit_l_16",
}  # fmt: skip

# Of their contract, what takes ten seconds or less stays in the gate; and a sibling's is left out that takes more.
QUICK = {
    "resnet32", "resnet34", "resnet44", "resnet56", "resnet110", "efficientnet_b1", "efficientnet_b2", "efficientnet_v2_b1",
    "efficientnet_v2_b2", "vit_s_16", "vit_b_16",
}  # fmt: skip
COSTLY = DEEP - QUICK | {"vgg11_bn", "efficientnet_v2_s", "regnet_x_400mf"}


def pytest_collection_modifyitems(items):
    """Mark as deep what builds a deep network with its values, in the tests of every architecture."""
    for item in items:
        contract = item.path.name == "test_zoo_contract.py"
        if (contract or item.path.name.startswith("test_parity_")) and item.get_closest_marker("slow"):
            if (COSTLY if contract else DEEP) & set(re.split(r"[\[\]-]", item.name)):
                item.add_marker(pytest.mark.deep)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real weights and pictures; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("ZOO_SHARED") or Path(__file__).parents[2] / "shared")
    if not folder.is_dir():
        pytest.skip(f"the shared data are not in {folder}: set ZOO_SHARED")
    return folder
