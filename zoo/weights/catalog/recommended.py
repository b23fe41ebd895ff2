"""Which weights to begin with, for a budget: a few of the catalog, each with what speaks for it and where that was published.

A tier is what one picture may cost in multiply-adds. All allow commercial use; accuracies and costs stand in the catalog and
in the facts, what linear heads reach on networks that learned without labels in `zoo/architectures/vit.py`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from zoo.weights import catalog
from zoo.weights.catalog.entry import Entry

# Most multiply-adds of a picture.
TIERS = {"tiny CPU": 0.5e9, "small CPU": 1e9, "medium": 5e9, "small GPU": 10e9, "large GPU": math.inf}

TIMM = "timm, results-imagenet.csv"
TIMM_CPU = "timm, results-imagenet.csv and benchmark-infer-fp32-nchw-pt240-cpu-i9_10940x-dynamo.csv"
LITE = "tensorflow/tpu, efficientnet/lite"
PADDLE = "PaddleClas, PP-HGNetV2.md"
CREAM = "microsoft/Cream, TinyViT/README.md"
DINOV2 = "Oquab et al. 2023, arXiv:2304.07193"


@dataclass(frozen=True)
class Recommendation:
    """One set of weights that a tier recommends."""

    tier: str
    model: str
    tag: str
    reason: str  # what speaks for it among those of its tier
    source: str  # where that was published
    options: Mapping[str, object] = field(default_factory=dict)  # builder arguments that the file is for

    @property
    def entry(self) -> Entry:
        """What the catalog says of it."""
        found = catalog.find(self.model, self.tag, self.options)
        assert found, f"The catalog has no {self.model} {self.tag} {dict(self.options)}."
        return found


RECOMMENDED = (
    Recommendation("tiny CPU", "efficientnet_lite0", "imagenet", "installed with the zoo; made for CPUs", LITE),
    Recommendation(
        "tiny CPU", "mobilenet_v4_conv_small", "imagenet_timm_e2400_r224", "1.4 times as fast on a CPU as Lite 0", TIMM_CPU
    ),
    Recommendation(
        "tiny CPU",
        "mobilenet_v3_large",
        "imagenet_timm_miil_in21k_ft",
        "saw ImageNet-21k first; as accurate as Lite 2 at a quarter of its cost",
        TIMM,
        {"alpha": 1.0},
    ),
    Recommendation(
        "tiny CPU", "hgnetv2_b1", "imagenet_timm_ssld_stage2_ft", "the most accurate of its tier: distilled", PADDLE
    ),
    Recommendation("small CPU", "efficientnet_lite1", "imagenet", "in a Python package; made for CPUs", LITE),
    Recommendation("small CPU", "efficientnet_lite2", "imagenet", "in a Python package; made for CPUs", LITE),
    Recommendation(
        "small CPU", "mobilenet_v4_conv_medium", "imagenet_timm_e500_r224", "1.5 points above Lite 2 at its speed", TIMM_CPU
    ),
    Recommendation("small CPU", "efficientnet_b1", "imagenet_timm_ra4_e3600_r240", "the most accurate of its tier", TIMM),
    Recommendation(
        "medium", "hgnetv2_b2", "imagenet_timm_ssld_stage2_ft", "1.3 points above EfficientNet-B1, yet faster than B0", TIMM_CPU
    ),
    Recommendation("medium", "tiny_vit_21m", "imagenet_timm_dist_in22k_ft", "the most accurate of its tier: distilled", CREAM),
    Recommendation(
        "medium",
        "convnext_tiny",
        "imagenet_timm_in12k_ft",
        "its architecture is the best overall of the small ones, fine-tuned on 20 data sets",
        "Jeevan & Sethi 2024, arXiv:2406.05612",
    ),
    Recommendation(
        "small GPU", "convnext_small", "imagenet_timm_in12k_ft", "saw ImageNet-12k first; a point above ConvNeXt-T", TIMM
    ),
    Recommendation("small GPU", "dinov2_s_14", "lvd142m_timm", "learned without labels: 81.1 with a linear head alone", DINOV2),
    Recommendation(
        "large GPU",
        "convnext_base",
        "imagenet_timm_fb_in22k_ft",
        "ConvNets supervised on large sets lead 61 backbones on most tasks",
        "Goldblum et al. 2023, arXiv:2310.19909",
    ),
    Recommendation(
        "large GPU", "convnext_base", "imagenet_timm_clip_laion2b_augreg_ft_in12k", "saw the pictures of CLIP first", TIMM
    ),
    Recommendation("large GPU", "dinov2_b_14", "lvd142m_timm", "learned without labels: 84.5 with a linear head alone", DINOV2),
    Recommendation(
        "large GPU", "tiny_vit_21m_384", "imagenet_timm_dist_in22k_ft", "as accurate as these at a quarter of their size", CREAM
    ),
)
