"""Openers of all kinds of sources: those that need no network, and those that keep what they were told in a file."""

from collections.abc import Mapping

from app.sources.judge.judgments import Judgments
from app.sources.judge.opening import open_judge
from reward_bases.sources.opening import OPENERS, Opener


def openers(judgments: Judgments) -> Mapping[str, Opener]:
    """Kind -> from the settings of a recipe to the source; for ``PinnedSource`` and the building of a basis."""
    return {**OPENERS, "judge": lambda settings: open_judge(settings, judgments)}
