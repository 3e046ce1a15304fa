"""Ask me: a question, its answers, and everything that can be done with them."""

import time

import pytest
from streamlit.testing.v1 import AppTest

import keel

pytestmark = pytest.mark.slow

LONGER_THAN_A_DOUBLE_CLICK = 0.45
KEYS = {"left": "1", "right": "2", "same": "3", "both_poor": "4", "skip": "s"}


def press(visit: AppTest, choice: str) -> AppTest:
    """The button of a choice, once the page has been on view for longer than a double click takes."""
    time.sleep(LONGER_THAN_A_DOUBLE_CLICK)
    return button(visit, choice).click().run()


def button(visit: AppTest, choice: str):
    return next(b for b in visit.button if b.key and b.key.startswith(f"{choice}-"))


def texts(visit: AppTest) -> list[str]:
    return [block.value for block in visit.markdown]


def progress(visit: AppTest) -> str:
    return visit.get("progress")[0].text


def test_the_page_shows_the_prompt_and_both_answers(visit, client: keel.Client) -> None:
    page = visit(user="shown")
    question = client.ask("shown")
    assert question.prompt in texts(page)
    assert len(texts(page)) == 3
    assert progress(page).startswith("Question 1 of about ")


@pytest.mark.parametrize(("choice", "key"), KEYS.items())
def test_every_choice_has_its_key(visit, choice: str, key: str) -> None:
    assert button(visit(user="keys"), choice).proto.shortcut == key


@pytest.mark.parametrize("choice", KEYS)
def test_a_choice_is_told_to_the_service_and_brings_the_next_question(visit, client: keel.Client, choice: str) -> None:
    user = f"chose-{choice}"
    page = press(visit(user=user), choice)
    assert progress(page).startswith("Question 2 ")
    assert [entry["choice"] for entry in client.export(user)["answers"]] == [choice]


def test_strength_and_note_go_with_the_answer(visit, client: keel.Client) -> None:
    page = visit(user="strong")
    page.toggle[0].set_value(True)
    page.text_input[0].set_value("with an example")
    press(page, "right")
    (entry,) = client.export("strong")["answers"]
    assert (entry["choice"], entry["strength"], entry["note"]) == ("right", "clear", "with an example")


def test_strength_is_not_sent_with_a_choice_that_has_none(visit, client: keel.Client) -> None:
    page = visit(user="level")
    page.toggle[0].set_value(True)
    press(page, "same")
    assert client.export("level")["answers"][0]["strength"] is None


def test_a_reload_resumes_at_the_same_question(visit) -> None:
    before = press(visit(user="resumed"), "left")
    after = visit(user="resumed")
    assert texts(after) == texts(before)
    assert progress(after) == progress(before)


def test_an_answer_to_a_question_that_is_gone_brings_a_new_one(visit, client: keel.Client) -> None:
    page = visit(user="late")
    client.forget("late")
    page = press(page, "left")
    assert [toast.value for toast in page.toast] == [
        "That question has waited too long and is gone; here is a new one."
    ]
    assert progress(page).startswith("Question 1 ")
    assert client.export("late")["answers"] == []


def test_a_visitor_without_a_name_gets_one_in_the_address(visit) -> None:
    first, second = visit(), visit()
    names = {first.query_params["user"], second.query_params["user"]}
    assert len(names) == 2
    assert all(name.startswith("guest-") for name in names)


def test_the_tail_of_a_double_click_answers_nothing(visit, client: keel.Client) -> None:
    page = press(visit(user="hasty"), "left")
    button(page, "left").click().run()
    assert len(client.export("hasty")["answers"]) == 1


def test_a_question_answered_elsewhere_is_not_answered_twice(visit, client: keel.Client) -> None:
    page = visit(user="two-windows")
    question = client.ask("two-windows")
    client.tell("two-windows", question.question_id, "left")
    press(page, "right")
    assert [entry["choice"] for entry in client.export("two-windows")["answers"]] == ["left"]
    assert progress(page).startswith("Question 2 ")
    assert "answered already" in page.toast[0].value


def test_undo_brings_the_question_back(visit) -> None:
    page = visit(user="undone")
    before = texts(page)
    press(page, "left")
    page.button(key="undo").click().run()
    assert texts(page) == before
    assert progress(page).startswith("Question 1 ")


def test_undo_without_an_answer_says_so(visit) -> None:
    page = visit(user="nothing")
    page.button(key="undo").click().run()
    assert "no answer to take back" in page.toast[0].value


def answer_while(client: keel.Client, user: str, force: bool) -> int:
    """Answers with the shorter text until the service has no further question; the number of answers."""
    while question := client.ask(user, force=force):
        client.tell(user, question.question_id, "left" if len(question.left) < len(question.right) else "right")
    return client.profile(user).answered


def test_when_no_question_is_worth_asking_the_page_thanks_and_can_go_on(visit, client: keel.Client) -> None:
    answered = answer_while(client, "done", force=False)
    page = visit(user="done")
    assert page.header[0].value == "That is enough. Thank you."
    assert f"After {answered} answers" in texts(page)[0]
    next(b for b in page.button if b.label == "Keep going").click().run()
    assert progress(page).startswith(f"Question {answered + 1} ")


def test_when_every_question_was_asked_the_page_does_not_promise_more(visit, client: keel.Client) -> None:
    answer_while(client, "tireless", force=True)
    page = visit(user="tireless")
    next(b for b in page.button if b.label == "Keep going").click().run()
    assert "every question there is" in texts(page)[0]
    assert [b.label for b in page.button] == ["See your profile", "Undo the last answer"]


def test_a_name_the_service_refuses_is_explained(visit) -> None:
    page = visit(user="no spaces allowed")
    assert page.header[0].value == "Keel cannot do that"
