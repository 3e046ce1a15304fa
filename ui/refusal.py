"""The page that a refused visitor sees: a heading and an explanation, in the look of the other pages, no scripts."""

from html import escape
from http import HTTPStatus
from pathlib import Path

from starlette.responses import HTMLResponse

from ui.login import Refused

STYLE = Path(__file__).with_name("style.css").read_text(encoding="utf-8")
CONTENT = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'"


def refusal_page(refused: Refused) -> HTMLResponse:
    """HTML of a refusal, under its status."""
    headers = {"Content-Security-Policy": CONTENT, "Cache-Control": "no-store"}
    if refused.status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = "GET, HEAD"
    remedy = f"<pre>{escape(refused.remedy)}</pre>" if refused.remedy else ""
    body = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Keel: {escape(refused.title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head>'
        f'<body class="refusal"><header class="brand">Keel</header><main><h1>{escape(refused.title)}</h1>'
        f"<p>{escape(refused.explanation)}</p>{remedy}</main></body></html>"
    )
    return HTMLResponse(body, refused.status, headers)
