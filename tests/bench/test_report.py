"""The report of a suite: its shape, its sums, its page; and the same trajectories however many processes play them."""

import argparse
import importlib.util
import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import worlds as small
from sklearn.metrics import roc_auc_score
from world_files import ten_each

from bench import __main__ as command
from bench.compare.judges.opening import CONTEXT, JudgeName
from bench.compare.methods import PEERS, judged
from bench.compare.page import PROSE, render, write
from bench.compare.plots import COLOURS, spread
from bench.compare.report import answers_needed, report, samples_of
from bench.compare.run import Subsample, run, tasks
from bench.compare.simulate import AS_RECORDED, STAGES, Trajectory
from bench.compare.terminal import estimate, show
from bench.compare.world import HeldOut
from elicitation.errors import InvalidInput

pytestmark = pytest.mark.slow

KEYS = {str(k) for k in STAGES}
MEASURES = ("auc", "accuracy", "nll", "brier", "ece", "auc_within")


@pytest.fixture(scope="module")
def trajectories() -> list[Trajectory]:
    """Two conversations in two seeds, in which the slow method meets six people."""
    met = [small.world(name, seed) for name in ("a", "b") for seed in (0, 1)]
    todo = tasks(met, list(small.METHODS), small.SLOW, Subsample(people=12, each=6, seeds=1), small.TOGETHER)
    return run(todo, "worlds", workers=1)


@pytest.fixture(scope="module")
def result(trajectories: list[Trajectory]) -> dict[str, Any]:
    return {"command": "keel bench polis --seeds 2", **report("polis", trajectories, replicates=60)}


def test_every_measure_is_reported_at_every_stage_with_its_interval(result: dict[str, Any]) -> None:
    assert set(result["methods"]) == set(small.METHODS)
    for method in result["methods"].values():
        for measure in MEASURES:
            assert set(method[measure]) == set(method[f"{measure}_ci"]) == KEYS
            assert all(low <= high for low, high in method[f"{measure}_ci"].values())
        assert method["ms_per_question"] > 0


def test_the_report_is_json_and_counts_people_and_seeds(result: dict[str, Any]) -> None:
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert (result["suite"], result["people"], result["seeds"]) == ("polis", 12, 2)


def test_the_areas_are_means_over_seeds_then_conversations(
    result: dict[str, Any], trajectories: list[Trajectory]
) -> None:
    areas: dict[str, list[float]] = {"a": [], "b": []}
    for trajectory in trajectories:
        if trajectory.method == "keel" and trajectory.distortion.flipped == 0 and not trajectory.distortion.turned:
            areas[trajectory.world].append(roc_auc_score(trajectory.labels, trajectory.predictions[10]))
    expected = np.mean([np.mean(seeds) for seeds in areas.values()])
    assert result["methods"]["keel"]["auc"]["10"] == pytest.approx(expected, abs=1e-5)
    assert result["worlds"]["b"]["keel"]["auc"]["10"] == pytest.approx(np.mean(areas["b"]), abs=1e-5)


@pytest.fixture(scope="module")
def folded() -> list[Trajectory]:
    """One conversation in two seeds, each with two folds of six people; the slow method meets three of the first."""
    met = [
        replace(small.world("a", 10 * seed + fold), seed=seed, fold=fold, people=renumbered(seed, fold))
        for seed, fold in itertools.product((0, 1), (0, 1))
    ]
    todo = tasks(met, list(small.METHODS), small.SLOW, Subsample(people=3, each=3, seeds=1), small.TOGETHER)
    return run(todo, "worlds", workers=1)


def renumbered(seed: int, fold: int) -> tuple[HeldOut, ...]:
    """Six people; who is in the first fold of one seed is in the second of the other."""
    people = small.world("a", 10 * seed + fold).people
    return tuple(replace(person, person=person.person + 6 * (seed ^ fold)) for person in people)


def test_the_folds_of_a_seed_are_measured_together(folded: list[Trajectory]) -> None:
    found = report("pairs", folded, replicates=60)
    areas, plain = [], [c for c in folded if c.method == "keel" and c.distortion == AS_RECORDED]
    for seed in (0, 1):
        folds = [c for c in plain if c.seed == seed]
        labels, predictions = (
            np.concatenate(parts) for parts in zip(*((c.labels, c.predictions[10]) for c in folds), strict=True)
        )
        areas.append(roc_auc_score(labels, predictions))
    assert (found["people"], found["seeds"]) == (12, 2)
    assert found["methods"]["keel"]["auc"]["10"] == pytest.approx(np.mean(areas), abs=1e-5)
    assert found["methods"]["keel"]["subsample"] is None


def test_a_person_counts_alike_in_every_seed_whichever_their_fold(folded: list[Trajectory]) -> None:
    samples = samples_of(c for c in folded if c.method == "keel" and c.distortion == AS_RECORDED)
    assert [(sample.seed, len(sample.people)) for sample in samples] == [(0, 12), (1, 12)]
    own = [dict(zip(s.people.tolist(), s.tallies[10].correct, strict=True)) for s in samples]
    for trajectory in folded:
        if trajectory.method == "keel" and trajectory.distortion == AS_RECORDED:
            right = (trajectory.predictions[10] > 0.5) == trajectory.labels
            for number, person in enumerate(trajectory.people.tolist()):
                assert own[trajectory.seed][person] == right[trajectory.owners == number].sum()


def test_slow_methods_are_compared_on_the_people_of_their_fold(folded: list[Trajectory]) -> None:
    found = report("pairs", folded, replicates=60)
    assert found["methods"]["gp-rbf-bald"]["subsample"] == {"people": 3, "seeds": 1}
    assert found["differences"]["keel - gp-rbf-bald"]["people"] == 3
    assert found["reversed_flips"] > 0.5


def test_keel_is_compared_with_every_other_method(result: dict[str, Any]) -> None:
    assert set(result["differences"]) == {f"keel - {name}" for name in small.METHODS if name != "keel"}
    for difference in result["differences"].values():
        assert set(difference) >= KEYS
        assert set(difference["5"]) == {"mean", "ci", "accuracy", "nll", "best_of_4", "worst_tenth"}


def test_differences_are_those_of_the_reported_areas(result: dict[str, Any]) -> None:
    keel, pref = (result["methods"][name]["auc"]["20"] for name in ("keel", "pref"))
    assert result["differences"]["keel - pref"]["20"]["mean"] == pytest.approx(keel - pref, abs=2e-5)


def test_slow_methods_are_compared_on_their_own_people(result: dict[str, Any]) -> None:
    assert result["methods"]["gp-rbf-bald"]["subsample"] == {"people": 12, "seeds": 1}
    assert result["methods"]["keel"]["subsample"] is None
    difference = result["differences"]["keel - gp-rbf-bald"]
    assert (difference["people"], difference["seeds"]) == (12, 1)
    keel, slow = (result["methods"][name]["auc"]["20"] for name in ("keel", "gp-rbf-bald"))
    assert difference["20"]["mean"] != pytest.approx(keel - slow, abs=1e-4)


def test_before_any_answer_a_question_rule_makes_no_difference(result: dict[str, Any]) -> None:
    assert result["differences"]["keel - keel-random"]["0"]["mean"] == 0
    assert result["differences"]["keel - keel-random"]["0"]["ci"] == [0, 0]


def test_turned_and_flipped_answers_are_reported(result: dict[str, Any]) -> None:
    assert result["reversed_flips"] > 0.5
    assert list(result["label_flips"]) == ["0", "0.1", "0.2", "0.4"]
    assert result["label_flips"]["0"]["auc"] == result["methods"]["keel"]["auc"]
    assert result["label_flips"]["0.4"]["auc"]["20"] < result["label_flips"]["0"]["auc"]["20"]


def test_fewer_answers_are_set_against_more(result: dict[str, Any]) -> None:
    keel, pref = result["methods"]["keel"]["auc"]["5"], result["methods"]["pref"]["auc"]["20"]
    assert result["fewer_answers"]["keel at 5 - pref at 20"]["mean"] == pytest.approx(keel - pref, abs=2e-5)


def test_answers_needed_lie_on_the_line_between_stages() -> None:
    curve = {0: 0.5, 5: 0.6, 10: 0.8}
    assert answers_needed(curve, 0.7) == 7.5
    assert answers_needed(curve, 0.5) == 0
    assert answers_needed(curve, 0.9) is None


def test_pref_needs_at_most_its_own_answers(result: dict[str, Any]) -> None:
    assert 0 < result["answers_to_pref_20"]["pref"] <= 20
    assert set(result["answers_to_pref_20"]) == set(small.METHODS)


def test_without_keel_and_pref_the_report_stands(trajectories: list[Trajectory]) -> None:
    alone = report(
        "polis", [trajectory for trajectory in trajectories if trajectory.method == "aggregate"], replicates=10
    )
    assert alone["differences"] == alone["answers_to_pref_20"] == alone["label_flips"] == {}
    assert alone["reversed_flips"] is None


def test_every_peer_has_a_colour_of_its_own() -> None:
    assert set(COLOURS) == {*PEERS, *judged(JudgeName("folder"))}
    assert len(set(COLOURS.values())) == len(COLOURS)


def test_names_at_the_ends_of_lines_stay_apart_and_in_order() -> None:
    placed = spread(np.array([0.9, 0.895, 0.89, 0.5]), 0.02, (0.4, 1.0))
    assert (-np.diff(placed) >= 0.02 - 1e-12).all()
    assert placed[1] == pytest.approx(0.895)
    assert placed[3] == 0.5


def test_names_near_the_edge_stay_inside() -> None:
    placed = spread(np.array([0.99, 0.99, 0.99]), 0.05, (0.0, 1.0))
    assert placed.max() <= 1.0
    assert (-np.diff(placed) >= 0.05 - 1e-12).all()


def test_the_page_names_every_method_suite_and_command(result: dict[str, Any]) -> None:
    page = render([result], {"question_ms_100k_pairs": 7.5}, PROSE, "benchmarks")
    assert all(f"| {name} " in page for name in small.METHODS)
    assert "keel bench polis --seeds 2 --json" in page
    assert "| question ms 100k pairs | 7.5 |" in page


def test_the_page_says_where_keel_loses(result: dict[str, Any]) -> None:
    lost = json.loads(json.dumps(result))
    lost["differences"]["keel - pref"]["5"].update(mean=-0.02, ci=[-0.03, -0.01])
    assert "- to pref at 5 answers: −0.020 [−0.030, −0.010]\n" in render([lost], None, PROSE, "benchmarks")


def test_the_page_is_written_with_a_small_plot(result: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "polis.json").write_text(json.dumps(result))
    write(tmp_path, tmp_path / "page.md", ("polis",))
    assert "(page/polis.svg)" in (tmp_path / "page.md").read_text()
    assert 5_000 < (tmp_path / "page/polis.svg").stat().st_size < 150_000


def test_a_page_keeps_what_it_says_of_other_suites(result: dict[str, Any], tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# Benchmarks\n\nOld.\n\n## votes\n\nKept.\n\n## polis\n\nOld.\n\n## few\n\nKept too.\n\n## speed\n\nFast.\n"
    )
    (tmp_path / "polis.json").write_text(json.dumps(result))
    write(tmp_path, page, ("polis", "votes"))
    written = page.read_text()
    headings = [line for line in written.splitlines() if line.startswith("#")]
    assert headings == ["# Benchmarks", "## polis", "## votes", "## few", "## speed", "## Data for --data"]
    assert "Old." not in written
    assert "## votes\n\nKept.\n\n## few\n\nKept too.\n\n## speed\n\nFast.\n\n## Data" in written


def test_writing_a_page_again_changes_nothing(result: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "polis.json").write_text(json.dumps(result))
    write(tmp_path, tmp_path / "page.md", ("polis",))
    before = (tmp_path / "page.md").read_text()
    write(tmp_path, tmp_path / "page.md", ("polis",))
    assert (tmp_path / "page.md").read_text() == before


def test_a_page_without_results_says_how_to_get_some(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="--out"):
        write(tmp_path, tmp_path / "page.md", ())


def test_suites_are_on_the_page_in_the_order_of_the_command(result: dict[str, Any], tmp_path: Path) -> None:
    for suite in ("votes", "strange", "ukp", "llmfao"):
        (tmp_path / f"{suite}.json").write_text(json.dumps({**result, "suite": suite}))
    write(tmp_path, tmp_path / "page.md", tuple(command.SUITES))
    headings = [line for line in (tmp_path / "page.md").read_text().splitlines() if line.startswith("## ")]
    assert headings == ["## ukp", "## llmfao", "## votes", "## strange", "## Data for --data"]


def test_the_table_shows_every_method(result: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    show(result)
    printed = capsys.readouterr().out
    assert all(f" {name} " in printed for name in small.METHODS)


def test_an_estimate_has_one_sign() -> None:
    assert estimate({"mean": -0.0, "ci": [-0.002, 0.002]}) == "−0.000 [−0.002, 0.002]"
    assert estimate({"mean": 0.012, "ci": [0.01, 0.014]}) == "+0.012 [0.010, 0.014]"
    assert estimate({"mean": None, "ci": [None, None]}) == "–"


def test_the_command_line_lists_every_suite(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["--help"])
    printed = capsys.readouterr().out
    assert all(f"  {suite} " in printed for suite in (*command.SUITES, "speed", "page"))


def test_every_suite_has_its_worlds() -> None:
    for suite in command.SUITES:
        assert importlib.util.find_spec(f"bench.compare.worlds.{suite.replace('-', '_')}")


def test_the_stated_command_tells_what_was_asked_for_without_paths() -> None:
    options = argparse.Namespace(suite="polis", data=Path("somewhere"), quick=True, methods=None, first_seed=0)
    options.judge, options.judge_model, options.judge_context = None, None, CONTEXT
    assert command._command(options, 2) == "keel bench polis --data DATA --seeds 2 --quick"
    options.first_seed = 7
    assert command._command(options, 2) == "keel bench polis --data DATA --seeds 2 --first-seed 7 --quick"
    options.first_seed, options.judge = 0, "somewhere/else"
    assert command._command(options, 2) == "keel bench polis --data DATA --seeds 2 --quick --judge JUDGE"


def test_other_seeds_are_other_splits(capsys: pytest.CaptureFixture[str]) -> None:
    def met(*given: str) -> Any:
        assert command.main(["bank", "--quick", "--methods", "length", "--json", *given]) == 0
        return json.loads(capsys.readouterr().out)["methods"]["length"]["auc"]

    assert met("--first-seed", "0") == met()
    assert met("--first-seed", "7") != met()


def test_251_people_of_ten_judgments_give_a_report_of_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ten_each(tmp_path, people=251)
    assert command.main(["pairs", "--data", str(tmp_path), "--seeds", "1", "--methods", "aggregate", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["people"], found["methods"]["aggregate"]["subsample"]) == (251, None)
    assert 0.4 < found["methods"]["aggregate"]["auc"]["0"] < 0.6


@pytest.mark.parametrize("given", [["--seeds", "0"], ["--first-seed", "-1"]])
def test_seeds_that_cannot_be_are_refused(given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["bank", *given])
    assert "is less than" in capsys.readouterr().err


def test_courses_do_not_depend_on_the_number_of_processes() -> None:
    met = [small.world("a", seed) for seed in (0, 1)]
    todo = tasks(met, list(small.METHODS), small.SLOW, Subsample(people=6, each=6, seeds=1), small.TOGETHER)
    one, two = run(todo, "worlds", workers=1), run(todo, "worlds", workers=2)
    assert [(c.method, c.seed, c.asked) for c in one] == [(c.method, c.seed, c.asked) for c in two]
    assert all((a.predictions[20] == b.predictions[20]).all() for a, b in zip(one, two, strict=True))
