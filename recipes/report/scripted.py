"""Pages with a script: those of `zoo serve` and `zoo label`, and that of `zoo export --to html`.

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
    """Read a file of this package: `elements` for every page, `asking` for those that people bring pictures to, `sets.html`."""
    return read("recipes.report", name)


def style(*texts: str) -> str:
    """Give the style sheet of a page: what all pages have, and what it has beside."""
    return "\n".join(text.rstrip("\n") for text in (own("style.css"), own("elements.css"), *texts)) + "\n"


def script(*texts: str) -> str:
    """Give the script of a page: what all pages have, and what it has beside."""
    return "\n\n".join(text.rstrip("\n") for text in (own("elements.js"), *texts)) + "\n"


def marked() -> dict[str, str]:
    """Give the markup that pages take over, by its marks in their templates."""
    return {f"<!--{name.upper()}-->": own(f"{name}.html").rstrip("\n") for name in ("asking", "sets")}


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
