"""Judges as sources, against a real HTTP server: what they ask, what they make of replies, what fails and how."""

import asyncio
import json
import logging
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from judge_recipe import LIKELY, ONE, TWO, settings
from judge_server import JudgeServer, expected, score
from listening import listening
from source_contract import Case, check_source

from app.caller import CALLER, Caller
from app.errors import SourceChanged
from app.sources import remote
from app.sources.judge.source import JudgeSource
from app.sources.opening import openers
from app.sources.spent import spending
from app.storage.judgments import FILE, Judgments
from elicitation.errors import ArtifactMismatch
from reward_bases.sources.entry import SourceEntry
from reward_bases.sources.opening import PinnedSource
from reward_bases.sources.source import Columns, Pair
from reward_bases.text import Conversation

PAIRS = [Pair(Conversation.of("How do I keep basil alive?"), f"Water it {n} times.") for n in range(12)]
KEY = "sk-7f3a-never-shown"

pytestmark = pytest.mark.slow
Make = Callable[..., JudgeSource]


@pytest.fixture
def server() -> JudgeServer:
    return JudgeServer()


@pytest.fixture
def url(server: JudgeServer) -> Iterator[str]:
    with listening(server.app) as address:
        yield f"{address}/v1"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(remote, "SHUT_SECONDS", 0.0)


@pytest.fixture
def judge(tmp_path: Path, url: str) -> Make:
    """A judge from a recipe, over the judgments in a folder."""

    def make(rubric: str = ONE, data: str = "data", at: str = url, **keys: Any) -> JudgeSource:
        judgments = Judgments(tmp_path / data / FILE)
        source = openers(judgments)["judge"](settings(tmp_path, rubric, at, **keys))
        assert isinstance(source, JudgeSource)
        return source

    return make


def scores(name: str, pairs: list[Pair]) -> list[float]:
    return [float(score(pair.response, name)) for pair in pairs]


def nowhere() -> str:
    """An address at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"http://127.0.0.1:{free.getsockname()[1]}/v1"


async def rows(source: JudgeSource, pairs: list[Pair] = PAIRS) -> Columns:
    return await source.columns(pairs)


async def sent(server: JudgeServer, calls: int) -> None:
    """Return when so many have come."""
    for _ in range(2000):
        if len(server.asked) >= calls:
            return
        await asyncio.sleep(0.005)
    raise AssertionError(f"{len(server.asked)} calls came")


# What a judge says.


async def test_a_judge_is_a_source_like_any_other(judge: Make) -> None:
    files = iter(range(1000))
    await check_source(
        Case(lambda: judge(TWO, data=f"data{next(files)}"), lambda: judge(ONE, data=f"data{next(files)}"))
    )


async def test_the_value_is_the_mean_over_votes_on_the_scale_as_written(judge: Make, server: JudgeServer) -> None:
    source = judge(TWO)
    assert source.names == ("cites", "warm")
    found = await rows(source)
    assert not found.failed
    assert found.values.T.tolist() == [scores("cites", PAIRS), scores("warm", PAIRS)]
    assert len(server.asked) == 3 * len(PAIRS)
    assert bool((await source.noise(PAIRS) == 0).all())


async def test_votes_differ_in_order_direction_and_seed_and_follow_from_their_pair(
    judge: Make, server: JudgeServer
) -> None:
    await rows(judge(TWO), PAIRS)
    texts, first = server.texts, server.asked
    turned = [text for text in texts if "(1 = fully, 5 = not at all)" in text]
    assert len(turned) == len(PAIRS)
    both = [text for text in texts if "- cites" in text and "- warm" in text]
    assert len(both) == 2 * len(PAIRS)
    assert 0 < sum(text.index("- cites") < text.index("- warm") for text in both) < len(both)
    assert len({body["seed"] for body in first}) == len(first)
    server.asked = []
    await rows(judge(TWO, data="other"), PAIRS[::-1])
    assert sorted(map(json.dumps, server.asked)) == sorted(map(json.dumps, first))


async def test_a_judge_that_only_likes_one_end_of_the_scale_is_seen_to_be_noise(
    judge: Make, server: JudgeServer
) -> None:
    server.stubborn = 5
    source = judge(f"{ONE}votes = 2\n")
    assert (await rows(source)).values.tolist() == [[3.0]] * len(PAIRS)
    assert (await source.noise(PAIRS)).tolist() == [[pytest.approx(2.0)]] * len(PAIRS)


async def test_without_reasons_the_value_is_the_expectation_over_the_scales_tokens(
    judge: Make, server: JudgeServer
) -> None:
    found = await rows(judge(LIKELY))
    assert found.values[:, 0].tolist() == pytest.approx([expected(score(pair.response, "cites")) for pair in PAIRS])
    assert all(body["top_logprobs"] == 20 for body in server.asked)


async def test_a_turned_expectation_is_turned_back(judge: Make) -> None:
    found = await rows(judge(f"{LIKELY}votes = 2\n"))
    written = [score(pair.response, "cites") for pair in PAIRS]
    means = [(expected(number) + 6 - expected(6 - number)) / 2 for number in written]
    assert found.values[:, 0].tolist() == pytest.approx(means)


async def test_reasons_come_first_and_then_the_number_that_is_written_counts(judge: Make, server: JudgeServer) -> None:
    mixed = ONE + LIKELY.replace("cites", "warm")
    found = await rows(judge(mixed))
    means = [expected(score(pair.response, "warm")) for pair in PAIRS]
    assert found.values[:, 0].tolist() == scores("cites", PAIRS)
    assert found.values[:, 1].tolist() == pytest.approx(means)
    schema = server.asked[0]["response_format"]["json_schema"]["schema"]["properties"]["cites"]
    assert list(schema["properties"]) == ["reason", "score"]


@pytest.mark.parametrize("tells", [True, False])
async def test_without_log_probabilities_the_number_that_is_written_counts(
    judge: Make, server: JudgeServer, tells: bool
) -> None:
    server.tells = False
    server.refuses = ("logprobs",) if tells else ()
    assert (await rows(judge(LIKELY))).values[:, 0].tolist() == scores("cites", PAIRS)


# Servers that do not take structured output.


async def test_a_server_that_refuses_structured_output_is_asked_without_from_then_on(
    judge: Make, server: JudgeServer
) -> None:
    server.refuses = ("response_format",)
    source = judge(TWO)
    assert not (await rows(source, PAIRS[:1])).failed
    server.asked = []
    assert (await rows(source)).values[:, 0].tolist() == scores("cites", PAIRS)
    assert not any("response_format" in body for body in server.asked)
    assert len(server.asked) == 3 * (len(PAIRS) - 1)


@pytest.mark.parametrize("plain", ["{name}: {number}", "**{name}** = {number}", '"{name}": "{number}"'])
async def test_a_server_that_ignores_it_is_read_as_text(judge: Make, server: JudgeServer, plain: str) -> None:
    server.plain = plain
    source = judge(TWO)
    assert (await rows(source, PAIRS[:1])).values[:, 0].tolist() == scores("cites", PAIRS[:1])
    server.asked = []
    assert (await rows(source)).values[:, 1].tolist() == scores("warm", PAIRS)
    assert not any("response_format" in body for body in server.asked)


@pytest.mark.parametrize("plain", ["{number}", "Score: {number}.", "```json\n{{{{}}}}\n```{name}: {number}"])
async def test_a_bare_number_answers_a_single_criterion(judge: Make, server: JudgeServer, plain: str) -> None:
    server.plain = plain.replace("Score", "cites")
    assert (await rows(judge(ONE))).values[:, 0].tolist() == scores("cites", PAIRS)


async def test_thoughts_are_not_read(judge: Make, server: JudgeServer) -> None:
    server.thinks = '<think>Perhaps {"cites": {"reason": "", "score": 1}}, no.</think>\n'
    assert (await rows(judge(ONE))).values[:, 0].tolist() == scores("cites", PAIRS)


async def test_a_thought_without_an_end_is_no_answer(judge: Make, server: JudgeServer) -> None:
    server.thinks = "<think>Perhaps "
    assert (await rows(judge(retries=0))).failed == dict.fromkeys(range(len(PAIRS)), "malformed")


# Failure is an outcome of its own.


async def test_a_judge_that_is_away_is_down_for_every_row(judge: Make) -> None:
    found = await rows(judge(at=nowhere()))
    assert found.failed == dict.fromkeys(range(len(PAIRS)), "down")


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("busy", "down"),
        ("locked", "down"),
        ("elsewhere", "down"),
        ("throttled", "rate"),
        ("no JSON", "malformed"),
        ("no completion", "malformed"),
        ("cut off", "malformed"),
        ("endless", "malformed"),
    ],
)
async def test_each_fault_has_its_reason_and_passes(judge: Make, server: JudgeServer, fault: str, reason: str) -> None:
    server.always = fault
    source = judge(retries=1)
    assert (await rows(source)).failed == dict.fromkeys(range(len(PAIRS)), reason)
    server.always = None
    found = await rows(source)
    assert not found.failed
    assert found.values[:, 0].tolist() == scores("cites", PAIRS)


async def test_a_slow_judge_has_a_time_limit(judge: Make, server: JudgeServer) -> None:
    server.seconds = 0.5
    found = await rows(judge(timeout=0.1, retries=0, concurrency=12))
    assert found.failed == dict.fromkeys(range(len(PAIRS)), "timeout")


@pytest.mark.parametrize("fault", ["busy", "throttled", "no JSON", "no completion", "cut off"])
async def test_a_fault_that_passes_is_not_seen(judge: Make, server: JudgeServer, fault: str) -> None:
    server.faults = [fault, fault]
    found = await rows(judge(retries=2, concurrency=1))
    assert not found.failed
    assert len(server.asked) == len(PAIRS) + 2


@pytest.mark.parametrize("fault", ["throttled for a second", "throttled until then"])
async def test_retry_after_is_waited_for(judge: Make, server: JudgeServer, fault: str) -> None:
    server.faults = [fault]
    start = time.monotonic()
    assert not (await rows(judge(), PAIRS[:1])).failed
    assert time.monotonic() - start >= 1


async def test_a_judge_that_asks_for_an_hour_is_left_alone_for_a_minute(judge: Make, server: JudgeServer) -> None:
    server.faults = ["throttled for an hour"]
    source = judge(concurrency=1)
    assert source.pause == 0
    assert (await rows(source)).failed == dict.fromkeys(range(len(PAIRS)), "rate")
    assert len(server.asked) == 1
    assert 50 < source.pause <= 60


async def test_a_judge_that_cannot_tell_is_unsure_and_not_asked_again(judge: Make, server: JudgeServer) -> None:
    server.unsure = "warm"
    source = judge(TWO)
    assert (await rows(source)).failed == dict.fromkeys(range(len(PAIRS)), "unsure")
    server.asked = []
    assert (await rows(source)).failed == dict.fromkeys(range(len(PAIRS)), "unsure")
    assert server.asked == []
    assert bool((await source.noise(PAIRS)).isnan().all())


async def test_a_number_off_its_scale_is_malformed(judge: Make, server: JudgeServer) -> None:
    server.stubborn = 6
    assert (await rows(judge(retries=0))).failed == dict.fromkeys(range(len(PAIRS)), "malformed")


async def test_only_the_rows_that_failed_have_no_value(judge: Make, server: JudgeServer) -> None:
    server.faults = ["no JSON"]
    found = await rows(judge(retries=0, concurrency=1))
    assert found.failed == {0: "malformed"}
    assert found.values[1:, 0].tolist() == scores("cites", PAIRS[1:])


async def test_thousands_of_rows_do_not_each_wait_for_a_judge_that_is_away(
    judge: Make, server: JudgeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "SHUT_SECONDS", 5.0)
    server.always = "busy"
    many = [replace(PAIRS[0], response=str(n)) for n in range(500)]
    found = await rows(judge(retries=1, concurrency=4), many)
    assert found.failed == dict.fromkeys(range(500), "down")
    assert len(server.asked) <= 2 * 4


async def test_another_model_behind_the_address_is_refused_with_both_names(judge: Make, server: JudgeServer) -> None:
    await rows(judge(), PAIRS[:4])
    server.model = "judge-2"
    with pytest.raises(SourceChanged, match=r"'judge-2'.*'judge-1'"):
        await rows(judge(), PAIRS)
    server.model, server.fingerprint = "judge-1", "fp-2"
    with pytest.raises(SourceChanged, match=r"'fp-2'.*'fp-1'"):
        await rows(judge(), PAIRS)
    assert (await rows(judge(), PAIRS[:4])).values[:, 0].tolist() == scores("cites", PAIRS[:4])
    server.fingerprint = ""
    assert not (await rows(judge())).failed
    server.model = "judge-2"
    assert not (await rows(judge(revision="2"))).failed


async def test_concurrency_and_rate_are_kept(judge: Make, server: JudgeServer) -> None:
    server.seconds = 0.02
    source = judge(concurrency=3)
    await asyncio.gather(rows(source, PAIRS[:6]), rows(source, PAIRS[6:]))
    assert server.most_at_once == 3
    start = time.monotonic()
    await rows(judge(data="paced", per_minute=1200), PAIRS)
    assert time.monotonic() - start >= 11 * 60 / 1200


# Nothing is paid for twice.


async def test_two_requests_at_once_and_a_restart_pay_for_each_vote_once(judge: Make, server: JudgeServer) -> None:
    server.seconds = 0.01
    first, second = judge(TWO), None
    one, two = await asyncio.gather(rows(first), rows(first, PAIRS[::-1]))
    assert torch.equal(one.values, two.values.flip(0))
    assert len(server.asked) == 3 * len(PAIRS)
    second = judge(TWO)
    with spending() as spent:
        assert torch.equal((await rows(second)).values, one.values)
        await second.noise(PAIRS)
    assert len(server.asked) == 3 * len(PAIRS)
    assert (spent.calls, spent.cached, spent.tokens) == (0, 2 * 3 * len(PAIRS), 0)


async def test_a_vote_that_another_process_has_stored_meanwhile_is_not_asked_for(
    judge: Make, server: JudgeServer
) -> None:
    server.seconds = 0.02
    forward, backward = judge(concurrency=1), judge(concurrency=1)
    one, two = await asyncio.gather(rows(forward), rows(backward, PAIRS[::-1]))
    assert torch.equal(one.values, two.values.flip(0))
    assert len(PAIRS) <= len(server.asked) <= len(PAIRS) + 2


async def test_an_interrupted_run_keeps_the_votes_that_came(judge: Make, server: JudgeServer) -> None:
    server.seconds = 0.02
    run = asyncio.create_task(rows(judge(TWO, concurrency=2)))
    await sent(server, 10)
    run.cancel()
    await asyncio.wait([run])
    await asyncio.sleep(0.2)
    paid = len(server.asked)
    assert 10 <= paid < 3 * len(PAIRS)
    assert not (await rows(judge(TWO))).failed
    assert len(server.asked) == 3 * len(PAIRS)


async def test_a_request_goes_on_when_the_one_that_began_it_ends(judge: Make, server: JudgeServer) -> None:
    server.seconds = 0.02
    source = judge(concurrency=2)
    began = asyncio.create_task(rows(source))
    joined = asyncio.create_task(rows(source))
    await sent(server, 4)
    began.cancel()
    assert (await joined).values[:, 0].tolist() == scores("cites", PAIRS)
    assert len(server.asked) == len(PAIRS)


async def test_a_failed_vote_is_asked_again_and_the_others_are_not(judge: Make, server: JudgeServer) -> None:
    server.faults = ["no JSON"]
    source = judge(TWO, retries=0, concurrency=1)
    assert (await rows(source)).failed == {0: "malformed"}
    assert not (await rows(source)).failed
    assert len(server.asked) == 3 * len(PAIRS) + 1


@pytest.mark.parametrize(("shared", "calls"), [(False, 2), (True, 1)])
async def test_judgments_are_each_tenants_own_unless_shared(
    judge: Make, server: JudgeServer, shared: bool, calls: int
) -> None:
    source = judge(shared=shared)
    for tenant in ("kitchen", "garden"):
        entered = CALLER.set(Caller(tenant, tenant))
        await rows(source)
        CALLER.reset(entered)
    assert len(server.asked) == calls * len(PAIRS)


def test_a_command_may_read_block_after_block_each_in_a_loop_of_its_own(judge: Make, server: JudgeServer) -> None:
    server.seconds = 0.01
    source = judge(concurrency=2)
    blocks = [asyncio.run(rows(source, PAIRS[start : start + 4])) for start in (0, 4, 8)]
    assert [value for block in blocks for value in block.values[:, 0].tolist()] == scores("cites", PAIRS)


async def test_the_file_holds_numbers_and_no_text(judge: Make, tmp_path: Path) -> None:
    await rows(judge())
    kept = b"".join(path.read_bytes() for path in (tmp_path / "data").iterdir())
    assert b'"cites"' in kept
    assert b"Water it" not in kept
    assert b"basil" not in kept
    assert b"It is so" not in kept
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "data").iterdir())


async def test_what_a_source_spends_is_counted(judge: Make, server: JudgeServer) -> None:
    server.faults, server.seconds = ["busy"], 0.01
    source = judge()
    with spending() as spent:
        await rows(source)
    await rows(source, PAIRS[:2])
    assert (spent.calls, spent.cached, spent.tokens) == (len(PAIRS) + 1, 0, 10 * len(PAIRS))
    assert spent.seconds >= 0.01 * spent.calls
    assert (source.spent.calls, source.spent.cached) == (len(PAIRS) + 1, 2)


# The card and the key.


async def test_a_card_opens_the_judge_again_and_refuses_another(judge: Make, tmp_path: Path, url: str) -> None:
    said = settings(tmp_path, TWO, url)
    opening = openers(Judgments(tmp_path / "data" / FILE))
    source = opening["judge"](said)
    entry = SourceEntry("judge", "judge", source.version, source.names, said)
    assert (await PinnedSource(entry, opening).columns(PAIRS)).values[:, 0].tolist() == scores("cites", PAIRS)
    with pytest.raises(ArtifactMismatch, match="the basis was built on 'older'"):
        await PinnedSource(replace(entry, version="older"), opening).columns(PAIRS)


async def test_the_key_is_sent_and_shown_nowhere(
    judge: Make,
    server: JudgeServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("MY_JUDGE_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    source = judge(key="MY_JUDGE_KEY", retries=1)
    shown = []
    for fault in ("busy", "locked", "cut off", "no JSON", None):
        server.always = fault
        shown.append(repr(await rows(source)))
    server.model = "judge-2"
    with pytest.raises(SourceChanged) as changed:
        await rows(source, [Pair(Conversation.of("?"), "new")])
    assert server.keys == {f"Bearer {KEY}"}
    recipe = json.dumps(settings(tmp_path, ONE, "http://localhost/v1", key="MY_JUDGE_KEY"))
    files = "".join(path.read_text("latin-1") for path in (tmp_path / "data").iterdir())
    formatted = "".join(logging.Formatter().format(record) + repr(vars(record)) for record in caplog.records)
    assert "status 503" in formatted
    assert "MY_JUDGE_KEY" in recipe
    for text in (*shown, repr(source), str(changed.value), recipe, files, formatted, source.version):
        assert KEY not in text
