"""Data sets of TensorFlow Datasets: `tfds:NAME`, `tfds:NAME:SPLITS`, or a folder that one was prepared in.

NAME is as `tfds.builder` takes it: beans, with a configuration or a version as in cats_vs_dogs:4.0.1. SPLITS are as TFDS reads
them, separated by commas, each with the part that it is where its name does not say it: train[:80%],val=train[80%:]. A single
one, or none that is called like a part, is divided. The pictures are taken as they were stored, undecoded, and kept as files
in the cache: so the project's own decoder reads them, and all else sees a folder.
"""

import hashlib
import importlib
import io
import json
import re
import uuid
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any

from recipes.console import say
from recipes.data.sources.levels import part_of
from recipes.data.sources.listing import SPLITS, File, Listing
from recipes.errors import UserError, shown, some
from recipes.evaluation.tasks import MULTI_CLASS, MULTI_LABEL
from recipes.settings.sources import TFDS
from zoo.disk import require_room, written
from zoo.files import cache_folder, make_folder, write_json
from zoo.progress import Progress

INDEX = "index.json"
PREPARED = ("dataset_info.json", "features.json")
NAME = re.compile(r"(?P<name>[^:]+(?::\d+\.[\d*]+\.[\d*]+)?)(?::(?P<splits>.+))?")
PARTS = ("", "train", "validation", "test")
FORMATS = {b"\xff\xd8": ".jpg", b"\x89PNG": ".png", b"GIF8": ".gif", b"RIFF": ".webp", b"BM": ".bmp"}


@dataclass(frozen=True)
class Columns:
    """The features of an example that are read: picture, label and, if there is one, the name of its file."""

    image: str
    label: str
    name: str | None
    encoded: bool  # whether the picture is stored as a file's bytes


def scan_tfds(data: Path, data_dir: Path | None = None, known: Collection[str] = ()) -> Listing:
    """List the pictures of a data set, which is fetched and prepared if it is not there.

    Args:
        data: tfds:NAME or tfds:NAME:SPLITS, or a folder that a data set was prepared in.
        data_dir: folder of prepared data sets; TFDS' own if not given.
        known: classes of a finished run that is to be measured, for which any of them, and any part, is enough.

    Raises:
        UserError: TensorFlow or the data set cannot be had, it has no such splits, or no picture with a label.
    """
    tfds = _imported(data)
    found = NAME.fullmatch(str(data).removeprefix(TFDS)) if str(data).startswith(TFDS) else None
    builder = _builder(tfds, data, found and found["name"], data_dir)
    try:
        splits, findings = _splits(data, list(builder.info.splits or ()), found and found["splits"], is_learnt=not known)
        _check_specs(tfds, data, splits)
        columns = _columns(tfds, data, builder.info)
        key = _key(builder, splits, columns)
        folder = cache_folder("datasets") / key
        make_folder(folder, lambda new: _store(tfds, data, builder, splits, columns, new))
    except OSError as error:
        raise UserError(f"The cache: {shown(error)} Or set ZOO_CACHE to one.") from error
    return _listing(data, folder, builder, columns, findings, is_learnt=not known)


def is_prepared(folder: Path) -> bool:
    """Whether TFDS has prepared a data set in a folder."""
    return all((folder / name).is_file() for name in PREPARED)


def _imported(data: Path) -> ModuleType:
    """Import TensorFlow Datasets, which takes seconds, where it is needed. Raises UserError without it, or TensorFlow."""
    try:
        tensorflow = importlib.import_module("tensorflow")
        tfds = importlib.import_module("tensorflow_datasets")
    except ImportError as error:
        raise _missing(data, error) from error
    if importlib.import_module("keras").backend.backend() != "tensorflow":  # whose memory on the GPU it would take
        tensorflow.config.set_visible_devices([], "GPU")
    return tfds


def _missing(data: Path, error: ImportError) -> UserError:
    """Make the error of a package that TensorFlow Datasets needs."""
    return UserError(
        f"{shown(data)} is read by TensorFlow Datasets, which needs TensorFlow and more ({error}): pip install tensorflow "
        "tensorflow-datasets importlib-resources, or give a folder with a folder per class."
    )


def _builder(tfds: ModuleType, data: Path, name: str | None, data_dir: Path | None) -> Any:
    """Find the data set, and prepare it if need be. Raises UserError if it cannot be had."""
    try:
        if name is None and not str(data).startswith(TFDS):
            return tfds.builder_from_directory(str(data))
        if not name:
            raise ValueError("there is no name")
        builder = tfds.builder(name, data_dir=data_dir and str(data_dir.expanduser().absolute()))
    except ImportError as error:
        raise _missing(data, error) from error
    except Exception as error:  # of many kinds, among them those of modules that data sets import
        raise UserError(
            f"{shown(data)} is no data set that TensorFlow Datasets knows or has prepared ({_first_line(error)}): give "
            "tfds:NAME or tfds:NAME:SPLITS with a name of tensorflow.org/datasets, or --data-dir with the folder in which it "
            "was prepared."
        ) from error
    if not _is_there(builder):
        say(f"{shown(data)}: fetching and preparing it in {shown(builder.data_path)}.")
        try:
            builder.download_and_prepare()
        except ImportError as error:
            raise _missing(data, error) from error
        except Exception as error:  # of the network, of a page that has moved, of what must be fetched by hand
            raise UserError(
                f"{shown(data)} cannot be fetched ({_first_line(error)}): prepare it where there is a network (tfds build), "
                "and give the folder as --data-dir."
            ) from error
    return builder


def _is_there(builder: Any) -> bool:
    """Whether a data set is prepared."""
    return bool(builder.info.splits) and Path(builder.data_path).is_dir()


def _splits(data: Path, known: list[str], asked: str | None, is_learnt: bool = True) -> tuple[dict[str, str], list[str]]:
    """Choose {part: what TFDS is to read for it}; "" is divided. Gives findings beside.

    Raises:
        UserError: there is no such split, or it is not clear which part it is.
    """
    given = re.split(r",(?![^\[]*\])", asked) if asked else known or ["train"]  # a mocked data set says none, and has any
    chosen: dict[str, str] = {}
    left = []
    for piece in given:
        part, sign, spec = piece.rpartition("=") if re.match(r"\s*\w+\s*=", piece) else ("", "", piece)
        names = [re.sub(r"\[.*", "", one).strip() for one in spec.split("+")]
        if unknown := [name for name in names if known and name not in known]:
            raise UserError(f"{shown(data)}: there is no split {shown(unknown[0])!r}, only {some(known, 20)}.")
        if sign and part.strip().lower() not in SPLITS:
            raise UserError(f"{shown(data)}: a part is train, val or test, found {shown(part.strip())!r}.")
        parts = {part_of(name) for name in names}
        found = SPLITS[part.strip().lower()] if sign else parts.pop() if len(parts) == 1 else None
        if len(given) == 1:
            found = ""
        if found is None and not asked:
            left.append(piece)
        elif found is None or found in chosen:
            raise UserError(
                f"{shown(data)}: which part is {shown(piece)}? Say it of each, as in "
                f"tfds:NAME:train=train[:80%],val=train[80%:]; the splits are {some(known, 20)}."
            )
        else:
            chosen[found] = spec.strip()
    if is_learnt and not {"", "train"} & chosen.keys():
        raise UserError(
            f"{shown(data)}: nothing says what to train on, of the splits {some(known, 20)}: give tfds:NAME:train=SPLIT, and, "
            "if wanted, test=SPLIT."
        )
    said = ", ".join(f"{part or 'divided'} from {shown(spec)}" for part, spec in chosen.items())
    findings = [f"{shown(data)}: {said}."]
    return chosen, findings + ([f"Splits of {shown(data)} that are no part, left out: {some(left)}."] if left else [])


def _check_specs(tfds: ModuleType, data: Path, splits: dict[str, str]) -> None:
    """Refuse what TFDS does not read as a split, with a UserError."""
    for spec in splits.values():
        try:
            tfds.core.ReadInstruction.from_spec(spec)
        except (ValueError, AssertionError) as error:
            raise UserError(
                f"{shown(data)}: {shown(spec)} is no split that TensorFlow Datasets reads: write it as in train[:80%] or "
                "train[100:]."
            ) from error


def _columns(tfds: ModuleType, data: Path, info: Any) -> Columns:
    """Find the picture and its label among the features. Raises UserError where that is not clear."""
    features = dict(info.features.items()) if hasattr(info.features, "items") else {}
    kinds = tfds.features
    images = [name for name, one in features.items() if type(one) is kinds.Image] or [
        name for name, one in features.items() if type(one) is kinds.Tensor and len(one.shape) == 3 and one.np_dtype == "uint8"
    ]
    labels = [name for name, one in features.items() if _class_label(tfds, one) or type(one) is kinds.Text and name == "label"]
    keys = info.supervised_keys or ()
    for found in (images, labels):
        if len(found) > 1:
            found[:] = [name for name in found if name in keys] or found
    if len(images) != 1 or len(labels) != 1 or features[images[0]].np_dtype == "float32":
        listed = some((f"{name} ({type(one).__name__})" for name, one in features.items()), 20)
        raise UserError(
            f"{shown(data)} must have one picture (of 8 or 16 bits) and one label a row, found {listed or 'neither'}: it is no "
            "data set of classes."
        )
    names = [name for name, one in features.items() if type(one) is kinds.Text and re.search(r"file_?name$", name)]
    return Columns(images[0], labels[0], next(iter(names), None), type(features[images[0]]) is kinds.Image)


def _class_label(tfds: ModuleType, feature: Any) -> Any:
    """Give the class label that a feature is, or is a sequence of; None otherwise."""
    if isinstance(feature, tfds.features.Sequence):
        feature = feature.feature
    return feature if isinstance(feature, tfds.features.ClassLabel) else None


def _key(builder: Any, splits: dict[str, str], columns: Columns) -> str:
    """Name what is stored by all that it depends on: the files of the data set, and what is read of them; at random without."""
    files = sorted(path for path in Path(builder.data_path).glob("*") if path.is_file())
    stamps = [(path.name, (status := path.stat()).st_size, status.st_mtime_ns) for path in files]
    depends = (str(builder.data_path), stamps or uuid.uuid4().hex, sorted(splits.items()), columns)
    return hashlib.sha256(repr(depends).encode()).hexdigest()[:24]


def _store(tfds: ModuleType, data: Path, builder: Any, splits: dict[str, str], columns: Columns, folder: Path) -> None:
    """Write the pictures as files, and the list of them. Raises OSError, or UserError for a data set that cannot be read."""
    name = re.sub(r"[^\w.-]+", "-", builder.info.full_name)
    require_room(folder, int(builder.info.dataset_size or 0))
    rows, used = [], Counter()
    for part, spec in splits.items():
        count = builder.info.splits[spec].num_examples if builder.info.splits else 0
        with Progress(f"{builder.info.name} {spec}", count, "images") as progress:
            for content, labels, file in _examples(tfds, data, builder, spec, columns):
                where = "+".join(re.sub(r"\[.*", "", one).strip() for one in spec.split("+")) if part else ""
                path = _path(where, labels, file or hashlib.sha256(content).hexdigest()[:20], content)
                used[path] += 1
                if used[path] > 1:
                    stem, dot, ending = path.rpartition(".")
                    path = f"{stem} {used[path]}{dot}{ending}"
                place = folder / name / path
                with written(place, len(content)):
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.write_bytes(content)
                rows.append((path, labels, part))
                progress.advance()
    write_json(folder / INDEX, {"root": name, "files": rows})


def _examples(
    tfds: ModuleType, data: Path, builder: Any, spec: str, columns: Columns
) -> Iterator[tuple[bytes, str | list[str] | None, str | None]]:
    """Read examples: a file's bytes, its label, or labels, None where there is none, and the name of the file."""
    label = _class_label(tfds, builder.info.features[columns.label])

    def named(value: Any) -> str | None:
        if label is None:
            return value.decode() or None
        return label.int2str(int(value)) if value >= 0 else None

    wanted = [name for name in (columns.image, columns.label, columns.name) if name]
    skip = {columns.image: tfds.decode.SkipDecoding()} if columns.encoded else None
    try:
        decoders = tfds.decode.PartialDecoding(dict.fromkeys(wanted, True), decoders=skip)
        examples = builder.as_dataset(split=spec, decoders=decoders, shuffle_files=False)
        for example in tfds.as_numpy(examples):
            image, value = example[columns.image], example[columns.label]
            labels = [one for each in value if (one := named(each))] if getattr(value, "ndim", 0) else named(value)
            file = example[columns.name].decode() if columns.name else None
            yield image if isinstance(image, bytes) else _as_png(image), labels, file
    except (OSError, UserError):
        raise
    except Exception as error:  # of TensorFlow, which reads the files
        raise UserError(
            f"{shown(data)} cannot be read ({_first_line(error)}): prepare it again, in a folder of its own."
        ) from error


def _as_png(pixels: Any) -> bytes:
    """Write pixels `(height, width, channels)`, uint8, as a PNG file, which loses nothing."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(buffer, "PNG")
    return buffer.getvalue()


def _path(split: str, labels: str | list[str] | None, file: str, content: bytes) -> str:
    """Make a path as in class folders, of names that any disk can hold."""
    ending = next((ending for mark, ending in FORMATS.items() if content.startswith(mark)), ".img")
    given = PurePosixPath(file.replace("\\", "/"))
    base = given.name if given.is_absolute() or ".." in given.parts else str(given)
    parts = [split, labels if isinstance(labels, str) else "", *base.split("/")]
    safe = [re.sub(r'[\x00-\x1f/\\:*?"<>|]', "_", part)[:100] for part in parts if part]
    path = "/".join(f"_{part}" if part.startswith(".") else part for part in safe)
    return path if PurePosixPath(path).suffix else path + ending


def _listing(data: Path, folder: Path, builder: Any, columns: Columns, findings: list[str], is_learnt: bool = True) -> Listing:
    """Make the listing of what is stored. Raises UserError if nothing has a label."""
    index = json.loads((folder / INDEX).read_text("utf-8"))
    rows = [
        (path, labels if isinstance(labels, str) or labels is None else tuple(labels), part)
        for path, labels, part in index["files"]
    ]
    left_out = [(path, "has no label") for path, labels, _ in rows if labels is None]
    files = [File(path, labels, part) for path, labels, part in rows if labels is not None]
    if not files:
        raise UserError(f"{shown(data)} has no picture with a label in these splits: give others, as tfds:NAME:SPLITS.")
    one_label = isinstance(files[0].label, str)
    found = {label for file in files for label in ([file.label] if one_label else file.label)}
    learnt = {file.label for file in files if file.split in ("", "train")} if one_label else found
    if is_learnt and (extra := found - learnt):
        raise UserError(
            f"{shown(data)}: train has no picture of {some(sorted(extra))}, which another part has: choose other splits."
        )
    known = list(getattr(builder.info.features[columns.label], "names", None) or ())
    if missing := [name for name in known if name not in found]:
        findings = [*findings, f"Classes of {shown(data)} without a picture in these splits, left out: {some(missing)}."]
    files.sort(key=lambda file: (PARTS.index(file.split), file.label, file.path) if one_label else file.path)
    root = folder / index["root"]
    return Listing(
        root, tuple(sorted(found)), tuple(files), tuple(left_out), tuple(findings), MULTI_CLASS if one_label else MULTI_LABEL
    )


def _first_line(error: Exception) -> str:
    """Take the first line of what an error says, cut where it is long."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return shown(lines[0][:200].rstrip("."))
