"""A question is shown with its whole conversation."""

from streamlit.testing.v1 import AppTest


def script() -> None:
    import keel
    from ui import pair

    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is basil?"},
        {"role": "assistant", "content": "A herb for about $2."},
        {"role": "user", "content": "How do I keep it alive?"},
    ]
    pair.show(keel.Question("q", turns, "Water it.", "Give it light.", 1, 10, 0.1, "nats"))


def test_earlier_turns_stand_above_the_last_one_with_their_roles() -> None:
    page = AppTest.from_function(script).run()
    assert [caption.value for caption in page.caption] == [
        "**System:** Be brief.",
        "**User:** What is basil?",
        r"**Assistant:** A herb for about \$2.",
        "Answer 1",
        "Answer 2",
    ]
    assert [text.value for text in page.markdown] == ["How do I keep it alive?", "Water it.", "Give it light."]
