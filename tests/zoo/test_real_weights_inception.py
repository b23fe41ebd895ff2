"""Real weights of SqueezeNet and of the two Inceptions: whole on ImageNet's pictures, in part as features of others."""

import numpy as np
import pytest
from test_real_weights import pictures

import zoo
from recipes.data.images import Framing, center, read
from recipes.transfer import logistic


@pytest.mark.deep
@pytest.mark.slow
def test_squeezenet_top1(shared):
    path, x = shared / "weights" / "squeezenet1.1_gluon_float32.npz", pictures(shared / "data" / "imagenet-samples", 224)
    probabilities = zoo.squeezenet1_1(weights=path).predict(x, batch_size=50, verbose=0)
    # 0.614 and 0.833 were measured on the original files. On these smaller copies torchvision's network with the same
    # weights answers as ours does, to 3e-6; where the 97 small pictures are not enlarged, both give 0.612 and 0.828.
    assert np.mean(probabilities.argmax(axis=1) == np.arange(1000)) == pytest.approx(0.626, abs=0.003)
    top5 = np.argsort(probabilities, axis=1)[:, -5:]
    assert np.mean((top5 == np.arange(1000)[:, None]).any(axis=1)) == pytest.approx(0.842, abs=0.003)
    # Without the classifier, or with another, the rest of the file still fills the model.
    body = zoo.squeezenet1_1(weights=path, num_classes=0)
    other = zoo.squeezenet1_1(weights=path, num_classes=7)
    with np.load(path) as tensors:
        for model in (body, other):
            np.testing.assert_array_equal(model.get_layer("fire9_expand3x3").kernel, tensors["fire9_expand3x3/kernel"])


BODIES = [  # file, builder, options, cut, size, accuracy that the probe reaches
    pytest.param(
        "googlenet_nolrn_to_inception4c.f16.npz",
        "inception_v1",
        {"lrn": False},
        "inception_4c",
        224,
        0.90,
        id="inception_v1",
        marks=pytest.mark.deep,
    ),
    pytest.param(
        "inception_v3_2015_to_mixed8.f16.weights.h5",
        "inception_v3",
        {},
        "mixed8",
        299,
        0.93,
        id="inception_v3",
        marks=pytest.mark.deep,
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize("file, name, options, cut, size, accuracy", BODIES)
def test_linear_probe(file, name, options, cut, size, accuracy, shared):
    body = zoo.split(zoo.get_model(name, **options), cut)[0]
    zoo.load_weights(body, shared / "weights" / file)
    train, labels = hymenoptera(shared, "train", size)
    test, truth = hymenoptera(shared, "val", size)
    features = [body.predict(x, batch_size=32, verbose=0).mean(axis=(1, 2)) for x in (train, train[:, :, ::-1], test)]
    head = logistic.fit(np.stack(features[:2]), [False, True], labels, seed=0)
    found = np.mean((features[2] @ head.kernel + head.bias).argmax(axis=1) == truth)
    assert found >= accuracy


def hymenoptera(shared, part, size):
    """(pictures, labels)."""
    framing = Framing(size, resize=round(size * 256 / 224), channels=3)
    paths = sorted((shared / "data" / "hymenoptera" / part).glob("*/*"))
    x = np.stack([center(read(path, framing)[0], framing) for path in paths])
    return x, np.array([path.parent.name == "bees" for path in paths]).astype(int)
