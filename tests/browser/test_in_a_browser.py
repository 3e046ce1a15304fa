"""What a person sees and presses, in a real headless Chromium at the width of a desk and of a phone."""

import json
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from selenium.webdriver import ActionChains, Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

import keel
from tests.browser.conftest import skip_without_a_browser
from tests.ui.pages import TOKEN

skip_without_a_browser()
pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
T = TypeVar("T")
PATIENCE = 60
BOTH_WIDTHS = pytest.mark.parametrize("browser", [(1280, 800), (420, 840)], ids=["desk", "phone"], indirect=True)
LONGER_THAN_A_DOUBLE_CLICK = 0.5
KEYS = {"1": "left", "2": "right", "3": "same", "4": "both_poor", "s": "skip"}
OTHER_KEYS = {3: "3", 6: "4", 8: "s"}
"""By number of question; to the other questions this person answers with the shorter text."""


class Visit:
    """A person at the page."""

    def __init__(self, browser: Chrome, page: str, user: str, folder: Path) -> None:
        self.browser, self.page, self.user, self.folder = browser, page, user, folder

    def open(self, path: str = "") -> None:
        self.browser.get(f"{self.page}/{path}?user={self.user}&token={TOKEN}")

    def until(self, seen: Callable[[], T]) -> T:
        return WebDriverWait(self.browser, PATIENCE).until(lambda _: seen())

    def text(self, css: str) -> str:
        """Text of the first such element, empty while there is none. Read at once: the page may redraw at any time."""
        script = "const e = document.querySelector(arguments[0]); return e === null ? '' : e.innerText"
        return str(self.browser.execute_script(script, css)).strip()

    def says(self, words: str) -> None:
        self.until(lambda: words in self.text("[data-testid=stMain]"))

    def asks(self, number: int) -> str:
        """Waits for a question to be on view and returns its prompt and answers."""
        self.says(f"Question {number} of about")
        time.sleep(LONGER_THAN_A_DOUBLE_CLICK)
        return self.text(".st-key-prompt") + self.text(".st-key-answers")

    def shorter(self) -> str:
        """Key of the answer with fewer words on view."""
        return min("12", key=lambda key: len(self.text(f".st-key-card-{key}")))

    def press(self, keys: str) -> None:
        ActionChains(self.browser).send_keys(keys).perform()

    def boxes(self) -> list[WebElement]:
        """Those to write in; while the page is drawn there are fewer."""
        return self.browser.find_elements(By.CSS_SELECTOR, "textarea")

    def click(self, label: str) -> None:
        xpath = f"//button[contains(normalize-space(.), '{label}')]"
        button = self.until(lambda: self.browser.find_element(By.XPATH, xpath))
        self.browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
        button.click()

    def shoot(self, name: str) -> None:
        assert self.browser.save_screenshot(str(self.folder / f"{name}.png"))

    def fits(self) -> bool:
        """Whether nothing has to be scrolled sideways."""
        return bool(self.browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth"))


@pytest.fixture
def visit(browser: Chrome, page: str, tmp_path: Path, request: pytest.FixtureRequest) -> Visit:
    return Visit(browser, page, f"visitor-{abs(hash(request.node.nodeid))}", tmp_path)


@pytest.fixture
def client(service: str):
    with keel.Client(service) as connected:
        yield connected


@BOTH_WIDTHS
def test_ten_questions_by_keyboard_alone(visit: Visit, client: keel.Client) -> None:
    visit.open()
    pressed = []
    for number in range(1, 11):
        visit.asks(number)
        visit.shoot(f"question-{number}")
        assert visit.fits()
        pressed.append(OTHER_KEYS.get(number) or visit.shorter())
        visit.press(pressed[-1])
    visit.until(lambda: len(client.export(visit.user)["answers"]) == 10)
    assert [entry["choice"] for entry in client.export(visit.user)["answers"]] == [KEYS[key] for key in pressed]
    visit.open("profile")
    visit.says("You prefer")
    visit.says("% sure")
    visit.shoot("profile")
    assert visit.fits()


def test_a_reload_resumes_the_same_question_and_undo_the_one_before(visit: Visit) -> None:
    visit.open()
    first = visit.asks(1)
    visit.press("1")
    second = visit.asks(2)
    visit.browser.refresh()
    assert visit.asks(2) == second
    visit.press("u")
    assert visit.asks(1) == first


def test_a_visitor_without_a_name_resumes_too(visit: Visit) -> None:
    visit.browser.get(f"{visit.page}/?token={TOKEN}")
    first = visit.asks(1)
    assert "user=guest-" in visit.browser.current_url
    visit.browser.refresh()
    assert visit.asks(1) == first


def test_keys_typed_into_the_note_answer_nothing(visit: Visit, client: keel.Client) -> None:
    visit.open()
    first = visit.asks(1)
    visit.browser.find_element(By.CSS_SELECTOR, "[data-testid=stTextInput] input").send_keys("1234 sus\n")
    time.sleep(LONGER_THAN_A_DOUBLE_CLICK)
    assert visit.asks(1) == first
    visit.click("Answer 2 is better")
    visit.asks(2)
    (entry,) = client.export(visit.user)["answers"]
    assert (entry["choice"], entry["note"]) == ("right", "1234 sus")


def test_a_double_click_answers_once(visit: Visit, client: keel.Client) -> None:
    visit.open()
    visit.asks(1)
    button = visit.browser.find_element(By.CSS_SELECTOR, ".st-key-sides button")
    ActionChains(visit.browser).double_click(button).perform()
    visit.asks(2)
    assert len(client.export(visit.user)["answers"]) == 1


def test_every_button_prints_its_key(visit: Visit) -> None:
    visit.open()
    visit.asks(1)
    caps = visit.browser.execute_script(
        "return Array.from(document.querySelectorAll('.st-key-actions kbd')).map(e => e.innerText)"
    )
    assert caps == ["1", "2", "3", "4", "S", "U"]


def test_the_theme_beside_the_page_is_in_force(visit: Visit) -> None:
    theme = tomllib.loads((ROOT / "ui" / ".streamlit" / "config.toml").read_text())["theme"]
    visit.open()
    visit.asks(1)
    script = "return getComputedStyle(document.querySelector('.st-key-sides button')).backgroundColor"
    wanted = [int(theme["primaryColor"][i : i + 2], 16) for i in (1, 3, 5)]
    assert visit.browser.execute_script(script) == f"rgb({', '.join(map(str, wanted))})"


@BOTH_WIDTHS
def test_markup_in_a_candidate_stays_text(visit: Visit) -> None:
    visit.open("try")
    texts = ["Basil?", "<img src=x onerror=\"document.title='broken'\"> water it", "Keep it on a sunny sill."]
    visit.until(lambda: len(visit.boxes()) >= len(texts))
    for box, text in zip(visit.boxes(), texts, strict=False):
        box.send_keys(text)
    visit.click("Rank them")
    visit.says("For everybody")
    visit.says("<img src=x")
    assert visit.browser.title == "Keel"
    visit.shoot("tried")
    assert visit.fits()


@BOTH_WIDTHS
def test_an_audit_is_run_and_shown_in_words(visit: Visit) -> None:
    visit.open("audit")
    visit.click("Run an audit now")
    visit.says("Distance to the aggregate")
    visit.until(lambda: any(word in visit.text("table.audit") for word in ("within limits", "inconclusive")))
    visit.shoot("audit")
    assert visit.fits()


def test_the_browser_reports_no_error(visit: Visit) -> None:
    visit.open()
    visit.asks(1)
    severe = [entry["message"] for entry in visit.browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert not severe, json.dumps(severe)
