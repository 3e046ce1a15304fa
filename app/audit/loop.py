"""The closed loop of an artifact: its parts, and the one run that every audit shows."""

from elicitation.errors import InvalidInput
from reward_bases.artifact import Artifact
from safeguards.loop.grid import JUDGED_DRIFT, Cell, compare, guarded_arm
from safeguards.loop.measure import Row
from safeguards.loop.world import Crowd, World
from safeguards.policy import GuardPolicy

TRUTH, AGREEMENT = "quality", "agreement"
"""Heads that stand in for truth and for telling people what they want to hear."""
QUESTIONS = 10
AUDITED = Cell("assimilating", JUDGED_DRIFT, 16)
AUDITED_PEOPLE, AUDITED_ROUNDS = 200, 50


def world_of(artifact: Artifact) -> World:
    """The loop's parts of an artifact. Raises InvalidInput for a basis without a truth head."""
    names = artifact.basis.names
    if TRUTH not in names:
        raise InvalidInput(f"the basis has no head {TRUTH!r} to stand in for truth; its heads: {', '.join(names)}")
    return World(
        policy=GuardPolicy.of(artifact),
        population=artifact.population,
        model=artifact.choice_model,
        truth=names.index(TRUTH),
        agreement=names.index(AGREEMENT) if AGREEMENT in names else None,
    )


def audited_loop(artifact: Artifact) -> tuple[Row, ...]:
    """The loop that every audit shows: assimilating people served as now, then both nulls; empty without truth head."""
    if TRUTH not in artifact.basis.names:
        return ()
    world = world_of(artifact)
    crowd = Crowd.drawn(world, 1, AUDITED_PEOPLE, AUDITED_ROUNDS, QUESTIONS, seed=0)
    served = guarded_arm(world)
    rows = {row.arm: row for row in compare(world, crowd, AUDITED, [served, "random"])}
    return rows[served], rows["aggregate"], rows["random"]
