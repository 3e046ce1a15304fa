"""Surface features: what they count, and what they must not mind."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_bases.sources.lexicon import LISTS
from reward_bases.sources.surface import RELATION_NAMES, SURFACE_NAMES, relation, sentences, surface


def value(text: str, name: str) -> float:
    return surface(text)[SURFACE_NAMES.index(name)]


@given(st.text(max_size=400))
def test_every_text_has_every_feature_and_all_are_finite(text: str) -> None:
    values = surface(text)
    assert len(values) == len(SURFACE_NAMES)
    assert all(math.isfinite(v) for v in values)
    assert len(relation(text, text)) == len(RELATION_NAMES)


@pytest.mark.parametrize(
    ("name", "high", "low"),
    [
        ("log_words", "One two three four five.", "One two."),
        ("list_items", "Do this:\n- soak\n- rinse", "Soak it, then rinse it."),
        ("numbered_items", "1. soak\n2. rinse", "- soak\n- rinse"),
        ("headings", "## Plan\nSoak it.", "Soak it."),
        ("code", "Run `make`.", "Run make."),
        ("questions", "Ready? Go.", "Ready. Go."),
        ("exclamations", "Go! Now.", "Go. Now."),
        ("contractions", "It's fine and you're set.", "It is fine and you are set."),
        ("digits", "Use 200 g for 12 minutes.", "Use a little for a while."),
        ("hedging_rate", "Perhaps it might work.", "It works."),
        ("certainty_rate", "It always works, without doubt.", "It works."),
        ("warmth_rate", "I am so glad, and good luck!", "Noted."),
        ("caution_max", "Be careful, or you risk a burn. Fine.", "Fine. Fine."),
        ("example_max", "For example, my neighbour Ann did it.", "People do it."),
        ("formal_rate", "Therefore one should ensure sufficient time.", "So take enough time."),
        ("casual_rate", "Yeah, just grab some stuff.", "Take the materials."),
        ("technical_rate", "The receptor binds the hormone.", "The body feels it."),
        ("agreement_rate", "You are right, I agree.", "That is one view."),
        ("praise_rate", "Great question!", "Here is the answer."),
        ("second_person_rate", "You can do it your way.", "It can be done."),
        ("grade", "Meteorological investigations necessitate instrumentation.", "The cat sat. The dog ran."),
    ],
)
def test_a_feature_rises_with_what_it_is_named_after(name: str, high: str, low: str) -> None:
    assert value(high, name) > value(low, name)


def test_word_lists_match_whole_words_only_and_ignore_case() -> None:
    assert value("MAYBE.", "hedging_rate") == 1
    assert value("Mighty mayflies.", "hedging_rate") == 0


def test_a_maximum_over_sentences_is_not_diluted_by_length() -> None:
    filler = " The water is warm." * 20
    warned = "Be careful, this is dangerous."
    assert value(warned + filler, "caution_max") == value(warned, "caution_max")
    assert value(warned + filler, "caution_rate") < value(warned, "caution_rate")


def test_curly_apostrophes_count_as_straight_ones() -> None:
    assert surface("You’re right, it’s fine.") == surface("You're right, it's fine.")


def test_echo_is_the_share_of_the_users_content_words_that_return() -> None:
    echo, order, _ = relation("How do I sharpen kitchen knives", "Sharpen kitchen knives often")
    assert echo == 1.0
    assert 0 < order < 1
    assert relation("How do I sharpen kitchen knives", "No idea")[0] == 0


def test_a_list_counts_its_lines_as_sentences() -> None:
    assert sentences("Steps:\n- soak\n- rinse it. Then dry.") == ["Steps:", "- soak", "- rinse it.", "Then dry."]


@pytest.mark.parametrize("name", LISTS)
def test_every_entry_of_a_list_is_counted(name: str) -> None:
    words, *phrases = LISTS[name].split("|")
    entries = [*words.split(), *phrases]
    assert entries
    assert [entry for entry in entries if value(entry.replace("*", "ed"), f"{name}_rate") == 0] == []
