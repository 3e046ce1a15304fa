"""Studies refuse counts that give no table, before they read any data."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bench.studies import few, prior, subsets, verdict

Main = Callable[[list[str]], int]


@pytest.mark.parametrize(
    ("main", "words", "said"),
    [
        (few.main, ["llmfao", "--seeds", "0"], "--seeds: 0 is less than 1"),
        (few.main, ["llmfao", "--first-seed", "-1"], "--first-seed: -1 is less than 0"),
        (subsets.main, ["polis", "--seeds", "0"], "--seeds: 0 is less than 1"),
        (subsets.main, ["polis", "--least", "0"], "--least: 0 is less than 1"),
        (subsets.main, ["polis", "--least", "30", "--most", "20"], "--least 30 is more than --most 20"),
        (prior.main, ["llmfao", "--draws", "1"], "--draws: 1 is less than 2"),
        (prior.main, ["llmfao", "--people", "20", "0"], "--people: 0 is less than 1"),
    ],
)
def test_a_count_that_gives_no_table_is_refused(
    main: Main, words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([*words, "--data", str(tmp_path)])
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [["--runs", "0"], ["--people", "1"], ["--each", "0"], ["--seed", "-1"], ["--workers", "0"], ["--runs", "x"]],
)
def test_the_study_of_verdicts_refuses_them_too(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        verdict.main(words)
    assert words[0] in capsys.readouterr().err
