"""Vision transformers give the logits of torchvision and timm, at their size and with interpolated positions at others."""

import shutil

import numpy as np
import pytest
from helpers import array, pixels
from parity import CLASSES, IMAGENET, OURS, answers, close, randomize_torch, torchvision, with_torch

import zoo
from zoo import WeightsError, analysis
from zoo.weights.adapting import adapt_positions
from zoo.weights.loading import torch_variant

slow = pytest.mark.slow
HALF = ((0.5,) * 3, (0.5,) * 3)
TIMM = {
    "vit_ti_16": "vit_tiny_patch16_224",
    "vit_s_16": "vit_small_patch16_224",
    "vit_b_16": "vit_base_patch16_224",
    "vit_b_32": "vit_base_patch32_224",
    "vit_l_16": "vit_large_patch16_224",
    "deit3_s_16": "deit3_small_patch16_224",
    "deit3_b_16": "deit3_base_patch16_224",
    "dinov2_s_14": "vit_small_patch14_dinov2",
    "dinov2_b_14": "vit_base_patch14_dinov2",
    "dinov2_l_14": "vit_large_patch14_dinov2",
    "dinov2_s_14_reg": "vit_small_patch14_reg4_dinov2",
    "dinov2_b_14_reg": "vit_base_patch14_reg4_dinov2",
    "dinov2_l_14_reg": "vit_large_patch14_reg4_dinov2",
}
MODERN = [name for name in TIMM if not name.startswith("vit")]


def timm_model(name, size, features=False):
    torchvision()
    timm = pytest.importorskip("timm", reason="timm is not installed: its graphs cannot be compared")
    return timm.create_model(TIMM[name], num_classes=0 if features else CLASSES, img_size=size)


@slow
@pytest.mark.parametrize("name", ["vit_ti_16", "vit_s_16", "vit_b_32"])
def test_timm(name, tmp_path):
    with_torch(name, timm_model(name, 64), tmp_path, sizes=(64,), statistics=HALF, variant="timm", preprocessing=HALF)


def at_size(name, saved, size, shape, features=False):
    """timm's network at another size, which takes what another holds as timm reads files: by resampling the positions."""
    from timm.models.vision_transformer import checkpoint_filter_fn

    theirs = timm_model(name, shape[:2], features)
    theirs.pretrained_cfg["input_size"] = (3, size, size)  # of the file
    theirs.load_state_dict(checkpoint_filter_fn(dict(saved), theirs))
    return theirs.eval()


@slow
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name.startswith("dinov2") else pytest.mark.deep) for name in MODERN]
)
def test_timms_modern_ones_at_two_sizes_larger_and_smaller_than_the_files(name, tmp_path):
    """With a classifier and without, by the class token, the patches' mean, and both."""
    patch, path = (16 if name.startswith("deit3") else 14), tmp_path / "weights.pth"
    theirs = randomize_torch(timm_model(name, 5 * patch))
    saved = theirs.state_dict()
    import torch

    torch.save(saved, path)
    for rows, columns in ((3, 3), (6, 4)):
        shape = (rows * patch, columns * patch, 3)
        x = pixels(2, *shape)
        ours = zoo.get_model(name, weights=path, input_shape=shape, **OURS)
        close(array(ours(x)), answers(at_size(name, saved, 5 * patch, shape), x, IMAGENET))
    assert ours.origin.variant == "timm" and ours.origin.interpolation == "bicubic"
    width = ours.get_layer("pre_logits").output.shape[-1]
    more = (rows * columns - 25) * width  # positions
    assert ours.count_params() == sum(p.numel() for p in theirs.parameters()) + more
    theirs = at_size(name, saved, 5 * patch, shape)
    token = array(zoo.get_model(name, weights=path, input_shape=shape, num_classes=0)(x))
    theirs.reset_classifier(0)
    close(token, answers(theirs, x, IMAGENET))
    both = array(zoo.get_model(name, weights=path, input_shape=shape, num_classes=0, pooling="both")(x))
    theirs.reset_classifier(0, "avg")
    close(both, np.concatenate([token, answers(theirs, x, IMAGENET)], axis=1))
    with_head = zoo.new_head(zoo.get_model(name, weights=path, input_shape=shape, num_classes=0), 3, pooling="both")
    np.testing.assert_array_equal(array(zoo.features(with_head, ["pre_logits"])(x)), both)
    average = array(zoo.get_model(name, weights=path, input_shape=shape, num_classes=0, pooling="average")(x))
    np.testing.assert_allclose(average, both[:, both.shape[1] // 2 :], atol=1e-5)


@slow
@pytest.mark.parametrize("name", ["dinov2_s_14", "dinov2_s_14_reg"])
def test_the_authors_files_of_dinov2(name, tmp_path):
    """With a mask token; with registers, also under other names, and with a position of the class token."""
    import torch

    theirs = randomize_torch(timm_model(name, 42, features=True))
    file = {**theirs.state_dict(), "mask_token": torch.randn(1, 384)}
    if name.endswith("_reg"):
        file["register_tokens"] = file.pop("reg_token")
        file["pos_embed"] = torch.cat([torch.randn(1, 1, 384), file["pos_embed"]], dim=1)
    x, path = pixels(2, 56, 42, 3), tmp_path / "dinov2_vits14_pretrain.pth"
    torch.save(file, path)
    ours = zoo.get_model(name, weights=path, input_shape=(56, 42, 3))
    close(array(ours(x)), answers(at_size(name, file, 42, (56, 42), features=True), x, IMAGENET))
    other = name.replace("_s_", "_b_")
    with pytest.raises(WeightsError, match=f"does not fit {other}: .*shapes differ.*: it is for {name}, so give that model.$"):
        zoo.get_model(other, weights=path)


@slow
def test_files_without_a_classifier_tell_whose_they_are():
    """DINO's, of networks that torchvision has, too."""
    models = torchvision().models
    import torch

    with torch.device("meta"):
        files = {"timm": timm_model("vit_b_16", 32, features=True), "torch": models.vit_b_16(image_size=32)}
    files["torch"].heads = torch.nn.Identity()
    model = analysis.blueprint(zoo.vit_b_16, num_classes=0, input_shape=(32, 32, 3))
    for variant, theirs in files.items():
        # What has no values has shapes, which is all that is looked at.
        assert torch_variant(theirs.state_dict(), model.origin.torch_names, "dino.pth", "vit_b_16", lambda: model) == variant


@slow
def test_published_features_have_no_classifier_until_one_is_asked_for(tmp_path, monkeypatch):
    theirs = randomize_torch(timm_model("vit_s_16", 224, features=True))
    file = tmp_path / "vit_small_patch16_224.dino.safetensors"
    from safetensors.torch import save_file

    save_file(theirs.state_dict(), file)
    monkeypatch.setenv("ZOO_MIRROR", str(tmp_path))
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    x, tag = pixels(1, 224, 224, 3), "imagenet_timm_dino"
    ours = zoo.vit_s_16(weights=tag)
    close(array(ours(x)), answers(theirs, x, IMAGENET))
    assert (ours.origin.variant, ours.origin.preprocessing, ours.origin.resize) == ("timm", "torch", 248)
    with_head = zoo.vit_s_16(weights=tag, num_classes=1000)
    assert with_head.output_shape == (None, 1000) and with_head.origin.classes == ()
    np.testing.assert_array_equal(array(zoo.features(with_head, ["pre_logits"])(x)), array(ours(x)))
    with pytest.raises(WeightsError, match="lacks 2 of .*: pass num_classes to start with a new classifier.$"):
        zoo.vit_s_16(weights=shutil.copy(file, tmp_path / "mine.safetensors"), preprocessing="torch")


@slow
@pytest.mark.parametrize("name", ["vit_b_16", "vit_b_32", "vit_l_16"])
def test_torchvision(name, tmp_path):
    theirs = getattr(torchvision().models, name)(num_classes=CLASSES, image_size=64)
    with_torch(name, theirs, tmp_path, sizes=(64,))


@slow
@pytest.mark.deep
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
    path = tmp_path / "weights.pth"
    torch.save(saved.state_dict(), path)
    for shape in ((96, 48, 3), (32, 128, 3)):  # the second has as many patches as the file
        theirs = at_size("vit_ti_16", saved.state_dict(), 64, shape)
        ours = zoo.vit_ti_16(weights=path, input_shape=shape, preprocessing="tf", **OURS)
        x = pixels(2, *shape)
        close(array(ours(x)), answers(theirs, x, HALF))
        ours.save_weights(tmp_path / "ours.weights.h5")
        again = zoo.vit_ti_16(weights=tmp_path / "ours.weights.h5", input_shape=shape, preprocessing="tf", **OURS)
        np.testing.assert_array_equal(array(again(x)), array(ours(x)))
    with pytest.raises(WeightsError, match="position_embedding/embeddings is 10 × 192, in the file 19 × 192"):
        zoo.vit_ti_16(input_shape=(96, 48, 3), **OURS).save_weights(tmp_path / "oblong.weights.h5")
        zoo.vit_ti_16(weights=tmp_path / "oblong.weights.h5", input_shape=(48, 48, 3), preprocessing="tf", **OURS)


@pytest.mark.parametrize(
    "old, new, tokens", [(14, (7, 7), 1), (7, (12, 5), 0), (3, (3, 3), 1), (1, (2, 3), 0), (37, (16, 16), 1)]
)
def test_adapt_positions(old, new, tokens):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: its interpolation cannot be compared")
    table = np.random.default_rng(0).normal(size=(tokens + old * old, 6)).astype(np.float32)
    picture = torch.from_numpy(table[tokens:].reshape(1, old, old, 6)).permute(0, 3, 1, 2)
    picture = torch.nn.functional.interpolate(picture, size=new, mode="bicubic", align_corners=False, antialias=True)
    expected = np.concatenate([table[:tokens], picture.permute(0, 2, 3, 1).reshape(-1, 6).numpy()])
    np.testing.assert_allclose(adapt_positions(table, *new, tokens), expected, atol=1e-5)


def test_sizes_are_multiples_of_the_patch():
    for shape, message in (
        ((40, 48, 3), r"vit_ti_16: height and width must be multiples of 16, .*: give \(48, 48, 3\)\.$"),
        ((None, 32, 3), "vit_ti_16 needs a fixed height and width"),
    ):
        with pytest.raises(ValueError, match=message):
            zoo.vit_ti_16(input_shape=shape)


def test_a_pooling_that_there_is_not():
    with pytest.raises(ValueError, match='^dinov2_s_14: pooling must be "token", "average" or "both", found .max.\\.$'):
        zoo.dinov2_s_14(pooling="max")
