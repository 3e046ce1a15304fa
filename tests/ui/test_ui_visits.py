"""What visitors get to see, over the stream that a browser would open: their own profile, whatever they ask for."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import keel
from tests.ui.pages import Page, serving

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def ada_and_bob(client: keel.Client) -> None:
    """Two people, with two answers and with one."""
    for user, answers in (("ada", 2), ("bob", 1)):
        for _ in range(answers):
            question = client.ask(user, force=True)
            assert question is not None
            client.tell(user, question.question_id, "left")


@pytest.fixture(scope="module")
def behind_proxy(url: str, ada_and_bob: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    folder = tmp_path_factory.mktemp("visits")
    with serving(folder, "--login", "header", "--auditors", "Audit Office", service=url) as page:
        yield page


def test_on_ones_own_machine_the_address_names_the_person(url: str, ada_and_bob: None, tmp_path: Path) -> None:
    with serving(tmp_path, service=url) as page:
        assert "bob: 1 answer," in page.shown("profile", "user=bob", Cookie=page.cookie())
        assert "Run an audit now" in page.shown("audit", "user=bob", Cookie=page.cookie())


def test_behind_a_proxy_everybody_sees_their_own_profile_alone(behind_proxy: Page) -> None:
    for query in ("", "user=bob", "user=bob&user=bob", "token=x&user=bob"):
        seen = behind_proxy.shown("profile", query, X_Forwarded_User="ada")
        assert "ada: 2 answers," in seen
        assert "bob" not in seen
    forged = {"X_Keel_Visitor": "bob", "x_keel_visitor": "bob", "X_Forwarded_User": "ada"}
    assert "ada: 2 answers," in behind_proxy.shown("profile", "", **forged)


def test_the_audit_shows_to_auditors_alone(behind_proxy: Page) -> None:
    for person in ("ada", "audit office", "login-"):
        seen = behind_proxy.shown("audit", X_Forwarded_User=person)
        assert "Run an audit now" not in seen
        assert "Question 1 of about" in seen or "Question 3 of about" in seen
    assert "Run an audit now" in behind_proxy.shown("audit", X_Forwarded_User="Audit Office")


def test_nothing_of_a_login_shows_where_nobody_logged_in(url: str, tmp_path: Path) -> None:
    file = tmp_path / "oidc.toml"
    file.write_text('[auth]\nredirect_uri = "x"\ncookie_secret = "x"\n')
    with serving(tmp_path, "--login", "oidc", "--oidc-file", str(file), service=url) as page:
        for visited in ("", "profile", "try", "audit"):
            seen = page.shown(visited, "user=ada", X_Keel_Visitor="ada")
            assert "Log in to answer for yourself" in seen
            assert "answers," not in seen
            assert "Question" not in seen


def test_streamlit_alone_shows_nothing(visit) -> None:
    shown = visit(user="ada", front=False)
    assert shown.header[0].value == "This page runs without its guard"
    assert len(shown.button) == 0
