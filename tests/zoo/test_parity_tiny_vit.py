"""TinyViT gives the logits of timm, also at sizes that its windows do not divide."""

import pytest
from parity import CLASSES, torchvision, with_torch

NETWORKS = {
    "tiny_vit_5m": "tiny_vit_5m_224",
    "tiny_vit_11m": "tiny_vit_11m_224",
    "tiny_vit_21m": "tiny_vit_21m_224",
    "tiny_vit_21m_384": "tiny_vit_21m_384",
    "tiny_vit_21m_512": "tiny_vit_21m_512",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_timm(name, tmp_path):  # at 224 and 448 windows divide the maps of the first, at 75 none is whole
    torchvision()
    theirs = pytest.importorskip("timm").create_model(NETWORKS[name], num_classes=CLASSES)
    with_torch(name, theirs, tmp_path, sizes=(75, 224) if name == "tiny_vit_5m" else (75,), variant="timm")
