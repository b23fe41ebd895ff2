"""Where the pictures lie that a table names: however it was written, on whatever system."""

import os
from pathlib import Path, PurePath
from stat import S_ISREG

from recipes.data.sources.listing import plain


class Places:
    """Finds the files that paths stand for, below a root.

    A path is taken as it is; else without blanks around it, and with its backslashes as slashes; else, where exactly one file
    of the disk differs from it by case or by the Unicode form of an accent alone, as that file: `respelled` counts those.
    """

    def __init__(self, root: Path):
        self.root, self._names = root, {}
        # A table may spell the root with or without its links.
        self._roots = [os.path.join(folder, "") for folder in (os.path.abspath(root), os.path.realpath(root))]
        self.respelled: list[tuple[str, str]] = []  # (path of the table, path on the disk)
        self.outside: list[str] = []  # paths that lead out of the root

    def find(self, text: str) -> str | None:
        """Find the path of a file, relative to the root if it lies there, "/"-separated; None if there is none."""
        for path in self._readings(text):
            if _is_file(os.path.join(self.root, path)):
                return self._relative(path)
        for path in self._readings(text):
            alike = [found for found in self._alike(path) if _is_file(os.path.join(self.root, found))]
            if len(alike) == 1:
                self.respelled.append((text, alike[0]))
                return self._relative(alike[0])
        return None

    def hint(self, text: str) -> str | None:
        """Find the one file of which a path is the name without its ending; None if there is none."""
        folder, _, stem = text.strip().replace("\\", "/").rpartition("/")
        alike = [name for known, names in self._listed(folder).items() if known.startswith(f"{plain(stem)}.") for name in names]
        return os.path.join(folder, alike[0]) if stem and len(alike) == 1 else None

    @staticmethod
    def _readings(text: str) -> dict[str, None]:
        """List what a cell may mean, the likeliest first."""
        return dict.fromkeys(path for path in (text, text.strip(), text.strip().replace("\\", "/")) if path)

    def _relative(self, path: str) -> str:
        """Write a path of a file without detours, relative to the root if it lies there; a link in between is no detour."""
        if not os.path.isabs(path) and os.path.normpath(path) == path and not path.startswith(".."):
            return PurePath(path).as_posix()
        given = os.path.join(self.root, path)
        full = os.path.abspath(given)
        if not _is_file(full) or not os.path.samefile(full, given):  # ".." behind a link to a folder leads elsewhere
            return PurePath(path).as_posix()
        inside = next((full[len(root) :] for root in self._roots if full.startswith(root)), None)
        if inside is None:
            self.outside.append(full)
        return PurePath(inside or full).as_posix()

    def _alike(self, path: str) -> list[str]:
        """List what is called as a path, but for case and Unicode form."""
        found = [""]
        for part in PurePath(path).parts:
            if part == ".." or os.path.isabs(part):
                found = [os.path.join(folder, part) for folder in found]
            else:
                found = [os.path.join(f, name) for f in found for name in self._listed(f).get(plain(part), ())]
        return found

    def _listed(self, folder: str) -> dict[str, list[str]]:
        """List the names in a folder by their plain form, none if it cannot be read; each folder is read once."""
        if folder not in self._names:
            self._names[folder] = {}
            try:
                for name in sorted(os.listdir(os.path.join(self.root, folder))):
                    self._names[folder].setdefault(plain(name), []).append(name)
            except OSError:
                pass
        return self._names[folder]


def _is_file(path: str) -> bool:
    """Whether a path leads to a regular file."""
    try:
        return S_ISREG(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False
