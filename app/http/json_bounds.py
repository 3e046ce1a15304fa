"""Bounds on a JSON body, checked on its bytes before anything parses it: number of values, depth, encoding.

Every step is one pass in C over the body, so 4 MiB take milliseconds. Parsing and validation then meet a bounded number
of values, at a depth that no parser or validator overflows on.
"""

from itertools import accumulate

from app.errors import TooLarge
from elicitation.errors import InvalidInput

MAX_DEPTH = 100
NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


def require_bounded(body: bytes, max_values: int) -> None:
    """Raises TooLarge for more than ``max_values`` values, InvalidInput for a body too deep or not in UTF-8."""
    if b"\0" in body:
        raise InvalidInput("the body holds a zero byte, so it is no JSON in UTF-8; send UTF-8")
    unescaped = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    # A value has one name at most: two strings, four quotation marks.
    _require_few(unescaped.count(b'"') // 4, max_values)
    outside = b"".join(unescaped.split(b'"')[::2])
    brackets = outside.translate(None, NOT_BRACKETS)
    _require_few(outside.count(b",") + brackets.count(b"[") + brackets.count(b"{"), max_values)
    depth = max(accumulate(STEPS[bracket] for bracket in brackets), default=0)
    if depth > MAX_DEPTH:
        raise InvalidInput(f"the body is nested {depth} deep > limit {MAX_DEPTH}; send a flatter object")


def _require_few(values: int, limit: int) -> None:
    if values > limit:
        raise TooLarge(f"{values} values in the body > limit {limit}; split the request or raise KEEL_MAX_VALUES")
