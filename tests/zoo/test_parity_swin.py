"""Swin gives the logits of torchvision and timm, also at sizes that its windows do not divide."""

import keras
import numpy as np
import pytest
from helpers import array, pixels
from parity import CLASSES, OURS, randomize_torch, torchvision, with_torch

import zoo
from zoo import WeightsError, analysis, windows

slow = pytest.mark.slow
SIZES = {"swin_tiny": "swin_t", "swin_small": "swin_s", "swin_base": "swin_b"}
TIMM = {
    "swin_tiny": "swin_tiny_patch4_window7_224",
    "swin_small": "swin_small_patch4_window7_224",
    "swin_base": "swin_base_patch4_window7_224",
    "swin_base_384": "swin_base_patch4_window12_384",
}


def timm_model(name, **options):
    torchvision()
    return pytest.importorskip("timm").create_model(TIMM[name], num_classes=CLASSES, **options)


@slow
@pytest.mark.parametrize("name", SIZES)
def test_torchvision(name, tmp_path):  # at 75, maps are of 18, 9, 5 and 3: odd ones are padded
    theirs = getattr(torchvision().models, SIZES[name])(num_classes=CLASSES)
    with_torch(name, theirs, tmp_path, sizes=(64, 75, 96) if name == "swin_tiny" else (64,))


@slow
@pytest.mark.parametrize("name, size", [("swin_tiny", 224), ("swin_tiny", 256), ("swin_small", 224), ("swin_base", 224)])
def test_timm(name, size, tmp_path):
    with_torch(name, timm_model(name, img_size=size), tmp_path, sizes=(size,), variant="timm")


@slow
@pytest.mark.deep
def test_timm_with_larger_windows(tmp_path):
    with_torch("swin_base_384", timm_model("swin_base_384"), tmp_path, sizes=(384,), variant="timm")


@slow
@pytest.mark.deep
def test_files_of_another_member_are_refused(tmp_path):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: its graphs cannot be compared")
    path = tmp_path / "weights.pth"
    torch.save(randomize_torch(timm_model("swin_tiny")).state_dict(), path)
    with pytest.raises(WeightsError, match="does not fit swin_small: it lacks .* of the model's variables"):
        zoo.swin_small(weights=path, **OURS)
    torch.save(randomize_torch(timm_model("swin_base_384")).state_dict(), path)
    with pytest.raises(WeightsError, match="stage1_block1_offsets/embeddings is 169 × 4, in the file 529 × 4"):
        zoo.swin_base(weights=path, **OURS)


@slow
@pytest.mark.deep
def test_the_two_forms_differ_where_windows_do_not_divide(tmp_path):
    """A file of a network that rolls first is not taken for one that pads first."""
    ours = zoo.swin_tiny(variant="timm", input_shape=(96, 96, 3), **OURS)
    ours.save(path := tmp_path / "ours.keras")
    again = zoo.swin_tiny(weights=path, input_shape=(96, 96, 3), **OURS)
    x = pixels(2, 96, 96, 3)
    np.testing.assert_array_equal(array(again(x)), array(ours(x)))
    with pytest.raises(WeightsError, match="is for variant 'timm' of swin_tiny, found 'torch'"):
        zoo.swin_tiny(weights=path, variant="torch", input_shape=(96, 96, 3), **OURS)


def test_windows_are_cut_row_by_row_and_put_together_again():
    inputs = keras.Input((4, 6, 1))
    cut = windows.partition(inputs, (2, 3), "cut")
    model = keras.Model(inputs, [cut, windows.merge(cut, (2, 3), (4, 6), "map")])
    x = np.arange(24, dtype="float32").reshape(1, 4, 6, 1)
    tokens, again = map(array, model(x))
    assert tokens[0, :, :, 0].tolist() == [
        [0, 1, 2, 6, 7, 8],
        [3, 4, 5, 9, 10, 11],
        [12, 13, 14, 18, 19, 20],
        [15, 16, 17, 21, 22, 23],
    ]
    np.testing.assert_array_equal(again, x)


def test_only_what_lay_together_shares_a_number():
    """A line of four, rolled by one: the last window holds what was the last place, and what was the first."""
    assert windows.regions((1, 4), (1, 2), (0, 1)).tolist() == [[0, 0], [1, 2]]
    assert len(np.unique(windows.regions((4, 4), (2, 2), (1, 1))[3])) == 4


@slow
def test_windows_leave_the_stride_alone_to_say():
    stages = {fact.name: fact for fact in analysis.analyze(analysis.blueprint(zoo.swin_tiny))}
    for i in range(1, 5):
        axis = stages[f"stage{i}"].receptive_field[0]
        assert np.isnan(axis.size) and axis.center is None and axis.stride == 2 ** (i + 1)
    assert stages["pre_logits"].receptive_field[0].size == np.inf


def test_sizes_are_fixed_and_from_64_up():
    for shape, message in (
        ((32, 64, 3), "swin_tiny: height and width must be 64 or more"),
        ((None, 64, 3), "swin_tiny needs a fixed height and width"),
    ):
        with pytest.raises(ValueError, match=message):
            zoo.swin_tiny(input_shape=shape)
