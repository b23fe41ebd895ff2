"""What every test gets: a cache folder of its own, a quiet TensorFlow, and the shared data where they are."""

import contextlib
import gc
import os
import tempfile
import uuid
from pathlib import Path

import commands
import pytest

from recipes.compute import runtime
from recipes.runs import saved_check

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # read when TensorFlow is imported, which is later than this


def pytest_configure(config):
    """No test reads or fills the user's cache, whatever it forgets to say."""
    folder = tempfile.TemporaryDirectory(prefix="zoo-cache-")
    config.add_cleanup(folder.cleanup)
    runtime.keep_memory()
    commands.keep_templates()
    os.environ["ZOO_CACHE"] = folder.name
    os.environ.pop("ZOO_MIRROR", None)


# Longer or wider forms of a network whose smallest form is tested by the same code. Their parameters, multiply-adds, stages
# (test_analysis.py) and names (test_zoo_graphs.py) are tested with the others'; all else of them takes hours of two cores.
DEEP = {
    "vgg11",
    "vgg13",
    "vgg19",
    "vgg13_bn",
    "vgg16_bn",
    "vgg19_bn",
    "resnet34",
    "resnet101",
    "resnet152",
    "resnet101v2",
    "resnet152v2",
    "resnet32",
    "resnet44",
    "resnet56",
    "resnet110",
    "densenet161",
    "densenet169",
    "densenet201",
    *(f"efficientnet_b{i}" for i in range(1, 8)),
    *(f"efficientnet_v2_{size}" for size in ("b1", "b2", "b3", "m", "l")),
    *(f"efficientnet_lite{i}" for i in range(1, 5)),
    *(f"regnet_{kind}_{size}" for kind in "xy" for size in ("800mf", "1_6gf", "3_2gf", "8gf", "16gf", "32gf")),
    *(f"convnext_{size}" for size in ("femto", "pico", "nano", "small", "base", "large", "xlarge")),
    *(f"convnext_v2_{size}" for size in ("femto", "pico", "nano", "tiny", "base")),
    "mobilenet_v4_conv_medium",
    "mobilenet_v4_conv_large",
    "vit_s_16",
    "vit_b_16",
    "vit_l_16",
    "swin_small",
    "swin_base",
    "swin_base_384",
    *(f"hgnetv2_b{i}" for i in range(1, 5)),
    *(f"tiny_vit_{size}" for size in ("11m", "21m", "21m_384", "21m_512")),
    "deit3_b_16",
    "dinov2_s_14",
    *(f"dinov2_{size}" for size in ("b_14", "l_14", "b_14_reg", "l_14_reg")),
}

# Those whose contract, or parity, alone is left to `make deep`: what they promise hangs on the builder and the layers that
# all share, and on stages, which test_zoo_graphs.py looks at; a sibling of the same blocks stays, or is compared with the
# publisher's network.
CONTRACT = {
    "alexnet",
    "vgg16",
    "vgg11_bn",
    "inception_v3",
    "inception_v3-torch",
    "resnet50",
    "resnet50v2",
    "densenet121",
    "xception",
    "mobilenet_v2-torch",
    "mobilenet_v3_small",
    "mobilenet_v3_small-torch",
    "mobilenet_v3_large",
    "efficientnet_b0-torch",
    "efficientnet_v2_b0",
    "efficientnet_v2_s",
    "efficientnet_lite0",
    "regnet_x_400mf",
    "regnet_y_400mf",
    "convnext_atto",
    "convnext_tiny",
    "vit_b_32",
    "swin_tiny",
    "hgnetv2_b0",
    "tiny_vit_5m",
    "deit3_s_16",
    "dinov2_s_14_reg",
}
GRAPHS = ("test_stages_freezing_splitting_and_heads", "test_channels_and_sizes", "test_the_statistics_are_what_is_not_trained")
PARITY = {"efficientnet_v2_s", "regnet_x_400mf", "vit_b_32", "resnet50v2", "mobilenet_v3_large"}


def pytest_collection_modifyitems(items):
    """Mark as deep what is costly for a deep network, in the tests of every architecture."""
    for item in items:
        file, case = item.path.name, item.callspec.id if hasattr(item, "callspec") else ""
        words = set(case.split("-"))
        deep = (file == "test_zoo_contract.py" and (words & DEEP or case in CONTRACT)) or (
            file.startswith("test_parity_") and words & (DEEP | PARITY)
        )
        deep = deep or (item.originalname in GRAPHS and words & DEEP)
        if deep and item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.deep)


def pytest_collection_finish():
    """Look for garbage less often: each look goes through all that was imported, and takes a fifth of the tests' time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 20, 100)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item, nextitem):
    """Behind a file's last test, set aside what tests have left: Keras looks for garbage in every trial of a search."""
    yield
    if nextitem is None or nextitem.path != item.path:
        gc.collect()
        gc.freeze()


class SharedStranger:
    """One process without this project for all runs of a session: to start one, as each command does, takes 8 s."""

    def __init__(self):
        self.stack, self.process = contextlib.ExitStack(), None

    @contextlib.contextmanager
    def __call__(self):
        if self.process is None:
            self.process = self.stack.enter_context(STRANGER())
        yield self.process


STRANGER, SHARED_STRANGER = saved_check.stranger, SharedStranger()


def pytest_unconfigure():
    SHARED_STRANGER.stack.close()
    commands.close()


@pytest.fixture(autouse=True)
def shared_stranger(monkeypatch):
    """Runs within a test's own process ask the session's; commands that are `is_fresh` have one each."""
    monkeypatch.setattr(saved_check, "stranger", SHARED_STRANGER)


@pytest.fixture
def deterministic():
    """Kernels that give the same numbers every time, as every command has them, for one test."""
    import tensorflow as tf
    from tensorflow.python.framework import config

    tf.config.experimental.enable_op_determinism()
    yield
    config.disable_op_determinism()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real weights and pictures; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("ZOO_SHARED") or Path(__file__).parents[2] / "shared")
    if not folder.is_dir():
        pytest.skip(f"the shared data are not in {folder}: set ZOO_SHARED")
    return folder


@pytest.fixture
def postgres():
    """The address of a new database on a PostgreSQL server; skipped where there is none."""
    server = os.environ.get("ZOO_TEST_POSTGRES")
    if not server:
        pytest.skip("no PostgreSQL server: set ZOO_TEST_POSTGRES to postgresql://user@host:port/database")
    import sqlalchemy

    name, url = f"zoo_{uuid.uuid4().hex[:12]}", sqlalchemy.make_url(server)
    driver = url.set(drivername="postgresql+psycopg2")
    engine = sqlalchemy.create_engine(driver, isolation_level="AUTOCOMMIT", poolclass=sqlalchemy.NullPool)

    def order(sentence):
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text(sentence))

    order(f"create database {name}")
    yield url.set(database=name).render_as_string(hide_password=False)
    order(f"drop database {name} with (force)")
