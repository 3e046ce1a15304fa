"""Profile, Try it and Audit show what the service says; every page says so when the service is away."""

from html import escape

import pytest
from streamlit.testing.v1 import AppTest

import keel
from ui.good_enough import summary
from ui.own_audit import sentence

pytestmark = pytest.mark.slow

NOBODY_LISTENS = "http://127.0.0.1:9"
PROMPT = "How do I keep basil alive indoors?"
LONG = "Give it six hours of light a day, water it when the top of the soil is dry, and pinch the tips often."
WITH_HTML = "Water it <img src=x onerror=alert(1)> when it is dry, and keep it on a sunny sill."


def texts(visit: AppTest) -> str:
    """Everything a page says outside its widgets."""
    kinds = ("header", "subheader", "markdown", "caption")
    return "\n".join(block.value for kind in kinds for block in visit.get(kind))


def markup(visit: AppTest) -> str:
    """Every piece of HTML that is not the style sheet."""
    return "\n".join(block.proto.body for block in visit.get("html") if "<style" not in block.proto.body)


def named(visit: AppTest, label: str):
    return next(button for button in visit.button if button.label == label)


def test_a_stranger_is_invited_to_answer(visit) -> None:
    page = visit("profile")
    assert page.header[0].value == "Keel does not know you yet"


def test_who_was_only_asked_is_invited_too_and_can_take_the_question_back(visit, client: keel.Client) -> None:
    client.ask("only-asked")
    page = visit("profile", user="only-asked")
    assert [title.value for title in page.header] == ["Keel does not know you yet"]
    assert [title.value for title in page.subheader] == ["Your data"]
    named(page, "Erase everything…").click().run()
    named(page, "Erase for good").click().run()
    with pytest.raises(keel.NotFound):
        client.profile("only-asked")


@pytest.mark.parametrize("asked", [False, True])
def test_who_answered_nothing_gets_everybodys_ranking(visit, client: keel.Client, asked: bool) -> None:
    user = f"silent-{asked}"
    if asked:
        client.ask(user)
    page = filled(visit("try", user=user), PROMPT, LONG, "Water it daily.")
    assert "both rankings are everybody's" in texts(page)
    assert not page.error


def test_the_profile_says_what_was_understood_and_from_which_answers(visit, taught: str, client: keel.Client) -> None:
    page = visit("profile", user=taught)
    statements = client.profile(taught).statements
    assert statements
    assert page.caption[0].value.startswith(f"{taught.replace('-', chr(92) + '-')}: 4 answers")
    for statement in statements:
        assert statement.text in texts(page).replace("\\", "")
    assert len(page.expander) == sum(bool(statement.because) for statement in statements)
    assert "You chose “" in page.expander[0].markdown[0].value


def test_the_profile_tells_what_the_guard_did(visit, taught: str, client: keel.Client) -> None:
    guard = client.profile(taught).guard
    assert f"<b>{guard.alpha:.2f}</b>" in markup(visit("profile", user=taught))


def test_the_profile_draws_every_head(visit, taught: str, client: keel.Client) -> None:
    (chart,) = visit("profile", user=taught).get("vega_lite_chart")
    for head in client.profile(taught).heads:
        assert head.name.replace("_", " ").capitalize() in chart.proto.spec


def test_the_profile_shows_the_persons_own_audit_in_plain_words(visit, taught: str, client: keel.Client) -> None:
    audit = client.own_audit(taught)
    shown = markup(visit("profile", user=taught))
    assert {finding["number"] for finding in audit["findings"]} == {1, 2, 3, 5, 8}
    for finding in audit["findings"]:
        assert escape(sentence(finding)) in shown
    assert "STARC" not in shown[shown.index("own-audit") :]


def test_a_bet_is_sealed_until_the_person_chooses_and_then_counted(visit, taught: str, client: keel.Client) -> None:
    page = visit("profile", user=taught)
    named(page, "Show me a pair").click().run()
    assert "Keel bet on" not in texts(page)
    assert len(client.export(taught)["answers"]) == 4, "a pair on view is no answer"
    page.button(key="pick-left").click().run()
    assert "of 1 right" in texts(page)
    assert client.export(taught)["answers"][-1]["choice"] == "left"


def test_single_answers_are_rated_one_after_the_other_and_move_no_score(
    visit, taught: str, client: keel.Client
) -> None:
    before = client.profile(taught).heads
    page = visit("profile", user=taught)
    named(page, "Rate an answer").click().run()
    page.button(key="rate-acceptable").click().run()
    page.button(key="rate-excellent").click().run()
    assert "Rated so far: 2." in texts(page)
    first, second = client.export(taught)["anchors"]
    assert (first["level"], second["level"]) == ("acceptable", "excellent")
    assert first["response"] != second["response"]
    assert client.profile(taught).heads == before


def test_what_the_ratings_say_is_put_in_the_unit_of_the_scores() -> None:
    told = summary(keel.Rated("r_1", 30, aleatoric=1.3, acceptable=-0.5, excellent=2.0))
    assert "From 30 ratings" in told
    assert "vary by 1.3 " in told


def test_a_bet_that_is_waved_away_leaves_no_trace(visit, taught: str, client: keel.Client) -> None:
    page = visit("profile", user=taught)
    named(page, "Show me a pair").click().run()
    named(page, "Not now").click().run()
    assert "Keel bet on" not in texts(page)
    assert len(client.export(taught)["answers"]) == 4


def test_erasing_asks_first(visit, taught: str, client: keel.Client) -> None:
    page = visit("profile", user=taught)
    named(page, "Erase everything…").click().run()
    named(page, "Keep it").click().run()
    assert client.profile(taught).answered == 4


def test_erasing_removes_everything(visit, taught: str, client: keel.Client) -> None:
    page = visit("profile", user=taught)
    named(page, "Erase everything…").click().run()
    named(page, "Erase for good").click().run()
    with pytest.raises(keel.NotFound):
        client.profile(taught)
    assert page.header[0].value == "Keel does not know you yet"


def filled(page: AppTest, prompt: str, *answers: str) -> AppTest:
    page.text_area(key="prompt-text").set_value(prompt)
    for place, answer in enumerate(answers):
        page.text_area(key=f"text-{place}").set_value(answer)
    return named(page, "Rank them").click().run()


def test_candidates_are_ranked_for_the_person_and_for_everybody(visit, taught: str, client: keel.Client) -> None:
    page = filled(visit("try", user=taught), PROMPT, LONG, "Water it daily.")
    assert [title.value for title in page.subheader] == ["For you", "For everybody", "The guard's certificate"]
    ranking = client.rank(PROMPT, [LONG, "Water it daily."], user_id=taught)
    assert f"score {ranking.results[0].score:.2f}" in markup(page)
    assert f"{ranking.set_divergence:.2f} nats" in markup(page)


def test_a_rejected_answer_shows_its_reason(visit, taught: str) -> None:
    assert "rejected: says nothing" in markup(filled(visit("try", user=taught), PROMPT, LONG, "..."))


def test_a_candidate_is_shown_as_text_and_never_as_html(visit) -> None:
    assert "<img" not in markup(filled(visit("try"), PROMPT, LONG, WITH_HTML))


def test_a_person_without_answers_sees_everybodys_ranking_twice(visit) -> None:
    assert "both rankings are everybody's" in texts(filled(visit("try"), PROMPT, LONG, "Water it daily."))


def test_one_candidate_is_too_few_to_rank(visit) -> None:
    assert "at least 2 answers" in filled(visit("try"), PROMPT, LONG).info[0].value


def test_boxes_are_added_and_removed(visit) -> None:
    page = visit("try")
    named(page, "Add an answer").click().run()
    assert [box.label for box in page.text_area][1:] == ["Answer 1", "Answer 2", "Answer 3", "Answer 4"]
    page.text_area(key="text-1").set_value("stays")
    page.button(key="remove-0").click().run()
    assert [box.label for box in page.text_area][1:] == ["Answer 1", "Answer 2", "Answer 3"]
    assert page.text_area(key="text-1").value == "stays"


def test_an_audit_is_run_and_then_shown_again(visit, taught: str, client: keel.Client) -> None:
    page = visit("audit", user=taught)
    named(page, "Run an audit now").click().run()
    findings = client.latest_audit()["report"]["findings"]
    report = client.latest_audit()["report"]
    assert markup(page).count("<tr>") == len(findings) + len(report["errors"]) + 3, "three tables with a head each"
    for finding in findings:
        assert f'<span class="chip {finding["status"]}">' in markup(page)
    assert markup(visit("audit", user=taught)) == markup(page)


@pytest.mark.parametrize("page", ["ask", "profile", "try", "audit"])
def test_a_page_without_a_service_says_how_to_start_it(visit, page: str) -> None:
    shown = visit(page, service=NOBODY_LISTENS)
    if page == "try":
        filled(shown, PROMPT, LONG, "Water it daily.")
    assert "Keel is not answering" in [title.value for title in shown.header]
    assert shown.code[0].value == "keel serve"
