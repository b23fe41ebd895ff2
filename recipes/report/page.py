"""A self-contained HTML page from a template beside this file."""

import re
from collections.abc import Callable
from importlib import resources

from recipes.console import percent
from recipes.errors import shown
from recipes.report.sharing import shortener

NO_BREAK = "\N{NO-BREAK SPACE}"


def page(name: str, **content: object) -> str:
    """Fill in a template beside this file; names of files and classes come from anywhere, so everything is escaped.

    That is HTML's own characters, and those that cannot be seen or turn text round, which `shown` writes out. Paths of this
    machine lose their folders, for a page is meant to be shared.
    """
    import jinja2
    from markupsafe import Markup

    shortened = shortener()
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda file: resources.files("recipes.report").joinpath(file).read_text("utf-8")),
        autoescape=True,
        # What is HTML already has gone through this.
        finalize=lambda value: value if isinstance(value, Markup) else shortened(shown(value)),
        undefined=jinja2.ChainableUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": lambda value: _shown(value, lambda number: Markup(percent(number).replace(" ", NO_BREAK))),
        "points": lambda value: _shown(value, lambda number: f"{round(100 * number, 1) + 0.0:+.1f}"),
        "decimal": lambda value: _shown(value, lambda number: f"{number:.3f}"),
        "count": lambda value: _shown(value, lambda number: f"{number:,}"),
        "interval": lambda pair: (
            Markup(f"{100 * pair[0]:.1f} – {percent(pair[1])}".replace(" %", f"{NO_BREAK}%")) if pair else "–"
        ),
        "headings": headings,
        "breakable": lambda name: Markup(Markup.escape(shown(name)).replace("_", Markup("_<wbr>"))),  # a line may end there
        "latency": lambda seconds: _shown(seconds, latency),
        "duration": lambda seconds: _shown(seconds, duration),
        "watt_hours": lambda hours: _shown(hours, watt_hours),
        "short": lambda value: _shown(value, lambda number: f"{number:g}"),
        "setting": lambda value: "–" if value in (None, "") else f"{value:.3g}" if isinstance(value, float) else value,
    }
    return environment.get_template(name).render(**content)


def duration(seconds: float) -> str:
    """Write a time in its two largest units."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"
    return f"{minutes // 60} h {minutes % 60} min"


def latency(seconds: float) -> str:
    """Write the time of a short step."""
    return f"{seconds:.1f} s" if seconds >= 1 else f"{_two_digits(1000 * seconds)} ms"


def watt_hours(hours: float) -> str:
    """Write an energy."""
    return f"{_two_digits(hours)} Wh" if hours < 1000 else f"{_two_digits(hours / 1000)} kWh"


def _two_digits(number: float) -> str:
    """Write what is not known more exactly: two digits, or whole numbers."""
    return f"{number:.2g}" if number < 10 else f"{number:,.0f}"


def headings(sections: str) -> list[tuple[str, str]]:
    """List the sections of a page: the anchor of each, and its heading, as HTML; what they hold is escaped already."""
    from markupsafe import Markup

    found = re.findall(r'<section id="([^"]+)">\s*<h2>(.*?)</h2>', sections, flags=re.DOTALL)
    return [(Markup(anchor), Markup(heading)) for anchor, heading in found]


def _shown(value: object, write: Callable[[float], str]) -> str:
    """Write a number as text; a dash for what is undefined or missing."""
    return write(value) if isinstance(value, int | float) else "–"
