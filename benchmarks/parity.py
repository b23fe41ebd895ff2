"""How far networks of the zoo are from timm's definitions: random weights through a file, two sizes each.

    python benchmarks/parity.py [PATTERN]    # 'dinov2*'; prints the table of docs/analysis.md

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

CLASSES = 5


class Row(NamedTuple):
    """A builder of the zoo, the same network of timm, and sizes that both take."""

    builder: str
    network: str
    sizes: tuple[int, int] = (64, 96)


ROWS = (
    Row("vit_ti_16", "vit_tiny_patch16_224"),
    Row("vit_s_16", "vit_small_patch16_224"),
    Row("vit_b_16", "vit_base_patch16_224"),
    Row("vit_b_32", "vit_base_patch32_224"),
    Row("vit_l_16", "vit_large_patch16_224"),
    Row("deit3_s_16", "deit3_small_patch16_224"),
    Row("deit3_b_16", "deit3_base_patch16_224"),
    Row("dinov2_s_14", "vit_small_patch14_dinov2", (70, 56)),
    Row("dinov2_b_14", "vit_base_patch14_dinov2", (70, 56)),
    Row("dinov2_l_14", "vit_large_patch14_dinov2", (70, 56)),
    Row("dinov2_s_14_reg", "vit_small_patch14_reg4_dinov2", (70, 56)),
    Row("dinov2_b_14_reg", "vit_base_patch14_reg4_dinov2", (70, 56)),
    Row("dinov2_l_14_reg", "vit_large_patch14_reg4_dinov2", (70, 56)),
)


def differences(row: Row, folder: Path) -> Iterator[float]:
    """Compute the largest difference at each size, as a share of the range of timm's logits."""
    import timm
    import torch
    from helpers import array, pixels
    from parity import IMAGENET, randomize_torch

    import zoo

    first, path = row.sizes[0], folder / "weights.pth"
    options = {"num_classes": CLASSES} | ({"img_size": first} if _is_fixed(row) else {})
    saved = randomize_torch(timm.create_model(row.network, **options)).state_dict()
    torch.save(saved, path)
    for size in row.sizes:
        theirs = timm.create_model(row.network, **options | ({"img_size": size} if _is_fixed(row) else {}))
        theirs.load_state_dict(_read(theirs, saved, first))
        ours = zoo.get_model(
            row.builder, weights=path, input_shape=(size, size, 3), num_classes=CLASSES, activation=None, preprocessing="torch"
        )
        x = pixels(2, size, size, 3)
        mean, std = (torch.tensor(v).reshape(1, 3, 1, 1) for v in IMAGENET)
        with torch.no_grad():
            expected = theirs.eval()((torch.from_numpy(x).permute(0, 3, 1, 2) / 255 - mean) / std).numpy()
        yield float(np.abs(array(ours(x)) - expected).max() / np.ptp(expected))
    path.unlink()


def _is_fixed(row: Row) -> bool:
    """Whether timm builds the network for one size."""
    return row.network.startswith(("vit_", "deit"))


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
    from parity import torchvision

    torchvision()  # or timm cannot be imported where torchvision's operators are missing
    print("| builder | timm | file | pixels | largest difference / range |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for row in ROWS:
            if fnmatch.fnmatch(row.builder, pattern):
                found = ", ".join(f"{difference:.1e}" for difference in differences(row, Path(folder)))
                sizes = ", ".join(map(str, row.sizes))
                print(f"| {row.builder} | {row.network} | timm's state_dict | {sizes} | {found} |", flush=True)


if __name__ == "__main__":
    main()
