"""Functions as sources."""

import pytest
from source_contract import PAIRS, Case, check_source

from elicitation.errors import InvalidInput, SourceFailed
from reward_bases.sources.function import NOT_FINITE, UNKNOWN, FunctionSource
from reward_bases.sources.source import Pair
from reward_bases.text import Conversation

BASIL = Conversation.of("Basil?")


@pytest.mark.parametrize(("name", "other"), [("lengths", "slowly"), ("slowly", "lengths")])
async def test_a_function_keeps_the_contract_of_sources(name: str, other: str) -> None:
    await check_source(
        Case(
            lambda: FunctionSource.load(f"own_functions:{name}"), lambda: FunctionSource.load(f"own_functions:{other}")
        )
    )


async def test_a_row_that_the_function_does_not_know_has_failed() -> None:
    pairs = [Pair(BASIL, said) for said in ("Water it.", "Light?", "nan")]
    found = await FunctionSource.load("own_functions:doubtful").columns(pairs)
    assert found.failed == {1: UNKNOWN, 2: NOT_FINITE}
    assert found.values[0].tolist() == [1.0]


async def test_numbers_of_another_shape_are_the_function_s_fault() -> None:
    with pytest.raises(SourceFailed, match="own_functions:short"):
        await FunctionSource.load("own_functions:short").columns(PAIRS)


@pytest.mark.parametrize("place", ["own_functions:undeclared", "own_functions:none", "nowhere:f", "own_functions", ""])
def test_what_is_no_declared_function_is_refused(place: str) -> None:
    with pytest.raises(InvalidInput, match="function"):
        FunctionSource.load(place)
