"""An entry for one of timm's files on the Hugging Face hub, from timm's own name for it."""

from collections.abc import Mapping

from zoo.weights.catalog.entry import Entry

ADDRESS = "https://huggingface.co/timm"
RESULTS = "github.com/huggingface/pytorch-image-models, results/results-imagenet.csv"

# Builder, parameters, the builder's own arguments.
Network = tuple[str, int, Mapping[str, object]]


def on_hub(
    name: str,
    network: Network,
    top1: float | None = None,
    top5: float | None = None,
    size: int = 224,
    crop: float = 0.875,
    mode: str = "torch",
    year: int | None = None,
    license: str = "Apache-2.0",
) -> Entry:
    """Make the entry of `name`, such as "convnext_atto.d2_in1k", which is "imagenet_timm_d2"; all are resized bicubically."""
    model, parameters, options = network
    return Entry(
        model,
        f"imagenet_timm_{name.partition('.')[2].replace('_in1k', '')}",
        f"{ADDRESS}/{name}/resolve/main/model.safetensors",
        "none",  # the hub states it when the file is downloaded
        "timm",
        parameters,
        top1,
        RESULTS,
        license,
        top5,
        year,
        mode,
        (size, size, 3),
        int(size / crop),
        "bicubic",
        options=options,
    )
