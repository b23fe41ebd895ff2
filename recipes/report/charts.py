"""Charts as pages and folders show them, drawn without a display."""

import base64
import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from recipes.errors import shown
from zoo.files import write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Colours of lines and dots that can be told from a white and from a nearly black page: charts have no background of their own.
BLUE = "#3b82f6"
ORANGE = "#d5702b"
# Of frames and letters, which no single gray makes readable (a contrast of 4.5) on both pages: `svg` has it follow the page.
GRAY = "#7d8590"
INK = "<style>:root{--ink:#59636e}@media screen and (prefers-color-scheme:dark){:root{--ink:#9da7b3}}</style>"
# The least part of the scale from 0 to 1 that an axis of shares shows.
MIN_SHARES = 0.2
# Letters of a name in a chart, which leave room for the chart.
MAX_NAME = 32


def panels(count: int = 1, width: float = 6.4, height: float = 4.2) -> "tuple[Figure, list[Axes]]":
    """Make a figure of plots side by side, each of that size in inches, with a light grid."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * count, height), layout="constrained")
    plots = list(figure.subplots(1, count, squeeze=False)[0])
    for plot in plots:
        plot.grid(alpha=0.25, linewidth=0.6)
        plot.set_axisbelow(True)
        plot.spines[["top", "right"]].set_visible(False)
    return figure, plots


def use_page_colors(plot: "Axes") -> None:
    """Draw the frame, the ticks and the labels of a plot so that they can be read on a light and on a dark page."""
    plot.tick_params(which="both", colors=GRAY)
    plot.xaxis.label.set_color(GRAY)
    plot.yaxis.label.set_color(GRAY)
    plot.spines[["left", "bottom"]].set_color(GRAY)


def page_plot(x: str, y: str) -> "tuple[Figure, Axes]":
    """Make a figure with an empty chart for a page, its axes labelled."""
    figure, (plot,) = panels(1, 4.8, 3.2)
    plot.set(xlabel=x, ylabel=y)
    for axis in (plot.xaxis, plot.yaxis):
        axis.set_major_formatter(lambda value, place: plain(value))
    plot.grid(color=GRAY, alpha=0.25, linewidth=0.6)
    use_page_colors(plot)
    return figure, plot


def column(rows: list[dict], key: str) -> np.ndarray:
    """Collect the values of a key, NaN for None."""
    return np.array([np.nan if row.get(key) is None else row[key] for row in rows], dtype=float)


def named(name: object) -> str:
    """Write a name, which may come from anywhere, as a chart's text: of a long one the ends, and no sign is a formula's.

    What the chart's letters do not have is escaped.
    """
    from matplotlib.font_manager import FontProperties, findfont, get_font

    font, text = get_font(findfont(FontProperties())), shown(name)
    if len(text) > MAX_NAME:
        text = f"{text[: MAX_NAME // 2 - 1]}…{text[-MAX_NAME // 2 :]}"
    seen = "".join(letter if font.get_char_index(ord(letter)) else ascii(letter)[1:-1] for letter in text)
    return seen.replace("$", r"\$")


def plain(value: float) -> str:
    """Write a number of an axis in full, such as 0.001, with six digits at most: no power, no offset to add."""
    return np.format_float_positional(float(f"{value:.6g}"), trim="-")


def use_share_axis(plot: "Axes", values: np.ndarray) -> None:
    """Let the upright axis of shares show a fifth of the scale from 0 to 1 at least, so that a small step looks small."""
    found = values[np.isfinite(values)]
    if not len(found):
        return
    margin = max(MIN_SHARES - float(np.ptp(found)), 0.1 * float(np.ptp(found))) / 2
    low, high = float(found.min()) - margin, float(found.max()) + margin
    low, high = (max(0.0, low - max(0.0, high - 1)), min(1.0, high - min(0.0, low)))
    edge = 0.01 * (high - low)  # a dot at the end of the scale is not cut in half
    plot.set_ylim(low - edge, high + edge)
    plot.yaxis.set_major_formatter(lambda value, place: f"{plain(100 * value)} %")


def use_log_axis(plot: "Axes", across: np.ndarray) -> None:
    """Space the values across a plot by powers of ten, and label them in plain numbers.

    Powers as formulas, and a tick at each of their multiples, take longer to draw than all else of a chart.
    """
    from matplotlib.ticker import LogLocator, NullLocator

    steps = (1.0,) if across.max() >= 100 * across.min() else (1.0, 2.0, 5.0)
    plot.set_xscale("log")
    plot.xaxis.set_major_locator(LogLocator(subs=steps))
    plot.xaxis.set_minor_locator(NullLocator())
    plot.xaxis.set_major_formatter(lambda value, place: plain(value))


def svg(figure: "Figure") -> str:
    """Write a chart as a data URI, the same bytes for the same numbers."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    for patch in (figure, *figure.axes):
        patch.set_facecolor("none")
    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "zoo"}):  # `savefig` would draw it twice
        FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None})
    text = buffer.getvalue().replace(GRAY.encode(), b"var(--ink)").replace(b"<defs>", INK.encode() + b"<defs>", 1)
    return data_uri("image/svg+xml", text)


def write_png(path: Path, figure: "Figure") -> None:
    """Write a chart as a whole file: it is drawn first, so that its size is known before it is written."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=120, format="png")
    write_bytes(path, buffer.getvalue())


def data_uri(kind: str, content: bytes) -> str:
    """Write bytes of a media type as an address that a page can hold."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
