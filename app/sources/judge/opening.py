"""A judge from the settings of its table in a recipe; its key from the environment variable that they name."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from app.sources.judge.asking import Sampling
from app.sources.judge.rubric import read_rubric
from app.sources.judge.source import JudgeSource
from app.sources.remote import Limits, Remote
from app.sources.spent import Purse
from app.storage.judgments import Judgments
from elicitation.errors import InvalidInput

ROUTE = "/chat/completions"


def open_judge(settings: Mapping[str, Any], judgments: Judgments) -> JudgeSource:
    """Raises InvalidInput for an address, a rubric or a key that cannot be used; calls nobody."""
    limits = Limits(settings["timeout"], settings["concurrency"], settings.get("per_minute"), settings["retries"])
    remote = Remote(_address(settings["url"]), _key(settings.get("key")), limits, Purse())
    sampling = Sampling(settings["model"], settings["temperature"], settings["max_tokens"], settings["revision"])
    return JudgeSource(remote, judgments, read_rubric(Path(settings["rubric"])), sampling, settings["shared"])


def _address(url: str) -> str:
    try:
        return str(httpx.URL(url.rstrip("/") + ROUTE))
    except httpx.InvalidURL as error:
        raise InvalidInput(f"url {url!r} is no address ({error}); give one like http://127.0.0.1:9000/v1") from error


def _key(variable: str | None) -> str | None:
    if variable is None:
        return None
    key = os.environ.get(variable, "")
    if not (key and key.isascii() and key.isprintable() and " " not in key):
        raise InvalidInput(
            f"the environment variable {variable} holds no key of printable ASCII without spaces; set it where Keel "
            "runs, or leave key out of the recipe"
        )
    return key
