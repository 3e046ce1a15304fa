"""``keel train`` without its terminal: from files of judgments to a folder that the service reads.

    read → hold out → (tune the encoder) → features → choose settings → learn → ensemble → evaluate → write

Where people are few, settings are chosen and heads learned without each fold of the people in turn, to judge the fold
by; what is served is learned from everybody.

Every step follows from data, arguments and seed alone. Slow steps are on disk as soon as they are done, so that an
interrupted run goes on to the same result.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from reward_bases.train import card
from reward_bases.train.data.judgments import Judgments
from reward_bases.train.data.reading import Data, read
from reward_bases.train.encoder.tuning_run import METRICS
from reward_bases.train.features import describe
from reward_bases.train.features.text_features import bank_reference
from reward_bases.train.fitting import Fit, Fitting, fits_without_folds
from reward_bases.train.model.ensemble import ensemble
from reward_bases.train.model.learn import LearnSettings
from reward_bases.train.model.served_heads import own_reference, serve_heads
from reward_bases.train.model.training_people import People, save_people
from reward_bases.train.progress import ProgressListener
from reward_bases.train.request import Request, RunFolder
from reward_bases.train.training_set import ENCODER, Materials, gather
from reward_bases.train.validate.evaluate import Evaluation, Predictions, evaluate


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
    materials = gather(data, request, folder.path, listener)
    training = _Training(folder, data, materials, listener).run()
    folder.close()
    return _result(folder, training, already=False)


def _result(folder: RunFolder, training: Mapping[str, Any], already: bool) -> dict[str, Any]:
    return {"folder": str(folder.path), "already_finished": already, **training}


@dataclass(frozen=True, eq=False)
class _Found:
    """Everything learned, from the judgments ``chosen_on`` as to settings; ``members`` (S, K, F) are the ensemble.

    ``fold_settings`` were chosen without each fold, if people were judged in folds.
    """

    fit: Fit
    chosen_on: Judgments
    members: Tensor
    evaluation: Evaluation
    fold_settings: list[LearnSettings]


@dataclass(frozen=True, eq=False)
class _Training:
    folder: RunFolder
    data: Data
    materials: Materials
    listener: ProgressListener

    def run(self) -> dict[str, Any]:
        """The card's part on training; the folder is complete when this returns."""
        folds = self._folds() if self.materials.in_folds else []
        serving = self._serving()
        fit = serving.run()
        members = self._ensemble(fit)
        self.listener.stage("evaluating")
        evaluation = self._evaluate([fold for fold, _ in folds] or [fit.predictions(self.materials.splits[0])])
        self.listener.stage("writing")
        return self._write(_Found(fit, serving.chosen_on, members, evaluation, [settings for _, settings in folds]))

    def _serving(self) -> Fitting:
        """The choice and the learning of what is served."""
        self.listener.stage(self.materials.measuring)
        new_prompts = self.materials.splits[0].new_prompts
        return Fitting(self.folder.request, self.materials.to_serve, new_prompts, self.folder.steps, self.listener)

    def _folds(self) -> list[tuple[Predictions, LearnSettings]]:
        """Predictions of each fold's people by what was chosen and learned without them, and the settings."""
        fits = fits_without_folds(self.materials, self.folder.request, self.folder.steps, self.listener)
        return [(fit.predictions(split), fit.settings) for split, fit in fits]

    def _evaluate(self, predictions: Sequence[Predictions]) -> Evaluation:
        generator = torch.Generator().manual_seed(self.folder.request.seed)
        return evaluate(predictions, self.materials.judged.size, generator)

    def _ensemble(self, fit: Fit) -> Tensor:
        self.listener.stage("refitting heads")
        settings, teach, size = fit.settings, fit.training_set.teach, self.folder.request.ensemble
        # Heads are learned at one consistency for everybody.
        model, fixed = replace(fit.learned.model, log_consistency_std=0.0), len(fit.training_set.fixed)
        return ensemble(teach, model, fit.factors, fixed, settings, size, self.listener.progress)

    def _write(self, found: _Found) -> dict[str, Any]:
        folder, basis = self.folder.path, self._basis(found)
        training = self._report(found, basis)
        teachers = found.fit.training_set.teachers.nonzero().flatten().tolist()
        user_ids = tuple(self.data.user_ids[person] for person in teachers)
        served = basis.served
        settings = served.settings_in_units(found.fit.settings)
        save_people(folder, People(served.crowd, user_ids, served.start, settings, served.given))
        card.write(folder, basis, found.fit.training_set, training)
        return training

    def _basis(self, found: _Found) -> card.TrainedBasis:
        fit, of, reference = found.fit, found.fit.training_set, self._reference(found.fit)
        served = serve_heads(of.teach, of.features, fit.learned, fit.factors, of.named, reference)
        heads = describe.heads(served.weights, of.named, of.directions, reference)
        members = of.features.raw(found.members)[:, served.kept]
        return card.TrainedBasis(heads, served, members, fit.learned.model, reference)

    def _reference(self, fit: Fit) -> Tensor | None:
        """Clipped features (P, n, F) of the data's own responses or, if these are too few, of the bank's answers."""
        of, generator = fit.training_set, torch.Generator().manual_seed(fit.settings.seed)
        if of.text_features is None:
            return None
        own = own_reference(of.teach, of.features, generator)
        return bank_reference(of.text_features.within(of.features)) if own is None else own

    def _report(self, found: _Found, basis: card.TrainedBasis) -> dict[str, Any]:
        request, teach, chosen_on = self.folder.request, found.fit.training_set.teach, found.chosen_on
        served = basis.reference is not None
        return {
            "run": self.folder.fingerprint,
            "arguments": request.arguments,
            "data": card.data_card(self.data, self.folder),
            "learned_from": {"people": teach.size, "judgments": len(teach)},
            "chosen_on": {"people": chosen_on.size, "judgments": len(chosen_on)},
            "settings": found.fit.settings.as_stored(),
            "fold_settings": [settings.as_stored() for settings in found.fold_settings],
            "scores": found.fit.scores,
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
