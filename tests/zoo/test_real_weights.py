"""Real ImageNet weights on real pictures: proof that every layer, the preprocessing and the order of classes are right."""

import os
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from helpers import array
from keras import applications
from parity import torchvision

import zoo
from benchmarks import lite_imagenet
from recipes.data.images import Framing, center, read
from zoo.weights import catalog
from zoo.weights.places import is_local

CASES = [  # file, builder, alpha, size, every how manyth picture, top-1 measured with keras.applications on the same pictures
    pytest.param("mobilenet_v2_imagenet.h5", "mobilenet_v2", 1.0, 224, 5, 0.875, id="mobilenet_v2-fifth"),
    pytest.param("mobilenet_v2_imagenet.h5", "mobilenet_v2", 1.0, 224, 1, 0.887, id="mobilenet_v2", marks=pytest.mark.deep),
    pytest.param(
        "mobilenet_0.75_192_imagenet_uint8_dequantized.h5",
        "mobilenet",
        0.75,
        192,
        1,
        0.776,
        id="mobilenet-0.75",
        marks=pytest.mark.deep,
    ),
    pytest.param(
        "mobilenet_0.25_128_imagenet_uint8_dequantized.h5",
        "mobilenet",
        0.25,
        128,
        1,
        0.454,
        id="mobilenet-0.25",
        marks=pytest.mark.deep,
    ),
]


def pictures(folder, size, step):
    """Every `step`th picture at `size` as uint8, in the order of their classes: the rank of the WordNet id in the name."""
    framing = Framing(size, resize=round(size * 256 / 224), channels=3)
    with ThreadPoolExecutor(os.cpu_count()) as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, about metadata
        return np.stack(list(pool.map(lambda path: center(read(path, framing)[0], framing), sorted(folder.iterdir())[::step])))


@pytest.mark.slow
@pytest.mark.parametrize("file, name, alpha, size, step, published", CASES)
def test_top1_and_probabilities(file, name, alpha, size, step, published, shared):
    path, x = shared / "weights" / file, pictures(shared / "data" / "imagenet-samples", size, step)
    assert len(x) == 1000 // step
    model = getattr(zoo, name)(alpha=alpha, weights=path, input_shape=(size, size, 3))
    probabilities = model.predict(x, batch_size=50, verbose=0)
    top1 = np.mean(probabilities.argmax(axis=1) == np.arange(1000)[::step])
    assert top1 == pytest.approx(published, abs=0.003)

    module = {"mobilenet": applications.mobilenet, "mobilenet_v2": applications.mobilenet_v2}[name]
    function = {"mobilenet": applications.MobileNet, "mobilenet_v2": applications.MobileNetV2}[name]
    theirs = function(alpha=alpha, weights=path, input_shape=(size, size, 3))
    some = slice(0, len(x), 20 // step)
    expected = theirs.predict(module.preprocess_input(x[some].astype(np.float32)), batch_size=50, verbose=0)
    np.testing.assert_allclose(probabilities[some], expected, rtol=0, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("entry", catalog.packages.ENTRIES, ids=lambda entry: entry.model)
def test_real_weights_answer_as_in_pytorch_picture_by_picture(entry, shared):
    """On every twentieth picture; all of them: docs/results.md."""
    if not is_local(entry):
        pytest.skip(f"{entry.package} is not installed: its weights cannot be compared")
    torchvision()
    pytest.importorskip("timm", reason="timm is not installed: its graphs cannot be compared")
    files = sorted((shared / "data" / "imagenet-samples").glob("*.jpg"))
    number = int(entry.model[-1])
    found = lite_imagenet.answers(number, files[::20])
    np.testing.assert_allclose(found.ours, found.theirs, rtol=0, atol=1e-4)
    assert (found.ours.argmax(axis=1) == np.arange(1000)[::20]).mean() > 0.8


def test_a_real_torch_checkpoint_equals_its_raw_bytes(shared):
    """The storages of a legacy checkpoint lie one after another at the end of the file, each behind its length."""
    path = shared / "weights" / "resnet20-12fca82f.th"
    from zoo.weights.files import open_tensors

    raw = path.read_bytes()
    with open_tensors(path) as tensors:
        sizes = {name: array(tensor).size for name, tensor in tensors.items()}
        # 19 convolutions, their norms of 4 tensors each, and a dense layer; option A has no weights in shortcuts.
        assert len(tensors) == 19 * 5 + 2
        assert sum(n for name, n in sizes.items() if "running" not in name) == 269_722  # the paper's 0.27 M
        assert tensors["layer3.2.conv2.weight"].shape == (64, 64, 3, 3)
        assert tensors["linear.weight"].shape == (10, 64)
        for value in map(array, tensors.values()):
            assert len(value.shape) and value.size.to_bytes(8, "little") + value.tobytes() in raw
