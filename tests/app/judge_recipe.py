"""Recipes with a judge, and rubrics for it."""

import json
from pathlib import Path
from typing import Any

from reward_bases.recipe.reading import read_recipe

ONE = '[[criteria]]\nname = "cites"\ntext = "it names its sources"\nreason_first = true\n'
TWO = f'{ONE}votes = 2\n\n[[criteria]]\nname = "warm"\ntext = "it is warm"\nreason_first = true\nvotes = 3\n'
LIKELY = '[[criteria]]\nname = "cites"\ntext = "it names its sources"\n'
RECIPE = '[reference]\nbank = true\n[sources.judge]\nkind = "judge"\n'


def settings(folder: Path, rubric: str, url: str, **keys: Any) -> dict[str, Any]:
    (folder / "rubric.toml").write_text(rubric)
    table = {"url": url, "model": "m", "rubric": "rubric.toml", **keys}
    lines = [f"{key} = {json.dumps(value)}\n" for key, value in table.items()]
    (folder / "recipe.toml").write_text(RECIPE + "".join(lines))
    return dict(read_recipe(folder / "recipe.toml").sources[0].settings)
