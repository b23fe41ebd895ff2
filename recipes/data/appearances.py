"""What pictures look like, kept by their content: computed while a picture is decoded, for any command that asks again."""

from collections.abc import Mapping, Sequence

import numpy as np

from recipes.data.appearance import APPEARANCE_VERSION, SIDE
from recipes.data.images import DECODER_VERSION, Examined
from recipes.data.store import Rows, Store
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
        return bool(self.has([key])[0])

    def has(self, keys: Sequence[str]) -> np.ndarray:
        """Whether it is kept what these look like, `(keys,)`."""
        return self._numbers.has(keys) & self._thumbnails.has(keys)

    def add(self, examined: Mapping[str, Examined]) -> None:
        """Keep what pictures look like."""
        if not examined:
            return
        keys, seen = list(examined), [one.appearance for one in examined.values()]
        self._numbers.add(keys, np.stack([one.numbers for one in seen]), [one.camera for one in examined.values()])
        self._thumbnails.add(keys, np.stack([one.thumbnails for one in seen]))

    def numbers(self, keys: Sequence[str]) -> np.ndarray:
        """Read the numbers of pictures, `(pictures, 5)`, those of `Appearance.numbers`."""
        return self._numbers.rows(keys)[:] if keys else np.empty((0, 5))

    def thumbnails(self, keys: Sequence[str]) -> Rows | np.ndarray:
        """Find the thumbnails of pictures, `(pictures, 2, SIDE, SIDE)`, uint8; they stay on the disk."""
        return self._thumbnails.rows(keys) if keys else np.empty((0, 2, SIDE, SIDE), "uint8")

    def cameras(self, keys: Sequence[str]) -> list[str]:
        """Name the cameras of pictures; "" where one is not known."""
        return self._numbers.texts(keys)
