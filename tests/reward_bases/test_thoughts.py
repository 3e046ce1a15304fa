"""What a person is shown of a response: no thought, whatever tags it stands in, and all the rest."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_bases.thoughts import CLOSING, MARKS, without_thoughts

ANSWER = "Give basil six hours of light.\n\nWater it when the soil is dry."
BLOCKS = sorted(CLOSING.items())
PARTS = (*CLOSING, *CLOSING.values(), *MARKS, "<|channel|>", "<|channel|>final<|message|>", "<|start|>assistant")
PIECES = st.sampled_from(
    (*PARTS, "```", "````", "<thi", "nk>", "`", " ", "\n", "a", "Answer.", "<|end|>", "</", "<", "THINK]", "[", "İ")
)
TEXTS = st.lists(PIECES, max_size=12).map("".join)


@pytest.mark.parametrize(("opening", "closing"), BLOCKS)
@pytest.mark.parametrize(
    "thought", ["", "\n\n", "\nBasil needs light, I think.\n", "A <b>bold</b> idea [1]", "`</think>`"]
)
def test_a_thought_before_an_answer_is_taken_off_with_its_blanks(opening: str, closing: str, thought: str) -> None:
    for spelled in (str, str.upper):
        assert without_thoughts(f"{spelled(opening)}{thought}{spelled(closing)}\n\n{ANSWER}") == ANSWER


@pytest.mark.parametrize(("opening", "closing"), BLOCKS)
def test_a_thought_that_began_in_the_prompt_ends_at_its_closing_tag(opening: str, closing: str) -> None:
    assert without_thoughts(f"Basil needs light, so …\n{closing}\n\n{ANSWER}") == ANSWER


@pytest.mark.parametrize(("opening", "closing"), BLOCKS)
def test_an_unfinished_thought_says_nothing(opening: str, closing: str) -> None:
    assert without_thoughts(f"{opening}\nBasil needs light. {ANSWER}") == ""
    assert without_thoughts(f"{ANSWER}\n{opening}Is that all?") == f"{ANSWER}\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("One.<think>a</think>Two.", "One.\nTwo."),
        ("One. <think>a</think>\n<think>b</think> Two.", "One. Two."),
        ("<think>I write <think> b </think> c </think>One.", "One."),
        ("<think>a</thinking> b", ""),
        ("<think>a</thinking> b</think>One.", "One."),
        ("Ask it to use `<think>` and `</think>`.", "Ask it to use `<think>` and `</think>`."),
        ("Write `<think>ideas</think>` first.", "Write `<think>ideas</think>` first."),
        ("I think <b>so</b>, if a < b [1].", "I think <b>so</b>, if a < b [1]."),
        ("<thi<think>a</think>nk>b</think>One.", "One."),
        ("<|begin_of_thought|>a<|end_of_thought|>\n<|begin_of_solution|>\nOne.<|end_of_solution|>", "One."),
    ],
)
def test_what_stands_between_and_around_thoughts_is_shown(text: str, shown: str) -> None:
    assert without_thoughts(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>One.<|return|>", "One."),
        ("<|start|>assistant<|channel|>final<|message|>One.", "One."),
        ("<|channel|>analysis<|message|>Hm", ""),
        ("<|channel|>final<|message|>One.<|end|><|start|>assistant<|channel|>analysis<|message|>Hm", ""),
        ("One. <|channel|>final<|message|>Two.", "One. <|channel|>final<|message|>Two."),
    ],
)
def test_a_response_in_channels_is_its_final_message(text: str, shown: str) -> None:
    assert without_thoughts(text) == shown


@given(TEXTS)
def test_what_was_read_stays_as_it_is(text: str) -> None:
    shown = without_thoughts(text)
    assert without_thoughts(shown) == shown


@given(TEXTS, st.sampled_from(BLOCKS))
def test_a_finished_thought_before_a_text_changes_nothing(text: str, block: tuple[str, str]) -> None:
    opening, closing = block
    shown = without_thoughts(text.lstrip())
    assert without_thoughts(f"{opening}Hm.{closing}\n{text.lstrip()}") in (shown, shown.lstrip())


@given(st.text())
def test_a_text_without_tags_is_itself(text: str) -> None:
    tagless = text.translate(dict.fromkeys(map(ord, "<[◁")))
    assert without_thoughts(tagless) == tagless


def test_the_page_on_reading_names_every_block() -> None:
    page = (Path(__file__).parents[2] / "docs/reading.md").read_text(encoding="utf-8").lower()
    assert [tag for tag in CLOSING if f"`{tag}`" not in page] == []


CODE = "```html\n<think>\n</think>\n</reasoning>\n```"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"Parse it so:\n{CODE}\nThat is all.", f"Parse it so:\n{CODE}\nThat is all."),
        (f"<think>a</think>Parse it so:\n{CODE}", f"Parse it so:\n{CODE}"),
        (f"{CODE}\n<think>a</think>Done.", f"{CODE}\nDone."),
        (f"I would show {CODE}\n</think>\nDone.", "Done."),
        (f"<think>I would show\n```\n</think>\n{CODE}", CODE),
        (f"````\n{CODE}\n</think>\n````\nDone.", f"````\n{CODE}\n</think>\n````\nDone."),
        ("It begins with ``` I think\n</think>\nDone.", "Done."),
    ],
)
def test_tags_in_code_are_quotations(text: str, shown: str) -> None:
    assert without_thoughts(text) == shown


@given(TEXTS)
def test_no_tag_is_left_but_in_quotation(text: str) -> None:
    shown = re.sub(r"(`{3,})(?!`).*?(?<!`)\1(?!`)", "`", without_thoughts(text).lower(), flags=re.S)
    assert all(f"`{tag}" in shown for tag in CLOSING if tag in shown)
    assert all(f"{tag}`" in shown for tag in CLOSING.values() if tag in shown)
