"""The client against a real server: verbs, typed replies, exceptions, one kept-alive connection, bounded retries."""

import asyncio
import dataclasses
from collections.abc import Callable, Iterator

import httpx
import pytest

import keel
from keel import AsyncClient, Client, wire

pytestmark = pytest.mark.slow
RESPONSES = ["Water it when the soil is dry.", "A diva, that basil! Sun, water, scissors.", ""]


@pytest.fixture
def client(live: str) -> Iterator[Client]:
    with Client(live) as opened:
        yield opened


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "FIRST_PAUSE", 0.001)


def answering(*statuses: int) -> tuple[httpx.MockTransport, list[httpx.Request]]:
    """A transport that answers with these statuses in turn; 0 is a refused connection."""
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        status = statuses[min(len(seen), len(statuses) - 1)]
        seen.append(request)
        if status == 0:
            raise httpx.ConnectError("refused", request=request)
        body = {"detail": "why"} if status >= 400 else {"answer_id": "a", "profile_version": "1-x", "answered": 1}
        return httpx.Response(status, json={**body, "expected_total": 9, "done": False, "new_field": 1})

    return httpx.MockTransport(answer), seen


def test_a_person_from_the_first_question_to_being_forgotten(client: Client) -> None:
    question = client.ask("ada", rule="dopt", seed=1)
    assert question is not None
    assert client.ask("ada") == question
    told = client.tell("ada", question.question_id, "left", strength="clear", note="shorter")
    assert (told.answered, told.done) == (1, False)
    profile = client.profile("ada")
    assert (profile.version, profile.answered) == (told.profile_version, 1)
    assert profile.heads[-1] == keel.HeadCoefficient("quality", 0.8, 0.0, 0.8, 0.8)
    assert 0 <= profile.guard.alpha <= 1
    assert client.export("ada")["answers"][0]["note"] == "shorter"
    undone = client.undo("ada")
    assert (undone.answer_id, undone.question_id) == (told.answer_id, question.question_id)
    assert client.profile("ada", version=told.profile_version) == profile
    client.forget("ada")
    with pytest.raises(keel.NotFound, match="ada"):
        client.profile("ada")


def test_scoring_ranking_and_comparing(client: Client) -> None:
    client.ask("ada")
    scores = client.score(["Basil?"] * 3, RESPONSES, user_ids=["ada"] * 3, detail=True)
    assert len(scores.rewards) == len(scores.scores) == 3
    assert scores.details is not None
    assert [detail.gate.passed for detail in scores.details] == [True, True, False]
    assert scores.details[2].gate.reasons == ("empty",)
    assert scores.details[2].raw is None
    ranking = client.rank("Basil?", RESPONSES, user_id="ada", rule="lcb", top_n=2, certify=True)
    assert len(ranking.results) == 2
    assert ranking.best == ranking.results[0].index
    pick = client.pick("Basil?", RESPONSES, user_id="ada", doubt=0.2)
    assert (pick.best, pick.unjudged, pick.doubt) == (client.rank("Basil?", RESPONSES, user_id="ada").best, (), 0.0)
    assert client.pick("Without a judge?", ["Water it.", "Give it light."]).unjudged == ()
    hedged = client.rank("Basil?", RESPONSES, rule="drro", rho=2.0, agreement=[0, 1, 0], curve=True, beta=0.5)
    assert hedged.curve is not None
    assert [point.n for point in hedged.curve] == [1, 2, 3]
    against = client.score(["Basil?"] * 3, RESPONSES, baselines=[RESPONSES[:1]] * 3, kappa=2.0, beta=0.5, detail=True)
    assert against.rewards[0] == pytest.approx(0)
    assert against.details is not None
    assert against.details[1].aleatoric is None
    rated = client.rate("ada", "acceptable", prompt="Basil?", response=RESPONSES[0])
    assert (rated.ratings, rated.aleatoric) == (1, None)
    comparison = client.compare("Basil?", *RESPONSES[:2])
    assert comparison.p_a + comparison.p_b + comparison.p_same == pytest.approx(1)
    assert client.info()["basis_version"] == scores.basis_version


def test_audits(client: Client) -> None:
    with pytest.raises(keel.NotFound):
        client.latest_audit()
    assert client.audit() == client.latest_audit()


async def test_the_asynchronous_client_says_the_same(live: str) -> None:
    async with AsyncClient(live) as client:
        question = await client.ask("ada")
        assert question is not None
        told = await client.tell("ada", question.question_id, "right")
        rewards = await asyncio.gather(*(client.score(["Basil?"], RESPONSES[:1], user_id="ada") for _ in range(4)))
        assert {reply.profile_versions["ada"] for reply in rewards} == {told.profile_version}
        assert (await client.rank("Basil?", RESPONSES)).best == (await client.pick("Basil?", RESPONSES)).best
        assert (await client.compare("Basil?", *RESPONSES[:2])).p_a > 0
        assert (await client.undo("ada")).answered == 0
        assert (await client.audit()) == (await client.latest_audit())
        assert (await client.export("ada"))["user_id"] == (await client.profile("ada")).user_id
        await client.forget("ada")
        with pytest.raises(keel.NotFound):
            await client.profile("ada")
        assert (await client.info())["name"] == "keel"


@pytest.mark.parametrize(
    ("refused", "kind"),
    [
        (lambda client: client.tell("ada", "q_none", "left"), keel.NotFound),
        (lambda client: client.score(["p"], ["a", "b"]), keel.Invalid),
        (lambda client: client.score(["p"], ["a"], basis_version="other"), keel.Conflict),
        (lambda client: client.score(["p"], ["x" * 300_000]), keel.Invalid),
    ],
)
def test_problems_become_exceptions_with_status_and_detail(
    client: Client, refused: Callable[[Client], object], kind: type[keel.Problem]
) -> None:
    with pytest.raises(kind) as caught:
        refused(client)
    assert caught.value.status in (404, 409, 413, 422)
    assert caught.value.detail


def test_all_calls_share_one_connection(live: str) -> None:
    opened = []
    transport = httpx.HTTPTransport()
    with Client(live, transport=transport) as client:
        for _ in range(5):
            client.info()
            opened.append(len(transport._pool.connections))
    assert opened == [1] * 5


@pytest.mark.parametrize("trouble", [0, 429, 503])
def test_trouble_that_passes_is_retried_with_the_same_key(trouble: int) -> None:
    transport, seen = answering(trouble, trouble, 201)
    with Client(transport=transport) as client:
        assert client.tell("ada", "q", "left").answered == 1
    assert len(seen) == 3
    assert len({request.headers["Idempotency-Key"] for request in seen}) == 1


@pytest.mark.parametrize(("trouble", "kind"), [(0, keel.Unreachable), (429, keel.Unavailable), (503, keel.Unavailable)])
def test_trouble_that_stays_is_raised_after_a_few_attempts(trouble: int, kind: type[keel.KeelError]) -> None:
    transport, seen = answering(trouble)
    with Client(transport=transport) as client, pytest.raises(kind):
        client.tell("ada", "q", "left")
    assert len(seen) == wire.ATTEMPTS


@pytest.mark.parametrize("status", [404, 409, 413, 422, 500])
def test_other_problems_are_raised_at_once(status: int) -> None:
    transport, seen = answering(status)
    with Client(transport=transport) as client, pytest.raises(keel.Problem) as caught:
        client.tell("ada", "q", "left")
    assert (len(seen), caught.value.status, caught.value.detail) == (1, status, "why")


def test_the_service_may_name_the_pause() -> None:
    asked = httpx.Response(503, headers={"Retry-After": "3"})
    assert wire.pause(0, asked) == 3
    assert wire.pause(0, httpx.Response(503, headers={"Retry-After": "999"})) == wire.LONGEST_PAUSE


def test_a_page_that_is_no_service_is_a_problem_too() -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(502, text="<html>bad gateway</html>"))
    with Client(transport=transport) as client, pytest.raises(keel.Problem, match="502 Bad Gateway"):
        client.info()


def test_replies_cannot_be_changed(client: Client) -> None:
    question = client.ask("ada")
    with pytest.raises(dataclasses.FrozenInstanceError):
        question.number = 7  # type: ignore[union-attr,misc]
