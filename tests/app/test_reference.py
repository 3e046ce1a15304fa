"""``/docs`` shows every route without a network and runs nothing."""

import base64
import hashlib
from html.parser import HTMLParser

import httpx
import pytest

from app.http.reference import reference_page

LOADING = {"script", "link", "img", "iframe", "object", "embed", "video", "audio", "source", "base", "form", "meta"}
"""Elements that load, run or send something; a ``meta`` could redirect."""


class Page(HTMLParser):
    """Elements, the text of styles, and the targets of links."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.style = self._within = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._within = tag

    def handle_data(self, data: str) -> None:
        if self._within == "style":
            self.style, self._within = data, ""


@pytest.fixture
async def reply(http: httpx.AsyncClient) -> httpx.Response:
    return (await http.get("/docs")).raise_for_status()


async def test_every_route_and_schema_is_on_the_page(http: httpx.AsyncClient, reply: httpx.Response) -> None:
    document = (await http.get("/openapi.json")).json()
    shown = reply.text.replace("&#39;", "'").replace("&#34;", '"')
    for path, methods in document["paths"].items():
        assert f"<code>{path}</code>" in shown
        for route in methods.values():
            assert f'id="{route["operationId"]}"' in shown
    for name, schema in document["components"]["schemas"].items():
        assert f'id="{name}"' in shown
        assert all(f"<code>{field}</code>" in shown for field in schema.get("properties", {}))


async def test_every_link_within_the_page_leads_somewhere(reply: httpx.Response) -> None:
    elements = Page(reply.text).elements
    targets = {attributes["href"] for tag, attributes in elements if tag == "a"}
    ids = {f"#{attributes['id']}" for _, attributes in elements if "id" in attributes}
    assert len(targets) > 10
    assert targets - {"openapi.json"} <= ids


async def test_what_a_docstring_marks_as_code_is_shown_as_code(reply: httpx.Response) -> None:
    assert "``" not in reply.text
    assert "<code>told_after</code> is the length of the answer log" in reply.text


async def test_the_page_loads_and_runs_nothing(reply: httpx.Response) -> None:
    page = Page(reply.text)
    found = {tag for tag, attributes in page.elements if tag in LOADING and not {"charset", "name"} & set(attributes)}
    assert found == set()
    assert "url(" not in page.style
    assert "@import" not in page.style
    assert not any(name.startswith("on") or name == "style" for _, attributes in page.elements for name in attributes)


async def test_the_policy_allows_the_pages_own_style_alone(reply: httpx.Response) -> None:
    digest = base64.b64encode(hashlib.sha256(Page(reply.text).style.encode()).digest()).decode()
    policy = dict(part.split(" ", 1) for part in reply.headers["content-security-policy"].split("; "))
    assert policy.pop("style-src") == f"'sha256-{digest}'"
    assert set(policy.values()) == {"'none'"}
    assert {"default-src", "frame-ancestors", "form-action", "base-uri"} == set(policy)


def test_a_description_is_text_and_not_html() -> None:
    route = {
        "tags": ["<b>"],
        "operationId": "x",
        "summary": "<script>",
        "description": "``<img src=x>``",
        "responses": {},
    }
    document = {
        "info": {"title": "<i>", "version": "1", "description": "<u>"},
        "paths": {"/<s>": {"get": route}},
        "components": {"schemas": {"A": {"description": "<em>"}}},
    }
    tags = {tag for tag, _ in Page(reference_page(document)).elements}
    assert not tags & {"script", "img", "i", "u", "s", "em"}
