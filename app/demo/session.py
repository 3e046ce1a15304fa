"""Plays simulated people against a real service: a child process on a free port with a temporary data folder."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from app.demo.world import Levels, Person, Test, difference
from elicitation.errors import KeelError
from keel import Client
from keel import KeelError as ClientError
from keel.replies import Profile
from reward_bases.artifact import DEFAULT

STAGES = (0, 1, 2, 3, 5, 10)
SECONDS_TO_START = 120.0


@dataclass(frozen=True)
class Measured:
    """One person after k answers: rewards (n,) of the test answers, guarded and not, and the profile."""

    guarded: Tensor
    raw: Tensor
    profile: Profile | None


Trajectory = Mapping[int, Measured]
"""A person's measurements by number of answers."""


@contextmanager
def service() -> Iterator[Client]:
    """A client of a fresh service without people; the service and its data are gone afterwards."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="keel-demo-") as folder:
        own = ["--port", str(port), "--data-dir", folder, "--basis", str(DEFAULT)]
        command = [sys.executable, "-m", "app", "serve", "--no-ui", *own]
        quiet = subprocess.DEVNULL
        child = subprocess.Popen(command, stdout=quiet, stderr=quiet, env=_own_settings())  # noqa: S603 - our own
        try:
            with Client(f"http://127.0.0.1:{port}", timeout=300) as client:
                _wait(client, child)
                yield client
        finally:
            child.terminate()
            child.wait()


def _own_settings() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("KEEL_")}


def _wait(client: Client, child: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline:
        if child.poll() is not None:
            raise KeelError(f"the service ended with code {child.returncode}; run keel serve to see why")
        try:
            client.info()
        except ClientError:
            time.sleep(0.2)
        else:
            return
    raise KeelError(f"the service did not answer within {SECONDS_TO_START:.0f} s; run keel serve to see why")


def play(
    client: Client,
    person: Person,
    test: Test,
    levels: Mapping[str, Levels],
    rule: str | None,
    generator: torch.Generator,
    stages: Sequence[int] = STAGES,
) -> Trajectory:
    """Let one person answer max(stages) questions by ``rule`` and measure them after each stage."""
    trajectory = {}
    for answered in range(max(stages) + 1):
        if answered:
            _answer(client, person, levels, rule, generator)
        if answered in stages:
            trajectory[answered] = _measure(client, person.user_id if answered else None, test)
    return trajectory


def _answer(
    client: Client, person: Person, levels: Mapping[str, Levels], rule: str | None, generator: torch.Generator
) -> None:
    seed = int(torch.randint(2**31, (), generator=generator))
    question = client.ask(person.user_id, rule=rule, seed=seed, force=True)
    if question is None:
        raise KeelError("the question bank ran out; ask fewer questions")
    shown = difference(levels[question.left], levels[question.right])
    client.tell(person.user_id, question.question_id, person.taste.choose(shown, generator).value)


def _measure(client: Client, user_id: str | None, test: Test) -> Measured:
    scores = client.score(test.prompts, test.completions, user_id=user_id, detail=True)
    raw = [detail.raw if detail.raw is not None else detail.mean for detail in scores.details or ()]
    profile = client.profile(user_id) if user_id else None
    return Measured(torch.tensor(scores.rewards, dtype=torch.float64), torch.tensor(raw, dtype=torch.float64), profile)


def play_all(
    client: Client,
    people: Sequence[Person],
    test: Test,
    levels: Mapping[str, Levels],
    rule: str | None,
    seed: int,
    step: Callable[[], None],
) -> list[Trajectory]:
    """Every person's trajectory; ``step`` is called after each."""
    trajectories = []
    for i, person in enumerate(people):
        generator = torch.Generator().manual_seed(seed * 100_003 + i)
        trajectories.append(play(client, person, test, levels, rule, generator))
        step()
    return trajectories
