"""A page: one answer without any other file, under a policy that lets no script run but its own.

The policy names the SHA-256 of the page's one script and of its one style sheet, so that nothing else runs, not even from the
same origin, and the page fetches from its own server alone.
"""

from dataclasses import dataclass

from recipes.report import scripted

# Those that people bring pictures to.
ASKING = {"page"}


@dataclass(frozen=True)
class Page:
    """The page's text, and the headers that belong to it."""

    text: str
    headers: dict[str, str]


def written(name: str) -> Page:
    """Put a page together: NAME.html, its own script and style, and what the pages share."""
    asking = ["asking"] * (name in ASKING)
    scripts = [*(scripted.own(f"{part}.js") for part in asking), _read("shared.js"), _read(f"{name}.js")]
    script = scripted.script(*scripts)
    style = scripted.style(*(scripted.own(f"{part}.css") for part in asking), _read(f"{name}.css"))
    more = {"img-src": "'self' data: blob:", "connect-src": "'self'", "frame-ancestors": "'none'"}
    headers = {
        "Content-Security-Policy": scripted.policy(script, style, more),
        "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    }
    marks = {"/*STYLE*/": style, "/*SCRIPT*/": script, "<!--ENTRANCE-->": _read("entrance.html").rstrip("\n")}
    return Page(scripted.filled(_read(f"{name}.html"), marks | scripted.marked()), headers)


def _read(name: str) -> str:
    """Read a file of this package."""
    return scripted.read("recipes.web", name)
