"""The log: one JSON object a line, nothing from a caller but sizes, and a bounded number of lines of each kind."""

import json
import logging
import sys
import time
from collections import OrderedDict
from dataclasses import dataclass

WINDOW_SECONDS = 10
LINES_PER_WINDOW = 100
REQUESTS_PER_WINDOW = 1_000
MAX_KINDS = 1_000
EVENT_CHARS = 200
OWN = "keel"
LEVELS = {OWN: logging.INFO, "uvicorn": logging.WARNING, "asyncio": logging.WARNING, "opentelemetry": logging.WARNING}


class JsonLines(logging.Formatter):
    """One JSON object per record; ``extra={"fields": …}`` adds to it."""

    def format(self, record: logging.LogRecord) -> str:
        line = {"time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"), "level": record.levelname.lower()}
        return json.dumps(line | {"event": _event(record)} | getattr(record, "fields", {}))


@dataclass
class Count:
    """Lines of one kind since ``start``, a time in seconds, and those left out."""

    start: float
    lines: int = 0
    left_out: int = 0


class Throttle(logging.Filter):
    """Lets a burst of each kind through in each window; the next line after it counts those that were left out."""

    def __init__(self) -> None:
        super().__init__()
        self._counts: OrderedDict[tuple[object, ...], Count] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        fields = getattr(record, "fields", {})
        event = _event(record)
        kind = (record.name, event, *(fields.get(name) for name in ("method", "route", "status")))
        count = self._count(kind)
        count.lines += 1
        if count.lines > (REQUESTS_PER_WINDOW if event == "request" else LINES_PER_WINDOW):
            count.left_out += 1
            return False
        if count.left_out:
            record.fields = fields | {"left_out": count.left_out}
            count.left_out = 0
        return True

    def _count(self, kind: tuple[object, ...]) -> Count:
        now = time.monotonic()
        count = self._counts.setdefault(kind, Count(now))
        self._counts.move_to_end(kind)
        if len(self._counts) > MAX_KINDS:
            self._counts.popitem(last=False)
        if now - count.start > WINDOW_SECONDS:
            count.start, count.lines = now, 0
        return count


def log_to_stderr() -> None:
    """JSON lines for our own events and warnings of the server; its access log, which shows paths, is off.

    Handlers that another library put on the server's loggers, as Streamlit does when it is imported, are taken off.
    """
    # A failure to write a line would otherwise be told with the line's content.
    logging.raiseExceptions = False
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    handler.addFilter(Throttle())
    for name, level in LEVELS.items():
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)
        for child in _children(name):
            child.handlers, child.propagate = [], True
            child.setLevel(logging.NOTSET)


def _children(name: str) -> list[logging.Logger]:
    known = [each for each in logging.root.manager.loggerDict if each.startswith(f"{name}.")]
    return [logging.getLogger(each) for each in known]


def _event(record: logging.LogRecord) -> str:
    # Of others' records the first line alone: asyncio's further lines show exceptions and what they say.
    return record.getMessage().split("\n", 1)[0][:EVENT_CHARS]
