"""How far networks of the zoo are from timm's definitions: random weights through a file, two sizes each.

    python benchmarks/timm_parity.py [PATTERN]    # 'dinov2*'; prints the table of docs/analysis.md

A row is a builder, what timm calls the network, the file's layout, the sizes, and the largest difference of the logits as a
share of their range, of two pictures of noise. The file is of the first size: where a network has positions, they are
resampled for the second, by timm's reader there and by ours here. A network must lie below 1e-4.
"""

import argparse
import fnmatch
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from helpers import array, pixels  # noqa: E402
from parity import CLASSES, IMAGENET, answers, randomize_torch, torchvision  # noqa: E402


class Row(NamedTuple):
    """A builder of the zoo, the same network of timm, and sizes that both take."""

    builder: str
    network: str
    sizes: tuple[int, int] = (64, 96)
    file: str = "state_dict"
    preprocessing: str = "torch"
    theirs: dict = {}  # options of timm's
    ours: dict = {}  # of the builder's own


HALF = ((0.5,) * 3, (0.5,) * 3)
STATISTICS = {"torch": IMAGENET, "tf": HALF}
FEATURES = {"num_classes": 0}
NO_CLASSIFIER = "state_dict without a classifier: features"

# One for each graph and layout of files; the other members differ in numbers only.
ROWS = (
    Row("vit_ti_16", "vit_tiny_patch16_224"),
    Row("vit_b_32", "vit_base_patch32_224"),
    Row("vit_s_16", "vit_small_patch16_224", file=NO_CLASSIFIER, theirs=FEATURES, ours=FEATURES),
    Row("deit3_s_16", "deit3_small_patch16_224"),
    Row("dinov2_s_14", "vit_small_patch14_dinov2", (70, 56)),
    Row("dinov2_s_14_reg", "vit_small_patch14_reg4_dinov2", (70, 56)),
    Row("resnet50", "resnet50", file=NO_CLASSIFIER, theirs=FEATURES, ours=FEATURES),
    Row("convnext_atto", "convnext_atto", file="state_dict, perceptrons of 1 × 1 convolutions"),
    Row("convnext_atto", "convnext_atto", file="state_dict, perceptrons of matrices", theirs={"conv_mlp": False}),
    Row("convnext_tiny", "convnext_tiny"),
    Row("convnext_tiny", "convnext_tiny", file=NO_CLASSIFIER, theirs=FEATURES, ours=FEATURES),
    Row("convnext_v2_atto", "convnextv2_atto"),
    Row("mobilenet", "mobilenetv1_100", preprocessing="tf"),
    Row("mobilenet_v4_conv_small", "mobilenetv4_conv_small"),
    Row("mobilenet_v4_conv_medium", "mobilenetv4_conv_medium"),
    Row("mobilenet_v4_conv_large", "mobilenetv4_conv_large"),
    Row("hgnetv2_b0", "hgnetv2_b0"),
    Row("hgnetv2_b4", "hgnetv2_b4"),  # without trained scales
    Row("tiny_vit_5m", "tiny_vit_5m_224", (224, 75)),
    Row("tiny_vit_21m_384", "tiny_vit_21m_384", (224, 75)),
    Row("swin_tiny", "swin_tiny_patch4_window7_224", (224, 256)),
    Row("swin_base_384", "swin_base_patch4_window12_384", (384, 416)),
)


def differences(row: Row, folder: Path) -> Iterator[float]:
    """Compute the largest difference at each size, as a share of the range of timm's logits."""
    import torch

    import zoo

    path, options = folder / "weights.pth", {"num_classes": CLASSES, **row.theirs}
    saved = randomize_torch(_timm(row, options, row.sizes[0])).state_dict()
    torch.save(saved, path)
    for size in row.sizes:
        theirs = _timm(row, options, size)
        theirs.load_state_dict(_read(theirs, saved, row.sizes[0]))
        ours = zoo.get_model(
            row.builder,
            **{"num_classes": CLASSES, "activation": None, **row.ours},
            weights=path,
            variant=None if row.builder == "resnet50" else "timm",
            preprocessing=row.preprocessing,
            input_shape=(size, size, 3),
        )
        x = pixels(2, size, size, 3)
        expected = answers(theirs.eval(), x, STATISTICS[row.preprocessing])
        yield float(np.abs(array(ours(x)) - expected).max() / np.ptp(expected))
    path.unlink()


def _timm(row: Row, options: dict, size: int):
    """Build timm's network, which for some is of one size."""
    import timm

    is_fixed = row.network.startswith(("vit_", "deit", "swin"))
    return timm.create_model(row.network, **options, **({"img_size": size} if is_fixed else {}))


def _read(theirs, saved: dict, size: int) -> dict:
    """Read a file of pictures of that size as timm does for a network of another."""
    from timm.models.vision_transformer import checkpoint_filter_fn

    if not hasattr(theirs, "pos_embed"):
        return saved
    theirs.pretrained_cfg["input_size"] = (3, size, size)
    return checkpoint_filter_fn(dict(saved), theirs)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("pattern", nargs="?", default="*", help="of the builders' names")
    pattern = parser.parse_args().pattern
    torchvision()  # or timm cannot be imported where torchvision's operators are missing
    print("| builder | timm | file | pixels | largest difference / range |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for row in ROWS:
            if fnmatch.fnmatch(row.builder, pattern):
                found = ", ".join(f"{difference:.1e}" for difference in differences(row, Path(folder)))
                sizes = ", ".join(map(str, row.sizes))
                print(f"| {row.builder} | {row.network} | {row.file} | {sizes} | {found} |", flush=True)


if __name__ == "__main__":
    main()
