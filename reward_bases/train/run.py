"""``keel train`` without its terminal: from files of judgments to a folder that the service reads.

    read → hold out → (tune the encoder) → features → choose settings → learn → ensemble → evaluate → write

Every step follows from data, arguments and seed alone. Slow steps are on disk as soon as they are done, so that an
interrupted run goes on to the same result.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from elicitation.checks import K_MAX
from elicitation.errors import InvalidInput
from reward_bases.train import card
from reward_bases.train.data.judgments import Judgments
from reward_bases.train.data.reading import Data, read
from reward_bases.train.encoder.tuning_run import METRICS
from reward_bases.train.features import describe
from reward_bases.train.features.text_features import bank_reference
from reward_bases.train.model.checkpoint import Scores, load_factors, save_factors
from reward_bases.train.model.ensemble import ensemble
from reward_bases.train.model.heads import Factors, Ridges, aggregate_head
from reward_bases.train.model.learn import Learned, LearnSettings, learn
from reward_bases.train.model.served_heads import own_reference, serve_heads
from reward_bases.train.model.training_people import save_people
from reward_bases.train.progress import ProgressListener
from reward_bases.train.request import Request, RunFolder
from reward_bases.train.training_set import ENCODER, TrainingSet, build_training_set
from reward_bases.train.validate.choose import MOST_JUDGMENTS, MOST_PEOPLE, choose_settings, steps
from reward_bases.train.validate.evaluate import Evaluation, evaluate
from reward_bases.train.validate.split import some_people

SCORES = "scores.json"
FACTORS = "factors.safetensors"


def train(request: Request, resume: bool, listener: ProgressListener) -> dict[str, Any]:
    """Run, or go on, or report a finished run: the card's ``training`` and the folder that has it.

    Raises KeelError for unusable data, arguments or folders.
    """
    folder = RunFolder.of(request)
    if finished := folder.finished():
        return _result(folder, finished["training"], already=True)
    listener.stage("reading")
    data = read(request.data, request.seed)
    listener.say(str(data.refused))
    folder.open(resume)
    training_set = build_training_set(data, request, folder.path, listener)
    training = _Training(folder, data, training_set, listener).run()
    folder.close()
    return _result(folder, training, already=False)


def _result(folder: RunFolder, training: Mapping[str, Any], already: bool) -> dict[str, Any]:
    return {"folder": str(folder.path), "already_finished": already, **training}


@dataclass(frozen=True, eq=False)
class _Found:
    """Everything learned; ``members`` (S, K, F) are the ensemble."""

    settings: LearnSettings
    learned: Learned
    factors: Factors
    members: Tensor
    evaluation: Evaluation


@dataclass(frozen=True, eq=False)
class _Training:
    folder: RunFolder
    data: Data
    training_set: TrainingSet
    listener: ProgressListener

    def run(self) -> dict[str, Any]:
        """The card's part on training; the folder is complete when this returns."""
        settings = self._choose()
        learned, factors = self._learn(settings)
        members = self._ensemble(settings, learned, factors)
        evaluation = self._evaluate(settings, learned)
        self.listener.stage("writing")
        return self._write(_Found(settings, learned, factors, members, evaluation))

    @property
    def _teach(self) -> Judgments:
        return self.training_set.split.teach

    @property
    def _chosen_on(self) -> Judgments:
        generator = torch.Generator().manual_seed(self.folder.request.seed)
        return some_people(self._teach, MOST_PEOPLE, MOST_JUDGMENTS, generator)

    def _choose(self) -> LearnSettings:
        fixed, start, given = self.training_set.fixed, self.folder.request.settings, self.folder.request.given
        if (heads := 1 + len(fixed) + start.learned) > K_MAX:
            raise InvalidInput(f"{heads} heads with the named ones; at most {K_MAX}: lower --heads or give --no-named")
        self.listener.stage("choosing settings")
        total = steps(given)
        memory = Scores(self.folder.unfinished / SCORES, lambda done: self.listener.progress(done, total))
        return choose_settings(self._chosen_on, fixed, start, self.training_set.split.new_prompts, given, memory)

    def _learn(self, settings: LearnSettings) -> tuple[Learned, Factors]:
        self.listener.stage("learning")
        path = self.folder.unfinished / FACTORS

        def report(factors: Factors, _: float) -> None:
            save_factors(path, factors)
            self.listener.progress(factors.rounds, settings.rounds)

        begun = load_factors(path) if path.exists() else None
        learned = learn(self._teach, self.training_set.fixed, settings, report, begun)
        return learned, load_factors(path)

    def _ensemble(self, settings: LearnSettings, learned: Learned, factors: Factors) -> Tensor:
        self.listener.stage("refitting heads")
        ridges, size = Ridges(settings.aggregate_ridge, settings.ridge), self.folder.request.ensemble
        # Heads are learned at one consistency for everybody.
        model, fixed = replace(learned.model, log_consistency_std=0.0), len(self.training_set.fixed)
        return ensemble(self._teach, model, factors, fixed, ridges, size, settings.seed, self.listener.progress)

    def _evaluate(self, settings: LearnSettings, learned: Learned) -> Evaluation:
        self.listener.stage("evaluating")
        fixed = self.training_set.fixed
        weights, offsets = aggregate_head(self._teach, learned.model, fixed, settings.aggregate_ridge)
        generator = torch.Generator().manual_seed(settings.seed)
        return evaluate(learned, weights + offsets[1:] @ fixed, self.training_set.split, generator)

    def _write(self, found: _Found) -> dict[str, Any]:
        folder, basis = self.folder.path, self._basis(found)
        training = self._report(found, basis)
        teachers = self.training_set.split.teachers.nonzero().flatten().tolist()
        user_ids = tuple(self.data.user_ids[person] for person in teachers)
        save_people(folder, basis.served.crowd, user_ids, basis.served.start, found.settings)
        card.write(folder, basis, self.training_set, training)
        return training

    def _basis(self, found: _Found) -> card.TrainedBasis:
        of, reference = self.training_set, self._reference(found.settings.seed)
        served = serve_heads(self._teach, of.features, found.learned, found.factors, of.named, reference)
        heads = describe.heads(served.weights, of.named, of.directions, reference)
        members = of.features.raw(found.members)[:, served.kept]
        return card.TrainedBasis(heads, served, members, found.learned.model, reference)

    def _reference(self, seed: int) -> Tensor | None:
        """Clipped features (P, n, F) of the data's own responses or, if these are too few, of the bank's answers."""
        of, generator = self.training_set, torch.Generator().manual_seed(seed)
        if of.text_features is None:
            return None
        own = own_reference(self._teach, of.features, generator)
        return bank_reference(of.text_features.within(of.features)) if own is None else own

    def _report(self, found: _Found, basis: card.TrainedBasis) -> dict[str, Any]:
        request, teach, chosen_on = self.folder.request, self._teach, self._chosen_on
        served = basis.reference is not None
        return {
            "run": self.folder.fingerprint,
            "arguments": request.arguments,
            "data": card.data_card(self.data, self.folder),
            "learned_from": {"people": teach.size, "judgments": len(teach)},
            "chosen_on": {"people": chosen_on.size, "judgments": len(chosen_on)},
            "settings": found.settings.as_stored(),
            "scores": dict(Scores(self.folder.unfinished / SCORES)),
            "heads": basis.names,
            "not_served": basis.served.pruned,
            "metrics": card.metrics_card(found.evaluation),
            "ensemble": card.ensemble_card(basis),
            "tuning": self._tuning(),
            "served": served,
            "warnings": self._warnings(found.evaluation, served),
        }

    def _warnings(self, evaluation: Evaluation, served: bool) -> list[str]:
        warnings = [] if evaluation.verdict == "better" else [evaluation.sentence]
        if not served:
            warnings.append("Given features have no texts: heads and population were written, but no basis to serve.")
        return warnings

    def _tuning(self) -> dict[str, Any] | None:
        if not self.folder.request.tune:
            return None
        found: dict[str, Any] = json.loads((self.folder.path / ENCODER / METRICS).read_text(encoding="utf-8"))
        return found
