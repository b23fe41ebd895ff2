"""What to cite: the paper of each architecture, and of the ways in which weights were trained."""

from fnmatch import fnmatchcase

# Builder → paper; the first pattern that fits.
PAPERS = {
    "lenet5": "LeCun et al. 1998, Gradient-Based Learning Applied to Document Recognition, doi:10.1109/5.726791",
    "alexnet": "Krizhevsky, Sutskever, Hinton 2012, ImageNet Classification with Deep Convolutional Neural Networks, NIPS 25",
    "vgg*": "Simonyan, Zisserman 2014, Very Deep Convolutional Networks for Large-Scale Image Recognition, arXiv:1409.1556",
    "inception_v1": "Szegedy et al. 2014, Going Deeper with Convolutions, arXiv:1409.4842",
    "googlenet": "Szegedy et al. 2014, Going Deeper with Convolutions, arXiv:1409.4842",
    "inception_v3": "Szegedy et al. 2015, Rethinking the Inception Architecture for Computer Vision, arXiv:1512.00567",
    "resnet*v2": "He et al. 2016, Identity Mappings in Deep Residual Networks, arXiv:1603.05027",
    "resnet*": "He et al. 2015, Deep Residual Learning for Image Recognition, arXiv:1512.03385",
    "squeezenet*": "Iandola et al. 2016, SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model size, "
    "arXiv:1602.07360",
    "densenet*": "Huang et al. 2016, Densely Connected Convolutional Networks, arXiv:1608.06993",
    "xception": "Chollet 2016, Xception: Deep Learning with Depthwise Separable Convolutions, arXiv:1610.02357",
    "mobilenet_v2": "Sandler et al. 2018, MobileNetV2: Inverted Residuals and Linear Bottlenecks, arXiv:1801.04381",
    "mobilenet_v3*": "Howard et al. 2019, Searching for MobileNetV3, arXiv:1905.02244",
    "mobilenet_v4*": "Qin et al. 2024, MobileNetV4: Universal Models for the Mobile Ecosystem, arXiv:2404.10518",
    "mobilenet": "Howard et al. 2017, MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications, "
    "arXiv:1704.04861",
    "efficientnet_v2*": "Tan, Le 2021, EfficientNetV2: Smaller Models and Faster Training, arXiv:2104.00298",
    "efficientnet_*": "Tan, Le 2019, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, "
    "arXiv:1905.11946",
    "regnet*": "Radosavovic et al. 2020, Designing Network Design Spaces, arXiv:2003.13678",
    "convnext_v2*": "Woo et al. 2023, ConvNeXt V2: Co-designing and Scaling ConvNets with Masked Autoencoders, "
    "arXiv:2301.00808",
    "convnext*": "Liu et al. 2022, A ConvNet for the 2020s, arXiv:2201.03545",
    "swin*": "Liu et al. 2021, Swin Transformer: Hierarchical Vision Transformer using Shifted Windows, arXiv:2103.14030",
    "hgnetv2*": "PaddleClas 2023, PP-HGNetV2, github.com/PaddlePaddle/PaddleClas",
    "tiny_vit*": "Wu et al. 2022, TinyViT: Fast Pretraining Distillation for Small Vision Transformers, arXiv:2207.10666",
    "vit*": "Dosovitskiy et al. 2020, An Image is Worth 16x16 Words, arXiv:2010.11929",
    "deit3*": "Touvron, Cord, Jégou 2022, DeiT III: Revenge of the ViT, arXiv:2204.07118",
    "dinov2*_reg": "Darcet et al. 2023, Vision Transformers Need Registers, arXiv:2309.16588",
    "dinov2*": "Oquab et al. 2023, DINOv2: Learning Robust Visual Features without Supervision, arXiv:2304.07193",
}

STRIKES_BACK = "Wightman, Touvron, Jégou 2021, ResNet strikes back, arXiv:2110.00476"
AUGREG = "Steiner et al. 2021, How to train your ViT?, arXiv:2106.10270"
TIMM = "Wightman 2019, PyTorch Image Models, doi:10.5281/zenodo.4414861"

# Tag → paper of the training, where it is not the architecture's; the first pattern that fits.
TRAININGS = {
    "*_dinov3": "Siméoni et al. 2025, DINOv3, arXiv:2508.10104",
    "*_dino": "Caron et al. 2021, Emerging Properties in Self-Supervised Vision Transformers, arXiv:2104.14294",
    "*_swag*": "Singh et al. 2022, Revisiting Weakly Supervised Pre-Training of Visual Perception Models, arXiv:2201.08371",
    "*_ssl_*": "Yalniz et al. 2019, Billion-scale semi-supervised learning for image classification, arXiv:1905.00546",
    "*_swsl_*": "Yalniz et al. 2019, Billion-scale semi-supervised learning for image classification, arXiv:1905.00546",
    "*_miil_*": "Ridnik et al. 2021, ImageNet-21K Pretraining for the Masses, arXiv:2104.10972",
    "*_ssld_*": "Cui et al. 2021, Beyond Self-Supervision: A Simple Yet Effective Network Distillation Alternative to Improve "
    "Backbones, arXiv:2103.05959",
    "*_sam": "Chen, Hsieh, Gong 2021, When Vision Transformers Outperform ResNets without Pre-training, arXiv:2106.01548",
    "*_clip_*": "Cherti et al. 2022, Reproducible scaling laws for contrastive language-image learning, arXiv:2212.07143",
    "*_timm_augreg*": AUGREG,
    "*_timm_deit*": "Touvron et al. 2020, Training data-efficient image transformers, arXiv:2012.12877",
    "*_timm_a[123]*": STRIKES_BACK,
    "*_timm_[bcd]": STRIKES_BACK,
    "*_timm_[bc][12]*": STRIKES_BACK,
}

# Tag → publisher of the files, where these have one to cite.
PUBLISHERS = {
    "*_torchvision*": "TorchVision maintainers and contributors 2016, TorchVision, github.com/pytorch/vision",
    "*_timm*": TIMM,
}


def of_model(model: str) -> str | None:
    """Give the paper of a builder's architecture; None of a network that is no builder's."""
    return _first(PAPERS, model)


def of_weights(model: str, tag: str) -> tuple[str, ...]:
    """List what to cite for published weights: the architecture's paper, the training's, and who published the file."""
    found = (of_model(model), _first(TRAININGS, tag), _first(PUBLISHERS, tag))
    return tuple(dict.fromkeys(citation for citation in found if citation))


def _first(table: dict[str, str], name: str) -> str | None:
    return next((citation for pattern, citation in table.items() if fnmatchcase(name, pattern)), None)
