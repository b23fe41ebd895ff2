"""Vision Transformer: Dosovitskiy et al. 2020, "An Image is Worth 16x16 Words", arXiv:2010.11929.

Table 1 of the paper, and the two smaller ones of "How to train your ViT?" (Steiner et al. 2021, table 2 there):

              blocks   width    heads   multiply-adds (G) at 16 × 16 pixels a patch
    Ti          12      192       3         1.1
    S           12      384       6         4.2
    B           12      768      12        16.9
    L           24     1024      16        59.7

Each patch becomes a vector by one linear map; the class token goes in front, position embeddings are added, and every block
is attention among the vectors and a perceptron of four times the width, each with a norm before and a sum after it.
The stages end after each quarter of the blocks. Their outputs are `(batch, 1 + patches, width)`, the class token first;
"pre_logits" is the class token of the last.

`drop_path_rate` is stochastic depth as in DeiT (Touvron et al. 2020, arXiv:2012.12877), which has 0.1; the paper has none. Its
dropout of 0.1 within the blocks is not built. Fresh weights: "torch" as the authors' and torchvision's, Glorot & Bengio's;
"timm" as timm's, N(0, 0.02²). The classifier begins at N(0, 0.02²) in both; the authors begin it at zero.

Height and width are fixed when the model is built, each a multiple of the patch. With weights of another size, the position
embeddings are interpolated (`zoo.weights.adapting.adapt_positions`).

    builder    variant   parameters  of which statistics   px  weights
    vit_ti_16  timm       5,717,416                    0  224  imagenet_timm_*
    vit_s_16   timm      22,050,664                    0  224  imagenet_timm_*
    vit_b_16   torch     86,567,656                    0  224  imagenet_torchvision, imagenet_torchvision_*
    vit_b_16   timm      86,567,656                    0  224  imagenet_timm_*
    vit_b_32   torch     88,224,232                    0  224  imagenet_torchvision
    vit_b_32   timm      88,224,232                    0  224  imagenet_timm_*
    vit_l_16   torch    304,326,632                    0  224  imagenet_torchvision, imagenet_torchvision_*
    vit_l_16   timm     304,326,632                    0  224  imagenet_timm_*
"""

from collections.abc import Callable
from functools import partial
from typing import Unpack

import keras
import numpy as np
from keras import layers, ops

from zoo.arguments import rate as read_rate
from zoo.builder import Family, Options, build, documented
from zoo.initializers import GLOROT, TORCH_DEFAULT, Initializer, normal, variance_scaling
from zoo.layers import POSITIONS, classifier, drop_path, stage
from zoo.weights.names import vit as names

# timm's files are of several publishers: Google's see -1..1; Facebook's, DeiT among them, ImageNet's statistics.
FILES = dict(
    any_size=False,
    other_modes={"timm": ("torch",)},
    head=partial(classifier, kernel_initializer=normal(0.02)),
    notes="drop_path_rate is the last block's; that of the others rises to it from 0. DeiT has 0.1.",
)
SMALL = Family({"timm": "tf"}, min_size=16, multiple=16, **FILES)
PATCH_16 = Family({"torch": "torch", "timm": "tf"}, min_size=16, multiple=16, **FILES)
PATCH_32 = Family({"torch": "torch", "timm": "tf"}, min_size=32, multiple=32, **FILES)

# How the kernels of a variant begin: of the patches, of queries, keys and values, of their projection, of perceptrons.
STYLES = {
    "torch": dict(patch=variance_scaling(1.0, "fan_in"), qkv=GLOROT, projection=TORCH_DEFAULT, mlp=GLOROT),
    "timm": dict(patch=TORCH_DEFAULT, qkv=normal(0.02), projection=normal(0.02), mlp=normal(0.02)),
}

TIMM = {"timm": names.timm}
BOTH = {"torch": names.torchvision, "timm": names.timm}


@documented(SMALL)
def vit_ti_16(*, drop_path_rate: float = 0.0, **options: Unpack[Options]) -> keras.Model:
    """Build ViT-Ti/16, the smallest form of Dosovitskiy et al. 2020 (arXiv:2010.11929)."""
    return _vit("vit_ti_16", SMALL, TIMM, drop_path_rate, options, patch=16, blocks=12, width=192)


@documented(SMALL)
def vit_s_16(*, drop_path_rate: float = 0.0, **options: Unpack[Options]) -> keras.Model:
    """Build ViT-S/16, a smaller form of Dosovitskiy et al. 2020 (arXiv:2010.11929)."""
    return _vit("vit_s_16", SMALL, TIMM, drop_path_rate, options, patch=16, blocks=12, width=384)


@documented(PATCH_16)
def vit_b_16(*, drop_path_rate: float = 0.0, **options: Unpack[Options]) -> keras.Model:
    """Build ViT-B/16 of Dosovitskiy et al. 2020 (arXiv:2010.11929), table 1."""
    return _vit("vit_b_16", PATCH_16, BOTH, drop_path_rate, options, patch=16, blocks=12, width=768)


@documented(PATCH_32)
def vit_b_32(*, drop_path_rate: float = 0.0, **options: Unpack[Options]) -> keras.Model:
    """Build ViT-B/32 of Dosovitskiy et al. 2020 (arXiv:2010.11929), table 1."""
    return _vit("vit_b_32", PATCH_32, BOTH, drop_path_rate, options, patch=32, blocks=12, width=768)


@documented(PATCH_16)
def vit_l_16(*, drop_path_rate: float = 0.0, **options: Unpack[Options]) -> keras.Model:
    """Build ViT-L/16 of Dosovitskiy et al. 2020 (arXiv:2010.11929), table 1."""
    return _vit("vit_l_16", PATCH_16, BOTH, drop_path_rate, options, patch=16, blocks=24, width=1024)


def _vit(
    name: str,
    family: Family,
    torch_names: dict[str, Callable],
    drop_path_rate: float,
    options: Options,
    **shape: int,
) -> keras.Model:
    drop_path_rate = read_rate(drop_path_rate, f"{name}: drop_path_rate")
    body = partial(_body, drop_path_rate=drop_path_rate, **shape)
    return build(name, body, family, torch_names=torch_names, **options)


def _body(x: keras.KerasTensor, variant: str, patch: int, blocks: int, width: int, drop_path_rate: float) -> keras.KerasTensor:
    style, rates = STYLES[variant], np.linspace(0, drop_path_rate, blocks).tolist()
    x = layers.Conv2D(width, patch, patch, kernel_initializer=style["patch"], name="patch_embedding")(x)
    x = layers.Reshape((-1, width), name="patches")(x)
    x = _with_positions(_with_class_token(x))
    for block in range(1, blocks + 1):
        x = _block(x, style, rates[block - 1], f"block{block}")
        if block % (blocks // 4) == 0:
            x = stage(x, f"stage{4 * block // blocks}")
    return stage(_norm(x[:, 0], "norm"), "pre_logits")


def _with_class_token(x: keras.KerasTensor) -> keras.KerasTensor:
    """Put a trained vector in front of each sample's; stock layers keep it as an embedding of the number 0."""
    zero = ops.zeros_like(x[:, :1, 0], dtype="int32")
    token = layers.Embedding(1, x.shape[-1], embeddings_initializer="zeros", name="class_token")(zero)
    return layers.Concatenate(axis=1, name="tokens")([token, x])


def _with_positions(x: keras.KerasTensor) -> keras.KerasTensor:
    # All samples share the positions of one.
    positions = ops.cumsum(ops.ones_like(x[:1, :, 0], dtype="int32"), axis=1) - 1
    embed = layers.Embedding(*x.shape[1:], embeddings_initializer=normal(0.02), name=POSITIONS)
    return layers.Add(name="embedded")([x, embed(positions)])


def _block(x: keras.KerasTensor, style: dict[str, Initializer], drop: float, name: str) -> keras.KerasTensor:
    width, mlp = x.shape[-1], dict(kernel_initializer=style["mlp"])
    y = _attention(_norm(x, f"{name}_norm1"), style, name)
    y = drop_path(y, drop, name=f"{name}_drop1")
    x = layers.Add(name=f"{name}_add1")([x, y])
    y = layers.Dense(4 * width, name=f"{name}_mlp1", **mlp)(_norm(x, f"{name}_norm2"))
    y = layers.Activation("gelu", name=f"{name}_gelu")(y)
    y = layers.Dense(width, name=f"{name}_mlp2", **mlp)(y)
    y = drop_path(y, drop, name=f"{name}_drop2")
    return layers.Add(name=f"{name}_add2")([x, y])


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
