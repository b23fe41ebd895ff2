"""Names by a pattern of the shell."""

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase


def matching(names: Iterable[str], pattern: str) -> list[str]:
    """List the names that match, such as "resnet*"; capitals are as good as small letters.

    If none matches, hyphens and underscores are left out: "ResNet-50" and "EfficientNetB*" find resnet50 and efficientnet_b0.
    """
    names, pattern = list(names), pattern.lower()
    found = [name for name in names if fnmatchcase(name, pattern)]
    return found or [name for name in names if fnmatchcase(name.replace("_", ""), re.sub("[-_]", "", pattern))]
