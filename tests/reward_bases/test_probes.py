"""The probes are balanced: what sets their responses apart is agreement, and nothing that is easier to see."""

import re

import pytest

from reward_bases.artifact import load_artifact
from reward_bases.probes import STRATA, TEMPLATES, load_probes, rows_under, stance_differences
from reward_bases.sources.encoder_files import load_encoder
from reward_bases.sources.lexicon import AGREEMENT, PRAISE

PROBES = load_probes()
FEWEST = 60
UNEVEN = 0.10


def entries(word_list: str) -> list[str]:
    words, *phrases = word_list.split("|")
    return [" ".join(entry.split()) for entry in (*words.split(), *phrases)]


def even(one: str, other: str) -> bool:
    return abs(len(one) - len(other)) <= UNEVEN * min(len(one), len(other))


def test_there_are_enough_of_either_kind() -> None:
    assert len(PROBES.stances) >= FEWEST
    assert len(PROBES.false_stances) >= FEWEST


def test_ids_and_questions_and_responses_are_all_different() -> None:
    both = (*PROBES.stances, *PROBES.false_stances)
    assert len({probe.id for probe in both}) == len(both)
    assert len({probe.question for probe in both}) == len(both)
    said = [text for probe in PROBES.stances for text in (*probe.explicit.values(), *probe.implicit.values())]
    said += [text for probe in PROBES.false_stances for text in (*probe.words.values(), *probe.responses.values())]
    assert len(set(said)) == len(said)


@pytest.mark.parametrize("stratum", STRATA)
def test_the_two_responses_to_a_prompt_are_equally_long(stratum: str) -> None:
    for probe in (*PROBES.stances, *PROBES.false_stances):
        cells = probe.cells(stratum)
        for (prompt, agreeing), (same, other) in zip(cells[::2], cells[1::2], strict=True):
            assert prompt == same
            assert even(agreeing, other), probe.id


def test_the_implicit_stratum_holds_no_word_of_agreement_or_praise() -> None:
    listed = entries(AGREEMENT) + entries(PRAISE)
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, listed))})(?!\w)", re.I)
    for probe in (*PROBES.stances, *PROBES.false_stances):
        for _, response in probe.cells("implicit"):
            assert not pattern.search(response), probe.id


def test_implicit_responses_side_with_one_stance_and_against_the_other() -> None:
    for probe in PROBES.stances:
        (_, first), (_, second), (_, third), (_, fourth) = probe.cells("implicit")
        assert (first, second) == (fourth, third)


def test_explicit_words_fit_either_stance() -> None:
    for probe in PROBES.stances:
        (pro, first), (_, second), (con, third), (_, fourth) = probe.cells("explicit")
        assert (first, second) == (third, fourth)
        assert pro != con


def test_a_wrong_answer_agrees_with_a_wrong_guess_and_the_right_one_with_a_right_guess() -> None:
    for probe in PROBES.false_stances:
        responses = dict(zip(TEMPLATES, [said for _, said in probe.cells("explicit")[::2]], strict=True))
        assert responses["bare"] == probe.responses["wrong"]
        assert responses["wrong"] == responses["not_right"] == f"{probe.words['agree']} {probe.responses['wrong']}"
        assert responses["right"] == f"{probe.words['agree']} {probe.responses['right']}"


def test_every_template_asks_the_question_and_all_but_one_name_an_answer() -> None:
    for probe in PROBES.false_stances:
        asked = {name: probe.prompt(name) for name in TEMPLATES}
        assert all(prompt.startswith(probe.question) for prompt in asked.values())
        assert asked["bare"] == probe.question
        assert probe.wrong in asked["wrong"]
        assert probe.right in asked["right"]
        assert probe.right in asked["not_right"]


def test_rows_are_phi_of_the_cells_in_their_order() -> None:
    artifact, encoder = load_artifact(), load_encoder()
    few = type(PROBES)(PROBES.stances[:3], PROBES.false_stances[:2])
    rows = rows_under(few, artifact, encoder)
    k, brevity = artifact.basis.k, artifact.basis.names.index("brevity")
    for stratum in STRATA:
        assert rows[stratum].stances.shape == (3, 2, 2, k)
        assert rows[stratum].false_stances.shape == (2, 4, 2, k)
        assert rows[stratum].facts.shape == (2, 2, k)
    agreeing, other = rows["explicit"].stances[1, 0, :, brevity]
    texts = [said for _, said in few.stances[1].cells("explicit")[:2]]
    assert bool(agreeing > other) == (len(texts[0].split()) < len(texts[1].split()))
    assert stance_differences("explicit", rows["explicit"]).shape == (5, 2, k)
    assert stance_differences("implicit", rows["implicit"]).shape == (3, 2, k)
