"""What passes is waited for, what does not pass ends the run: faults of a real server under a reward function."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import keel
from keel import keel_reward, wire
from keel.reward import Reward
from tests.client.servers import HANG, SECONDS_HUNG, Server

pytestmark = pytest.mark.slow
ROWS: dict[str, Any] = {
    "prompts": ["Basil?", "Mint?"],
    "completions": ["Water it when the soil is dry.", "In a pot, mint spreads."],
    "user_id": ["ada", "bob"],
}


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "FIRST_PAUSE", 0.05)
    monkeypatch.setattr(wire, "LONGEST_PAUSE", 0.2)


@pytest.fixture
def rewarding(server: Server) -> Iterator[Callable[..., Reward]]:
    built: list[Reward] = []

    def build(**options: Any) -> Reward:
        built.append(keel_reward(server.url, **options))
        return built[-1]

    yield build
    for reward in built:
        reward.close()


@pytest.mark.parametrize("fault", [429, 503, HANG])
def test_overload_and_hanging_are_waited_out(server: Server, rewarding: Callable[..., Reward], fault: int) -> None:
    reward = rewarding(timeout=SECONDS_HUNG / 3)
    before = reward(**ROWS)
    server.faults.extend([fault, fault])
    assert reward(**ROWS) == before
    assert not server.faults


@pytest.mark.parametrize(("fault", "kind"), [(503, keel.Unavailable), (HANG, keel.Unreachable)])
def test_what_lasts_longer_than_the_time_limit_ends_the_run(
    server: Server, rewarding: Callable[..., Reward], fault: int, kind: type[keel.KeelError]
) -> None:
    reward = rewarding(timeout=0.3, time_limit=1.0)
    server.faults.extend([fault] * 100)
    started = time.monotonic()
    with pytest.raises(kind):
        reward(**ROWS)
    assert time.monotonic() - started < 2.5
    server.faults.clear()


def test_attempts_are_bounded_too(server: Server, rewarding: Callable[..., Reward]) -> None:
    server.faults.extend([503] * 100)
    with pytest.raises(keel.Unavailable):
        rewarding(attempts=3)(**ROWS)
    assert len(server.faults) == 97
    server.faults.clear()


@pytest.mark.parametrize(
    ("status", "kind", "remedy"),
    [
        (401, keel.Unauthorized, "pass the service's key"),
        (403, keel.Forbidden, "make another key"),
        (404, keel.NotFound, "take their rows out"),
        (409, keel.Conflict, "start a new run"),
        (410, keel.Gone, "start a new run"),
    ],
)
def test_what_does_not_pass_ends_the_run_at_once_and_says_what_to_do(
    server: Server, rewarding: Callable[..., Reward], status: int, kind: type[keel.Problem], remedy: str
) -> None:
    server.faults.append(status)
    with pytest.raises(kind) as caught:
        rewarding()(**ROWS)
    assert remedy in caught.value.__notes__[0]


def test_a_restart_of_the_service_is_waited_for_and_moves_no_reward(
    server: Server, rewarding: Callable[..., Reward]
) -> None:
    reward = rewarding()
    before = reward(**ROWS)
    server.stop()
    restart = threading.Timer(0.5, server.start)
    restart.start()
    assert reward(**ROWS) == before
    restart.join()
