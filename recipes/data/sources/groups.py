"""Groups by the path: what a regular expression names in it stays together in every division."""

import re
from collections import Counter
from dataclasses import replace

from recipes.data.sources.listing import Listing
from recipes.errors import UserError, shown


def by_pattern(found: Listing, pattern: str, else_is: str = "") -> Listing:
    """Give each picture the group that a regular expression names by its part in brackets; several parts are one name.

    A picture whose path does not match belongs to no other.

    Args:
        found: what a source has listed; a path is relative to its root, with "/".
        pattern: looked for anywhere in the path.
        else_is: what the pattern is not, such as "no column of labels.csv", for the sentence.

    Raises:
        UserError: the pattern has no part in brackets, matches no path, or leaves all pictures in one group.
    """
    compiled, said = re.compile(pattern), f"--groups {shown(pattern)}"
    if not compiled.groups:
        also = f"{else_is}, and " if else_is else ""
        raise UserError(
            f"{said} is {also}a regular expression without a part in brackets, which would name the group in a path such as "
            f"{shown(found.files[0].path)}: write, for example, '(p\\d+)_'."
        )
    matches = [compiled.search(file.path) for file in found.files]
    names = ["/".join(part or "" for part in match.groups()) if match else "" for match in matches]
    sizes = Counter(filter(None, names))
    if not sizes:
        raise UserError(f"{said} matches no path, such as {shown(found.files[0].path)}: correct it.")
    if len(sizes) == 1 and all(names):
        raise UserError(
            f"{said} names one group for all pictures, {shown(names[0])}, which leaves nothing to divide: correct it."
        )
    finding = f"Groups by {said}, which stay together: {len(sizes):,}, of up to {max(sizes.values()):,} pictures."
    if alone := [file.path for file, name in zip(found.files, names, strict=True) if not name]:
        finding += f" It names none in {len(alone):,} paths, such as {shown(alone[0])}: each is a group of its own."
    files = tuple(replace(file, group=name) for file, name in zip(found.files, names, strict=True))
    return replace(found, files=files, findings=(*found.findings, finding))
