"""What holds for every source, whatever it computes; a test module gives the sources.

``same`` makes the source again, ``other`` makes one of its kind with other content.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from reward_bases.sources.source import Pair, Source
from reward_bases.text import Conversation

TURNS = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Is basil an annual?"},
    {"role": "assistant", "content": "Yes."},
    {"role": "user", "content": "And how do I keep it?"},
]
CONVERSATIONS = (Conversation.of("How do I keep basil alive?"), Conversation.of(TURNS), Conversation.of("?"))
RESPONSES = (
    "Water it.",
    "",
    "1. Light\n2. Water — 東京 🙂",
    "```python\nprint('basil')\n```",
    "Perhaps more light. " * 400,
)
PAIRS = tuple(Pair(conversation, response) for conversation in CONVERSATIONS for response in RESPONSES)
COMPANY = 1e-5
"""Largest difference that company makes: a model adds up single-precision numbers in another order."""


@dataclass(frozen=True)
class Case:
    """A source to be checked."""

    same: Callable[[], Source]
    other: Callable[[], Source]


async def check_source(case: Case) -> None:
    """Everything below, on one source."""
    await check_columns_have_their_names(case)
    await check_rows_do_not_depend_on_company(case)
    check_the_version_is_that_of_the_content(case)


async def check_columns_have_their_names(case: Case) -> None:
    source = case.same()
    assert source.kind
    assert len(set(source.names)) == len(source.names) > 0
    for pairs in (PAIRS, PAIRS[:1], ()):
        columns = await source.columns(pairs)
        assert columns.values.shape == (len(pairs), len(source.names))
        assert columns.values.dtype == torch.float64
        assert not columns.failed
        assert bool(columns.values.isfinite().all())


async def check_rows_do_not_depend_on_company(case: Case) -> None:
    together = (await case.same().columns(PAIRS)).values
    alone = torch.cat([(await case.same().columns([pair])).values for pair in PAIRS])
    backwards = (await case.same().columns(PAIRS[::-1])).values.flip(0)
    twice = (await case.same().columns([*PAIRS, *PAIRS])).values
    assert len(together.unique(dim=0)) > 1, "pairs that all have one row say nothing about order"
    for found in (alone, backwards, twice[: len(PAIRS)], twice[len(PAIRS) :]):
        torch.testing.assert_close(found, together, atol=COMPANY, rtol=COMPANY)


def check_the_version_is_that_of_the_content(case: Case) -> None:
    assert case.same().version == case.same().version != ""
    assert case.same().version != case.other().version
