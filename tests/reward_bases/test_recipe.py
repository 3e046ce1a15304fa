"""Recipes: what a file may say, and which line is wrong."""

from pathlib import Path

import pytest

from elicitation.errors import InvalidInput
from reward_bases.artifact import DEFAULT
from reward_bases.bank import load_bank
from reward_bases.recipe.reading import read_recipe
from reward_bases.recipe.recipe import HeadRecipe
from reward_bases.recipe.reference import read_reference, reference_of_bank

SOURCES = """
[sources.rm]
kind = "reward_model"
model = "my-model"
outputs = ["helpful", "safe"]

[sources.own]
kind = "function"
call = "package.module:name"
"""
HEAD = """
[heads.good]
column = "rm.helpful"
low = "worse"
high = "better"
"""


def recipe_of(folder: Path, text: str) -> Path:
    path = folder / "recipe.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_what_is_not_said_has_a_default(tmp_path: Path) -> None:
    found = read_recipe(recipe_of(tmp_path, SOURCES + HEAD))
    assert (found.include, found.reference, found.bank) == ("default", None, None)
    assert [(source.name, source.kind) for source in found.sources] == [("rm", "reward_model"), ("own", "function")]
    assert found.heads == (HeadRecipe("good", {"rm.helpful": 1.0}, "worse", "better", False, 0.0, 1.0),)


def test_nothing_may_be_included_but_heads_there_must_be(tmp_path: Path) -> None:
    assert read_recipe(recipe_of(tmp_path, "include = []\n" + SOURCES + HEAD)).include is None
    with pytest.raises(InvalidInput, match=r"recipe.toml:1: include: a basis needs heads"):
        read_recipe(recipe_of(tmp_path, "include = []\n" + SOURCES))


def test_paths_are_those_beside_the_file(tmp_path: Path) -> None:
    said = 'include = ["base"]\n[reference]\nfile = "reference.jsonl"\n[bank]\nfile = "bank.json"\n'
    found = read_recipe(recipe_of(tmp_path, said + SOURCES))
    assert found.include == str(tmp_path / "base")
    assert (found.reference, found.bank) == (tmp_path / "reference.jsonl", tmp_path / "bank.json")
    assert found.sources[0].settings["model"] == str(tmp_path / "my-model")


def test_a_sign_turns_all_columns_and_a_protected_head_has_no_spread(tmp_path: Path) -> None:
    columns = 'column = "rm.helpful"', 'columns = { "rm.helpful" = 1.0, "rm.safe" = 0.5 }'
    said = HEAD.replace(*columns) + "sign = -1\nprotected = true"
    (head,) = read_recipe(recipe_of(tmp_path, SOURCES + said)).heads
    assert (head.columns, head.std) == ({"rm.helpful": -1.0, "rm.safe": -0.5}, 0.0)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("colour = 1\n" + SOURCES, "recipe.toml:1: colour"),
        (SOURCES + HEAD + "weight = 2\n", "recipe.toml:15: heads.good.weight"),
        (SOURCES + HEAD.replace("rm.helpful", "judge.helpful"), "recipe.toml:12: heads.good.column"),
        (SOURCES + HEAD.replace("rm.helpful", "helpful"), "recipe.toml:12: heads.good.column"),
        (SOURCES + HEAD + "protected = true\nstd = 0.5\n", "recipe.toml:16: heads.good.std"),
        (SOURCES + HEAD + "std = -1.0\n", "recipe.toml:15: heads.good.std"),
        (SOURCES + HEAD + "aggregate = nan\n", "recipe.toml:15: heads.good.aggregate"),
        (SOURCES + HEAD.replace("good", "gate"), "recipe.toml:11: heads.gate"),
        (SOURCES + HEAD + 'columns = { "rm.safe" = 1.0 }\n', "recipe.toml:11: heads.good"),
        (SOURCES.replace("function", "oracle"), "recipe.toml:7: sources.own"),
        (SOURCES + "timeout = 3\n", "recipe.toml:10: sources.own.timeout"),
        ('[reference]\nfile = "a"\nbank = true\n' + SOURCES, "recipe.toml:1: reference"),
        ("[heads.good\n", "cannot be read"),
    ],
)
def test_what_is_wrong_is_refused_with_its_line(tmp_path: Path, text: str, place: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_recipe(recipe_of(tmp_path, text))
    assert place in str(refused.value)


def test_a_reference_holds_as_many_responses_to_each_prompt(tmp_path: Path) -> None:
    path = tmp_path / "reference.jsonl"
    row = '{"prompt": "Basil?", "responses": ["a", "b", "c", "d"]}\n'
    path.write_text(row * 20)
    found = read_reference(path)
    assert (found.prompts, found.responses, found.pairs[5].response) == (20, 4, "b")
    faults = {
        row * 3: "3 prompts; give 20 to 1000",
        row * 20 + row.replace(', "d"', ', "d", "e"'): "4 to 5 responses",
        row * 20 + row.replace(', "c", "d"', ""): "reference.jsonl:21 has 2 responses",
        row * 20 + "[]\n": "reference.jsonl:21",
        row * 20 + row.replace('"d"', "4"): "reference.jsonl:21: responses must be a list of texts",
    }
    for text, fault in faults.items():
        path.write_text(text)
        with pytest.raises(InvalidInput, match=fault):
            read_reference(path)


def test_the_answers_of_the_bank_are_a_reference() -> None:
    bank = load_bank(DEFAULT / "bank.json")
    found = reference_of_bank(bank)
    assert (found.prompts, found.responses) == (len(bank.prompts), 8)
    assert found.pairs[8].conversation == bank.prompts[1].conversation
