"""What a card says of a source: enough to open it again, and to refuse another one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TEXT, ENCODER = "text", "encoder"


@dataclass(frozen=True)
class SourceEntry:
    """The source ``name`` of a ``kind`` gave the ``columns`` when its version was ``version``.

    ``settings`` are those of the recipe, with paths resolved.
    """

    name: str
    kind: str
    version: str
    columns: tuple[str, ...]
    settings: Mapping[str, Any]

    @property
    def full_names(self) -> tuple[str, ...]:
        """Of its columns, with the source's name."""
        return tuple(f"{self.name}.{column}" for column in self.columns)

    @classmethod
    def of_card(cls, said: Mapping[str, Any]) -> "SourceEntry":
        """The entry that ``dataclasses.asdict`` made, as JSON gives it back."""
        return cls(said["name"], said["kind"], said["version"], tuple(said["columns"]), said["settings"])
