"""Swin: Liu et al. 2021, "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows", arXiv:2103.14030.

Section 3.3 of the paper, and its table 7:

    stage        1     2     3     4      blocks: tiny 2, 2, 6, 2; the others 2, 2, 18, 2
    tiny        96   192   384   768      channels; a head of attention has 32
    small       96   192   384   768
    base       128   256   512  1024

A vision transformer that works as a pyramid: patches of 4 × 4 pixels attend to each other in windows of 7 × 7, every second
block in windows that are shifted by half (the map is rolled, and a mask keeps apart what does not lie together), and
between two stages each 2 × 2 patches become one. Stages are maps, `(batch, height, width, channels)`; "pre_logits" is the
mean of the last. What a place sees depends on where in its window it lies: receptive fields are not said.

Height and width are fixed when the model is built, and any from 64 up. Its weights do not depend on them: a file
fits all sizes. Where windows do not divide a map, "torch" pads it and rolls it then, as torchvision, and "timm" rolls it
first, as timm, which also makes a window no larger than the map; where they do, as at 224, both are the same.
`swin_base_384` has windows of 12 × 12, which at 384 × 384 are the same share of the picture; so its tables of offsets are
larger, and neither reads the other's files.

`drop_path_rate` is the paper's (section A2.1). Its other dropouts are 0. Fresh weights are N(0, 0.02²), the authors'.

    builder        variant  parameters  of which statistics   px  weights
    swin_tiny      torch    28,288,354                    0  224  imagenet_torchvision
    swin_tiny      timm     28,288,354                    0  224  imagenet_timm_*
    swin_small     torch    49,606,258                    0  224  imagenet_torchvision
    swin_small     timm     49,606,258                    0  224  imagenet_timm_*
    swin_base      torch    87,768,224                    0  224  imagenet_torchvision
    swin_base      timm     87,768,224                    0  224  imagenet_timm_*
    swin_base_384  timm     87,903,584                    0  384  imagenet_timm_*
"""

from dataclasses import dataclass
from functools import partial
from typing import Unpack

import keras
import numpy as np
from keras import layers, ops

from zoo import windows
from zoo.arguments import rate as read_rate
from zoo.builder import Family, Options, build, documented
from zoo.initializers import TORCH_DEFAULT, normal
from zoo.layers import classifier, drop_path, stage
from zoo.weights.names import swin as names
from zoo.windows import Size

SIZES = dict(
    any_size=False,
    min_size=64,
    head=partial(classifier, kernel_initializer=normal(0.02)),
    notes="drop_path_rate is the last block's; that of the others rises to it from 0.",
)
SWIN = Family({"torch": "torch", "timm": "torch"}, resize=248, interpolation="bicubic", **SIZES)
SWIN_384 = Family({"timm": "torch"}, input_shape=(384, 384, 3), resize=384, interpolation="bicubic", **SIZES)
TORCH_NAMES = {"torch": names.torchvision, "timm": names.timm}
DENSE = dict(kernel_initializer=normal(0.02))
HEAD_WIDTH = 32


@documented(SWIN)
def swin_tiny(*, drop_path_rate: float = 0.2, **options: Unpack[Options]) -> keras.Model:
    """Build Swin-T of Liu et al. 2021 (arXiv:2103.14030), section 3.3."""
    return _swin("swin_tiny", SWIN, drop_path_rate, options, depths=(2, 2, 6, 2), width=96)


@documented(SWIN)
def swin_small(*, drop_path_rate: float = 0.3, **options: Unpack[Options]) -> keras.Model:
    """Build Swin-S of Liu et al. 2021 (arXiv:2103.14030), section 3.3."""
    return _swin("swin_small", SWIN, drop_path_rate, options, depths=(2, 2, 18, 2), width=96)


@documented(SWIN)
def swin_base(*, drop_path_rate: float = 0.5, **options: Unpack[Options]) -> keras.Model:
    """Build Swin-B of Liu et al. 2021 (arXiv:2103.14030), section 3.3."""
    return _swin("swin_base", SWIN, drop_path_rate, options, depths=(2, 2, 18, 2), width=128)


@documented(SWIN_384)
def swin_base_384(*, drop_path_rate: float = 0.5, **options: Unpack[Options]) -> keras.Model:
    """Build Swin-B with windows of 12 × 12, for 384 × 384 pixels, of Liu et al. 2021 (arXiv:2103.14030), section 4.1."""
    return _swin("swin_base_384", SWIN_384, drop_path_rate, options, depths=(2, 2, 18, 2), width=128, window=12)


def _swin(
    name: str, family: Family, drop_path_rate: float, options: Options, depths: tuple[int, ...], width: int, window: int = 7
) -> keras.Model:
    drop_path_rate = read_rate(drop_path_rate, f"{name}: drop_path_rate")
    body = partial(_body, depths=depths, width=width, window=window, drop_path_rate=drop_path_rate)
    torch_names = {variant: TORCH_NAMES[variant] for variant in family.preprocessing}
    return build(name, body, family, torch_names=torch_names, **options)


@dataclass(frozen=True)
class Grid:
    """How the blocks of a stage cut their maps into windows."""

    size: Size  # of the map
    window: Size
    table: int  # side of the window whose offsets the table holds; clipped windows use its middle
    shift: Size  # of every second block
    rolls_first: bool  # before the map is padded, not after

    @property
    def padding(self) -> Size:
        """Rows and columns that the map lacks."""
        return windows.padding(self.size, self.window)

    @property
    def padded(self) -> Size:
        """Height and width of whole windows."""
        return self.size[0] + self.padding[0], self.size[1] + self.padding[1]


def _grid(size: Size, window: int, variant: str) -> Grid:
    sides = (min(window, size[0]), min(window, size[1])) if variant == "timm" else (window, window)
    # A window as large as the map has nowhere to go.
    shift = tuple(window // 2 if length > side else 0 for length, side in zip(size, sides, strict=True))
    return Grid(size, sides, window, shift, rolls_first=variant == "timm")


def _body(
    x: keras.KerasTensor, variant: str, depths: tuple[int, ...], width: int, window: int, drop_path_rate: float
) -> keras.KerasTensor:
    rates = iter(np.linspace(0, drop_path_rate, sum(depths)).tolist())
    x = layers.Conv2D(width, 4, 4, kernel_initializer=TORCH_DEFAULT, name="patch_embedding")(x)
    x = _norm(x, "patch_norm")
    for i, depth in enumerate(depths, start=1):
        if i > 1:
            x = _merge_patches(x, f"stage{i}")
        grid = _grid(x.shape[1:3], window, variant)
        offsets, mask = _offsets(x, grid), _mask(x, grid) if any(grid.shift) else None
        for block in range(1, depth + 1):
            shifted = mask if block % 2 == 0 else None
            x = _block(x, grid, offsets, shifted, next(rates), f"stage{i}_block{block}")
        x = stage(x, f"stage{i}")
    x = layers.GlobalAveragePooling2D(name="avg_pool")(_norm(x, "norm"))
    return stage(x, "pre_logits")


def _merge_patches(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Make one of each 2 × 2 patches, with twice the channels; files hold them column by column."""
    channels = x.shape[-1]
    x = windows.pad(x, windows.padding(x.shape[1:3], (2, 2)), f"{name}_pad")
    x = ops.concatenate([x[:, row::2, column::2] for column in (0, 1) for row in (0, 1)], axis=-1)
    return layers.Dense(2 * channels, use_bias=False, name=f"{name}_reduction", **DENSE)(_norm(x, f"{name}_norm"))


def _offsets(x: keras.KerasTensor, grid: Grid) -> keras.KerasTensor:
    """Find the row of the table for the offset between any two tokens of a window, `(tokens, tokens)`."""
    rows, columns = np.indices(grid.window, "int32").reshape(2, -1)
    line = 2 * grid.table - 1
    places = rows * line + columns
    return windows.zero(x) + (places + (grid.table - 1) * (line + 1))[:, None] - places[None]


def _mask(x: keras.KerasTensor, grid: Grid) -> keras.KerasTensor:
    """Lower the scores of tokens that share a window only because the map is rolled: `(windows, 1, tokens, tokens)`."""
    regions = windows.regions(grid.padded, grid.window, grid.shift)
    apart = ops.not_equal(windows.zero(x) + regions[:, None, :, None], regions[:, None, None, :])
    return ops.cast(apart, x.dtype) * -100.0


def _block(
    x: keras.KerasTensor, grid: Grid, offsets: keras.KerasTensor, mask: keras.KerasTensor | None, drop: float, name: str
) -> keras.KerasTensor:
    channels = x.shape[-1]
    y = _in_windows(_norm(x, f"{name}_norm1"), grid, offsets, mask, name)
    y = drop_path(y, drop, name=f"{name}_drop1")
    x = layers.Add(name=f"{name}_add1")([x, y])
    y = layers.Dense(4 * channels, name=f"{name}_mlp1", **DENSE)(_norm(x, f"{name}_norm2"))
    y = layers.Activation("gelu", name=f"{name}_gelu")(y)
    y = layers.Dense(channels, name=f"{name}_mlp2", **DENSE)(y)
    y = drop_path(y, drop, name=f"{name}_drop2")
    return layers.Add(name=f"{name}_add2")([x, y])


def _in_windows(
    x: keras.KerasTensor, grid: Grid, offsets: keras.KerasTensor, mask: keras.KerasTensor | None, name: str
) -> keras.KerasTensor:
    """Attend in the windows of a map, which lie shifted if there is a mask."""
    up, down = (tuple(sign * by for by in grid.shift) for sign in (-1, 1))
    if mask is None:
        x = windows.pad(x, grid.padding, f"{name}_pad")
    elif grid.rolls_first:  # another name: the order decides what a network answers
        x = windows.pad(ops.roll(x, up, axis=(1, 2)), grid.padding, f"{name}_pad_rolled")
    else:
        x = ops.roll(windows.pad(x, grid.padding, f"{name}_pad"), up, axis=(1, 2))
    x = _attention(windows.partition(x, grid.window, f"{name}_windows"), grid, offsets, mask, name)
    x = windows.merge(x, grid.window, grid.padded, f"{name}_map")
    if mask is None:
        return windows.crop(x, grid.padding, f"{name}_crop")
    if grid.rolls_first:
        return ops.roll(windows.crop(x, grid.padding, f"{name}_crop_rolled"), down, axis=(1, 2))
    return windows.crop(ops.roll(x, down, axis=(1, 2)), grid.padding, f"{name}_crop")


def _attention(
    x: keras.KerasTensor, grid: Grid, offsets: keras.KerasTensor, mask: keras.KerasTensor | None, name: str
) -> keras.KerasTensor:
    count, tokens, channels = x.shape[1:]
    heads = channels // HEAD_WIDTH
    x = layers.Dense(3 * channels, name=f"{name}_qkv", **DENSE)(x)
    q, k, v = (
        layers.Reshape((count, tokens, heads, HEAD_WIDTH), name=f"{name}_{kind}")(part)
        for kind, part in zip("qkv", ops.split(x, 3, axis=-1), strict=True)
    )
    table = layers.Embedding((2 * grid.table - 1) ** 2, heads, embeddings_initializer=normal(0.02), name=f"{name}_offsets")
    x = windows.attend(q, k, v, ops.transpose(table(offsets), (2, 0, 1)), mask, f"{name}_attention")
    return layers.Dense(channels, name=f"{name}_projection", **DENSE)(x)


def _norm(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return layers.LayerNormalization(epsilon=1e-5, name=name)(x)
