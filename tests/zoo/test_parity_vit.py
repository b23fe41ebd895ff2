"""Vision transformers give the logits of torchvision and timm, at their size and with interpolated positions at others."""

import numpy as np
import pytest
from helpers import array, pixels
from parity import CLASSES, OURS, close, randomize_torch, torchvision, with_torch

import zoo
from zoo import WeightsError
from zoo.weights.adapting import adapt_positions

slow = pytest.mark.slow
HALF = ((0.5,) * 3, (0.5,) * 3)
TIMM = {
    "vit_ti_16": "vit_tiny_patch16_224",
    "vit_s_16": "vit_small_patch16_224",
    "vit_b_16": "vit_base_patch16_224",
    "vit_b_32": "vit_base_patch32_224",
    "vit_l_16": "vit_large_patch16_224",
}


def timm_model(name, size, **options):
    torchvision()
    timm = pytest.importorskip("timm", reason="timm is not installed: its graphs cannot be compared")
    return timm.create_model(TIMM[name], num_classes=CLASSES, img_size=size, **options)


@slow
@pytest.mark.parametrize("name", ["vit_ti_16", "vit_s_16", "vit_b_32"])
def test_timm(name, tmp_path):
    with_torch(name, timm_model(name, 64), tmp_path, sizes=(64,), statistics=HALF, variant="timm", preprocessing=HALF)


@slow
@pytest.mark.parametrize("name", ["vit_b_16", "vit_b_32", "vit_l_16"])
def test_torchvision(name, tmp_path):
    theirs = getattr(torchvision().models, name)(num_classes=CLASSES, image_size=64)
    with_torch(name, theirs, tmp_path, sizes=(64,))


@slow
def test_the_older_names_of_torchvisions_files(tmp_path):
    torch = pytest.importorskip("torch")
    theirs = randomize_torch(torchvision().models.vit_b_32(num_classes=CLASSES, image_size=64))
    state = {
        name.replace("mlp.0", "mlp.linear_1").replace("mlp.3", "mlp.linear_2"): tensor
        for name, tensor in theirs.state_dict().items()
    }
    for path, content in ((tmp_path / "new.pth", theirs.state_dict()), (tmp_path / "old.pth", state)):
        torch.save(content, path)
    new, old = (zoo.vit_b_32(weights=tmp_path / f"{kind}.pth", input_shape=(64, 64, 3), **OURS) for kind in ("new", "old"))
    np.testing.assert_array_equal(new.get_weights()[-1], old.get_weights()[-1])
    x = pixels(1, 64, 64, 3)
    np.testing.assert_array_equal(array(new(x)), array(old(x)))


@slow
def test_files_of_another_size(tmp_path):
    """Positions are interpolated, to other than squares too, as timm does; what zoo saved is not."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: its graphs cannot be compared")
    saved = randomize_torch(timm_model("vit_ti_16", 64))
    resample = pytest.importorskip("timm.layers").resample_abs_pos_embed
    path = tmp_path / "weights.pth"
    torch.save(saved.state_dict(), path)
    for shape in ((96, 48, 3), (32, 128, 3)):  # the second has as many patches as the file
        theirs, grid = timm_model("vit_ti_16", shape[:2]), [shape[0] // 16, shape[1] // 16]
        positions = resample(saved.state_dict()["pos_embed"], new_size=grid, antialias=False)
        theirs.load_state_dict({**saved.state_dict(), "pos_embed": positions})
        ours = zoo.vit_ti_16(weights=path, input_shape=shape, preprocessing="tf", **OURS)
        x = pixels(2, *shape)
        with torch.no_grad():
            expected = theirs.eval()((torch.from_numpy(x).permute(0, 3, 1, 2) / 255 - 0.5) / 0.5).numpy()
        close(array(ours(x)), expected)
        ours.save_weights(tmp_path / "ours.weights.h5")
        again = zoo.vit_ti_16(weights=tmp_path / "ours.weights.h5", input_shape=shape, preprocessing="tf", **OURS)
        np.testing.assert_array_equal(array(again(x)), array(ours(x)))
    with pytest.raises(WeightsError, match="position_embedding/embeddings is 10 × 192, in the file 19 × 192"):
        zoo.vit_ti_16(input_shape=(96, 48, 3), **OURS).save_weights(tmp_path / "oblong.weights.h5")
        zoo.vit_ti_16(weights=tmp_path / "oblong.weights.h5", input_shape=(48, 48, 3), preprocessing="tf", **OURS)


@pytest.mark.parametrize("old, new", [(14, (7, 7)), (7, (12, 5)), (3, (3, 3)), (1, (2, 3))])
def test_adapt_positions(old, new):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: its interpolation cannot be compared")
    table = np.random.default_rng(0).normal(size=(1 + old * old, 6)).astype(np.float32)
    picture = torch.from_numpy(table[1:].reshape(1, old, old, 6)).permute(0, 3, 1, 2)
    picture = torch.nn.functional.interpolate(picture, size=new, mode="bicubic", align_corners=False)
    expected = np.concatenate([table[:1], picture.permute(0, 2, 3, 1).reshape(-1, 6).numpy()])
    np.testing.assert_allclose(adapt_positions(table, *new), expected, atol=1e-5)


def test_sizes_are_multiples_of_the_patch():
    for shape, message in (
        ((40, 48, 3), "vit_ti_16: height and width must be multiples of 16"),
        ((None, 32, 3), "vit_ti_16 needs a fixed height and width"),
    ):
        with pytest.raises(ValueError, match=message):
            zoo.vit_ti_16(input_shape=shape)
