"""Vision Transformer: Dosovitskiy et al. 2020, "An Image is Worth 16x16 Words", arXiv:2010.11929.

Table 1 of the paper, and the two smaller ones of "How to train your ViT?" (Steiner et al. 2021, table 2 there):

              blocks   width    heads   multiply-adds (G) at 16 × 16 pixels a patch
    Ti          12      192       3         1.1
    S           12      384       6         4.2
    B           12      768      12        16.9
    L           24     1024      16        59.7

Each patch becomes a vector by one linear map; position embeddings are added, the class token goes in front, and every block
is attention among the vectors and a perceptron of four times the width, each with a norm before and a sum after it. Papers
since then have changed three things:

              LayerScale   registers   position of the class token
    ViT, DINO      -           -           yes      DINO is Caron et al. 2021, arXiv:2104.14294
    DeiT-III     1e-6          -            -       Touvron et al. 2022, arXiv:2204.07118
    DINOv2       1e-5          -           yes      Oquab et al. 2023, arXiv:2304.07193; patches of 14 × 14
    with _reg    1e-5          4            -       Darcet et al. 2023, arXiv:2309.16588

LayerScale multiplies what a branch adds by a trained vector, which begins so small; registers are trained tokens that
nothing reads. The stages end after each quarter of the blocks. Their outputs are `(batch, tokens, width)`: the class token,
registers, patches.

"pre_logits" is by `pooling` the class token of the last block ("token", as in timm and in the authors' models), the mean
of the patches ("average"), or the two side by side ("both"), all behind the last norm. Linear probes of the papers:

- DINO (its `eval_linear.py`): of ViT-S the class tokens of the last four blocks, of ViT-B "both" of the last.
- DINOv2 (its `hub/classifiers.py`, heads of one layer): "both". Nearest neighbours look at the "token" alone, in both papers.

ImageNet top-1 of frozen features, as github.com/facebookresearch/dino and .../dinov2 state them:

              DINO S/16   B/16   ResNet-50   DINOv2 S/14   B/14   L/14   with registers
    k-NN         74.5     76.1     67.5          79.0      82.1   83.5   79.1   82.0   83.8
    linear       77.0     78.2     75.3          81.1      84.5   86.3   80.9   84.6   86.7

Files of DINO and DINOv2 hold no classifier: without `num_classes` their models end at "pre_logits". DINOv2's have positions
of 518 × 518 pixels; the papers' evaluations, and the default here, are at 224 × 224.

`drop_path_rate` is stochastic depth as in DeiT (Touvron et al. 2020, arXiv:2012.12877), which has 0.1; the paper has none. Its
dropout of 0.1 within the blocks is not built. Fresh weights: "torch" as the authors' and torchvision's, Glorot & Bengio's;
"timm" as timm's, N(0, 0.02²). The classifier begins at N(0, 0.02²) in both; the authors begin it at zero.

Height and width are fixed when the model is built, each a multiple of the patch. With weights of another size, the position
embeddings are interpolated (`zoo.weights.adapting.adapt_positions`).

    builder         variant   parameters  of which statistics   px  weights
    vit_ti_16       timm       5,717,416                    0  224  imagenet_timm_*
    vit_s_16        timm      22,050,664                    0  224  imagenet_timm_*
    vit_b_16        torch     86,567,656                    0  224  imagenet_torchvision, imagenet_torchvision_*
    vit_b_16        timm      86,567,656                    0  224  imagenet_timm_*
    vit_b_32        torch     88,224,232                    0  224  imagenet_torchvision
    vit_b_32        timm      88,224,232                    0  224  imagenet_timm_*
    vit_l_16        torch    304,326,632                    0  224  imagenet_torchvision, imagenet_torchvision_*
    vit_l_16        timm     304,326,632                    0  224  imagenet_timm_*
    deit3_s_16      timm      22,059,496                    0  224  imagenet_timm_*
    deit3_b_16      timm      86,585,320                    0  224  imagenet_timm_*
    dinov2_s_14     timm      21,628,800                    0  224  lvd142m_timm
    dinov2_b_14     timm      85,724,928                    0  224  lvd142m_timm
    dinov2_l_14     timm     303,227,904                    0  224  lvd142m_timm
    dinov2_s_14_reg timm      21,629,952                    0  224  lvd142m_timm
    dinov2_b_14_reg timm      85,727,232                    0  224  lvd142m_timm
    dinov2_l_14_reg timm     303,230,976                    0  224  lvd142m_timm
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, Unpack, get_args

import keras
import numpy as np
from keras import layers, ops

from zoo.arguments import rate as read_rate
from zoo.arguments import shown
from zoo.builder import Family, Options, build, documented
from zoo.initializers import GLOROT, TORCH_DEFAULT, Initializer, constant, normal, variance_scaling
from zoo.layers import CLASS_TOKEN, LAST_NORM, PATCHES, POSITIONS, classifier, drop_path, stage, token_and_mean
from zoo.weights.names import vit as names

COMMON = dict(
    any_size=False,
    head=partial(classifier, kernel_initializer=normal(0.02)),
    notes='pooling is what "pre_logits" holds: "token" for the class token, "average" for the mean of the patches, "both" '
    "side by side. drop_path_rate is the last block's; that of the others rises to it from 0. DeiT has 0.1.",
)
# timm's files of ViT are of several publishers: Google's see -1..1; Facebook's, such as DeiT and DINO, ImageNet's statistics.
MODES = dict(other_modes={"timm": ("torch",)})
SMALL = Family({"timm": "tf"}, min_size=16, multiple=16, **MODES, **COMMON)
PATCH_16 = Family({"torch": "torch", "timm": "tf"}, min_size=16, multiple=16, **MODES, **COMMON)
PATCH_32 = Family({"torch": "torch", "timm": "tf"}, min_size=32, multiple=32, **MODES, **COMMON)
DEIT3 = Family({"timm": "torch"}, min_size=16, multiple=16, interpolation="bicubic", **COMMON)
DINOV2 = Family(
    {"timm": "torch"},
    num_classes=0,
    min_size=14,
    multiple=14,
    interpolation="bicubic",
    spare=("mask_token",),  # in the authors' files: what stands for patches that training hides
    **COMMON,
)

# How the kernels of a variant begin: of the patches, of queries, keys and values, of their projection, of perceptrons.
STYLES = {
    "torch": dict(patch=variance_scaling(1.0, "fan_in"), qkv=GLOROT, projection=TORCH_DEFAULT, mlp=GLOROT),
    "timm": dict(patch=TORCH_DEFAULT, qkv=normal(0.02), projection=normal(0.02), mlp=normal(0.02)),
}

TIMM = {"timm": names.timm}
BOTH = {"torch": names.torchvision, "timm": names.timm}

Pooling = Literal["token", "average", "both"]


@dataclass(frozen=True)
class Shape:
    """What one vision transformer differs in from another."""

    patch: int
    blocks: int
    width: int
    layer_scale: float | None = None  # what it begins with; None: there is none
    registers: int = 0
    class_position: bool = True  # whether the class token has a position embedding, too


@documented(SMALL)
def vit_ti_16(*, drop_path_rate: float = 0.0, pooling: Pooling = "token", **options: Unpack[Options]) -> keras.Model:
    """Build ViT-Ti/16, the smallest form of Dosovitskiy et al. 2020 (arXiv:2010.11929)."""
    return _vit("vit_ti_16", SMALL, TIMM, Shape(16, 12, 192), drop_path_rate, pooling, options)


@documented(SMALL)
def vit_s_16(*, drop_path_rate: float = 0.0, pooling: Pooling = "token", **options: Unpack[Options]) -> keras.Model:
    """Build ViT-S/16, a smaller form of Dosovitskiy et al. 2020 (arXiv:2010.11929)."""
    return _vit("vit_s_16", SMALL, TIMM, Shape(16, 12, 384), drop_path_rate, pooling, options)


@documented(PATCH_16)
def vit_b_16(*, drop_path_rate: float = 0.0, pooling: Pooling = "token", **options: Unpack[Options]) -> keras.Model:
    """Build ViT-B/16 of Dosovitskiy et al. 2020 (arXiv:2010.11929), table 1."""
    return _vit("vit_b_16", PATCH_16, BOTH, Shape(16, 12, 768), drop_path_rate, pooling, options)


@documented(PATCH_32)
def vit_b_32(*, drop_path_rate: float = 0.0, pooling: Pooling = "token", **options: Unpack[Options]) -> keras.Model:
    """Build ViT-B/32 of Dosovitskiy et al. 2020 (arXiv:2010.11929), table 1."""
    return _vit("vit_b_32", PATCH_32, BOTH, Shape(32, 12, 768), drop_path_rate, pooling, options)


@documented(PATCH_16)
def vit_l_16(*, drop_path_rate: float = 0.0, pooling: Pooling = "token", **options: Unpack[Options]) -> keras.Model:
    """Build ViT-L/16 of Dosovitskiy et al. 2020 (arXiv:2010.11929), table 1."""
    return _vit("vit_l_16", PATCH_16, BOTH, Shape(16, 24, 1024), drop_path_rate, pooling, options)


@documented(DEIT3)
def deit3_s_16(*, drop_path_rate: float = 0.0, pooling: Pooling = "token", **options: Unpack[Options]) -> keras.Model:
    """Build ViT-S/16 with LayerScale, DeiT-III of Touvron et al. 2022 (arXiv:2204.07118)."""
    return _vit("deit3_s_16", DEIT3, TIMM, Shape(16, 12, 384, 1e-6, class_position=False), drop_path_rate, pooling, options)


@documented(DEIT3)
def deit3_b_16(*, drop_path_rate: float = 0.0, pooling: Pooling = "token", **options: Unpack[Options]) -> keras.Model:
    """Build ViT-B/16 with LayerScale, DeiT-III of Touvron et al. 2022 (arXiv:2204.07118)."""
    return _vit("deit3_b_16", DEIT3, TIMM, Shape(16, 12, 768, 1e-6, class_position=False), drop_path_rate, pooling, options)


@documented(DINOV2)
def dinov2_s_14(*, drop_path_rate: float = 0.0, pooling: Pooling = "token", **options: Unpack[Options]) -> keras.Model:
    """Build ViT-S/14 with LayerScale, the features of DINOv2 (Oquab et al. 2023, arXiv:2304.07193)."""
    return _vit("dinov2_s_14", DINOV2, TIMM, Shape(14, 12, 384, 1e-5), drop_path_rate, pooling, options)


@documented(DINOV2)
def dinov2_b_14(*, drop_path_rate: float = 0.0, pooling: Pooling = "token", **options: Unpack[Options]) -> keras.Model:
    """Build ViT-B/14 with LayerScale, the features of DINOv2 (Oquab et al. 2023, arXiv:2304.07193)."""
    return _vit("dinov2_b_14", DINOV2, TIMM, Shape(14, 12, 768, 1e-5), drop_path_rate, pooling, options)


@documented(DINOV2)
def dinov2_l_14(*, drop_path_rate: float = 0.0, pooling: Pooling = "token", **options: Unpack[Options]) -> keras.Model:
    """Build ViT-L/14 with LayerScale, the features of DINOv2 (Oquab et al. 2023, arXiv:2304.07193)."""
    return _vit("dinov2_l_14", DINOV2, TIMM, Shape(14, 24, 1024, 1e-5), drop_path_rate, pooling, options)


@documented(DINOV2)
def dinov2_s_14_reg(*, drop_path_rate: float = 0.0, pooling: Pooling = "token", **options: Unpack[Options]) -> keras.Model:
    """Build ViT-S/14 of DINOv2 with four registers (Darcet et al. 2023, arXiv:2309.16588)."""
    return _vit(
        "dinov2_s_14_reg",
        DINOV2,
        TIMM,
        Shape(14, 12, 384, 1e-5, registers=4, class_position=False),
        drop_path_rate,
        pooling,
        options,
    )


@documented(DINOV2)
def dinov2_b_14_reg(*, drop_path_rate: float = 0.0, pooling: Pooling = "token", **options: Unpack[Options]) -> keras.Model:
    """Build ViT-B/14 of DINOv2 with four registers (Darcet et al. 2023, arXiv:2309.16588)."""
    return _vit(
        "dinov2_b_14_reg",
        DINOV2,
        TIMM,
        Shape(14, 12, 768, 1e-5, registers=4, class_position=False),
        drop_path_rate,
        pooling,
        options,
    )


@documented(DINOV2)
def dinov2_l_14_reg(*, drop_path_rate: float = 0.0, pooling: Pooling = "token", **options: Unpack[Options]) -> keras.Model:
    """Build ViT-L/14 of DINOv2 with four registers (Darcet et al. 2023, arXiv:2309.16588)."""
    return _vit(
        "dinov2_l_14_reg",
        DINOV2,
        TIMM,
        Shape(14, 24, 1024, 1e-5, registers=4, class_position=False),
        drop_path_rate,
        pooling,
        options,
    )


def _vit(
    name: str,
    family: Family,
    torch_names: dict[str, Callable],
    shape: Shape,
    drop_path_rate: float,
    pooling: str,
    options: Options,
) -> keras.Model:
    drop_path_rate = read_rate(drop_path_rate, f"{name}: drop_path_rate")
    if pooling not in get_args(Pooling):
        raise ValueError(f'{name}: pooling must be "token", "average" or "both", found {shown(pooling)}.')
    body = partial(_body, shape=shape, drop_path_rate=drop_path_rate, pooling=pooling)
    return build(name, body, family, torch_names=torch_names, **options)


def _body(x: keras.KerasTensor, variant: str, shape: Shape, drop_path_rate: float, pooling: str) -> keras.KerasTensor:
    style, rates = STYLES[variant], np.linspace(0, drop_path_rate, shape.blocks).tolist()
    x = layers.Conv2D(shape.width, shape.patch, shape.patch, kernel_initializer=style["patch"], name="patch_embedding")(x)
    x = layers.Reshape((-1, shape.width), name=PATCHES)(x)
    x = _with_tokens(x, shape)
    for block in range(1, shape.blocks + 1):
        x = _block(x, style, shape.layer_scale, rates[block - 1], f"block{block}")
        if block % (shape.blocks // 4) == 0:
            x = stage(x, f"stage{4 * block // shape.blocks}")
    return stage(_pooled(_norm(x, LAST_NORM), 1 + shape.registers, pooling), "pre_logits")


def _pooled(x: keras.KerasTensor, first_patch: int, pooling: str) -> keras.KerasTensor:
    """Make one vector of the tokens."""
    if pooling == "average":
        return layers.GlobalAveragePooling1D(name="avg_pool")(x[:, first_patch:])
    return x[:, 0] if pooling == "token" else token_and_mean(x[:, 0], x[:, first_patch:])


def _with_tokens(x: keras.KerasTensor, shape: Shape) -> keras.KerasTensor:
    """Put the class token and the registers in front of the patches, and add the positions to all that has one."""
    if not shape.class_position:
        x = _with_positions(x)
    tokens = [_token(x, 1, CLASS_TOKEN)]
    if shape.registers:
        tokens.append(_token(x, shape.registers, "registers"))
    x = layers.Concatenate(axis=1, name="tokens")([*tokens, x])
    return _with_positions(x) if shape.class_position else x


def _token(x: keras.KerasTensor, count: int, name: str) -> keras.KerasTensor:
    """Make so many trained vectors for each sample; stock layers keep them as embeddings of the numbers from 0 up."""
    ones = ops.repeat(ops.ones_like(x[:, :1, 0], dtype="int32"), count, axis=1)
    start = "zeros" if count == 1 else normal(1e-6)  # timm's registers
    return layers.Embedding(count, x.shape[-1], embeddings_initializer=start, name=name)(ops.cumsum(ones, axis=1) - 1)


def _with_positions(x: keras.KerasTensor) -> keras.KerasTensor:
    # All samples share the positions of one.
    positions = ops.cumsum(ops.ones_like(x[:1, :, 0], dtype="int32"), axis=1) - 1
    embed = layers.Embedding(*x.shape[1:], embeddings_initializer=normal(0.02), name=POSITIONS)
    return layers.Add(name="embedded")([x, embed(positions)])


def _block(
    x: keras.KerasTensor, style: dict[str, Initializer], layer_scale: float | None, drop: float, name: str
) -> keras.KerasTensor:
    width, mlp = x.shape[-1], dict(kernel_initializer=style["mlp"])
    y = _attention(_norm(x, f"{name}_norm1"), style, name)
    y = _scaled(y, layer_scale, f"{name}_scale1")
    y = drop_path(y, drop, name=f"{name}_drop1")
    x = layers.Add(name=f"{name}_add1")([x, y])
    y = layers.Dense(4 * width, name=f"{name}_mlp1", **mlp)(_norm(x, f"{name}_norm2"))
    y = layers.Activation("gelu", name=f"{name}_gelu")(y)
    y = layers.Dense(width, name=f"{name}_mlp2", **mlp)(y)
    y = _scaled(y, layer_scale, f"{name}_scale2")
    y = drop_path(y, drop, name=f"{name}_drop2")
    return layers.Add(name=f"{name}_add2")([x, y])


def _scaled(x: keras.KerasTensor, start: float | None, name: str) -> keras.KerasTensor:
    """Multiply each channel by a trained number, if there is one to begin with."""
    if start is None:
        return x
    return layers.EinsumDense("btc,c->btc", x.shape[1:], kernel_initializer=constant(start), name=name)(x)


def _attention(x: keras.KerasTensor, style: dict[str, Initializer], name: str) -> keras.KerasTensor:
    """Attend with heads of width 64; queries, keys and values come from one matrix, as files hold it."""
    tokens, width = x.shape[1:]
    x = layers.Dense(3 * width, kernel_initializer=style["qkv"], name=f"{name}_qkv")(x)
    q, k, v = (
        layers.Reshape((tokens, -1, 64), name=f"{name}_{kind}")(part)
        for kind, part in zip("qkv", ops.split(x, 3, axis=-1), strict=True)
    )
    x = layers.Reshape((tokens, width), name=f"{name}_attention")(ops.dot_product_attention(q, k, v))
    return layers.Dense(width, kernel_initializer=style["projection"], name=f"{name}_projection")(x)


def _norm(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return layers.LayerNormalization(epsilon=1e-6, name=name)(x)
