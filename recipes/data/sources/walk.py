"""The way through the folders of pictures, the same for training and for prediction: what there is, by name and kind only.

Links to folders are followed, and every folder is listed once. Hidden and system files, what this program wrote, and what is
no regular, readable file is left out; all of that is kept, to be said.
"""

import os
import stat
from dataclasses import dataclass, field
from typing import Literal

from recipes.data.sources import own
from recipes.errors import UserError, shown, some
from recipes.settings.shared import RUNS

SYSTEM_NAMES = ("__macosx", "thumbs.db", "desktop.ini")

Identity = tuple[int, int]  # device and inode: the same for everything that is the same file or folder


@dataclass(frozen=True)
class Entries:
    """What a folder holds: folders and regular readable files, links followed, sorted by path; nothing, if it is our own."""

    folders: dict[str, Identity]
    files: dict[str, Identity]
    is_own: bool = False


@dataclass
class Walk:
    """What is collected on the way through the folders; paths are relative to the root.

    Raises:
        UserError: the root is no folder that can be opened.
    """

    root: str
    places: dict[Identity, str] = field(init=False)  # root, split and class folders: a link to one of them is not followed
    left_out: list[tuple[str, str]] = field(default_factory=list)
    ignored: int = 0
    repeated: int = 0
    links: list[str] = field(default_factory=list)  # links to folders that were followed
    skipped: list[str] = field(default_factory=list)  # folders that had been reached before
    own: list[str] = field(default_factory=list)  # folders that this program wrote
    _known: dict[str, Entries] = field(default_factory=dict, repr=False)
    _cache: set[Identity] = field(default_factory=set, repr=False)

    def __post_init__(self):
        root = _identity_of_root(self.root)
        self.places = {root: "."}
        for place in own.cache_places():
            try:
                status = os.lstat(os.path.realpath(place))
            except OSError:
                continue
            self._cache.add((status.st_dev, status.st_ino))
        self._cache.discard(root)  # somebody who keeps the cache beside his pictures

    def place(self, path: str) -> str:
        """Write a path below the root in full, printable."""
        return shown(os.path.join(self.root, path) if path else self.root)

    def entries(self, folder: str) -> Entries:
        """List a folder, once. Raises OSError if it cannot be read."""
        if folder not in self._known:
            self._known[folder] = self._list(folder)
        return self._known[folder]

    def entries_or_refuse(self, folder: str) -> Entries:
        """List a folder, once. Raises UserError if it cannot be read."""
        try:
            return self.entries(folder)
        except OSError as error:
            raise UserError(
                f"The folder {self.place(folder)} cannot be read ({error.strerror}): correct its permissions or take it away."
            ) from error

    def _list(self, folder: str) -> Entries:
        """List a folder. Raises OSError."""
        folders, files, place = {}, {}, os.path.join(self.root, folder)
        with os.scandir(place) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
        if folder and own.is_own(place, [entry.name for entry in entries]):
            return Entries({}, {}, is_own=True)
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if entry.name.startswith(".") or entry.name.lower() in SYSTEM_NAMES:
                self.ignored += 1
                continue
            try:
                status = os.stat(entry.path)
            except OSError as error:
                dangling = isinstance(error, FileNotFoundError) and entry.is_symlink()
                reason = "is a link to what does not exist" if dangling else f"cannot be read ({error.strerror})"
                self.left_out.append((path, reason))
                continue
            identity = status.st_dev, status.st_ino
            if stat.S_ISDIR(status.st_mode):
                if identity in self._cache:
                    self.own.append(path)
                    continue
                folders[path] = identity
                if entry.is_symlink():
                    self.links.append(path)
            elif not stat.S_ISREG(status.st_mode):
                self.left_out.append((path, "is not a regular file but a pipe, socket or device"))
            elif not os.access(entry.path, os.R_OK):
                self.left_out.append((path, "cannot be read (Permission denied)"))
            else:
                files[path] = identity
        return Entries(folders, files)

    def foreign_folders(self, parent: str) -> dict[str, Identity]:
        """List the folders in a folder but for those in which nothing lies that this program has not written.

        Raises:
            UserError: the folder cannot be read.
        """
        found = {}
        for path, identity in self.entries_or_refuse(parent).folders.items():
            kind = self._content(path, {*self.places, identity})
            # An interrupted first run leaves this folder behind with nothing in it.
            if kind == "own" or kind == "nothing" and os.path.basename(path) == RUNS.name:
                if path not in self.own:
                    self.own.append(path)
            else:
                found[path] = identity
        return found

    def _content(self, folder: str, above: set[Identity]) -> Literal["own", "foreign", "nothing"]:
        """Say whose files lie in a folder and below; it is looked into as far as is needed to tell."""
        try:
            entries = self.entries(folder)
        except OSError:
            return "foreign"
        if entries.is_own:
            return "own"
        if entries.files:
            return "foreign"
        kinds = {"nothing"}
        for path, identity in entries.folders.items():
            kind = self._content(path, above | {identity}) if identity not in above else "nothing"
            if kind == "foreign":
                return kind
            kinds.add(kind)
        return "own" if "own" in kinds else "nothing"

    def holds_files(self, folder: str) -> bool:
        """Whether a file that this program has not written lies in a folder or below."""
        return self._content(folder, set(self.places)) == "foreign"

    def files_below(self, folder: str) -> list[str]:
        """List the files in a folder and below, sorted, each once. Raises UserError if the folder itself cannot be read."""
        self.entries_or_refuse(folder)
        seen_folders: set[Identity] = set()
        seen_files: set[Identity] = set()
        found, pending = [], [folder]
        while pending:
            here = pending.pop()
            try:
                entries = self.entries(here)
            except OSError as error:
                self.left_out.append((here, f"is a folder that cannot be read ({error.strerror})"))
                continue
            self._known.pop(here, None)  # nobody asks again, and there may be millions
            if entries.is_own:
                self.own.append(here)
            for path, identity in entries.files.items():
                if identity in seen_files:
                    self.repeated += 1
                else:
                    seen_files.add(identity)
                    found.append(path)
            for path, identity in entries.folders.items():
                if identity in self.places or identity in seen_folders:
                    self.skipped.append(path)
                else:
                    seen_folders.add(identity)
                    pending.append(path)
        return sorted(found)

    def summary(self) -> list[str]:
        """Say in sentences what was ignored, merged or skipped."""
        findings = []
        if self.ignored:
            findings.append(
                f"Hidden or system files and folders, ignored: {self.ignored} "
                "(names that begin with a dot, __MACOSX, Thumbs.db, desktop.ini)."
            )
        if self.own:
            findings.append(f"Folders that this program wrote (runs, searches, caches), left out: {some(self.own)}.")
        if self.links:
            findings.append(f"Links to folders: {some(self.links)}.")
        if self.skipped:
            findings.append(f"Folders reached before by another way, skipped: {some(self.skipped)}.")
        if self.repeated:
            findings.append(f"Links to files that their folder already holds, skipped: {self.repeated}.")
        return findings


def _identity_of_root(root: str) -> Identity:
    """Identify the root. Raises UserError if it is no folder that can be opened."""
    try:
        status = os.stat(root)
    except FileNotFoundError:
        raise UserError(f"{shown(root)} does not exist: give a folder of images.") from None
    except OSError as error:
        raise UserError(f"{shown(root)} cannot be opened ({error.strerror}): give a folder.") from error
    if not stat.S_ISDIR(status.st_mode):
        raise UserError(f"{shown(root)} is not a folder: give a folder of images (unpack an archive).")
    return status.st_dev, status.st_ino
