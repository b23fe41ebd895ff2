"""MobileNets of timm beyond those in `timm`: V4 of convolutions alone, and V1 as it was trained anew.

Left out are V4 at half width, with attention ("hybrid") or with blurred strides ("aa", "blur"), and V1 with a convolution more
("100h"). The files of "ra4" and "e3600" saw pixels in -1..1.
"""

from zoo.weights.catalog.entry import Entry
from zoo.weights.catalog.hub import on_hub

# What timm calls a network → (builder, parameters, the builder's own arguments).
NETWORKS = {
    "mobilenetv1_100": ("mobilenet", 4_253_864, {"alpha": 1.0}),
    "mobilenetv1_125": ("mobilenet", 6_298_200, {"alpha": 1.25}),
    "mobilenetv4_conv_small": ("mobilenet_v4_conv_small", 3_799_112, {}),
    "mobilenetv4_conv_medium": ("mobilenet_v4_conv_medium", 9_783_416, {}),
    "mobilenetv4_conv_large": ("mobilenet_v4_conv_large", 32_740_416, {}),
}


def _timm(
    name: str, top1: float | None, top5: float | None, size: int = 224, crop: float = 0.875, mode: str = "torch"
) -> Entry:
    return on_hub(name, NETWORKS[name.partition(".")[0]], top1, top5, size, crop, mode, year=2024)


ENTRIES = (
    _timm("mobilenetv1_100.ra4_e3600_r224_in1k", 75.384, 92.312, mode="tf"),
    _timm("mobilenetv1_125.ra4_e3600_r224_in1k", 76.928, 93.216, crop=0.9, mode="tf"),
    _timm("mobilenetv4_conv_small.e2400_r224_in1k", 73.730, 91.426),
    _timm("mobilenetv4_conv_small.e1200_r224_in1k", 73.436, 91.342),
    _timm("mobilenetv4_conv_small.e3600_r256_in1k", None, None, 256, 0.95, mode="tf"),
    _timm("mobilenetv4_conv_medium.e500_r256_in1k", 79.922, 95.186, 256, 0.95),
    _timm("mobilenetv4_conv_medium.e500_r224_in1k", 79.092, 94.788, crop=0.95),
    _timm("mobilenetv4_conv_medium.e250_r384_in12k_ft_in1k", None, None, 384, 0.95),
    _timm("mobilenetv4_conv_large.e600_r384_in1k", 82.974, 96.244, 384, 0.95),
    _timm("mobilenetv4_conv_large.e500_r256_in1k", 81.864, 95.696, 256, 0.95),
)
