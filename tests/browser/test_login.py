"""People log in with OpenID Connect in a real browser, at a real provider on loopback."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.browser.conftest import skip_without_a_browser
from tests.browser.openid import Provider, providing
from tests.ui.pages import Page, free_port, serving

skip_without_a_browser()
pytestmark = pytest.mark.slow
PATIENCE = 60
LOG_IN = "Log in to answer for yourself"


@dataclass(frozen=True)
class Place:
    """A page whose visitors log in at a provider."""

    page: Page
    provider: Provider


@pytest.fixture(scope="module")
def place(service: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder, port = tmp_path_factory.mktemp("login"), free_port()
    with providing() as provider:
        flags = ["--login", "oidc", "--oidc-file", str(provider.written(folder, port)), "--auditors", "auditor"]
        with serving(folder, *flags, service=service, port=port) as page:
            yield Place(page, provider)


@pytest.fixture(autouse=True)
def usual(place: Place) -> Iterator[None]:
    yield
    place.provider.subject, place.provider.signing = "ada", None


def says(browser: Chrome, words: str) -> None:
    script = "return document.body !== null && document.body.innerText.includes(arguments[0])"
    WebDriverWait(browser, PATIENCE).until(lambda driver: driver.execute_script(script, words))


def press(browser: Chrome, label: str) -> None:
    xpath = f"//button[normalize-space(.)='{label}']"
    WebDriverWait(browser, PATIENCE).until(lambda driver: driver.find_elements(By.XPATH, xpath))[0].click()


def logged_in(browser: Chrome, place: Place, subject: str, path: str = "") -> None:
    place.provider.subject = subject
    browser.get(f"{place.page.address}/{path}")
    says(browser, LOG_IN)
    press(browser, "Log in")
    says(browser, "Question 1 of about")


def test_nothing_shows_before_the_login_and_the_name_in_the_address_counts_for_nothing(
    browser: Chrome, place: Place, tmp_path: Path
) -> None:
    browser.get(f"{place.page.address}/profile?user=bob")
    says(browser, LOG_IN)
    assert browser.save_screenshot(str(tmp_path / "login.png"))
    assert "Profile" not in browser.find_element(By.TAG_NAME, "body").text
    logged_in(browser, place, "Ada Lovelace", "?user=bob")
    browser.get(f"{place.page.address}/profile?user=bob")
    says(browser, "Log out")
    WebDriverWait(browser, PATIENCE).until(lambda driver: "user=" not in driver.current_url)


def test_the_audit_shows_to_auditors_alone(browser: Chrome, place: Place, tmp_path: Path) -> None:
    logged_in(browser, place, "somebody")
    assert "Audit" not in browser.find_element(By.CSS_SELECTOR, ".st-key-masthead").text
    browser.get(f"{place.page.address}/audit")
    says(browser, "Question 1 of about")
    assert "Run an audit now" not in browser.find_element(By.TAG_NAME, "body").text
    assert browser.save_screenshot(str(tmp_path / "no-audit.png"))
    browser.get(place.page.address)
    press(browser, "Log out")
    says(browser, LOG_IN)
    logged_in(browser, place, "auditor")
    browser.get(f"{place.page.address}/audit")
    says(browser, "Run an audit now")


def test_after_a_log_out_nothing_shows(browser: Chrome, place: Place) -> None:
    logged_in(browser, place, "ada")
    press(browser, "Log out")
    says(browser, LOG_IN)
    assert browser.get_cookie("_streamlit_user") is None
    browser.get(f"{place.page.address}/profile")
    says(browser, LOG_IN)
    assert not browser.find_elements(By.CSS_SELECTOR, ".st-key-masthead")


def test_a_login_that_the_provider_did_not_sign_is_none(browser: Chrome, place: Place) -> None:
    place.provider.signing = Provider(0).published
    browser.get(place.page.address)
    says(browser, LOG_IN)
    press(browser, "Log in")
    WebDriverWait(browser, PATIENCE).until(lambda _: "OAuth token exchange failed" in place.page.said.read_text())
    says(browser, LOG_IN)
    assert browser.get_cookie("_streamlit_user") is None
    assert not browser.find_elements(By.CSS_SELECTOR, ".st-key-masthead")


def test_a_cookie_that_was_changed_is_none(browser: Chrome, place: Place) -> None:
    logged_in(browser, place, "ada")
    cookie = browser.get_cookie("_streamlit_user")
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Lax"
    value = cookie["value"].strip('"')
    browser.delete_cookie("_streamlit_user")
    browser.add_cookie({"name": "_streamlit_user", "value": value[:-2] + ("AA" if value[-2:] != "AA" else "BB")})
    browser.get(f"{place.page.address}/profile")
    says(browser, LOG_IN)
