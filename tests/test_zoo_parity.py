"""The same weights give the same logits as in keras.applications and in PyTorch, through files in the official layouts.

All weights are random, batch norm's statistics included: defaults would hide a wrong epsilon, order or padding.
"""

import numpy as np
import pytest
from helpers import KINDS, array, pixels, randomize, write, write_legacy
from keras import applications
from safetensors.numpy import save_file

import zoo

slow = pytest.mark.slow
MODULES = {"vgg16": applications.vgg16, "resnet50": applications.resnet50, "mobilenet": applications.mobilenet,
           "mobilenet_v2": applications.mobilenet_v2}  # fmt: skip
BUILDERS = {"vgg16": "VGG16", "resnet50": "ResNet50", "mobilenet": "MobileNet", "mobilenet_v2": "MobileNetV2"}
CLASSES = 5
OURS = {"num_classes": CLASSES, "activation": None}


def official(name, size, **options):
    """keras.applications' model with logits and random weights."""
    function = getattr(MODULES[name], BUILDERS[name])
    more = dict(weights=None, classes=CLASSES, classifier_activation=None, input_shape=(size, size, 3))
    return randomize(function(**more, **options))


def assert_same(name, ours, theirs, size):
    """The largest difference is below a ten-thousandth of the logits' range."""
    x = pixels(3, size, size, 3)
    expected = array(theirs(MODULES[name].preprocess_input(x.astype(np.float32))))
    assert expected.shape == (3, CLASSES)
    close(array(ours(x)), expected)


def close(found, expected):
    assert np.isfinite(expected).all() and np.ptp(expected) > 0.01
    assert np.abs(found - expected).max() < 1e-4 * np.ptp(expected)


CASES = [
    pytest.param("mobilenet", {"alpha": 0.25}, id="mobilenet-0.25"),
    pytest.param("mobilenet_v2", {"alpha": 0.35}, id="mobilenet_v2-0.35", marks=slow),
    pytest.param("mobilenet", {"alpha": 1.0}, id="mobilenet", marks=slow),
    pytest.param("mobilenet_v2", {"alpha": 1.0}, id="mobilenet_v2", marks=slow),
    pytest.param("resnet50", {}, id="resnet50", marks=slow),
]


@pytest.mark.parametrize("name, options", CASES)
def test_same_logits_at_even_and_odd_sizes(name, options, tmp_path):
    theirs = official(name, 64, **options)
    path = write_legacy(theirs, tmp_path / "weights.h5")
    ours = getattr(zoo, name)(weights=path, input_shape=(None, None, 3), **options, **OURS)
    for size in (64, 75, 33):  # 33 and 75: odd at every and at some resolutions
        at_size = official(name, size, **options)
        at_size.set_weights(theirs.get_weights())
        assert_same(name, ours, at_size, size)


FILES = [
    *[("mobilenet", {"alpha": 0.25}, kind) for kind in KINDS],
    pytest.param("mobilenet_v2", {"alpha": 0.35}, "current.weights.h5", marks=slow),
    # Its convolutions have biases: two variables that a file numbers, and an old form of the file names.
    pytest.param("resnet50", {}, "current.weights.h5", marks=slow),
    pytest.param("resnet50", {}, "model.keras", marks=slow),
]


@pytest.mark.parametrize("name, options, kind", FILES)
def test_every_kind_of_file(name, options, kind, tmp_path):
    theirs = official(name, 32, **options)
    path = write(theirs, tmp_path / kind)
    ours = getattr(zoo, name)(weights=path, input_shape=(32, 32, 3), **options, **OURS)
    assert_same(name, ours, theirs, 32)


@slow
def test_vgg16(tmp_path):
    theirs = official("vgg16", 224)
    path = write_legacy(theirs, tmp_path / "weights.h5", "keras1")  # as its official file is spelled
    ours = zoo.vgg16(weights=path, **OURS)
    path.unlink()  # half a gigabyte
    assert_same("vgg16", ours, theirs, 224)


def test_notop_files_of_keras_applications(tmp_path):
    theirs = applications.MobileNet(alpha=0.25, weights=None, include_top=False, input_shape=(64, 64, 3), pooling="avg")
    path = write_legacy(randomize(theirs), tmp_path / "notop.h5")
    ours = zoo.mobilenet(alpha=0.25, weights=path, num_classes=0, input_shape=(64, 64, 3))
    x = pixels(2, 64, 64, 3)
    close(array(ours(x)), array(theirs(applications.mobilenet.preprocess_input(x.astype(np.float32)))))


# ---------------------------------------------------------------------------------------------- PyTorch
# Plain implementations with torchvision's module names, so that a state_dict is what torchvision's would be.
def torch_models():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: its graphs cannot be compared")
    nn = torch.nn

    class Bottleneck(nn.Module):
        """ResNet v1.5: the stride is on the 3 × 3."""

        def __init__(self, channels, filters, stride):
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(channels, filters, 1, bias=False), nn.BatchNorm2d(filters)
            self.conv2 = nn.Conv2d(filters, filters, 3, stride, padding=1, bias=False)
            self.bn2 = nn.BatchNorm2d(filters)
            self.conv3, self.bn3 = nn.Conv2d(filters, 4 * filters, 1, bias=False), nn.BatchNorm2d(4 * filters)
            self.downsample = None
            if stride != 1 or channels != 4 * filters:
                shortcut = nn.Conv2d(channels, 4 * filters, 1, stride, bias=False)
                self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(4 * filters))

        def forward(self, x):
            y = torch.relu(self.bn1(self.conv1(x)))
            y = torch.relu(self.bn2(self.conv2(y)))
            y = self.bn3(self.conv3(y))
            return torch.relu(y + (x if self.downsample is None else self.downsample(x)))

    class ResNet50(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, padding=3, bias=False), nn.BatchNorm2d(64)
            self.maxpool = nn.MaxPool2d(3, 2, padding=1)
            channels = 64
            for i, (depth, filters) in enumerate(zip((3, 4, 6, 3), (64, 128, 256, 512), strict=True), start=1):
                blocks = []
                for block in range(depth):
                    blocks.append(Bottleneck(channels, filters, 2 if i > 1 and block == 0 else 1))
                    channels = 4 * filters
                setattr(self, f"layer{i}", nn.Sequential(*blocks))
            self.fc = nn.Linear(2048, CLASSES)

        def forward(self, x):
            x = self.maxpool(torch.relu(self.bn1(self.conv1(x))))
            x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
            return self.fc(x.mean((2, 3)))

    class VGG16(nn.Module):
        def __init__(self):
            super().__init__()
            parts, channels = [], 3
            for filters in (64, 64, "M", 128, 128, "M", *([256] * 3), "M", *([512] * 3), "M", *([512] * 3), "M"):
                if filters == "M":
                    parts.append(nn.MaxPool2d(2))
                else:
                    parts += [nn.Conv2d(channels, filters, 3, padding=1), nn.ReLU()]
                    channels = filters
            self.features, self.avgpool = nn.Sequential(*parts), nn.AdaptiveAvgPool2d(7)
            self.classifier = nn.Sequential(
                nn.Linear(512 * 49, 4096), nn.ReLU(), nn.Dropout(),
                nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(), nn.Linear(4096, CLASSES),
            )  # fmt: skip

        def forward(self, x):
            return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))

    def conv_bn_relu6(channels, filters, kernel_size, stride=1, groups=1):
        conv = nn.Conv2d(channels, filters, kernel_size, stride, kernel_size // 2, groups=groups, bias=False)
        return nn.Sequential(conv, nn.BatchNorm2d(filters), nn.ReLU6())

    class InvertedResidual(nn.Module):
        def __init__(self, channels, filters, stride, expansion):
            super().__init__()
            hidden = channels * expansion
            self.add = stride == 1 and channels == filters
            self.conv = nn.Sequential(
                *([conv_bn_relu6(channels, hidden, 1)] if expansion > 1 else []),
                conv_bn_relu6(hidden, hidden, 3, stride, groups=hidden),
                nn.Conv2d(hidden, filters, 1, bias=False), nn.BatchNorm2d(filters),
            )  # fmt: skip

        def forward(self, x):
            return x + self.conv(x) if self.add else self.conv(x)

    class MobileNetV2(nn.Module):
        def __init__(self):
            super().__init__()
            parts, channels = [conv_bn_relu6(3, 32, 3, 2)], 32
            rows = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
                    (6, 320, 1, 1))  # fmt: skip
            for expansion, filters, repeats, stride in rows:
                for repeat in range(repeats):
                    parts.append(InvertedResidual(channels, filters, stride if repeat == 0 else 1, expansion))
                    channels = filters
            self.features = nn.Sequential(*parts, conv_bn_relu6(320, 1280, 1))
            self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, CLASSES))

        def forward(self, x):
            return self.classifier(self.features(x).mean((2, 3)))

    return torch, {"resnet50": ResNet50, "vgg16": VGG16, "mobilenet_v2": MobileNetV2}


TORCH_FILES = [("mobilenet_v2", kind) for kind in ("zip.pth", "legacy.pth", "wrapped.pth", "arrays.safetensors")]


@slow
@pytest.mark.parametrize("name, kind", [*TORCH_FILES, ("resnet50", "zip.pth"), ("vgg16", "legacy.pth")])
def test_torch(name, kind, tmp_path):
    torch, models = torch_models()
    torch.manual_seed(0)
    theirs = models[name]().eval()
    with torch.no_grad():
        for tensor_name, tensor in theirs.state_dict().items():
            if tensor_name.endswith("running_var"):
                tensor.uniform_(0.5, 2.0)
            elif tensor.ndim > 1:
                torch.nn.init.kaiming_normal_(tensor)
            elif tensor.is_floating_point():  # biases, means, and scales away from 1
                tensor.normal_(0, 0.1).add_(1.0 if tensor_name.endswith("weight") else 0.0)
    path, state = tmp_path / kind, theirs.state_dict()
    if kind == "zip.pth":
        torch.save(state, path)
    elif kind == "legacy.pth":
        torch.save(state, path, _use_new_zipfile_serialization=False)
    elif kind == "wrapped.pth":
        torch.save({"epoch": 3, "state_dict": {f"module.{k}": v for k, v in state.items()}, "best": 0.9}, path)
    else:
        save_file({k: v.numpy() for k, v in state.items()}, path)
    mean, std = (torch.tensor(v).reshape(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    for size in (224,) if name == "vgg16" else (64, 75):
        ours = getattr(zoo, name)(weights=path, input_shape=(size, size, 3), **OURS)
        x = pixels(2, size, size, 3)
        with torch.no_grad():
            expected = theirs((torch.from_numpy(x).permute(0, 3, 1, 2) / 255 - mean) / std).numpy()
        close(array(ours(x)), expected)
        assert ours.origin.variant == "torch"
        assert sum(np.prod(v.shape) for v in ours.trainable_variables) == sum(p.numel() for p in theirs.parameters())
