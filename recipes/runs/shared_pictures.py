"""The pictures on which several finished runs were measured: the same ones, by content, with the same labels."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from recipes.console import quantity
from recipes.data.split import united
from recipes.errors import UserError, shown, some
from recipes.runs.finished import EVALUATED, Answer, Finished

# The most trustworthy first. What a run has trained on says nothing.
PARTS = ("test", "validation")
SAID = {"test": "of the test part", "validation": "of the validation part", EVALUATED: "that were evaluated"}


@dataclass(frozen=True)
class SharedPictures:
    """What several runs said of the same pictures.

    Args:
        part: "test", "validation" or "evaluated".
        answers: of each run, in one order of the pictures.
        classes: those of all runs, in the order of the first one's.
        truth: whether a picture is of a class, `(images, classes)`, 0 and 1.
        guesses: whether a run says so, of the same shape, one a run.
        groups: number of each picture's group, `(images,)`; copies are one.
        weights: how much each picture counts, `(images,)`, 1 on average.
        findings: sentences on what a reader should know of the pictures.
    """

    part: str
    answers: tuple[list[Answer], ...]
    classes: tuple[str, ...]
    truth: csr_array
    guesses: tuple[csr_array, ...]
    groups: np.ndarray
    weights: np.ndarray
    findings: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.groups)

    @property
    def group_count(self) -> int:
        """How many groups there are; as many as pictures, where none belong together."""
        return int(self.groups.max()) + 1

    @property
    def is_plain(self) -> bool:
        """Whether every picture stands for itself, and all count the same."""
        return self.group_count == len(self) and not self.is_weighted

    @property
    def is_weighted(self) -> bool:
        """Whether pictures count differently."""
        return bool(np.ptp(self.weights))


def shared_pictures(runs: Sequence[Finished], names: Sequence[str]) -> SharedPictures:
    """Find the pictures that all runs were measured on, none of which they were trained on.

    Args:
        names: what the runs are called in sentences.

    Raises:
        UserError: there are none, they are not the same, or they have other labels; or tasks differ.
    """
    _check_tasks(runs, names)
    part = _choose(runs, names)
    answers = tuple(sorted(_measured(run, part), key=lambda one: (one.digest, one.label, one.path)) for run in runs)
    for other, name in zip(answers[1:], names[1:], strict=True):
        _check_same(answers[0], other, names[0], name, part)
    classes = tuple(dict.fromkeys(name for run in runs for name in run.result["classes"]))
    number = {name: i for i, name in enumerate(classes)}

    def rows(run: Finished, cells: Sequence[str]) -> csr_array:
        """Turn cells of names into rows of 0 and 1."""
        found = [[number[name] for name in run.names(cell)] for cell in cells]
        ends = np.cumsum([0, *map(len, found)])
        columns = np.array([i for row in found for i in row], int)
        return csr_array((np.ones(len(columns)), columns, ends), shape=(len(found), len(classes)))

    try:
        truth = rows(runs[0], [one.label for one in answers[0]])
        guesses = tuple(rows(run, [one.prediction for one in those]) for run, those in zip(runs, answers, strict=True))
    except KeyError as error:
        raise UserError(
            f"files.csv of {some(names)} names a class that none of them has, {shown(error.args[0])}: it was changed."
        ) from error
    groups, of_groups = _groups(answers, names)
    weights, of_weights = _weights(answers)
    findings = (
        *_of_part(runs, names, part),
        *_of_classes(runs, names),
        *of_groups,
        *of_weights,
        *_trained_on(runs, names, answers[0]),
    )
    return SharedPictures(part, answers, classes, truth, guesses, groups, weights, findings)


def _check_tasks(runs: Sequence[Finished], names: Sequence[str]) -> None:
    """Refuse, with a UserError, runs whose answers are not of one kind."""
    kinds = {run.one_label: name for run, name in zip(runs, names, strict=True)}
    if len(kinds) > 1:
        raise UserError(
            f"{shown(kinds[True])} gives each picture one label, {shown(kinds[False])} any number of them: they answer "
            "different questions, and cannot be compared."
        )
    if not runs[0].one_label:
        for run, name in zip(runs, names, strict=True):
            if set(run.result["classes"]) != set(runs[0].result["classes"]):
                raise UserError(f"{shown(names[0])} and {shown(name)} know different labels: they cannot be compared.")


def _measured(run: Finished, part: str) -> list[Answer]:
    """List the answers of a run's part, or all of an evaluation."""
    return run.parts[part] if run.kind == "run" else list(run.answers)


def _choose(runs: Sequence[Finished], names: Sequence[str]) -> str:
    """Choose the most trustworthy part that all have. Raises UserError if they have none."""
    trained = [run for run in runs if run.kind == "run"]
    if not trained:
        return EVALUATED
    common = [part for part in PARTS if all(run.parts.get(part) for run in trained)]
    if not common:
        lacking = [name for run, name in zip(runs, names, strict=True) if run in trained and not run.parts.get("test")]
        raise UserError(
            f"{some(names)} have no part in common that they were not trained on ({some(lacking)} without test part): measure "
            "each on the same new pictures by `zoo evaluate`, and compare what that writes."
        )
    digests = [Counter(one.digest for one in run.answers) for run in runs if run.kind == "evaluation"]
    fitting = [part for part in common if all(Counter(one.digest for one in trained[0].parts[part]) == d for d in digests)]
    return (fitting or common)[0]


def _check_same(first: Sequence[Answer], other: Sequence[Answer], name: str, other_name: str, part: str) -> None:
    """Refuse pictures that differ by content or label, with a UserError that counts them."""
    one, two = (Counter(answer.digest for answer in answers) for answers in (first, other))
    alone, other_alone, both = (one - two).total(), (two - one).total(), (one & two).total()
    a, b, said = shown(name), shown(other_name), _relabelled(first, other, one == two, both)
    if alone or other_alone:
        if part == EVALUATED:
            remedy = "`zoo evaluate` leaves out what its run was trained on: give both the same pictures, new to either."
        else:
            remedy = (
                "Divide alike (a folder with a test part of its own, or the same --seed), or measure each on one folder by "
                "`zoo evaluate`, and compare what that writes."
            )
        raise UserError(
            f"{a} and {b} were measured on different pictures: of those {SAID[part]}, {alone:,} are in {a} alone, "
            f"{other_alone:,} in {b} alone, {both:,} in both{f'; {said}' if said else ''}. {remedy}"
        )
    if said:
        raise UserError(f"{a} and {b} were measured by different labels: {said}. Correct the labels, and measure both by them.")


def _relabelled(first: Sequence[Answer], other: Sequence[Answer], are_same: bool, both: int) -> str:
    """Say how many pictures have other labels, with an example; "" for none.

    Args:
        are_same: whether the pictures are the same, and stand in one order.
        both: how many pictures both have.
    """
    labels = {answer.digest: answer for answer in first}
    pairs = zip(first, other, strict=True) if are_same else ((labels.get(answer.digest, answer), answer) for answer in other)
    differing = [(one.label, two) for one, two in pairs if one.label != two.label]
    if not differing:
        return ""
    label, example = differing[0]
    return (
        f"{len(differing):,} of the {both:,} that both have are labelled otherwise, such as {shown(example.path)} "
        f"({shown(label) or 'nothing'} and {shown(example.label) or 'nothing'})"
    )


def _groups(answers: Sequence[Sequence[Answer]], names: Sequence[str]) -> tuple[np.ndarray, list[str]]:
    """Find the numbers of the groups of the pictures, as the first run that has any says; copies are one group."""
    given = [[answer.group for answer in those] for those in answers]
    known = [groups for groups in given if any(groups)]
    digests = [answer.digest for answer in answers[0]]
    units = united(digests, known[0] if known else [""] * len(digests))
    findings = []
    if len(known) not in (0, len(given)) or any(_partition(groups) != _partition(known[0]) for groups in known[1:]):
        taken = names[given.index(known[0])]
        findings.append(f"The runs do not know the same groups of pictures: those of {shown(taken)} count.")
    _, numbers = np.unique(units, return_inverse=True)
    if (count := int(numbers.max()) + 1) < len(digests):
        findings.append(
            f"The {len(digests):,} pictures are {quantity(count, 'group')} (near-duplicates, copies, and what --groups names): "
            "a group counts once where chance is computed."
        )
    return numbers, findings


def _partition(groups: Sequence[str]) -> list[int]:
    """Find numbers of groups by their first pictures, so that two ways to name the same groups are equal."""
    first: dict[str, int] = {}
    return [first.setdefault(group, i) if group else i for i, group in enumerate(groups)]


def _weights(answers: Sequence[Sequence[Answer]]) -> tuple[np.ndarray, list[str]]:
    """Take the weights of the pictures, 1 on average; all the same where the runs do not agree on them."""
    found = [np.array([answer.weight for answer in those]) for those in answers]
    found = [weights / weights.mean() for weights in found]
    if all(np.allclose(weights, found[0], rtol=1e-6) for weights in found):
        said = ["Pictures count by their weights."] if np.ptp(found[0]) else []
        return found[0], said
    return np.ones(len(found[0])), ["The runs weigh the pictures differently: here every picture counts the same."]


def _of_part(runs: Sequence[Finished], names: Sequence[str], part: str) -> list[str]:
    """Say why it is the validation part that is compared."""
    if part != "validation":
        return []
    without = [name for run, name in zip(runs, names, strict=True) if run.kind == "run" and not run.parts.get("test")]
    have = "has" if len(without) == 1 else "have"
    return [
        f"Compared on the validation part, because {some(without)} {have} no test part."
        if without
        else "Compared on the validation part, whose pictures the evaluation has."
    ]


def _of_classes(runs: Sequence[Finished], names: Sequence[str]) -> list[str]:
    """Say which runs tell other classes apart than the first one."""
    first, findings = set(runs[0].result["classes"]), []
    for run, name in zip(runs[1:], names[1:], strict=True):
        more, fewer = sorted(set(run.result["classes"]) - first), sorted(first - set(run.result["classes"]))
        if more or fewer:
            said = [f"{what} {some(those)}" for what, those in (("knows also", more), ("does not know", fewer)) if those]
            findings.append(
                f"{shown(name)} {' and '.join(said)}, other than {shown(names[0])}: they do not answer quite the same question."
            )
    return findings


def _trained_on(runs: Sequence[Finished], names: Sequence[str], measured: Sequence[Answer]) -> list[str]:
    """Warn of pictures that a run was trained on and is measured on, and of different training pictures."""
    findings, digests = [], {answer.digest for answer in measured}
    training = {}
    for run, name in zip(runs, names, strict=True):
        if run.kind == "run":
            training[name] = {answer.digest for answer in run.parts.get("train", ())}
            if leaks := len(training[name] & digests):
                findings.append(f"{shown(name)} was trained on {leaks:,} of these pictures: its numbers are too good.")
    first = next(iter(training), None)
    for name, those in training.items():
        if those != training[first]:
            findings.append(
                f"They were trained on different pictures: {shown(first)} on {len(training[first]):,}, {shown(name)} on "
                f"{len(those):,}, {len(those & training[first]):,} of them the same."
            )
    return findings
