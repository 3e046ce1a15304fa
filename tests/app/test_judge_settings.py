"""What a judge is made from: its version, its key, and what is refused before anything is asked."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from judge_recipe import LIKELY, ONE, TWO, settings

from app.sources.judge.source import JudgeSource
from app.sources.opening import openers
from app.storage.judgments import FILE, Judgments
from elicitation.errors import InvalidInput

URL = "http://localhost/v1"
KEY = "sk-7f3a-never-shown"

Make = Callable[..., JudgeSource]


@pytest.fixture
def judge(tmp_path: Path) -> Make:
    """A judge from a recipe."""

    def make(rubric: str = ONE, at: str = URL, **keys: Any) -> JudgeSource:
        source = openers(Judgments(tmp_path / "data" / FILE))["judge"](settings(tmp_path, rubric, at, **keys))
        assert isinstance(source, JudgeSource)
        return source

    return make


def test_the_version_is_of_model_rubric_and_sampling_and_of_no_address_or_key(
    judge: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_JUDGE_KEY", KEY)
    version = judge().version
    assert judge(at="https://elsewhere.example/v1", key="MY_JUDGE_KEY", timeout=3, shared=True).version == version
    others = [judge(TWO), judge(temperature=0.5), judge(max_tokens=9), judge(revision="2"), judge(model="n")]
    others += [judge(ONE.replace("sources", "books")), judge(LIKELY), judge(f"{ONE}votes = 2\n")]
    versions = [other.version for other in others]
    assert len({version, *versions}) == 1 + len(versions)


@pytest.mark.parametrize("value", [None, "", "two words", "schlüssel", "line\nbreak"])
def test_a_key_that_cannot_be_sent_is_refused_without_being_shown(
    judge: Make, monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.delenv("MY_JUDGE_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("MY_JUDGE_KEY", value)
    with pytest.raises(InvalidInput, match="MY_JUDGE_KEY holds no key") as refused:
        judge(key="MY_JUDGE_KEY")
    assert not value or value not in str(refused.value)


# What is refused before anything is asked.


@pytest.mark.parametrize(
    ("rubric", "message"),
    [
        (ONE + "scale = [5, 1]\n", r"rubric.toml:5: criteria.0.scale: .*\[5, 1\] does not rise"),
        (ONE + "scale = [1, 101]\n", r"rubric.toml:5: criteria.0.scale"),
        (ONE + "votes = 0\n", r"rubric.toml:5: criteria.0.votes"),
        (TWO + "vote = 1\n", r"rubric.toml:12: criteria.1.vote: Extra inputs"),
        (ONE + ONE, r"rubric.toml:6: criteria.1.name: 'cites' is taken"),
        (ONE.replace('text = "it names its sources"\n', ""), r"rubric.toml:1: criteria.0.text: Field required"),
        ("criteria = []\n", r"rubric.toml:1: criteria"),
        ("[[criteria]\n", r"rubric .*rubric.toml cannot be read \(.*line 1"),
    ],
)
def test_a_rubric_is_refused_with_its_line(judge: Make, rubric: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        judge(rubric)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"url": "http://me:secret@host/v1"}, r"recipe.toml:5: sources.judge.url"),
        ({"url": "ftp://host/v1"}, r"recipe.toml:5: sources.judge.url"),
        ({"key": "sk-1234"}, r"recipe.toml:8: sources.judge.key"),
        ({"timeout": 0}, r"recipe.toml:8: sources.judge.timeout"),
        ({"api_key": "x"}, r"recipe.toml:8: sources.judge.api_key: Extra inputs"),
    ],
)
def test_a_table_is_refused_with_its_line(judge: Make, keys: dict[str, Any], message: str) -> None:
    at = keys.pop("url", "http://localhost/v1")
    with pytest.raises(InvalidInput, match=message):
        judge(at=at, **keys)
