"""Who looks on while a run goes on."""

from typing import Protocol

from reward_bases.train.features.vectors import Progress


class Watch(Protocol):
    """An exception raised here breaks the run off."""

    def stage(self, name: str) -> None:
        """A stage begins."""
        ...

    def progress(self, done: int, total: int) -> None:
        """So much of it is done."""
        ...

    def say(self, text: str) -> None:
        """Something to read."""
        ...


def staged(watch: Watch, name: str) -> Progress:
    """A stage that begins with its first progress, if there is any."""
    begun = False

    def progress(done: int, total: int) -> None:
        nonlocal begun
        if not begun:
            watch.stage(name)
        begun = True
        watch.progress(done, total)

    return progress
