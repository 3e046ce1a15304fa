"""kill -9 at random moments: what was acknowledged is there, once, and says the same when it is sent again.

Another store runs through the same test as one more entry of ``STORES``.
"""

import asyncio
import random
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
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
"""Promised on two idle cores; ``make soak`` holds the service to it."""
IMPORTS_BACK = 3.5
"""After every kill, so many times as long as Python takes to import torch at the same moment, whatever the machine."""
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
    """Seconds from ``moment`` to the first answer acknowledged after it."""
    while time.monotonic() < moment + 60:
        if any(client.acknowledged and client.acknowledged[-1].at > moment for client in crowd.clients):
            return min(one.at for one in crowd.acknowledged if one.at > moment) - moment
        time.sleep(0.02)
    raise AssertionError("no answer was acknowledged within a minute")


@pytest.mark.slow
@pytest.mark.parametrize("kind", STORES)
@pytest.mark.parametrize(
    ("kills", "answers", "seconds"),
    [(3, 60, None), pytest.param(50, 10_000, SECONDS_BACK, marks=pytest.mark.soak)],
    ids=["short", "long"],
)
def test_what_was_acknowledged_survives_kills(
    tmp_path: Path, kind: str, kills: int, answers: int, seconds: float | None
) -> None:
    store, chance = STORES[kind], random.Random(1)
    folder = tmp_path / "data"
    folder.mkdir()
    service = store.start(folder)
    service.start()
    back, importing, begun = [], [], time.monotonic()
    try:
        with Crowd(service.address, CLIENTS) as crowd:
            for kill in range(1, kills + 1):
                while crowd.count < answers * kill / kills and not crowd.faults:
                    time.sleep(0.1)
                time.sleep(chance.uniform(0, 0.5))
                service.kill()
                importing.append(seconds_of_importing_torch())
                moment = time.monotonic()
                service.start()
                back.append(first_after(crowd, moment))
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
        f"{len(written)} stored; back after {max(back):.1f} s at most, {fmean(back):.1f} s on average; "
        f"importing torch took {fmean(importing):.1f} s on average"
    )
    assert len(replies) >= answers
    assert not [key for key in replies if key not in written], "lost"
    assert not [key for key, number in written.items() if number > 1], "doubled"
    assert len(written) - len(replies) <= CLIENTS, "stored and not acknowledged: one of each client at most"
    assert all(reply == same[0] for same in replies.values() for reply in same)
    assert all(one < IMPORTS_BACK * least for one, least in zip(back, importing, strict=True))
    assert seconds is None or max(back) < seconds


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
    assert service.child is not None
    counts = service.folder / "counts"
    tracing = ["strace", "-f", "-c", "-e", "trace=fsync,fdatasync", "-o", str(counts), "-p", str(service.child.pid)]
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
