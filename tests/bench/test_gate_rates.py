"""The gate's rates: counted on texts as they are, with Wilson's intervals."""

import gzip
import json
from pathlib import Path

import pytest

from bench.studies.gate import Rate, corrections, junk, main, read
from keel.noisy_gate import FALSE_ACCEPT, FALSE_REJECT, backward
from safeguards.gate import check

ANSWERS = [
    f"Basil number {i} needs six hours of light in summer. Water it when the soil is dry, and pinch the {tip} tips."
    for i, tip in enumerate(["first", "second", "third", "upper", "lower"] * 60)
]


def test_the_interval_is_wilsons() -> None:
    rate = Rate.of("kind", [True] * 3 + [False] * 97, junk=True)
    n, p, z = 100, 0.03, 1.959964
    centre, half = (p + z**2 / (2 * n)), z * ((p * (1 - p) + z**2 / (4 * n)) / n) ** 0.5
    assert (rate.low, rate.high) == pytest.approx(
        ((centre - half) / (1 + z**2 / n), (centre + half) / (1 + z**2 / n)), abs=1e-6
    )
    assert rate.rate == 0.03


def test_junk_is_made_of_every_kind_and_is_no_answer_any_more() -> None:
    made = junk(ANSWERS)
    for kind in ("trivial", "order to the judge", "chat-template", "repeated ×50", "cut inside", "padded", "oversized"):
        assert any(kind in name for name in made)
    assert all(made.values())
    assert not any(text in ANSWERS for texts in made.values() for text in texts)
    assert all("oversized" in check(text).reasons for text in made["oversized"])


def test_the_unseen_words_are_none_of_the_known() -> None:
    made = junk(ANSWERS)
    assert not set(made["trivial, known words"]) & set(made["trivial, unseen words"])


def test_data_is_read_folder_by_folder_each_text_once(tmp_path: Path) -> None:
    (tmp_path / "debate").mkdir()
    with gzip.open(tmp_path / "debate" / "a.csv.gz", "wt", encoding="utf-8") as file:
        file.write('id,text\n0,"One, two."\n1,"One, two."\n2, \n3,Three.\n')
    (tmp_path / "empty").mkdir()
    assert read(tmp_path) == {"debate": ["One, two.", "Three."]}


def test_the_rates_can_be_put_into_the_correction() -> None:
    rates = [Rate.of("real", [False] * 99 + [True], False), Rate.of("junk", [True, False], True)]
    found = corrections(rates)
    assert found["false_accept"] == 0.5
    assert 0.01 < found["false_reject"] < 0.06
    assert backward([True], **found)[0] > 1


@pytest.mark.slow
def test_the_page_states_what_the_command_measures(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    page = (Path(__file__).parents[2] / "docs" / "gate.md").read_text(encoding="utf-8")
    for rate in said["rates"]:
        assert f"| {rate['errors']} of {rate['n']} |" in page, rate["kind"]
    assert said["corrections"] == {"false_accept": FALSE_ACCEPT, "false_reject": FALSE_REJECT}
