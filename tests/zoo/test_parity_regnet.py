"""RegNet gives torchvision's logits, and its rule draws the paper's networks."""

import pytest
from parity import CLASSES, torchvision, with_torch

from zoo.architectures.regnet import draw

SIZES = [
    pytest.param(f"regnet_{kind}_{size}", marks=pytest.mark.slow)
    for kind in "xy"
    for size in ("400mf", "800mf", "1_6gf", "3_2gf", "8gf", "16gf", "32gf")
]


@pytest.mark.parametrize("name", SIZES)
def test_torchvision(name, tmp_path):
    theirs = getattr(torchvision().models, name)(num_classes=CLASSES)
    with_torch(name, theirs, tmp_path, sizes=(64, 75) if name.endswith("400mf") else (32,))


def test_the_rule_draws_the_papers_networks():
    # Tables 8 and 9. The third has its widths moved to whole groups, the last is torchvision's where the paper has 168.
    assert draw(22, 24, 24.48, 2.54, 16) == [(32, 1, 16), (64, 2, 16), (160, 7, 16), (400, 12, 16)]
    assert draw(16, 48, 27.89, 2.09, 8) == [(48, 1, 8), (104, 3, 8), (208, 6, 8), (440, 6, 8)]
    assert draw(23, 320, 69.86, 2.0, 168) == [(336, 2, 168), (672, 7, 168), (1344, 13, 168), (2520, 1, 168)]
    assert draw(17, 192, 76.82, 2.19, 56) == [(224, 2, 56), (448, 4, 56), (896, 10, 56), (2016, 1, 56)]
