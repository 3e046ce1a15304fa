"""The study of the prior: who teaches and who is tested, and that the prior alone makes the difference."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest
import torch
from short_search import shorten_search
from torch import Tensor
from world_files import DIMENSION, comparisons, encode

from bench.compare.page import PROSE, render
from bench.studies import prior
from bench.studies.prior import COLUMNS, STAGES, drawn, gathered, held_out, measure
from reward_bases.sources.encoder import Encoder
from reward_bases.train import training_set
from reward_bases.train.data.reading import read
from reward_bases.train.features.text_features import shipped_spreads
from reward_bases.train.training_set import Materials
from reward_bases.train.validate import choose

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class FastEncoder(Encoder):
    """Blind to what a text says."""

    def encode(self, texts: Sequence[str]) -> Tensor:
        return encode(texts)


ENCODER = FastEncoder("toy", "5" * 64, DIMENSION, 256, False, None, None, setup_sha256="7" * 64)


@pytest.fixture(scope="module", autouse=True)
def short() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        shorten_search(patch)
        yield


@pytest.fixture(scope="module")
def materials(tmp_path_factory: pytest.TempPathFactory) -> Materials:
    folder = tmp_path_factory.mktemp("compared")
    comparisons(folder / "judgments.csv.gz", shared=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prior, "CACHE", folder / "cache")
        patch.setattr(training_set, "load_encoder", lambda name: ENCODER)
        return gathered(read(folder), folder)


def test_so_many_people_teach_and_all_others_are_tested_on_prompts_of_their_own(materials: Materials) -> None:
    split = held_out(materials, 12, torch.Generator().manual_seed(1))
    assert (split.teach.size, int(split.teachers.sum())) == (12, 12)
    assert split.held_out.size == materials.judged.size - 12
    assert not {*split.held_out.prompts.tolist()} & {*split.teach.prompts.tolist(), *split.observed.prompts.tolist()}


def test_nothing_but_the_prior_differs_and_it_is_the_shipped_one(
    materials: Materials, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert materials.to_serve.prior_spreads == shipped_spreads()
    monkeypatch.setattr(choose.Trials, "served", lambda trials, settings: -settings.prior_people)
    same = drawn(materials, 12, 0)
    assert same.prior_people == 0
    assert same.with_prior == same.without
    monkeypatch.setattr(choose.Trials, "served", lambda trials, settings: settings.prior_people)
    counted = drawn(materials, 12, 0)
    assert counted.prior_people == choose.PRIOR_PEOPLE[-1]
    assert counted.without == same.without
    assert counted.with_prior != counted.without


def test_the_table_has_a_row_for_every_size_and_number_of_answers(
    materials: Materials, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choose.Trials, "served", lambda trials, settings: -settings.prior_people)
    result = measure(materials, (10, 12), 2, "compared")
    assert [row[:2] for row in result["rows"]] == [[str(n), str(k)] for n in (10, 12) for k in STAGES]
    assert all(len(row) == len(COLUMNS) for row in result["rows"])
    assert {row[5] for row in result["rows"]} == {"+0.000 ± 0.000"}
    assert "10: 0, 0; 12: 0, 0" in result["title"]
    assert "## prior\n" in render([], None, PROSE, "plots", [result | {"command": "python -m bench.studies.prior"}])
