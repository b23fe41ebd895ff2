"""What pictures look like, kept by their content: computed while a picture is decoded, for any command that asks again."""

from collections.abc import Mapping, Sequence

import numpy as np

from recipes.data.appearance import APPEARANCE_VERSION, SIDE, Appearance
from recipes.data.images import DECODER_VERSION, Examined
from recipes.data.store import Store
from zoo.files import cache_folder


class Appearances:
    """Numbers, thumbnails and cameras of pictures, by key, on disk.

    Raises:
        UserError: the cache cannot be written or has too little room.
    """

    def __init__(self):
        version = f"v{DECODER_VERSION}.{APPEARANCE_VERSION}"
        folder = cache_folder("appearances")
        self._numbers = Store(folder / f"{version}-numbers", (5,), "float64")
        self._thumbnails = Store(folder / f"{version}-thumbnails", (2, SIDE, SIDE), "uint8")

    def __contains__(self, key: str) -> bool:
        return key in self._numbers and key in self._thumbnails

    def add(self, examined: Mapping[str, Examined]) -> None:
        """Keep what pictures look like."""
        if not examined:
            return
        keys, seen = list(examined), [one.appearance for one in examined.values()]
        self._numbers.add(keys, np.stack([one.numbers for one in seen]), [one.camera for one in examined.values()])
        self._thumbnails.add(keys, np.stack([one.thumbnails for one in seen]))

    def read(self, keys: Sequence[str]) -> list[Appearance]:
        """Read what pictures look like."""
        if not keys:
            return []
        return [Appearance.stored(*rows) for rows in zip(self._numbers.rows(keys)[:], self.thumbnails(keys), strict=True)]

    def thumbnails(self, keys: Sequence[str]) -> np.ndarray:
        """Read the thumbnails of pictures, `(pictures, 2, SIDE, SIDE)`, uint8."""
        return self._thumbnails.rows(keys)[:] if keys else np.empty((0, 2, SIDE, SIDE), "uint8")

    def camera(self, key: str) -> str:
        """Name the camera of a picture; "" where it is not known."""
        return self._numbers.texts.get(key, "")
