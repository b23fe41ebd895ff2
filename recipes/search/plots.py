"""Charts of a search: which hyper-parameters went with which loss, and which of them mattered."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from recipes.console import percent
from recipes.report.charts import BLUE, GRAY, MIN_SHARES, ORANGE, named, panels, plain, svg, use_page_colors
from recipes.search.records import TrialRecord, ranked

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_AXES = 8
# Of so many different numbers each gets a tick.
MAX_NUMBER_TICKS = 6
# Of a number on an axis, to tell it from its neighbours.
MAX_DIGITS = 6
# Of fewer trials, importance is a guess.
MIN_TRIALS = 20


def importance(records: Sequence[TrialRecord], seed: int = 0) -> tuple[dict[str, float], float]:
    """Measure how much each hyper-parameter tells about the loss, and how much all of them explain.

    The first are shares that add up to 1, the largest first; the second is a share of the differences in loss.

    A random forest learns the ranks of the losses, which no diverged trial can dominate, from the hyper-parameters; a
    hyper-parameter matters as much as the forest errs when that one is shuffled (Breiman 2001, "Random Forests", section
    10). What is explained is measured on the trials that a tree has not seen, and is 0 where that is no better than the mean.
    """
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance

    trials, names = ranked(records), varied(records)
    if len(trials) < MIN_TRIALS or not names:
        return {}, 0.0
    columns = np.column_stack([_codes([trial.values.get(name) for trial in trials]) for name in names])
    ranks = np.arange(len(trials)) / (len(trials) - 1)
    forest = RandomForestRegressor(100, min_samples_leaf=2, oob_score=True, random_state=seed).fit(columns, ranks)
    means = permutation_importance(forest, columns, ranks, n_repeats=5, random_state=seed).importances_mean.clip(0)
    shares = means / (means.sum() or 1.0)
    order = np.argsort(-shares, kind="stable")
    return {names[i]: float(shares[i]) for i in order}, float(max(forest.oob_score_, 0.0))


def varied(records: Sequence[TrialRecord]) -> list[str]:
    """Find the hyper-parameters that differ between trials; a missing one, such as a width without a layer, is a value, too."""
    trials = ranked(records)
    names = dict.fromkeys(name for trial in trials for name in trial.values)
    return [name for name in names if len({trial.values.get(name) for trial in trials}) > 1]


def draw_all(
    records: Sequence[TrialRecord], shares: Mapping[str, float], explained: float, loss: str = "loss"
) -> dict[str, "Figure"]:
    """Draw what there is to be seen of the trials, by title; `shares` and `explained` as by `importance`, `loss` its name."""
    names, figures = list(shares) or varied(records), {}
    if names:
        figures["parallel coordinates"] = draw_coordinates(records, names, loss)
    if shares:
        figures["importance"] = draw_importance(shares, explained)
    return figures | {"loss by trial": draw_progress(records, loss)}


def as_charts(
    figures: Mapping[str, "Figure"], records: Sequence[TrialRecord], shares: Mapping[str, float], loss: str = "loss"
) -> list[dict]:
    """Write figures for a page, each with its title and what it shows in words; arguments as for `draw_all`."""
    trials = ranked(records)
    best, count = trials[0], f"{len(trials):,} trial{'s' if len(trials) != 1 else ''}"
    last = f"trial {best.number} with a {loss} of {best.loss:.4f}"
    chosen = ", ".join(f"{name} {_label(best.values.get(name))}" for name in (list(shares) or varied(records))[:MAX_AXES])
    words = {
        "parallel coordinates": f"{count} as lines through their hyper-parameters; the best is {last}: {chosen}.",
        "importance": f"Shares of importance: {', '.join(f'{name} {percent(share, 0)}' for name, share in shares.items())}.",
        "loss by trial": f"{loss} of {count}, from {best.loss:.4f} to {trials[-1].loss:.4f}; the best is {last}.",
    }
    return [{"title": title, "uri": svg(figure), "alt": f"Chart: {words[title]}"} for title, figure in figures.items()]


def draw_importance(shares: Mapping[str, float], explained: float) -> "Figure":
    """Draw how much each hyper-parameter tells about the loss, as bars."""
    figure, (plot,) = panels(1, 6.4, 0.9 + 0.3 * len(shares))
    names = list(shares)[::-1]
    plot.barh(range(len(names)), [shares[name] for name in names], color=BLUE, height=0.6)
    plot.set_yticks(range(len(names)), [named(name) for name in names])
    plot.set_xlabel(f"share (all together explain {percent(explained, 0)} of the order of the trials)")
    use_page_colors(plot)
    return figure


def draw_progress(records: Sequence[TrialRecord], loss: str) -> "Figure":
    """Draw the loss of each trial, and the best so far."""
    trials = sorted(ranked(records), key=lambda trial: trial.number)
    figure, (plot,) = panels(1, 6.4, 3.6)
    numbers, losses = [trial.number for trial in trials], np.array([trial.loss for trial in trials])
    plot.plot(numbers, losses, "o", markersize=3.5, color=BLUE, label="a trial")
    plot.step(numbers, np.minimum.accumulate(losses), where="post", color=ORANGE, linewidth=1.6, label="best so far")
    plot.set(xlabel="trial", ylabel=f"{named(loss)} on what is held out")
    plot.xaxis.get_major_locator().set_params(integer=True)
    if losses.max() > 10 * losses.min() > 0:
        plot.set_yscale("log")
        plot.yaxis.set_major_formatter(lambda value, place: plain(value))
    elif losses.min() >= 0:  # a small difference is to look small
        plot.set_ylim(0, 1.05 * float(losses.max()) or 1)
    elif losses.min() >= -1 and losses.max() <= 0:
        middle = float(losses.min() + losses.max()) / 2
        half = max(0.5 * MIN_SHARES, 0.55 * float(np.ptp(losses)))
        plot.set_ylim(middle - half, middle + half)
    plot.legend(frameon=False, fontsize="small", labelcolor=GRAY)
    use_page_colors(plot)
    return figure


def draw_coordinates(records: Sequence[TrialRecord], names: Sequence[str], loss: str) -> "Figure":
    """Draw parallel coordinates: a line a trial through its hyper-parameters to its loss, the best tenth over the rest."""
    trials, names = ranked(records)[::-1], list(names)[:MAX_AXES]
    axes = [place_on_axis([trial.values.get(name) for trial in trials]) for name in names]
    places, ticks = place_on_axis([trial.loss for trial in trials], max_ticks=0)
    axes.append((1 - places, [(1 - place, label) for place, label in ticks]))  # the best at the top
    heights = np.column_stack([places for places, _ in axes])
    figure, (plot,) = panels(1, 1.0 + 1.1 * len(axes), 4.6)
    from matplotlib import colormaps

    best = math.ceil(len(trials) / 10)
    for i, line in enumerate(heights):
        chosen = i >= len(trials) - best
        color = ORANGE if chosen else colormaps["Blues"](0.3 + 0.5 * i / len(trials))
        plot.plot(range(len(axes)), line, color=color, linewidth=1.8 if chosen else 0.8, alpha=0.9 if chosen else 0.55)
    for x, (_, ticks) in enumerate(axes):
        plot.axvline(x, color=GRAY, linewidth=0.8)
        for y, label in ticks:
            plot.annotate(
                named(label),
                (x, y),
                (3, 0),
                textcoords="offset points",
                fontsize=8,
                color=GRAY,
                va="center",
                zorder=3,
                fontweight="bold",
            )
    plot.set_xticks(range(len(axes)), [*(named(name).replace("_", "\n", 1) for name in [*names, loss])], fontsize=8.5)
    plot.set(yticks=[], ylim=(-0.04, 1.04), xlim=(-0.1, len(axes) - 0.6))
    plot.spines[["left", "bottom"]].set_visible(False)
    plot.grid(False)
    use_page_colors(plot)
    return figure


def _codes(values: Sequence) -> np.ndarray:
    """Write values as numbers for a forest, which asks for their order alone: words by alphabet, what is not there first."""
    if all(isinstance(value, int | float) or value is None for value in values):
        return np.array([-np.inf if value is None else value for value in values]).clip(-1e30)
    order = sorted({str(value) for value in values if value is not None})
    return np.array([-1.0 if value is None else order.index(str(value)) for value in values])


def place_on_axis(values: Sequence, max_ticks: int = MAX_NUMBER_TICKS) -> tuple[np.ndarray, list[tuple[float, str]]]:
    """Give values places between 0 and 1 on an upright axis, and the axis its ticks; what is not there has the lowest place."""
    known = [value for value in values if value is not None]
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in known)
    distinct = sorted(set(known)) if numeric else sorted(set(known), key=str)
    if len(known) < len(values):
        distinct = [None, *distinct]
    if not numeric or len(set(known)) <= max_ticks:
        spread = {value: i / max(len(distinct) - 1, 1) for i, value in enumerate(distinct)}
        ticks = [(spread[value], label) for value, label in zip(distinct, _labels(distinct), strict=True)]
        return np.array([spread[value] for value in values]), ticks
    low, high = min(known), max(known)
    scale = math.log if low > 0 and high > 30 * low else float
    base = 0.12 if len(known) < len(values) else 0.0  # leaves room for values that are not there
    span = (scale(high) - scale(low)) or 1.0
    places = np.array([0.0 if v is None else base + (1 - base) * (scale(v) - scale(low)) / span for v in values])
    marks = np.geomspace(low, high, 5) if scale is math.log else np.linspace(low, high, 5)
    each = zip(marks, _labels([float(mark) for mark in marks]), strict=True)
    ticks = [(base + (1 - base) * (scale(mark) - scale(low)) / span, label) for mark, label in each]
    return places, ([(0.0, _label(None))] if base else []) + ticks


def _labels(values: Sequence) -> list[str]:
    """Write different values as labels as short as tells them apart."""
    for digits in range(2, MAX_DIGITS):
        labels = [_label(value, digits) for value in values]
        if len(set(labels)) == len(values):
            return labels
    return [_label(value, MAX_DIGITS) for value in values]


def _label(value: object, digits: int = 2) -> str:
    """Write a value as a short label."""
    return "none" if value is None else f"{value:.{digits}g}" if isinstance(value, float) else str(value)
