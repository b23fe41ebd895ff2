"""Where the files of the catalog lie on this machine. None is opened, and neither Keras nor NumPy is imported."""

from importlib import metadata
from pathlib import Path

from zoo.files import cache_folder
from zoo.weights.catalog.entry import Entry


def place(entry: Entry) -> Path:
    """Say where the entry's file lies, or would lie once it is fetched: in its package, in this one, or in the cache.

    Raises:
        PackageNotFoundError: its package is not installed.
    """
    if entry.package:
        return Path(str(metadata.distribution(entry.package.partition("==")[0]).locate_file(entry.url)))
    if "://" not in entry.url:
        return Path(__file__).parent.parent / "pretrained" / entry.url
    return cache_folder("weights") / entry.file


def is_local(entry: Entry) -> bool:
    """Tell whether the entry's file is here, so that it needs no network."""
    try:
        return place(entry).is_file()
    except (metadata.PackageNotFoundError, OSError):  # or a folder that cannot be looked into
        return False
