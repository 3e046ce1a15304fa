"""The training set of heads: judgments to learn from, features of what they judge, and the heads that are given.

Ranges, centre and spreads of features and the named heads are measured on the judgments to learn from alone.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from elicitation.errors import InvalidInput
from reward_bases.sources.encoder import Encoder
from reward_bases.sources.encoder_files import load_encoder
from reward_bases.sources.features import ENDLESS
from reward_bases.train.data.judgments import InMemory, Judgments, Rows
from reward_bases.train.data.layouts import Kind
from reward_bases.train.data.reading import Data
from reward_bases.train.data.table import FeatureTable
from reward_bases.train.encoder.tune import tune
from reward_bases.train.encoder.tuning_pairs import TuningPairs
from reward_bases.train.encoder.tuning_settings import TuneSettings
from reward_bases.train.features.describe import NamedDirections
from reward_bases.train.features.space import Scaled, held, scaled, seen_range
from reward_bases.train.features.store import feature_table
from reward_bases.train.features.text_features import TextFeatures, shipped_spreads
from reward_bases.train.features.vectors import VectorCache
from reward_bases.train.progress import ProgressListener, staged
from reward_bases.train.request import Request
from reward_bases.train.validate.split import Split, capped, tests

ENCODER = "encoder"
"""Folder, in that of the basis, of an encoder that was tuned for it."""
FEWEST_TO_TUNE = 500
"""With fewer judgments an encoder would memorise the people."""


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """Judgments to learn from, their features, and the heads that are given.

    Attributes:
        teach: the judgments, over ``features``.
        teachers: (P,) bool, the people of ``teach`` among all people of the data.
        features: as the learner sees them.
        fixed: (T, F) weights of the given heads: the named ones first, then, for votes, approval.
        named: how many of them have names.
        text_features: None for judgments without texts.
        directions: the directions with names in these features, None for judgments without texts.
        prior_spreads: how far people differ along the named heads before any judgment, nats per unit; empty without
            a prior.
    """

    teach: Judgments
    teachers: Tensor
    features: Scaled
    fixed: Tensor
    named: int
    text_features: TextFeatures | None
    directions: NamedDirections | None
    prior_spreads: tuple[float, ...] = ()


@dataclass(frozen=True, eq=False)
class Materials:
    """The judgments of a run with the features of what they judge, before anything is measured on them.

    Attributes:
        judged: all judgments, over features as they are computed.
        splits: one, or one for each fold of the people, to judge by.
        text_features: None for judgments without texts.
        keeps_named: whether the named heads are given.
        prior_spreads: how far the shipped people differ along them, nats per unit; empty without a prior.
    """

    judged: Judgments
    splits: tuple[Split, ...]
    text_features: TextFeatures | None
    keeps_named: bool
    prior_spreads: tuple[float, ...] = ()

    @property
    def in_folds(self) -> bool:
        return len(self.splits) > 1

    @property
    def measuring(self) -> str:
        """The stage in which ``to_serve`` and ``without`` are computed."""
        return "measuring features" if self.text_features is None else "teaching named heads"

    @property
    def to_serve(self) -> TrainingSet:
        """What the basis is learned from: everybody, if people are judged in folds."""
        if self.in_folds:
            return self._training_set(self.judged, torch.ones(self.judged.size, dtype=torch.bool))
        return self.without(self.splits[0])

    def without(self, split: Split) -> TrainingSet:
        """What is learned from where ``split`` holds out people and prompts."""
        return self._training_set(replace(split.teach, items=self.judged.items), split.teachers)

    def _training_set(self, teach: Judgments, teachers: Tensor) -> TrainingSet:
        if self.text_features is None:
            return _of_given_features(teach, teachers)
        found = _of_texts(teach, teachers, self.text_features, self.keeps_named)
        return replace(found, prior_spreads=self.prior_spreads)


def gather(data: Data, request: Request, folder: Path, listener: ProgressListener) -> Materials:
    """Raises InvalidInput for data with too few people, and if an encoder is to be tuned on data without texts."""
    judged, splits = _judged(data, request)
    if data.table is not None:
        if request.tune:
            raise InvalidInput("--tune adapts an encoder, and these judgments have no texts; leave it out")
        if request.prior:
            raise InvalidInput("--prior speaks of the named heads, and judgments without texts have none; leave it out")
        return Materials(replace(judged, items=FeatureTable.open(data.table)), splits, None, request.named)
    text_features, rows = _encoded(data, splits[0], request, folder, listener)
    spreads = shipped_spreads() if request.prior else ()
    return Materials(replace(judged, items=rows), splits, text_features, request.named, spreads)


def _of_given_features(teach: Judgments, teachers: Tensor) -> TrainingSet:
    endless = torch.full((teach.width,), ENDLESS, dtype=torch.float64)
    features = scaled(teach, -endless, endless)
    named = torch.zeros(0, teach.width, dtype=torch.float64)
    taught = replace(teach, items=held(features))
    return TrainingSet(taught, teachers, features, _fixed(features, named), 0, None, None)


def _of_texts(teach: Judgments, teachers: Tensor, text_features: TextFeatures, keeps_named: bool) -> TrainingSet:
    space = text_features.space.within(*seen_range(teach, text_features.answers))
    features = scaled(teach, space.lowest, space.highest)
    traits = text_features.traits(text_features.within(features))
    named = traits.weights if keeps_named else traits.weights[:0]
    fixed, directions = _fixed(features, named), text_features.named_directions(traits)
    taught = replace(teach, items=held(features))
    return TrainingSet(taught, teachers, features, fixed, len(named), text_features, directions)


def _fixed(features: Scaled, named: Tensor) -> Tensor:
    approval = torch.zeros(int(features.constant), features.shape[1], dtype=torch.float64)
    approval[:, -1] = 1.0
    return torch.cat([features.seen(named), approval])


def _judged(data: Data, request: Request) -> tuple[Judgments, tuple[Split, ...]]:
    """All judgments, without features yet, and the splits to judge by.

    An encoder is tuned on the judgments of one split: with it there are no folds.
    """
    nothing = InMemory(torch.zeros(0, 0, dtype=torch.float64))
    columns = (data.left, data.right, data.people, data.prompts, data.outcomes)
    judged = Judgments(nothing, *columns, len(data.user_ids))
    generator = torch.Generator().manual_seed(request.seed)
    if request.per_person is not None:
        judged = capped(judged, request.per_person, generator)
    return judged, (Split.of(judged, generator),) if request.tune else tests(judged, generator)


def _encoded(
    data: Data, split: Split, request: Request, folder: Path, listener: ProgressListener
) -> tuple[TextFeatures, Rows]:
    encoder = _encoder(data, split, request, folder, listener)
    vectors = VectorCache(encoder, request.cache)
    text_features = TextFeatures.of(encoder, vectors, request.cache, staged(listener, "encoding the bank"))
    table = feature_table(
        data.conversations,
        data.responses,
        data.items,
        vectors,
        text_features.space,
        request.cache,
        staged(listener, "encoding texts"),
        staged(listener, "features"),
    )
    return text_features, table


def _encoder(data: Data, split: Split, request: Request, folder: Path, listener: ProgressListener) -> Encoder:
    if not request.tune:
        listener.stage("loading the encoder")
        return load_encoder(request.encoder)
    pairs, settings = tuning_pairs(data, split.teach), TuneSettings(seed=request.seed)
    listener.stage("tuning the encoder")
    return load_encoder(str(tune(request.encoder, pairs, settings, folder / ENCODER, listener.progress)))


def tuning_pairs(data: Data, teach: Judgments) -> TuningPairs:
    """The judgments to learn from, as pairs of responses; raises InvalidInput if there are too few, or none."""
    if data.kind == Kind.VOTES:
        raise InvalidInput("--tune needs pairs or ratings, and these are votes; leave it out")
    if len(teach) < FEWEST_TO_TUNE:
        raise InvalidInput(f"{len(teach)} judgments to tune an encoder on; it takes {FEWEST_TO_TUNE}: leave out --tune")
    said = data.items[:, 1]
    return TuningPairs(data.responses, said[teach.left], said[teach.right], teach.outcomes.column, teach.people)
