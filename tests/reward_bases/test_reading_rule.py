"""The two rules by which a basis reads responses, and bases that name theirs."""

import json
import shutil
from itertools import chain
from pathlib import Path

import pytest
import torch

from elicitation.errors import ArtifactMismatch, InvalidInput
from reward_bases.artifact import DEFAULT, load_artifact, save_with_bank, save_with_reading
from reward_bases.probes import STRATA, load_probes
from reward_bases.reading_rule import ReadingRule, View
from reward_bases.text import Turn

THOUGHT = "<think>Basil?</think>"
TRAJECTORY = (
    Turn("assistant", f"{THOUGHT}Let me look.", ('search {"query": "basil"}',)),
    Turn("tool", "Basil needs light."),
    Turn("assistant", f"{THOUGHT}Give it light."),
)


def test_the_first_rule_reads_all_that_the_assistant_wrote() -> None:
    assert ReadingRule.WRITTEN.of_text(f"{THOUGHT}Light.") == f"{THOUGHT}Light."
    written = f"{THOUGHT}Let me look.\n{THOUGHT}Give it light."
    assert ReadingRule.WRITTEN.of_trajectory(TRAJECTORY, View.ANSWER) == written


def test_the_second_rule_reads_the_last_words_that_the_person_is_shown() -> None:
    assert ReadingRule.SHOWN.of_text(f"{THOUGHT}Light.") == "Light."
    assert ReadingRule.SHOWN.of_trajectory(TRAJECTORY, View.ANSWER) == "Give it light."
    called = (*TRAJECTORY, Turn("assistant", " ", ("done {}",)))
    assert ReadingRule.SHOWN.of_trajectory(called, View.ANSWER) == "Give it light."


def test_an_unfinished_thought_at_the_end_hides_no_earlier_answer_behind_it() -> None:
    unfinished = (*TRAJECTORY, Turn("assistant", "<think>Was that"))
    assert ReadingRule.SHOWN.of_trajectory(unfinished, View.ANSWER) == ""


def test_a_trace_is_words_calls_and_results_a_line_each() -> None:
    trace = 'Let me look.\ntool call: search {"query": "basil"}\ntool result: Basil needs light.\nGive it light.'
    assert ReadingRule.SHOWN.of_trajectory(TRAJECTORY, View.TRACE) == trace
    assert ReadingRule.WRITTEN.of_trajectory(TRAJECTORY[1:2], View.TRACE) == "tool result: Basil needs light."


def test_a_thought_ends_with_its_turn_in_a_trace() -> None:
    turns = (Turn("assistant", "<think>Hm", ("search {}",)), Turn("assistant", "Light."))
    assert ReadingRule.SHOWN.of_trajectory(turns, View.TRACE) == "tool call: search {}\nLight."


@pytest.mark.parametrize("view", View)
def test_nothing_said_is_an_empty_text(view: View) -> None:
    for rule in ReadingRule:
        assert rule.of_trajectory((), view) == ""
        assert rule.of_trajectory((Turn("tool", ""), Turn("assistant", "")), view) == ""


def test_a_card_without_a_rule_is_read_by_the_first() -> None:
    assert "reading" not in json.loads((DEFAULT / "card.json").read_text())
    assert load_artifact().basis.reading is ReadingRule.WRITTEN


def test_a_copy_with_another_rule_has_another_basis_version_and_the_same_numbers(tmp_path: Path) -> None:
    save_with_reading(DEFAULT, tmp_path / "shown", ReadingRule.SHOWN)
    old, new = load_artifact(), load_artifact(tmp_path / "shown")
    assert new.basis.reading is ReadingRule.SHOWN
    assert new.basis.version != old.basis.version
    assert (new.population_version, new.bank.version) == (old.population_version, old.bank.version)
    assert new.basis.weights.equal(old.basis.weights)
    assert new.reference.equal(old.reference)


def test_a_copy_is_refused_where_it_would_change_nothing_or_too_much(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="reads by rule 1"):
        save_with_reading(DEFAULT, tmp_path / "same", ReadingRule.WRITTEN)
    bank = json.loads((DEFAULT / "bank.json").read_text())
    answer = bank["prompts"][0]["answers"][0]
    answer["text"] = f"{THOUGHT}{answer['text']}"
    (tmp_path / "bank.json").write_text(json.dumps(bank))
    artifact = load_artifact()
    save_with_bank(DEFAULT, tmp_path / "thoughtful", tmp_path / "bank.json", torch.stack([*artifact.bank_phi.values()]))
    with pytest.raises(InvalidInput, match=f"answer '{answer['id']}' of the bank holds a thought"):
        save_with_reading(tmp_path / "thoughtful", tmp_path / "shown", ReadingRule.SHOWN)


def test_no_text_that_the_guard_was_tuned_on_is_read_otherwise() -> None:
    texts = [answer.text for prompt in load_artifact().bank.prompts for answer in prompt.answers]
    probes = load_probes()
    cells = [probe.cells(stratum) for probe in (*probes.stances, *probes.false_stances) for stratum in STRATA]
    texts += [said for _, said in chain(*cells)]
    assert len(texts) > 2_000
    assert [ReadingRule.SHOWN.of_text(text) for text in texts] == texts


def test_the_first_rule_in_a_card_is_no_entry_of_the_version(tmp_path: Path) -> None:
    save_with_reading(DEFAULT, tmp_path / "shown", ReadingRule.SHOWN)
    save_with_reading(tmp_path / "shown", tmp_path / "written", ReadingRule.WRITTEN)
    assert load_artifact(tmp_path / "written").basis.version == load_artifact().basis.version


@pytest.mark.parametrize("stated", ["3", 2, None, ["2"]])
def test_a_rule_of_a_later_version_is_refused(tmp_path: Path, stated: object) -> None:
    shutil.copytree(DEFAULT, tmp_path / "later")
    card = json.loads((DEFAULT / "card.json").read_text())
    (tmp_path / "later/card.json").write_text(json.dumps(card | {"reading": stated}))
    with pytest.raises(ArtifactMismatch, match="knows 1, 2"):
        load_artifact(tmp_path / "later")


def test_a_rule_that_was_edited_into_the_card_is_noticed(tmp_path: Path) -> None:
    shutil.copytree(DEFAULT, tmp_path / "edited")
    card = json.loads((DEFAULT / "card.json").read_text())
    (tmp_path / "edited/card.json").write_text(json.dumps(card | {"reading": "2"}))
    with pytest.raises(ArtifactMismatch, match="basis_version"):
        load_artifact(tmp_path / "edited")
