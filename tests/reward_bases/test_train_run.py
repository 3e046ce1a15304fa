"""Learning from files of many people: what comes out, and that a broken run goes on to the same result."""

import asyncio
import csv
import hashlib
import json
import shutil
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from short_search import shorten_search
from torch import Tensor

from elicitation.errors import InvalidInput
from reward_bases.artifact import DEFAULT, Artifact, load_artifact
from reward_bases.bank import BankPrompt, load_bank
from reward_bases.sources.embedding import Reading
from reward_bases.sources.encoder import Encoder
from reward_bases.sources.features import text_and_encoder
from reward_bases.sources.phi import phi_of
from reward_bases.sources.source import Pair
from reward_bases.train import training_set
from reward_bases.train.fitting import FACTORS, SCORES
from reward_bases.train.model.learn import population_from
from reward_bases.train.model.training_people import load_people
from reward_bases.train.request import UNFINISHED, Request
from reward_bases.train.run import train
from reward_bases.train.validate import choose

pytestmark = pytest.mark.slow

PEOPLE, EACH = 80, 25
STOPS = [
    ("fold 2 of 5: choosing settings", 2),
    ("fold 3 of 5: learning", 1),
    ("choosing settings", 2),
    ("learning", 1),
    ("refitting heads", 1),
]
DIMENSION = 40


@dataclass(frozen=True)
class HashEncoder(Encoder):
    """Unit vectors drawn by the text's hash: fast, and blind to what the text says."""

    def encode(self, texts: Sequence[str]) -> Tensor:
        seeds = [int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") for text in texts]
        drawn = [np.random.default_rng(seed).standard_normal(self.dimension) for seed in seeds]
        return torch.nn.functional.normalize(torch.tensor(np.array(drawn)), dim=1).float()


ENCODER = HashEncoder("toy", "5" * 64, DIMENSION, 256, False, None, None, setup_sha256="7" * 64)


class RecordingListener:
    """Records stages and messages; interrupts the run like Ctrl-C when asked to."""

    def __init__(self, stop_at: str = "", stop_after: int = 0) -> None:
        self.stages: list[str] = []
        self.said: list[str] = []
        self._stop = (stop_at, stop_after)

    def stage(self, name: str) -> None:
        self.stages.append(name)

    def progress(self, done: int, total: int) -> None:
        if (self.stages[-1], done) == self._stop:
            raise KeyboardInterrupt

    def say(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture(autouse=True, scope="module")
def fast() -> Iterator[None]:
    """A fast encoder and a short search."""
    with pytest.MonkeyPatch.context() as patch:
        shorten_search(patch)
        patch.setattr(training_set, "load_encoder", lambda name: ENCODER)
        yield


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Vectors that all runs share."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def prompts() -> tuple[BankPrompt, ...]:
    return load_bank(DEFAULT / "bank.json").prompts


def judgments(prompts: tuple[BankPrompt, ...], seed: int = 1) -> Iterator[tuple[str, str, str, str, float]]:
    """user, prompt, two answers and the log-odds of the first: every other person likes short answers, the rest long
    ones, and all of them warm ones."""
    draw = np.random.default_rng(seed)
    for person in range(PEOPLE):
        tastes = {"brevity": 3.0 if person % 2 else -3.0, "warmth": 1.0}
        for _ in range(EACH):
            prompt = prompts[draw.integers(len(prompts))]
            a, b = (prompt.answers[i] for i in draw.choice(8, 2, replace=False))
            odds = sum(weight * (a.traits[trait] - b.traits[trait]) for trait, weight in tastes.items())
            yield f"person {person}", prompt.conversation.last_user, a.text, b.text, odds + draw.logistic()


def write(path: Path, header: str, rows: Iterator[tuple[Any, ...]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([header.split(","), *rows])
    return path


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory, prompts: tuple[BankPrompt, ...]) -> Path:
    """Pairs of the bank's answers, with two rows at the end that nobody can use."""
    rows = [(user, prompt, a, b, "a" if z > 0 else "b") for user, prompt, a, b, z in judgments(prompts)]
    rows += [("person 1", "a secret", "this", "that", "huh"), ("person 1", "a secret", "this", "this", "a")]
    path = tmp_path_factory.mktemp("data") / "pairs.csv"
    return write(path, "user,prompt,response_a,response_b,choice", iter(rows))


def request(data: Path, out: Path, cache: Path, **changed: Any) -> Request:
    return replace(Request(data, out, cache, heads=2, ridge=100.0), **changed)


@pytest.fixture(scope="module")
def basis(pairs: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A finished run and what it said."""
    out = tmp_path_factory.mktemp("runs") / "basis"
    return out, train(request(pairs, out, cache), False, RecordingListener())


def tensors(folder: Path) -> dict[str, Tensor]:
    return load_file(folder / "basis.safetensors")


def test_few_people_are_all_judged_in_folds_and_all_teach_what_is_served(basis: tuple[Path, dict[str, Any]]) -> None:
    metrics = basis[1]["metrics"]
    assert (metrics["folds"], metrics["people"], metrics["unjudged"]) == (5, PEOPLE, 0)
    judgments = basis[1]["data"]["judgments"]
    assert metrics["judgments"] == pytest.approx(judgments / 5, rel=0.1)
    assert basis[1]["learned_from"] == {"people": PEOPLE, "judgments": judgments}
    assert len(load_people(basis[0]).user_ids) == PEOPLE
    assert len(basis[1]["fold_settings"]) == 5
    assert f"of {PEOPLE} people; people and prompts were held out in 5 folds." in metrics["sentence"]


def test_personal_scores_beat_the_aggregate_on_held_out_people_and_prompts(basis: tuple[Path, dict[str, Any]]) -> None:
    metrics = basis[1]["metrics"]
    assert metrics["held_out"] == "people and prompts"
    assert metrics["gain"]["20"]["auc"]["low"] > 0
    assert metrics["gain"]["20"]["log_likelihood"]["low"] > 0
    assert metrics["personal"]["20"]["auc"]["value"] > metrics["personal"]["0"]["auc"]["value"] + 0.1


def test_a_trained_basis_loads_and_its_card_agrees_with_its_tensors(basis: tuple[Path, dict[str, Any]]) -> None:
    artifact = load_artifact(basis[0])
    assert artifact.basis.names[0] == "consensus"
    assert {"brevity", "caution", "taste-1"} <= set(artifact.basis.names)
    assert artifact.population.k == artifact.basis.k <= 32
    reference = artifact.reference.flatten(0, 1)
    torch.testing.assert_close(reference.mean(0), torch.zeros(artifact.basis.k).double(), atol=1e-6, rtol=0)
    within = artifact.reference - artifact.reference.mean(1, keepdim=True)
    count = len(reference) - len(artifact.reference)
    torch.testing.assert_close((within.square().sum((0, 1)) / count).sqrt(), torch.ones(artifact.basis.k).double())


def test_phi_of_a_text_is_that_of_the_same_text_in_the_bank(basis: tuple[Path, dict[str, Any]]) -> None:
    artifact: Artifact = load_artifact(basis[0])
    artifact.require_encoder(ENCODER)
    prompt = artifact.bank.prompts[0]
    sources = text_and_encoder(Reading(ENCODER.encode), ENCODER.sha256, artifact.basis.components)
    pairs = [Pair(prompt.conversation, answer.text) for answer in prompt.answers]
    phi = asyncio.run(phi_of(pairs, artifact.basis, sources)).phi
    known = torch.stack([artifact.bank_phi[answer.id] for answer in prompt.answers])
    torch.testing.assert_close(phi, known, atol=1e-3, rtol=1e-3)


def test_a_head_learned_from_people_is_called_after_what_it_resembles(basis: tuple[Path, dict[str, Any]]) -> None:
    (head,) = (head for head in load_artifact(basis[0]).basis.heads if head.name == "taste-1")
    assert head.description.endswith("with brevity")
    words = {"answers low on taste 1": head.low, "answers high on taste 1": head.high}
    assert {phrase.removeprefix(start) for start, phrase in words.items()} == {
        " (mostly long, detailed)",
        " (mostly short, to-the-point)",
    }


def test_the_ensemble_has_every_head_and_moves_only_those_that_people_teach(basis: tuple[Path, dict[str, Any]]) -> None:
    found, names = tensors(basis[0]), load_artifact(basis[0]).basis.names
    assert found["ensemble"].shape == (3, *found["weights"].shape)
    apart = basis[1]["ensemble"]["disagreement"]
    assert apart["brevity"] == pytest.approx(0, abs=1e-3)
    assert 0 < apart["taste-1"] < 1
    assert list(apart) == list(names)


def test_refused_rows_are_counted_and_located_and_never_quoted(
    pairs: Path, cache: Path, basis: tuple[Path, dict[str, Any]]
) -> None:
    refused = {one["reason"]: one for one in basis[1]["data"]["refused"]}
    assert refused["unknown choice"]["count"] == refused["identical responses"]["count"] == 1
    lines = pairs.read_text(encoding="utf-8").count("\n")
    assert refused["unknown choice"]["places"][0].startswith("pairs.csv:")
    assert lines > PEOPLE * EACH
    assert "secret" not in (basis[0] / "card.json").read_text(encoding="utf-8")


def test_the_stored_people_give_the_population_again_and_only_their_owner_reads_them(
    basis: tuple[Path, dict[str, Any]],
) -> None:
    folder, artifact, people = basis[0], load_artifact(basis[0]), load_people(basis[0])
    again = population_from(people.crowd, artifact.choice_model, people.start, people.settings, people.given)
    torch.testing.assert_close(again.mean, artifact.population.mean, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(again.covariance, artifact.population.covariance, atol=1e-6, rtol=1e-6)
    for name in ("people.json", "people.safetensors"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    fewer = people.without(people.user_ids[0])
    assert fewer.crowd.size == people.crowd.size - 1 == len(fewer.user_ids)
    first = people.crowd.people == 0
    assert torch.equal(fewer.crowd.differences, people.crowd.differences[~first])


def test_a_prior_is_stored_with_the_people_in_the_units_that_are_served(
    pairs: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choose, "PRIOR_PEOPLE", (0.0, 50.0))
    monkeypatch.setattr(choose.Trials, "served", lambda trials, settings: settings.prior_people)
    out = tmp_path / "prior"
    result = train(request(pairs, out, cache, prior="default"), False, RecordingListener())
    artifact, people = load_artifact(out), load_people(out)
    assert result["settings"]["prior_people"] == people.settings.prior_people == 50.0
    again = population_from(people.crowd, artifact.choice_model, people.start, people.settings, people.given)
    torch.testing.assert_close(again.covariance, artifact.population.covariance, atol=1e-6, rtol=1e-6)
    nobody = replace(people.settings, prior_people=0.0)
    without = population_from(people.crowd, artifact.choice_model, people.start, nobody, people.given)
    spreads, own = (found.covariance.diagonal()[1:9].sqrt() for found in (again, without))
    prior = torch.tensor(people.settings.prior_spreads)
    torch.testing.assert_close(spreads.square(), (PEOPLE * own.square() + 50 * prior.square()) / (PEOPLE + 50))


def test_a_run_broken_off_again_and_again_goes_on_to_the_same_result(
    pairs: Path, cache: Path, tmp_path: Path, basis: tuple[Path, dict[str, Any]]
) -> None:
    out = tmp_path / "broken"
    for number, (stage, after) in enumerate(STOPS):
        with pytest.raises(KeyboardInterrupt):
            train(request(pairs, out, cache), number > 0, RecordingListener(stage, after))
        assert (out / UNFINISHED).is_dir()
        with pytest.raises(InvalidInput, match="--resume"):
            train(request(pairs, out, cache), False, RecordingListener())
        with pytest.raises(InvalidInput, match="other data or with other arguments"):
            train(request(pairs, out, cache, seed=1), True, RecordingListener())
    resumed = train(request(pairs, out, cache), True, RecordingListener())
    assert not (out / UNFINISHED).exists()
    assert {**resumed, "folder": ""} == {**basis[1], "folder": ""}
    for name, tensor in tensors(basis[0]).items():
        assert torch.equal(tensors(out)[name], tensor), name


def test_what_0_1_0_had_learned_without_some_people_or_from_thoughts_is_not_gone_on_with(
    pairs: Path, cache: Path, tmp_path: Path, basis: tuple[Path, dict[str, Any]]
) -> None:
    """Its steps lie in the unfinished folder itself."""
    out = tmp_path / "old"
    with pytest.raises(KeyboardInterrupt):
        train(request(pairs, out, cache), False, RecordingListener("fold 2 of 5: choosing settings", 1))
    (steps,) = (out / UNFINISHED).glob("reading-*")
    for name in (SCORES, FACTORS):
        shutil.copy(steps / "fold-1" / name, out / UNFINISHED / name)
    resumed = train(request(pairs, out, cache), True, RecordingListener())
    assert {**resumed, "folder": ""} == {**basis[1], "folder": ""}
    for name, tensor in tensors(basis[0]).items():
        assert torch.equal(tensors(out)[name], tensor), name


def test_a_finished_run_is_not_done_again_and_not_overwritten(
    pairs: Path, cache: Path, basis: tuple[Path, dict[str, Any]]
) -> None:
    listener = RecordingListener()
    again = train(request(pairs, basis[0], cache), False, listener)
    assert again["already_finished"]
    assert again["metrics"] == basis[1]["metrics"]
    assert listener.stages == []
    with pytest.raises(InvalidInput, match="other data or arguments"):
        train(request(pairs, basis[0], cache, seed=1), False, RecordingListener())


def test_a_folder_with_something_else_is_left_alone(pairs: Path, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(InvalidInput, match="not an empty folder"):
        train(request(pairs, tmp_path, cache), False, RecordingListener())


def test_votes_teach_without_the_pull_towards_agreeing_becoming_a_head(
    prompts: tuple[BankPrompt, ...], cache: Path, tmp_path: Path
) -> None:
    rows = ((user, a, 1 if z + 1 > 0 else -1) for user, _, a, _, z in judgments(prompts))
    data = write(tmp_path / "votes.csv", "user,statement,vote", rows)
    out = tmp_path / "basis"
    result = train(request(data, out, cache, named=False), False, RecordingListener())
    artifact, people = load_artifact(out), load_people(out)
    assert result["data"]["kind"] == "votes"
    assert artifact.population.k == len(result["heads"]) == people.crowd.k - 1
    assert artifact.reference.shape[:2] == (140, 8)
    assert artifact.choice_model.side_bias == 0


def test_ratings_teach_by_the_pairs_that_they_make(
    prompts: tuple[BankPrompt, ...], cache: Path, tmp_path: Path
) -> None:
    def rows() -> Iterator[tuple[str, str, str, float]]:
        for user, prompt, a, b, z in judgments(prompts):
            yield user, prompt, a, round(z)
            yield user, prompt, b, 0

    data = write(tmp_path / "ratings.csv", "user,prompt,response,rating", rows())
    result = train(request(data, tmp_path / "basis", cache), False, RecordingListener())
    assert result["data"]["kind"] == "ratings"
    assert load_artifact(tmp_path / "basis").basis.k == len(result["heads"])


def test_the_cap_bounds_everybodys_judgments(pairs: Path, cache: Path, tmp_path: Path) -> None:
    train(request(pairs, tmp_path / "basis", cache, per_person=5, ensemble=0), False, RecordingListener())
    people = load_people(tmp_path / "basis").crowd.people
    assert int(torch.bincount(people).max()) <= 5


def indexed(folder: Path) -> Path:
    """200 people judge pairs of given features; half like the first feature, half dislike it."""
    folder.mkdir()
    draw = np.random.default_rng(2)
    items = draw.standard_normal((400, 6)).astype(np.float32)
    np.save(folder / "items.npy", items)

    def rows() -> Iterator[tuple[int, int, int, str, int]]:
        for person in range(200):
            for _ in range(12):
                prompt = draw.integers(40)
                left, right = 10 * prompt + draw.choice(10, 2, replace=False)
                z = (items[left, 0] - items[right, 0]) * (2 if person % 2 else -2)
                yield person, left, right, "a" if z + draw.logistic() > 0 else "b", prompt

    write(folder / "judged.csv", "user,left,right,choice,prompt", rows())
    return folder


def test_given_features_teach_heads_but_no_basis_to_serve(cache: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = train(request(indexed(tmp_path / "data"), out, cache), False, RecordingListener())
    heads = load_file(out / "heads.safetensors")
    assert not result["served"]
    assert not (out / "basis.safetensors").exists()
    assert result["heads"][0] == "consensus"
    leading = heads["weights"][1].abs()
    assert float(leading[0]) > 3 * float(leading[1:].max())
    assert result["metrics"]["verdict"] == "better"
    assert json.loads((out / "card.json").read_text())["training"]["data"]["kind"] == "indexed"


def test_an_encoder_is_not_tuned_on_what_has_no_texts(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no texts"):
        train(request(indexed(tmp_path / "data"), tmp_path / "out", cache, tune=True), False, RecordingListener())


def test_a_handful_of_people_is_refused(cache: Path, tmp_path: Path) -> None:
    rows = ((f"u{i}", "hello", "one", "two", "a") for i in range(5))
    data = write(tmp_path / "few.csv", "user,prompt,response_a,response_b,choice", rows)
    with pytest.raises(InvalidInput, match="5 people"):
        train(request(data, tmp_path / "out", cache), False, RecordingListener())
