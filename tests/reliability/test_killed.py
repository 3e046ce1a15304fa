"""kill -9 at random moments: what was acknowledged is there, once, and says the same when it is sent again.

Two kills of three take the process that serves, which is started again by itself. The third takes the supervisor with
it, as a loss of power does, and the test starts ``keel serve`` anew.

Another store runs through the same test as one more entry of ``STORES``.
"""

import asyncio
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

import httpx
import pytest
from answering import Crowd
from processes import Process

from app.settings import Settings
from app.storage.opening import opened
from app.storage.sqlite_store import SqliteStore
from app.storage.store import Answer

CLIENTS = 8
SECONDS_BACK = 5.0
"""After every kill of the process that serves."""
IMPORTS_BACK = 3.5
"""After every kill of all, so many times as long as Python takes to import torch at the same moment."""
IN_FLIGHT_SECONDS = 0.1
"""Time in which a reply that was sent before a kill may still arrive; no start is as short."""
FULL = 2
"""SQLite's number of synchronous=FULL."""
Written = list[tuple[str, str | None]]


@dataclass(frozen=True)
class StoreKind:
    """How to start a service on a store in a folder, and how to read its answers: (person, Idempotency-Key)."""

    start: Callable[[Path], Process]
    answers: Callable[[Path], Written]


async def answers_of(settings: Settings) -> Written:
    async with opened(settings) as store:
        people = [person for tenant in await store.registry.tenants() for person in await store.people(tenant)]
        logs = [(person.key.user_id, await store.log(person.key)) for person in people]
    return [(name, entry.idempotency_key) for name, log in logs for entry in log if isinstance(entry, Answer)]


STORES = {"sqlite": StoreKind(Process, lambda folder: asyncio.run(answers_of(Settings(data_dir=folder))))}


def seconds_of_importing_torch() -> float:
    begun = time.monotonic()
    subprocess.run([sys.executable, "-c", "import torch"], check=True)
    return time.monotonic() - begun


def first_after(crowd: Crowd, moment: float) -> float:
    """Seconds from ``moment`` to the first answer acknowledged by a service that started after it."""
    begun = moment + IN_FLIGHT_SECONDS
    while time.monotonic() < moment + 60:
        if any(client.acknowledged and client.acknowledged[-1].at > begun for client in crowd.clients):
            return min(one.at for one in crowd.acknowledged if one.at > begun) - moment
        time.sleep(0.02)
    raise AssertionError("no answer was acknowledged within a minute")


@dataclass
class Returns:
    """Seconds from each kill to the next acknowledged answer: of the process that serves, and of all.

    After a kill of all they count from the start that follows; ``importing`` has the time of importing torch before it.
    """

    serving: list[float] = field(default_factory=list)
    all: list[float] = field(default_factory=list)
    importing: list[float] = field(default_factory=list)

    def kill_serving(self, service: Process, crowd: Crowd) -> None:
        moment = time.monotonic()
        os.kill(service.serving, signal.SIGKILL)
        self.serving.append(first_after(crowd, moment))
        service.wait_until(200)

    def kill_all(self, service: Process, crowd: Crowd) -> None:
        service.kill()
        self.importing.append(seconds_of_importing_torch())
        moment = time.monotonic()
        service.start()
        self.all.append(first_after(crowd, moment))

    def __str__(self) -> str:
        parts = {"the process that serves": self.serving, "all": self.all, "importing torch": self.importing}
        return "; ".join(
            f"{name}: {fmean(one):.1f} s on average, {max(one):.1f} s at most ({len(one)})"
            for name, one in parts.items()
        )


@pytest.mark.slow
@pytest.mark.parametrize("kind", STORES)
@pytest.mark.parametrize(
    ("kills", "answers"), [(3, 60), pytest.param(50, 10_000, marks=pytest.mark.soak)], ids=["short", "long"]
)
def test_what_was_acknowledged_survives_kills(tmp_path: Path, kind: str, kills: int, answers: int) -> None:
    store, chance = STORES[kind], random.Random(1)
    folder = tmp_path / "data"
    folder.mkdir()
    service = store.start(folder)
    service.start()
    back, begun = Returns(), time.monotonic()
    try:
        with Crowd(service.address, CLIENTS) as crowd:
            for kill in range(1, kills + 1):
                while crowd.count < answers * kill / kills and not crowd.faults:
                    time.sleep(0.1)
                time.sleep(chance.uniform(0, 0.5))
                (back.kill_serving if kill % 3 else back.kill_all)(service, crowd)
        taken = time.monotonic() - begun
        assert not crowd.faults
        for one in chance.sample(crowd.acknowledged, 50):
            again = httpx.post(
                f"{service.address}/v1/users/{one.person}/answers",
                json=one.body,
                headers={"Idempotency-Key": one.key},
                timeout=30,
            )
            assert (again.status_code, again.json()) == (201, one.reply)
    finally:
        service.close()
    written = Counter(store.answers(folder))
    replies = {(one.person, one.key): [] for one in crowd.acknowledged}
    for one in crowd.acknowledged:
        replies[one.person, one.key].append(one.reply)
    print(
        f"{kills} kills in {taken:.0f} s: {len(replies)} answers acknowledged ({len(crowd.acknowledged)} replies), "
        f"{len(written)} stored; back after a kill of {back}"
    )
    assert len(replies) >= answers
    assert not [key for key in replies if key not in written], "lost"
    assert not [key for key, number in written.items() if number > 1], "doubled"
    assert len(written) - len(replies) <= CLIENTS, "stored and not acknowledged: one of each client at most"
    assert all(reply == same[0] for same in replies.values() for reply in same)
    assert max(back.serving) < SECONDS_BACK
    assert all(one < IMPORTS_BACK * least for one, least in zip(back.all, back.importing, strict=True))


async def test_the_connection_that_writes_waits_for_the_disk(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "keel.db")
    await store.open()
    pragmas = [f"PRAGMA {name}" for name in ("journal_mode", "synchronous")]
    found = await store._writer.run(lambda db: [db.execute(pragma).fetchone()[0] for pragma in pragmas])
    assert found == ["wal", FULL]
    await store.close()


@pytest.mark.slow
def test_every_commit_goes_to_the_disk(started: Callable[..., Process]) -> None:
    """strace counts what the service asks of the kernel; each answer is a commit of its own."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    service = started()
    counts = service.folder / "counts"
    tracing = ["strace", "-f", "-c", "-e", "trace=fsync,fdatasync", "-o", str(counts), "-p", str(service.serving)]
    with subprocess.Popen(tracing, stderr=subprocess.PIPE) as tracer:
        assert tracer.stderr is not None
        if b"attached" not in tracer.stderr.readline():
            pytest.skip("strace may not attach here")
        with Crowd(service.address, 2) as crowd:
            while crowd.count < 40:
                time.sleep(0.05)
        tracer.terminate()
        tracer.wait(30)
    commits = len({(one.person, one.key) for one in crowd.acknowledged})
    calls = [re.split(r"\s+", line.strip()) for line in counts.read_text().splitlines()]
    syncs = sum(int(call[3]) for call in calls if call[-1] in ("fsync", "fdatasync"))
    print(f"{commits} answers, {syncs} fsync and fdatasync")
    assert commits >= 36
    assert syncs >= commits
