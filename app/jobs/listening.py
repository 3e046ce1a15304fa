"""Progress of long work in a terminal."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from app.terminal import Screen


class Rate(ProgressColumn):
    """Steps per second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.1f}/s" if speed >= 1 else f"{1 / speed:.1f} s each")


class TerminalListener:
    """Stages and their progress on standard error."""

    def __init__(self, console: Screen, progress: Progress) -> None:
        self.name = "reading"
        self._console, self._progress = console, progress
        self._task = progress.add_task(self.name, total=None)

    def stage(self, name: str) -> None:
        """The bar before it stays as it ended."""
        if name != self.name:
            self._progress.update(self._task, total=1, completed=1, visible=False)
            self._task = self._progress.add_task(name, total=None)
            self.name = name

    def progress(self, done: int, total: int) -> None:
        self._progress.update(self._task, completed=done, total=total)

    def say(self, text: str) -> None:
        self._console.print(Text(text))

    def stop(self, text: str) -> None:
        """End the bars with a message."""
        self._progress.stop()
        self.say(text)


@contextmanager
def listening() -> Iterator[TerminalListener]:
    """A listener whose bars stand on standard error: steps done, their rate and the time left."""
    console = Screen(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        yield TerminalListener(console, progress)
