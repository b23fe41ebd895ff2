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

from functools import partial
from typing import Unpack

import keras
from keras import initializers, layers, ops

from zoo.builder import Family, Options, build, documented
from zoo.layers import POSITIONS, stage
from zoo.weights.names import vit as names

# timm's files are of several publishers: Google's see -1..1; Facebook's, DeiT among them, ImageNet's statistics.
FILES = dict(any_size=False, other_modes={"timm": ("torch",)})
SMALL = Family({"timm": "tf"}, min_size=16, multiple=16, **FILES)
PATCH_16 = Family({"torch": "torch", "timm": "tf"}, min_size=16, multiple=16, **FILES)
PATCH_32 = Family({"torch": "torch", "timm": "tf"}, min_size=32, multiple=32, **FILES)
TIMM = {"timm": names.timm}
BOTH = {"torch": names.torchvision, "timm": names.timm}


@documented(SMALL)
def vit_ti_16(**options: Unpack[Options]) -> keras.Model:
    """Build ViT-Ti/16, the smallest form of Dosovitskiy et al. 2020 (arXiv:2010.11929)."""
    body = partial(_body, patch=16, blocks=12, width=192)
    return build("vit_ti_16", body, SMALL, torch_names=TIMM, **options)


@documented(SMALL)
def vit_s_16(**options: Unpack[Options]) -> keras.Model:
    """Build ViT-S/16, a smaller form of Dosovitskiy et al. 2020 (arXiv:2010.11929)."""
    body = partial(_body, patch=16, blocks=12, width=384)
    return build("vit_s_16", body, SMALL, torch_names=TIMM, **options)


@documented(PATCH_16)
def vit_b_16(**options: Unpack[Options]) -> keras.Model:
    """Build ViT-B/16 of Dosovitskiy et al. 2020 (arXiv:2010.11929), table 1."""
    body = partial(_body, patch=16, blocks=12, width=768)
    return build("vit_b_16", body, PATCH_16, torch_names=BOTH, **options)


@documented(PATCH_32)
def vit_b_32(**options: Unpack[Options]) -> keras.Model:
    """Build ViT-B/32 of Dosovitskiy et al. 2020 (arXiv:2010.11929), table 1."""
    body = partial(_body, patch=32, blocks=12, width=768)
    return build("vit_b_32", body, PATCH_32, torch_names=BOTH, **options)


@documented(PATCH_16)
def vit_l_16(**options: Unpack[Options]) -> keras.Model:
    """Build ViT-L/16 of Dosovitskiy et al. 2020 (arXiv:2010.11929), table 1."""
    body = partial(_body, patch=16, blocks=24, width=1024)
    return build("vit_l_16", body, PATCH_16, torch_names=BOTH, **options)


def _body(x: keras.KerasTensor, variant: str, patch: int, blocks: int, width: int) -> keras.KerasTensor:
    x = layers.Conv2D(width, patch, patch, name="patch_embedding")(x)
    x = layers.Reshape((-1, width), name="patches")(x)
    x = _with_positions(_with_class_token(x))
    for block in range(1, blocks + 1):
        x = _block(x, f"block{block}")
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
    embed = layers.Embedding(*x.shape[1:], embeddings_initializer=initializers.RandomNormal(stddev=0.02), name=POSITIONS)
    return layers.Add(name="embedded")([x, embed(positions)])


def _block(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    width = x.shape[-1]
    y = _attention(_norm(x, f"{name}_norm1"), name)
    x = layers.Add(name=f"{name}_add1")([x, y])
    y = layers.Dense(4 * width, name=f"{name}_mlp1")(_norm(x, f"{name}_norm2"))
    y = layers.Activation("gelu", name=f"{name}_gelu")(y)
    y = layers.Dense(width, name=f"{name}_mlp2")(y)
    return layers.Add(name=f"{name}_add2")([x, y])


def _attention(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Attend with heads of width 64; queries, keys and values come from one matrix, as files hold it."""
    tokens, width = x.shape[1:]
    x = layers.Dense(3 * width, name=f"{name}_qkv")(x)
    q, k, v = (
        layers.Reshape((tokens, -1, 64), name=f"{name}_{kind}")(part)
        for kind, part in zip("qkv", ops.split(x, 3, axis=-1), strict=True)
    )
    x = layers.Reshape((tokens, width), name=f"{name}_attention")(ops.dot_product_attention(q, k, v))
    return layers.Dense(width, name=f"{name}_projection")(x)


def _norm(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return layers.LayerNormalization(epsilon=1e-6, name=name)(x)
