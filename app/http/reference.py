"""``/docs``: the OpenAPI document as one page that needs no script and loads nothing.

The Content-Security-Policy allows the page's own style and no more: https://www.w3.org/TR/CSP3/.
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup, escape

TEMPLATES = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1f2a33; background: #fbfaf7; max-width: 66rem; margin: 2rem auto;
  padding: 0 1.5rem; }
h1, h2, h3 { font-family: Georgia, serif; font-weight: 600; } h3 { margin-top: 2rem; }
p { max-width: 46rem; } .soft, th { color: #5d6871; } a { color: #0b5563; }
table { width: 100%; border-collapse: collapse; font-size: .9rem; } th { text-align: left; font-weight: 400; }
th, td { border-bottom: 1px solid #dcd8ce; padding: .35rem 1rem .35rem 0; vertical-align: top; }
code, pre { font-family: ui-monospace, monospace; font-size: .87em; overflow-wrap: anywhere; }
pre { background: #f1efe9; padding: .7rem 1rem; border-radius: 10px; white-space: pre-wrap; }
summary { cursor: pointer; padding: .35rem 0; } details[open] { border-bottom: 1px solid #dcd8ce; }
"""
STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{STYLE_HASH}'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
BOUNDS = (
    ("at least", ("minimum", "minLength", "minItems")),
    ("over", ("exclusiveMinimum",)),
    ("at most", ("maximum", "maxLength", "maxItems")),
    ("below", ("exclusiveMaximum",)),
)
"""Words for the limits of JSON Schema."""
CODE = re.compile("``([^`]+)``")
"""As docstrings write it; descriptions come from them."""


def prose(text: str) -> Markup:
    """A description as HTML: text, and code where it says so."""
    return Markup(CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704 - it is escaped


TEMPLATES.filters["prose"] = prose


def reference_page(document: Mapping[str, Any]) -> str:
    """HTML of an OpenAPI document: routes by tag, then schemas, each with its meaning."""
    tags: dict[str, list[tuple[str, str, Any]]] = {}
    for path, methods in document["paths"].items():
        for method, route in methods.items():
            tags.setdefault(route["tags"][0], []).append((method, path, route))
    template = TEMPLATES.get_template("reference.html")
    return template.render(document=document, tags=tags, bounds=BOUNDS, style=Markup(STYLE))  # noqa: S704 - our own
