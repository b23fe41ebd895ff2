"""What pages have in common to which people bring pictures: `zoo serve`'s, and that of `zoo export --to html`.

Each is one file, under a policy that lets no script run but its own and no style apply but its own: it names their SHA-256.
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from importlib import resources

POLICY = {"default-src": "'none'", "base-uri": "'none'", "form-action": "'none'"}


def read(package: str, name: str) -> str:
    """Read a file of a package."""
    return resources.files(package).joinpath(name).read_text("utf-8")


def own(name: str) -> str:
    """Read a file of this package: `asking.html`, `asking.css`, `asking.js`, `sets.html` or `style.css`."""
    return read("recipes.report", name).rstrip("\n")


def style() -> str:
    """Give the style sheet."""
    return f"{own('style.css')}\n{own('asking.css')}\n"


def script(more: str) -> str:
    """Give the script of a page, whose own part is `more`."""
    return f"{own('asking.js')}\n\n{more}"


def policy(script_text: str, style_text: str, more: Mapping[str, str]) -> str:
    """Write the policy of a page with this one script and this one style sheet; `more` is what it may do beside."""
    rules = {"script-src": digest(script_text), "style-src": digest(style_text)}
    for name, value in more.items():
        rules[name] = f"{rules[name]} {value}" if name in rules else value
    return "; ".join(f"{name} {value}" for name, value in (POLICY | rules).items())


def digest(text: str) -> str:
    """Write the digest by which a policy knows a script or a style."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def filled(template: str, parts: Mapping[str, str]) -> str:
    """Put texts into a template in place of their marks, each once; what stands in a text is no mark."""
    marks = re.compile("|".join(map(re.escape, parts)))
    return marks.sub(lambda found: parts[found[0]], template)
