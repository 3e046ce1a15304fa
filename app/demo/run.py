"""The whole demo: people, two arms of question rules, people with tastes no head was taught, and an audit."""

import time
from dataclasses import replace
from typing import Any

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from app.demo.report import arm, guarding, picks
from app.demo.session import STAGES, Trajectory, play_all, service
from app.demo.world import Person, Test, meet
from app.terminal import Screen
from reward_bases.artifact import DEFAULT, load_artifact
from reward_bases.bank import load_bank
from safeguards.findings import CALIBRATION

RULES: dict[str, str | None] = {"keel": None, "random": "random"}
"""The service's default rule, beside random questions."""


def run(count: int, seed: int) -> dict[str, Any]:
    """Simulate ``count`` people of each kind; the result is what ``--json`` prints."""
    started = time.monotonic()
    bank = load_bank(DEFAULT / "bank.json")
    designed = [head.name for head in load_artifact().basis.heads if head.kind == "designed"]
    levels = {answer.text: answer.traits for prompt in bank.prompts for answer in prompt.answers}
    test = Test.of(bank.part("test"), torch.Generator().manual_seed(seed))
    kinds = {
        "designed": meet(bank, designed, count, test, "person", seed),
        "left_out": meet(bank, list(bank.left_out), count, test, "other", seed + 1),
    }
    trajectories: dict[tuple[str, str], list[Trajectory]] = {}
    with service() as client, _progress() as progress:
        task = progress.add_task("people", total=len(kinds) * len(RULES) * count)
        for kind, people in kinds.items():
            for arm_name, rule in RULES.items():
                renamed = [_named(person, arm_name) for person in people]
                trajectories[kind, arm_name] = play_all(
                    client, renamed, test, levels, rule, seed, lambda: progress.advance(task)
                )
        audit = client.audit()["report"]
    arms = {
        kind: arm(people, test, {rule: trajectories[kind, rule] for rule in RULES}) for kind, people in kinds.items()
    }
    return {
        "people": count,
        "seed": seed,
        "questions": list(STAGES),
        **arms["designed"],
        "left_out_traits": {
            "traits": list(bank.left_out),
            **{name: arms["left_out"][name] for name in ("gap_closed_5", "gap_closed_10")},
        },
        "best_of_8": picks(kinds["designed"], trajectories["designed", "keel"], test),
        **guarding(trajectories["designed", "keel"]),
        "audit": {f["name"]: {"value": f["value"], "status": f["status"]} for f in audit["findings"] if _shown(f)},
        "seconds": round(time.monotonic() - started, 1),
    }


def _shown(finding: dict[str, Any]) -> bool:
    """The demo logs no rankings, so that of the served part only predicted choices say something."""
    return bool(finding["source"] == "reference" or finding["number"] == CALIBRATION.number)


def _named(person: Person, arm_name: str) -> Person:
    return replace(person, user_id=f"{arm_name}-{person.user_id}")


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, TimeRemainingColumn(), console=Screen(stderr=True))
