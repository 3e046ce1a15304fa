"""Settings and heads of one training set: chosen, then learned, with every finished step in a folder."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from elicitation.checks import K_MAX
from elicitation.errors import InvalidInput
from reward_bases.train.data.judgments import Judgments
from reward_bases.train.model.checkpoint import Scores, load_factors, save_factors
from reward_bases.train.model.heads import Factors
from reward_bases.train.model.learn import Learned, LearnSettings, everybodys_head, learn
from reward_bases.train.progress import ProgressListener
from reward_bases.train.request import Request
from reward_bases.train.training_set import Materials, TrainingSet
from reward_bases.train.validate.choose import MOST_JUDGMENTS, MOST_PEOPLE, choose_settings, steps
from reward_bases.train.validate.evaluate import Predictions, predict
from reward_bases.train.validate.split import Split, some_people

SCORES = "scores.json"
FACTORS = "factors.safetensors"


@dataclass(frozen=True, eq=False)
class Fit:
    """What was learned from ``training_set`` under the ``settings`` chosen on it; ``scores``: those of the choice."""

    training_set: TrainingSet
    settings: LearnSettings
    learned: Learned
    factors: Factors
    scores: dict[str, float]

    @property
    def everybodys_head(self) -> Tensor:
        """Weights (F,) of one Bradley–Terry head for everybody, learned from the same people."""
        of = self.training_set
        weights, offsets = everybodys_head(of.teach, self.learned.model, of.fixed, self.settings)
        return weights + offsets[1:] @ of.fixed

    def predictions(self, split: Split) -> Predictions:
        """Of what ``split`` holds out."""
        return predict(self.learned, self.everybodys_head, split.over(self.training_set.teach.items))


@dataclass(frozen=True, eq=False)
class Fitting:
    """``folder`` keeps the finished steps; ``new_prompts`` says whether heads must carry over to new prompts."""

    request: Request
    training_set: TrainingSet
    new_prompts: bool
    folder: Path
    listener: ProgressListener
    part: str = ""
    """What stages are called after, where there are several fits."""

    def run(self) -> Fit:
        """Raises InvalidInput for more heads than a basis may have."""
        self.folder.mkdir(exist_ok=True)
        settings = self._choose()
        learned, factors = self._learn(settings)
        return Fit(self.training_set, settings, learned, factors, dict(Scores(self.folder / SCORES)))

    @property
    def chosen_on(self) -> Judgments:
        """The judgments on which settings are chosen."""
        generator = torch.Generator().manual_seed(self.request.seed)
        return some_people(self.training_set.teach, MOST_PEOPLE, MOST_JUDGMENTS, generator)

    def _choose(self) -> LearnSettings:
        fixed, given = self.training_set.fixed, self.request.given
        start = replace(self.request.settings, prior_spreads=self.training_set.prior_spreads)
        if (heads := 1 + len(fixed) + start.learned) > K_MAX:
            raise InvalidInput(f"{heads} heads with the named ones; at most {K_MAX}: lower --heads or give --no-named")
        self.listener.stage(f"{self.part}choosing settings")
        noise = self.request.label_noise is None
        total = steps(given, noise, bool(start.prior_spreads))
        memory = Scores(self.folder / SCORES, lambda done: self.listener.progress(done, total))
        return choose_settings(self.chosen_on, fixed, start, self.new_prompts, given, memory, noise)

    def _learn(self, settings: LearnSettings) -> tuple[Learned, Factors]:
        self.listener.stage(f"{self.part}learning")
        path = self.folder / FACTORS

        def report(factors: Factors, _: float) -> None:
            save_factors(path, factors)
            self.listener.progress(factors.rounds, settings.rounds)

        begun = load_factors(path) if path.exists() else None
        learned = learn(self.training_set.teach, self.training_set.fixed, settings, report, begun)
        return learned, load_factors(path)


def fits_without_folds(
    materials: Materials, request: Request, folder: Path, listener: ProgressListener
) -> Iterator[tuple[Split, Fit]]:
    """For each split what was chosen and learned without the people that it holds out; each keeps steps of its own."""
    for number, split in enumerate(materials.splits, 1):
        part = f"fold {number} of {len(materials.splits)}: "
        listener.stage(f"{part}{materials.measuring}")
        training_set = materials.without(split)
        fitting = Fitting(request, training_set, split.new_prompts, folder / f"fold-{number}", listener, part)
        yield split, fitting.run()
