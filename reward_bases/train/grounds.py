"""What heads are learned over: features of items, who teaches, who is held out, and the heads that are given."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from elicitation.errors import InvalidInput
from reward_bases.sources.encoder import Encoder, load_encoder
from reward_bases.sources.features import ENDLESS
from reward_bases.train.data.judged import InMemory, Judged, Rows
from reward_bases.train.data.layouts import Kind
from reward_bases.train.data.reading import Data
from reward_bases.train.data.table import FeatureTable
from reward_bases.train.encoder.tune import tune
from reward_bases.train.encoder.tuning_pairs import TuningPairs
from reward_bases.train.encoder.tuning_settings import TuneSettings
from reward_bases.train.features.describe import Known
from reward_bases.train.features.language import Language
from reward_bases.train.features.space import Scaled, held, scaled, seen_range
from reward_bases.train.features.store import feature_table
from reward_bases.train.features.vectors import VectorCache
from reward_bases.train.request import Request
from reward_bases.train.validate.split import Split, capped
from reward_bases.train.watch import Watch, staged

ENCODER = "encoder"
"""Folder, in that of the basis, of an encoder that was tuned for it."""
FEWEST_TO_TUNE = 500
"""Judgments below which an encoder would learn the people by heart."""


@dataclass(frozen=True, eq=False)
class Grounds:
    """``split`` over ``features`` as the learner sees them; the ``fixed`` heads (T, F): ``named`` of them have names,
    and of votes one more is approval. ``language`` and what is ``known`` in it are None where there are no texts."""

    split: Split
    features: Scaled
    fixed: Tensor
    named: int
    language: Language | None
    known: Known | None


def grounds(data: Data, request: Request, folder: Path, watch: Watch) -> Grounds:
    """Raises InvalidInput for data with too few people, and for an encoder asked of data without texts."""
    split = _split(data, request)
    if data.table is not None:
        if request.tune:
            raise InvalidInput("--tune adapts an encoder, and these judgments have no texts; leave it out")
        table = FeatureTable.open(data.table)
        endless = torch.full((table.shape[1],), ENDLESS, dtype=torch.float64)
        watch.stage("measuring features")
        features = scaled(replace(split.teach, items=table), -endless, endless)
        return _grounds(split, features, torch.zeros(0, table.shape[1], dtype=torch.float64), None, None)
    language, rows = _texts(data, split, request, folder, watch)
    teach = replace(split.teach, items=rows)
    watch.stage("teaching named heads")
    space = language.space.within(*seen_range(teach, language.answers))
    features = scaled(teach, space.lowest, space.highest)
    traits = language.traits(language.within(features))
    named = traits.weights if request.named else traits.weights[:0]
    return _grounds(split, features, named, language, language.known(traits))


def _grounds(split: Split, features: Scaled, named: Tensor, language: Language | None, known: Known | None) -> Grounds:
    approval = torch.zeros(int(features.constant), features.shape[1], dtype=torch.float64)
    approval[:, -1] = 1.0
    fixed = torch.cat([features.seen(named), approval])
    return Grounds(split.over(held(features)), features, fixed, len(named), language, known)


def _split(data: Data, request: Request) -> Split:
    nothing = InMemory(torch.zeros(0, 0, dtype=torch.float64))
    columns = (data.left, data.right, data.people, data.prompts, data.outcomes)
    judged = Judged(nothing, *columns, len(data.user_ids))
    generator = torch.Generator().manual_seed(request.seed)
    if request.per_person is not None:
        judged = capped(judged, request.per_person, generator)
    return Split.of(judged, generator)


def _texts(data: Data, split: Split, request: Request, folder: Path, watch: Watch) -> tuple[Language, Rows]:
    encoder = _encoder(data, split, request, folder, watch)
    vectors = VectorCache(encoder, request.cache)
    language = Language.of(encoder, vectors, request.cache, staged(watch, "encoding the bank"))
    table = feature_table(
        data.conversations,
        data.responses,
        data.items,
        vectors,
        language.space,
        request.cache,
        staged(watch, "encoding texts"),
        staged(watch, "features"),
    )
    return language, table


def _encoder(data: Data, split: Split, request: Request, folder: Path, watch: Watch) -> Encoder:
    if not request.tune:
        watch.stage("loading the encoder")
        return load_encoder(request.encoder)
    pairs, settings = tuning_pairs(data, split.teach), TuneSettings(seed=request.seed)
    watch.stage("tuning the encoder")
    return load_encoder(str(tune(request.encoder, pairs, settings, folder / ENCODER, watch.progress)))


def tuning_pairs(data: Data, teach: Judged) -> TuningPairs:
    """The judgments to learn from, as pairs of responses; raises InvalidInput where there are too few, or none."""
    if data.kind == Kind.VOTES:
        raise InvalidInput("--tune needs pairs or ratings, and these are votes; leave it out")
    if len(teach) < FEWEST_TO_TUNE:
        raise InvalidInput(f"{len(teach)} judgments to tune an encoder on; it takes {FEWEST_TO_TUNE}: leave out --tune")
    said = data.items[:, 1]
    return TuningPairs(data.responses, said[teach.left], said[teach.right], teach.outcomes.column, teach.people)
