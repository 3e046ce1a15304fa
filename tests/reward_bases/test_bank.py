"""The shipped question bank keeps the promises of its card."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest
import torch

from elicitation.errors import ArtifactMismatch, InvalidInput
from reward_bases.artifact import DEFAULT
from reward_bases.bank import Bank, load_bank

PATH = DEFAULT / "bank.json"


@pytest.fixture(scope="module")
def shipped() -> Bank:
    return load_bank(PATH)


def test_parts_have_their_sizes_and_answers(shipped: Bank) -> None:
    assert Counter(prompt.part for prompt in shipped.prompts) == {"heads": 60, "questions": 40, "test": 40}
    assert all(len(prompt.answers) == 8 for prompt in shipped.prompts)
    assert len({prompt.topic for prompt in shipped.prompts}) >= 12
    assert len({prompt.conversation.digest for prompt in shipped.prompts}) == 140


def test_answers_are_distinct_and_of_30_to_200_words(shipped: Bank) -> None:
    texts = [answer.text for prompt in shipped.prompts for answer in prompt.answers]
    assert len(set(texts)) == len(texts)
    assert all(30 <= len(text.split()) <= 200 for text in texts)


@pytest.mark.parametrize("part", ["heads", "questions", "test"])
def test_traits_ride_neither_on_each_other_nor_on_length(shipped: Bank, part: str) -> None:
    """Within prompts every trait is high as often as low, and no two traits go together."""
    names = list(shipped.traits)
    rows, lengths = [], []
    for prompt in shipped.part(part):
        levels = torch.tensor([[answer.traits[name] for name in names] for answer in prompt.answers]).double()
        assert bool((levels.mean(0) == 0.5).all())
        words = torch.tensor([len(answer.text.split()) for answer in prompt.answers]).double()
        rows.append(levels - 0.5)
        lengths.append(words - words.mean())
    correlations = torch.corrcoef(torch.cat([torch.cat(rows), torch.cat(lengths)[:, None]], dim=1).T)
    off_diagonal = correlations - torch.eye(len(names) + 1)
    off_diagonal[0, -1] = off_diagonal[-1, 0] = 0
    assert names[0] == "brevity"
    assert float(off_diagonal.abs().max()) < 0.15


def test_questions_are_asked_where_asking_is_designed(shipped: Bank) -> None:
    answers = [answer for prompt in shipped.prompts for answer in prompt.answers]
    assert all(("?" in answer.text) == bool(answer.traits["inquiry"]) for answer in answers)


def test_lists_are_laid_out_where_structure_is_designed(shipped: Bank) -> None:
    item = re.compile(r"^\s*(?:[-*]|\d+[.)])\s", re.M)
    answers = [answer for prompt in shipped.prompts for answer in prompt.answers]
    agree = [bool(item.search(answer.text)) == bool(answer.traits["structure"]) for answer in answers]
    assert sum(agree) / len(agree) > 0.99


def test_an_unknown_part_is_refused(shipped: Bank) -> None:
    with pytest.raises(InvalidInput, match="part 'train' is not one of heads, questions, test"):
        shipped.part("train")


@pytest.mark.slow
def test_repeated_ids_and_missing_traits_are_refused(tmp_path: Path) -> None:
    raw = json.loads(PATH.read_text())
    raw["prompts"][0]["answers"][1]["id"] = raw["prompts"][0]["answers"][0]["id"]
    path = tmp_path / "bank.json"
    path.write_text(json.dumps(raw))
    with pytest.raises(ArtifactMismatch, match="share ids"):
        load_bank(path)
    raw = json.loads(PATH.read_text())
    del raw["prompts"][0]["answers"][0]["traits"]["warmth"]
    path.write_text(json.dumps(raw))
    with pytest.raises(ArtifactMismatch, match="h01a"):
        load_bank(path)
