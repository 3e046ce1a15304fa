"""Many texts on another thread: in their order, and soon over once nobody waits."""

import asyncio
import threading
import time

import pytest

from reward_bases.reading import AT_ONCE, each


async def test_results_come_in_the_order_of_the_texts_from_another_thread() -> None:
    here = threading.get_ident()
    found = await each(lambda text: (text.upper(), threading.get_ident()), list("abcdefghijklmnopqrs"))
    assert [letter for letter, _ in found] == list("ABCDEFGHIJKLMNOPQRS")
    assert here not in {thread for _, thread in found}


async def test_no_texts_are_no_results() -> None:
    assert await each(str.upper, []) == []


async def test_an_error_reaches_the_caller_and_the_texts_after_it_are_not_read() -> None:
    read: list[int] = []
    with pytest.raises(ZeroDivisionError):
        await each(lambda number: read.append(number) or 1 / (number - 3), range(100))
    assert read == [0, 1, 2, 3]


async def test_a_cancelled_reading_ends_after_the_texts_under_way() -> None:
    read: list[int] = []

    def slow(number: int) -> None:
        read.append(number)
        time.sleep(0.01)

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(each(slow, range(1_000)), timeout=0.1)
    so_far = len(read)
    assert so_far > 0
    await asyncio.sleep(0.2)
    assert len(read) < so_far + AT_ONCE
