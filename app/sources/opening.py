"""Openers of all kinds of sources: those that need no network, and those that keep what they were told in a file."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from app.sources.judge.opening import open_judge
from app.storage.judgments import FILE, Judgments
from reward_bases.sources.opening import OPENERS, Opener


@contextmanager
def opening(data_dir: Path) -> Iterator[Mapping[str, Opener]]:
    """Openers for work without a service around it; judgments are kept in the data folder, as the service does."""
    judgments = Judgments(data_dir / FILE)
    try:
        yield openers(judgments)
    finally:
        asyncio.run(judgments.close())


def openers(judgments: Judgments) -> Mapping[str, Opener]:
    """Kind -> from the settings of a recipe to the source; for ``PinnedSource`` and the building of a basis."""
    return {**OPENERS, "judge": lambda settings: open_judge(settings, judgments)}
