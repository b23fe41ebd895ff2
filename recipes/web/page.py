"""The page: one answer without any other file, under a policy that lets no script run but its own.

The policy names the SHA-256 of the page's one script and of its one style sheet, so that nothing else runs, not even from the
same origin, and the page fetches from its own server alone.
"""

from dataclasses import dataclass

from recipes.report import asking


@dataclass(frozen=True)
class Page:
    """The page's text, and the headers that belong to it."""

    text: str
    headers: dict[str, str]


def written() -> Page:
    """Put the page together."""
    style, script = asking.style(), asking.script(asking.read("recipes.web", "page.js"))
    more = {"img-src": "'self' data: blob:", "connect-src": "'self'", "frame-ancestors": "'none'"}
    headers = {
        "Content-Security-Policy": asking.policy(script, style, more),
        "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    }
    parts = {
        "/*STYLE*/": style,
        "/*SCRIPT*/": script,
        "<!--ASKING-->": asking.own("asking.html"),
        "<!--SETS-->": asking.own("sets.html"),
    }
    return Page(asking.filled(asking.read("recipes.web", "page.html"), parts), headers)
