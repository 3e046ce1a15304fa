"""Reward models as sources: what they read, what they call their outputs, and what their version follows."""

from pathlib import Path

import pytest
import torch
from source_contract import PAIRS, Case, check_source
from tiny_reward_model import save_reward_model
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from elicitation.errors import InvalidInput
from reward_bases.sources.reward_model import RewardModelSource
from reward_bases.sources.source import Pair
from reward_bases.text import Conversation

WIDE = 16384
TURNS = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Is basil an annual?"},
    {"role": "assistant", "content": "Yes."},
    {"role": "user", "content": "And mint?"},
]
PAIR = Pair(Conversation.of(TURNS), "No.")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_reward_model(tmp_path_factory.mktemp("model"), ("helpful", "safe"))


async def test_a_reward_model_keeps_the_contract_of_sources(folder: Path, tmp_path: Path) -> None:
    other = save_reward_model(tmp_path, ("helpful", "safe"), seed=1)
    await check_source(
        Case(lambda: RewardModelSource.load(folder, window=WIDE), lambda: RewardModelSource.load(other, window=WIDE))
    )


async def test_a_row_is_what_the_model_says_of_the_pair_alone(folder: Path) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    found = await RewardModelSource.load(folder, window=WIDE).columns(PAIRS)
    for pair, row in zip(PAIRS, found.values, strict=True):
        turns = [{"role": m.role, "content": m.content} for m in pair.conversation.messages]
        text = tokenizer.apply_chat_template([*turns, {"role": "assistant", "content": pair.response}], tokenize=False)
        with torch.no_grad():
            said = model(**tokenizer(text, add_special_tokens=False, return_tensors="pt")).logits[0]
        assert torch.allclose(row, said.double(), atol=1e-5)


async def test_a_tokenizer_without_a_template_reads_a_pair_of_texts(tmp_path: Path) -> None:
    source = RewardModelSource.load(save_reward_model(tmp_path, template=None))
    assert source.tokenizer.decode(source.tokens(PAIR)) == "Be brief.\nIs basil an annual?\nYes.\nAnd mint?No."


def test_outputs_have_the_names_of_the_model_or_those_given(folder: Path, tmp_path: Path) -> None:
    assert RewardModelSource.load(folder).names == ("helpful", "safe")
    assert RewardModelSource.load(folder, ("a", "b")).names == ("a", "b")
    assert RewardModelSource.load(save_reward_model(tmp_path)).names == ("score",)
    with pytest.raises(InvalidInput, match="names 1 of the 2 outputs"):
        RewardModelSource.load(folder, ("a",))


def test_the_oldest_turns_are_left_out_of_a_pair_that_is_too_long(folder: Path) -> None:
    read = RewardModelSource.load(folder, window=80)
    said = read.tokenizer.decode(read.tokens(PAIR))
    assert said == "<system>Be brief.</system><user>And mint?</user><assistant>No.</assistant>"


async def test_a_pair_that_does_not_fit_without_its_oldest_turns_has_failed(folder: Path) -> None:
    source = RewardModelSource.load(folder, window=80)
    found = await source.columns([PAIR, Pair(Conversation.of("Basil?"), "Water it. " * 20)])
    assert list(found.failed) == [1]
    assert "the model reads 80" in found.failed[1]


@pytest.mark.parametrize("change", ["window", "dtype"])
def test_the_version_follows_all_that_a_row_depends_on(folder: Path, change: str) -> None:
    other = {"window": {"window": 100}, "dtype": {"dtype": "bfloat16"}}[change]
    assert RewardModelSource.load(folder, **other).version != RewardModelSource.load(folder).version  # type: ignore[arg-type]


def test_what_is_no_reward_model_is_refused(folder: Path, tmp_path: Path) -> None:
    for nothing in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(InvalidInput, match="cannot be loaded"):
            RewardModelSource.load(nothing)
    with pytest.raises(InvalidInput, match="int4"):
        RewardModelSource.load(folder, dtype="int4")
