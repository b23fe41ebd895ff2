"""GoogLeNet and Inception v3 against keras.applications and torchvision."""

import numpy as np
import pytest
from helpers import array, pixels
from keras import applications
from parity import CLASSES, OURS, close, randomize_torch, torchvision, with_keras, with_torch

import zoo

slow = pytest.mark.slow
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@slow
def test_v3_of_keras(tmp_path):
    with_keras("inception_v3", applications.inception_v3, "InceptionV3", tmp_path, sizes=(75, 96))


@slow
def test_v3_of_torchvision(tmp_path):
    theirs = torchvision().models.Inception3(num_classes=CLASSES, init_weights=False)
    with_torch("inception_v3", theirs, tmp_path, sizes=(75, 96), statistics=HALF, preprocessing=HALF)


@slow
def test_googlenet_of_torchvision(tmp_path):
    theirs = torchvision().models.GoogLeNet(num_classes=CLASSES, init_weights=False)
    with_torch("googlenet", theirs, tmp_path, sizes=(64, 75), statistics=HALF, preprocessing=HALF)


@slow
@pytest.mark.parametrize(
    "name, function, size, heads",
    [
        ("googlenet", "GoogLeNet", 224, {"aux1": "inception4a", "aux2": "inception4d"}),
        ("googlenet", "GoogLeNet", 96, {"aux1": "inception4a", "aux2": "inception4d"}),
        ("inception_v3", "Inception3", 299, {"AuxLogits": "Mixed_6e"}),
    ],
)
def test_auxiliary_classifiers_of_torchvision(name, function, size, heads, tmp_path):
    """torchvision runs them in training only, where dropout and batch norm hide what they compute: here by hand."""
    models = torchvision().models
    import torch

    theirs = randomize_torch(getattr(models, function)(num_classes=CLASSES, init_weights=False))
    torch.save(theirs.state_dict(), tmp_path / "weights.pth")
    seen = {}
    for module in heads.values():
        getattr(theirs, module).register_forward_hook(lambda _, __, y, module=module: seen.update({module: y}))
    x = pixels(2, size, size, 3)
    with torch.no_grad():
        expected = [theirs((torch.from_numpy(x).permute(0, 3, 1, 2) / 255 - 0.5) / 0.5)]
        expected += [getattr(theirs, head)(seen[module]) for head, module in heads.items()]
    ours = zoo.get_model(
        name, aux=True, weights=tmp_path / "weights.pth", input_shape=(size, size, 3), preprocessing="tf", **OURS
    )
    found = ours(x)
    assert len(found) == len(expected)
    for y, truth in zip(found, expected, strict=True):
        close(array(y), truth.numpy())
    assert zoo.new_head(ours, 3).output_shape == (None, 3)
    assert zoo.split(ours, "stage3")[1].output_shape == (None, CLASSES)
    assert ours.count_params() == sum(t.numel() for k, t in theirs.state_dict().items() if "num_batches" not in k)


@slow
@pytest.mark.parametrize("lrn", [False, True])
def test_the_papers_googlenet(lrn):
    """Table 1 written again with PyTorch's functions, the weights handed over layer by layer."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: its graphs cannot be compared")
    from helpers import named, randomize
    from torch.nn import functional as F

    ours = randomize(zoo.inception_v1(lrn=lrn, aux=True, **OURS))
    weights = {
        name: torch.from_numpy(np.moveaxis(value, (-1, -2), (0, 1)).copy() if value.ndim > 1 else value)
        for name, value in named(ours).items()
    }

    def conv(x, name, stride=1):
        kernel = weights[f"{name}/kernel"]
        return F.relu(F.conv2d(x, kernel, weights[f"{name}/bias"], stride, padding=kernel.shape[-1] // 2))

    def dense(x, name):
        return F.linear(x, weights[f"{name}/kernel"], weights[f"{name}/bias"])

    def norm(x):
        return F.local_response_norm(x, 5, 1e-4, 0.75, 1.0) if lrn else x

    def pool(x):
        return F.max_pool2d(x, 3, 2, ceil_mode=True)

    def module(x, name):
        parts = (
            conv(x, f"{name}_1x1"),
            conv(conv(x, f"{name}_3x3_reduce"), f"{name}_3x3"),
            conv(conv(x, f"{name}_5x5_reduce"), f"{name}_5x5"),
            conv(F.max_pool2d(x, 3, 1, padding=1), f"{name}_pool_proj"),
        )
        return torch.cat(parts, 1)

    def auxiliary(x, name):
        x = conv(F.avg_pool2d(x, 5, 3), f"{name}_conv").permute(0, 2, 3, 1).flatten(1)  # rows as ours count them
        return dense(F.relu(dense(x, f"{name}_fc")), f"{name}_predictions")

    pictures = pixels(2, 224, 224, 3)
    with torch.no_grad():
        x = torch.from_numpy(pictures[..., ::-1] - np.array([104, 117, 123], np.float32)).permute(0, 3, 1, 2)
        x = norm(pool(conv(x, "conv1_7x7_s2", 2)))
        x = norm(conv(conv(x, "conv2_3x3_reduce"), "conv2_3x3"))
        expected = []
        for stage in (("3a", "3b"), ("4a", "4b", "4c", "4d", "4e"), ("5a", "5b")):
            x = pool(x)
            for name in stage:
                x = module(x, f"inception_{name}")
                if name in ("4a", "4d"):
                    expected.append(auxiliary(x, f"aux{len(expected) + 1}"))
        expected.insert(0, dense(x.mean((2, 3)), "predictions"))
    assert x.shape[1:] == (1024, 7, 7)
    for y, truth in zip(ours(pictures), expected, strict=True):
        close(array(y), truth.numpy())


@slow
def test_v3_of_timm(tmp_path):
    """Its files have torchvision's names."""
    torchvision()
    timm = pytest.importorskip("timm", reason="timm is not installed: its graphs cannot be compared")
    theirs = timm.create_model("inception_v3", num_classes=CLASSES)
    with_torch("inception_v3", theirs, tmp_path, sizes=(96,), statistics=HALF, preprocessing=HALF)
