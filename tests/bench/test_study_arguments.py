"""Studies refuse counts that give no table, before they read any data."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bench.studies import few, guard, million, needed, prior, subsets, verdict

Main = Callable[[list[str]], int | None]


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
    ("main", "words"),
    [
        *(
            (verdict.main, words)
            for words in ("--runs 0", "--people 1", "--each 0", "--seed -1", "--workers 0", "--runs x")
        ),
        *((needed.main, words) for words in ("--runs 1", "--runs x")),
        *((guard.main, words) for words in ("--random 0", "--optimised 0", "--people 0", "--flatterers 0")),
        *((million.main, words) for words in ("--people 1", "--judgments 0", "--heads -1", "--seed -1")),
    ],
)
def test_studies_of_simulated_people_refuse_it_too(main: Main, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(words.split())
    assert words.split()[0] in capsys.readouterr().err
