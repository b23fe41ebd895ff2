"""What is wrong with the pictures, before anything is learnt from them.

    zoo check DATA                              # --strict, --json
    zoo check DATA --model efficientnet_lite0   # labels, too
    python -m recipes.check DATA ...

Every picture is read once, which every other command needs as well; what was read is kept by content. Nothing is changed: a
person fills in `corrections.csv`, and every command takes it as --corrections.
"""

from recipes.cli import run_as_module

run_as_module(__name__)

import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from recipes.compute.versions import packages
from recipes.console import say, suggest
from recipes.data.decoding import Decoded, decode_all
from recipes.data.findings import ERROR, KINDS, LEVELS, WARNING, Finding, grouped, worst
from recipes.data.look import FRAMING, Look, look
from recipes.data.sources import corrections
from recipes.data.sources.chosen import listed, tell
from recipes.data.sources.listing import File, Listing
from recipes.data.sources.own import check_output, mark, refuse_foreign
from recipes.errors import UserError, shown
from recipes.evaluation.tasks import LABEL_SEPARATOR
from recipes.report.check import render
from recipes.runs.folder import check_default, escaped
from recipes.settings.check import Checking
from zoo.disk import WriteError
from zoo.files import write_csv, write_json, write_text

SCHEMA = 1
BEGUN, FILLED_IN = "corrections.csv", "corrections.new.csv"


def run(settings: Checking) -> Path:
    """Look, write, and say what was found; return the folder that holds it.

    Raises:
        UserError: data, output or weights cannot be used.
        SystemExit: with status 1, after everything is written: there is an error, or with --strict a warning.
    """
    began = time.monotonic()
    check_default(settings)
    check_output(settings)
    refuse_foreign(settings.folder)
    listing = listed(settings, needs_labels=settings.model is not None)
    if listing.classes and not settings.json:
        tell(settings, listing)
    decoded = decode_all(listing, FRAMING, needs_pixels=False)
    seen = look(listing, decoded)
    findings = [*seen.findings, *(_labels(settings, listing) if settings.model else ())]
    found = _as_dict(settings, listing, seen.files, findings) | {"seconds": time.monotonic() - began}
    mark(settings.folder)
    try:
        _write(settings, listing, decoded, seen, findings, found)
    except WriteError as error:
        raise UserError(f"--output {shown(error)}") from error
    _tell(settings, listing, findings, found)
    if found["verdict"] == ERROR or settings.strict and found["verdict"] == WARNING:
        sys.exit(1)
    return settings.folder


def _labels(settings: Checking, listing: Listing) -> list[Finding]:
    """Find labels that are probably wrong. Raises UserError for weights that cannot be had."""
    if not listing.task.one_label:
        raise UserError("--model judges the labels of pictures that have one each, and these have any number: leave it out.")
    from recipes.transfer.judged_labels import label_findings  # not at the top: it brings Keras

    return label_findings(settings, listing)


def _as_dict(settings: Checking, listing: Listing, files: Sequence[File], findings: Sequence[Finding]) -> dict:
    """Make the values of check.json."""
    kinds, levels = Counter(f.kind for f in findings), Counter(f.level for f in findings)
    counts = {name: Counter() for name in listing.classes}
    for file in files:
        for label in [file.label] if isinstance(file.label, str) else file.label:
            counts[label][file.split or "all"] += 1
    return {
        "schema": SCHEMA,
        "recipe": "check",
        "data": escaped(settings.data),
        "verdict": worst(findings),
        "pictures": len(files),
        "levels": {level: levels[level] for level in LEVELS[:-1]},
        "kinds": {name: kinds[name] for name in KINDS if kinds[name]},
        "class_counts": {name: dict(sorted(count.items(), key=lambda one: one[0])) for name, count in counts.items()},
        "findings": [finding.as_dict() for finding in findings],
        "corrections": listing.corrections,
        "settings": {"model": settings.model, "weights": settings.weights, "strict": settings.strict},
        "versions": packages(),
    }


def _write(
    settings: Checking, listing: Listing, decoded: Decoded, seen: Look, findings: Sequence[Finding], found: dict
) -> None:
    """Write the tables, the values and the page; corrections that a person has filled in stay as they are."""
    folder = settings.folder
    write_csv(folder / "files.csv", _file_rows(listing, decoded, seen, findings))
    write_json(folder / "check.json", found)
    given = corrections.read(settings.corrections) if settings.corrections else None
    write_csv(folder / _corrections_name(folder), _correction_rows(findings, given))
    write_text(folder / "check.html", render(found, findings, listing, decoded))


def _corrections_name(folder: Path) -> str:
    """Choose the file of corrections to begin: another one where a person has filled in the first."""
    try:
        return FILLED_IN if (folder / BEGUN).exists() and corrections.read(folder / BEGUN).rows else BEGUN
    except UserError:  # a person's, and half done
        return FILLED_IN


def _file_rows(listing: Listing, decoded: Decoded, seen: Look, findings: Sequence[Finding]) -> Iterator[dict]:
    """Make a row of files.csv for every file: its verdict, reasons and remedies."""
    by_path: dict[str, list[Finding]] = {}
    for finding in findings:
        if finding.path:
            by_path.setdefault(finding.path, []).append(finding)
    sizes = {file.path: size for file, size in zip(seen.files, seen.sizes.tolist(), strict=True)}
    digests = {file.path: decoded.digests[file] for file in seen.files}
    listed_files = {file.path: file for file in listing.files}
    for path in dict.fromkeys([*listed_files, *(path for path, _ in listing.left_out)]):
        mine, file = sorted(by_path.get(path, ()), key=lambda one: LEVELS.index(one.level)), listed_files.get(path)
        label = "" if file is None else file.label if isinstance(file.label, str) else LABEL_SEPARATOR.join(file.label)
        width, height = sizes.get(path, ("", ""))
        yield {
            "path": path,
            "split": file.split if file else "",
            "label": label,
            "group": file.group if file else "",
            "verdict": worst(mine),
            "kinds": "; ".join(dict.fromkeys(one.kind for one in mine)),
            "reason": "; ".join(one.reason for one in mine),
            "remedy": "; ".join(dict.fromkeys(KINDS[one.kind].remedy for one in mine)),
            "width": width,
            "height": height,
            "sha256": digests.get(path, ""),
        }


def _correction_rows(findings: Sequence[Finding], given: corrections.Corrections | None) -> list[dict]:
    """Make the rows of a table of corrections: those that a person has given, and suggestions, none of which is active."""
    rows = [
        dict(zip(corrections.COLUMNS, (path, row.action, row.to, "", "as given"), strict=True))
        for path, actions in (given.rows if given else {}).items()
        for row in actions
    ]
    suggested = sorted((f for f in findings if f.action), key=lambda one: LEVELS.index(one.level))
    for finding in suggested:
        reason = f"{finding.reason}: {KINDS[finding.kind].remedy}"
        rows.append(dict(zip(corrections.COLUMNS, (finding.path, "", finding.to, finding.action, reason), strict=True)))
    return rows or [dict.fromkeys(corrections.COLUMNS, "")]


def _tell(settings: Checking, listing: Listing, findings: Sequence[Finding], found: dict) -> None:
    """Print what was found: all of it as JSON, or a line a kind, the worst first."""
    if settings.json:
        say(json.dumps(found, indent=2))
        return
    for line in grouped(findings):
        say(line)
    counts = ", ".join(f"{count:,} {level}{'s' if count != 1 else ''}" for level, count in found["levels"].items())
    say(f"{found['pictures']:,} pictures looked at in {found['seconds']:.1f} s: {counts}.")
    say(f"Open {(settings.folder / 'check.html').resolve()}")
    table = settings.folder / _corrections_name(settings.folder)
    say(f"To correct, fill in the column action of {shown(table)}; empty, it does nothing.")
    if len(listing.classes) > 1:
        suggest({"train, with what is filled in": ["zoo", "finetune", *settings.source_words(), "--corrections", table]})
