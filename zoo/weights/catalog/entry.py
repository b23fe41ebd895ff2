"""What the zoo knows about one published file of weights."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from zoo.weights.catalog import citations


@dataclass(frozen=True)
class Entry:
    """One file of weights and all that belongs to it.

    `hash` is as its publisher gives it: "sha256:…" whole, "sha256-prefix:…" (torchvision puts eight digits into the file
    name), "md5:…" (keras.applications), or "none" where the catalog knows none; then what the hub states at the download
    counts. Of all the digest of the first download is kept and checked from there on.
    """

    model: str
    tag: str
    url: str  # without "://" a file in the package, if there is one, else in zoo/pretrained
    hash: str
    variant: str  # which graph: "keras", "torch", ...
    parameters: int  # of the whole model, moving statistics included
    top1: float | None  # published, in per cent, single crop
    source: str  # who published that number
    license: str
    top5: float | None = None
    year: int | None = None  # when the file was published
    preprocessing: str = ""  # a mode of zoo.preprocessing; "": the variant's
    input_shape: tuple[int, int, int] = (224, 224, 3)
    resize: int = 256  # short side before the centre crop
    interpolation: str = "bilinear"
    num_classes: int = 1000
    options: Mapping[str, object] = field(default_factory=dict)  # builder arguments that the file is for
    package: str = ""  # NAME==VERSION of the Python package that brings the file

    @property
    def file(self) -> str:
        """Name in the cache and in a mirror: the address' last part.

        On the Hugging Face hub, where all are called "model.safetensors", it is the repository's name with that ending.
        """
        folder, _, name = self.url.rpartition("/")
        if name == "model.safetensors":
            return folder.partition("/resolve/")[0].rpartition("/")[2] + ".safetensors"
        return name

    @property
    def dataset(self) -> str:
        """What its classes are those of: "imagenet", "cifar10" or "mnist"; tags begin with it."""
        return self.tag.partition("_")[0]

    @property
    def commercial(self) -> bool:
        """Whether its licence allows commercial use: without that it is taken where it is named, and nowhere by default."""
        return "-NC" not in self.license.upper()

    @property
    def citations(self) -> tuple[str, ...]:
        """What to cite: the architecture's paper, the training's, and who published the file."""
        return citations.of_weights(self.model, self.tag)

    @property
    def crop(self) -> float:
        """Side of the centre crop as a share of the resized short side."""
        return self.input_shape[0] / self.resize
