"""Progress of a training run, reported to a listener."""

from typing import Protocol

from reward_bases.train.features.vectors import Progress


class ProgressListener(Protocol):
    """Receives stages and progress; an exception raised here interrupts the run."""

    def stage(self, name: str) -> None:
        """A stage begins."""
        ...

    def progress(self, done: int, total: int) -> None:
        """``done`` of ``total`` steps of the stage are done."""
        ...

    def say(self, text: str) -> None:
        """A message to the user."""
        ...


def staged(listener: ProgressListener, name: str) -> Progress:
    """A stage that begins with its first progress, if there is any."""
    begun = False

    def progress(done: int, total: int) -> None:
        nonlocal begun
        if not begun:
            listener.stage(name)
        begun = True
        listener.progress(done, total)

    return progress
