"""A page: one answer without any other file, under a policy that lets no script run but its own.

The policy names the SHA-256 of the page's one script and of its one style sheet, so that nothing else runs, not even from the
same origin, and the page fetches from its own server alone.
"""

import base64
import hashlib
from dataclasses import dataclass
from importlib import resources


@dataclass(frozen=True)
class Page:
    """The page's text, and the headers that belong to it."""

    text: str
    headers: dict[str, str]


def written(name: str) -> Page:
    """Put a page together: NAME.html, its own script and style, and what the pages share."""
    script = _read("recipes.web", "shared.js") + _read("recipes.web", f"{name}.js")
    style = _read("recipes.report", "style.css") + _read("recipes.web", "shared.css") + _read("recipes.web", f"{name}.css")
    policy = {
        "default-src": "'none'",
        "script-src": _hash(script),
        "style-src": _hash(style),
        "img-src": "'self' data: blob:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    headers = {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    }
    text = _read("recipes.web", f"{name}.html").replace("/*STYLE*/", style).replace("/*SCRIPT*/", script)
    return Page(text, headers)


def _read(package: str, name: str) -> str:
    """Read a file of a package."""
    return resources.files(package).joinpath(name).read_text("utf-8")


def _hash(text: str) -> str:
    """Write the digest by which a policy knows a script or a style."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
