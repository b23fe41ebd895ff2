"""PP-HGNetV2 gives the logits of timm."""

import keras
import pytest
from parity import CLASSES, torchvision, with_torch

import zoo
from zoo import analysis

slow = pytest.mark.slow


@slow
@pytest.mark.parametrize("name", [f"hgnetv2_b{i}" for i in range(5)])
def test_timm(name, tmp_path):
    torchvision()
    theirs = pytest.importorskip("timm").create_model(name, num_classes=CLASSES)
    with_torch(name, theirs, tmp_path, sizes=(64, 75) if name in ("hgnetv2_b0", "hgnetv2_b4") else (64,), variant="timm")


def test_only_blocks_that_are_added_are_dropped():
    model = analysis.blueprint(zoo.hgnetv2_b2, drop_path_rate=0.5)
    rates = {layer.name: layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)}
    assert rates == pytest.approx({"stage3_block2_drop": 0.3, "stage3_block3_drop": 0.4})  # of blocks 0 to 5, 3 and 4
