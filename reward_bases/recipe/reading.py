"""From a TOML file to a recipe; whatever is wrong in it is refused with its line."""

from pathlib import Path

from reward_bases.recipe.recipe import HeadRecipe, Recipe, SourceRecipe
from reward_bases.recipe.shape import HeadTable, JudgeTable, RecipeTable, RewardModelTable, SourceTable
from reward_bases.recipe.tables import Written, read_table

DEFAULT = "default"
RESERVED = ("gate",)
"""Components of a reward are called after their heads; these names are of components that are none."""
STD = 1.0
"""Of a head that is not protected and says nothing."""


def read_recipe(path: Path) -> Recipe:
    """Paths in the file are relative to its folder. Raises InvalidInput with file, line and remedy."""
    return _Reader(read_table(path, "recipe", RecipeTable)).recipe()


class _Reader:
    def __init__(self, written: Written[RecipeTable]) -> None:
        self._table, self._path, self.refuse = written.table, written.path, written.refuse

    def recipe(self) -> Recipe:
        table = self._table
        if not (table.include or table.heads):
            self.refuse(("include",), "a basis needs heads; name default or a basis folder, or give [heads]")
        return Recipe(
            self._included(table),
            self._reference(table),
            None if table.bank is None else self._within(table.bank.file),
            tuple(self._source(name, source) for name, source in table.sources.items()),
            tuple(self._head(name, head, table) for name, head in table.heads.items()),
        )

    def _included(self, table: RecipeTable) -> str | None:
        if not table.include:
            return None
        return DEFAULT if table.include == [DEFAULT] else str(self._within(table.include[0]))

    def _reference(self, table: RecipeTable) -> Path | None:
        said = table.reference
        if (said.file is None) == (said.bank is None):
            self.refuse(("reference",), "needs file, or bank = true, and not both")
        return None if said.file is None else self._within(said.file)

    def _within(self, name: str) -> Path:
        return (self._path.parent / name).resolve()

    def _source(self, name: str, table: SourceTable) -> SourceRecipe:
        settings = table.model_dump(exclude={"kind"}, exclude_none=True)
        if isinstance(table, RewardModelTable):
            settings["model"] = str(self._within(table.model))
        if isinstance(table, JudgeTable):
            settings["rubric"] = str(self._within(table.rubric))
        return SourceRecipe(name, table.kind, settings)

    def _head(self, name: str, table: HeadTable, whole: RecipeTable) -> HeadRecipe:
        place = ("heads", name)
        if name in RESERVED:
            self.refuse(place, "a component of every reward has this name; give the head another")
        if table.protected and table.std:
            self.refuse((*place, "std"), f"{table.std} on a protected head, which is never personalised; leave it out")
        columns = self._columns(place, table)
        for column in columns:
            source, dot, rest = column.partition(".")
            if not (dot and rest and source in whole.sources):
                known = ", ".join(whole.sources) or "none"
                self.refuse(
                    (*place, "column" if table.column else "columns"),
                    f"{column!r} is no column SOURCE.NAME of the recipe's sources, {known}",
                )
        std = 0.0 if table.protected else STD if table.std is None else table.std
        signed = {column: table.sign * weight for column, weight in columns.items()}
        return HeadRecipe(name, signed, table.low, table.high, table.protected, table.aggregate, std)

    def _columns(self, place: tuple[str, str], table: HeadTable) -> dict[str, float]:
        if (table.column is None) == (table.columns is None):
            self.refuse(place, "needs column, or columns with a weight for each, and not both")
        return dict(table.columns) if table.columns is not None else {str(table.column): 1.0}
