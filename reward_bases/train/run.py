"""``keel train`` without its terminal: from files of judgments to a folder that the service reads.

    read → hold out → (tune the encoder) → features → choose settings → learn → ensemble → evaluate → write

Every step follows from data, arguments and seed alone; what takes long is on disk as soon as it is done, so that a run
that was broken off goes on to the same result.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from elicitation.checks import K_MAX
from elicitation.errors import InvalidInput
from reward_bases.train import card
from reward_bases.train.data.judged import Judged
from reward_bases.train.data.reading import Data, read
from reward_bases.train.encoder.tuning import METRICS
from reward_bases.train.features import describe
from reward_bases.train.features.language import bank_reference
from reward_bases.train.grounds import ENCODER, Grounds, grounds
from reward_bases.train.model.checkpoint import Scores, load_factors, save_factors
from reward_bases.train.model.ensemble import disagreement, ensemble
from reward_bases.train.model.heads import Factors, Ridges, aggregate_head
from reward_bases.train.model.learn import Learned, Settings, learn
from reward_bases.train.model.people import save_people
from reward_bases.train.model.product import Product, own_reference, product
from reward_bases.train.request import Place, Request
from reward_bases.train.validate.choose import MOST_JUDGMENTS, MOST_PEOPLE, choose_settings, steps
from reward_bases.train.validate.evaluate import Evaluation, evaluate
from reward_bases.train.validate.split import some_people
from reward_bases.train.watch import Watch

SCORES = "scores.json"
FACTORS = "factors.safetensors"


def train(request: Request, resume: bool, watch: Watch) -> dict[str, Any]:
    """Run, or go on, or say what a finished run found: the card's ``training`` and where it lies.

    Raises KeelError for unusable data, arguments or folders.
    """
    place = Place.of(request)
    if finished := place.finished():
        return _result(place, finished["training"], already=True)
    watch.stage("reading")
    data = read(request.data, request.seed)
    watch.say(str(data.refused))
    place.open(resume)
    training = _Training(place, data, watch).run()
    place.close()
    return _result(place, training, already=False)


def _result(place: Place, training: Mapping[str, Any], already: bool) -> dict[str, Any]:
    return {"folder": str(place.folder), "already_finished": already, **training}


@dataclass(frozen=True, eq=False)
class _Found:
    """What was learned; ``members`` (S, K, F) are the ensemble."""

    settings: Settings
    learned: Learned
    factors: Factors
    members: Tensor
    evaluation: Evaluation


@dataclass(frozen=True, eq=False)
class _Training:
    place: Place
    data: Data
    watch: Watch

    def run(self) -> dict[str, Any]:
        """The card's part on training; the folder is complete when this returns."""
        on = grounds(self.data, self.place.request, self.place.folder, self.watch)
        settings = self._choose(on)
        learned, factors = self._learn(on, settings)
        members = self._ensemble(on, settings, learned, factors)
        evaluation = self._evaluate(on, settings, learned)
        self.watch.stage("writing")
        return self._write(on, _Found(settings, learned, factors, members, evaluation))

    def _choose(self, on: Grounds) -> Settings:
        request, given = self.place.request, self.place.request.given
        start = request.settings
        if (heads := 1 + len(on.fixed) + start.learned) > K_MAX:
            raise InvalidInput(f"{heads} heads with the named ones; at most {K_MAX}: lower --heads or give --no-named")
        self.watch.stage("choosing settings")
        total = steps(given)
        memory = Scores(self.place.unfinished / SCORES, lambda done: self.watch.progress(done, total))
        judged = _chosen_on(on, request.seed)
        return choose_settings(judged, on.fixed, start, on.split.new_prompts, given, memory)

    def _learn(self, on: Grounds, settings: Settings) -> tuple[Learned, Factors]:
        self.watch.stage("learning")
        path = self.place.unfinished / FACTORS

        def report(factors: Factors, _: float) -> None:
            save_factors(path, factors)
            self.watch.progress(factors.rounds, settings.rounds)

        begun = load_factors(path) if path.exists() else None
        learned = learn(on.split.teach, on.fixed, settings, report, begun)
        return learned, load_factors(path)

    def _ensemble(self, on: Grounds, settings: Settings, learned: Learned, factors: Factors) -> Tensor:
        self.watch.stage("refitting heads")
        ridges, size = Ridges(settings.aggregate_ridge, settings.ridge), self.place.request.ensemble
        # Heads are learned at one consistency for everybody.
        model = replace(learned.model, log_consistency_std=0.0)
        judged, fixed = on.split.teach, len(on.fixed)
        return ensemble(judged, model, factors, fixed, ridges, size, settings.seed, self.watch.progress)

    def _evaluate(self, on: Grounds, settings: Settings, learned: Learned) -> Evaluation:
        self.watch.stage("evaluating")
        weights, offsets = aggregate_head(on.split.teach, learned.model, on.fixed, settings.aggregate_ridge)
        generator = torch.Generator().manual_seed(settings.seed)
        return evaluate(learned, weights + offsets[1:] @ on.fixed, on.split, generator)

    def _write(self, on: Grounds, found: _Found) -> dict[str, Any]:
        split, language, folder = on.split, on.language, self.place.folder
        reference = None
        if language is not None:
            generator = torch.Generator().manual_seed(found.settings.seed)
            reference = own_reference(split.teach, on.features, generator)
            reference = bank_reference(language.within(on.features)) if reference is None else reference
        made = product(split.teach, on.features, found.learned, found.factors, on.named, reference)
        members = on.features.raw(found.members)[:, made.kept]
        heads = describe.heads(made.weights, on.named, on.known, reference)
        training = self._training(on, found, made, members, [head.name for head in heads], reference)
        user_ids = tuple(self.data.user_ids[person] for person in split.teachers.nonzero().flatten().tolist())
        save_people(folder, made.crowd, user_ids, made.start, found.settings)
        data, model = training["data"], found.learned.model
        if language is None or reference is None:
            card.write_heads(folder, made, members, heads, model, data, training)
        else:
            tuned = self.place.request.tune
            card.write_basis(
                folder, language, on.features, made, members, reference, heads, model, data, training, tuned
            )
        return training

    def _training(
        self, on: Grounds, found: _Found, made: Product, members: Tensor, names: Sequence[str], reference: Tensor | None
    ) -> dict[str, Any]:
        request, teach = self.place.request, on.split.teach
        looked = torch.eye(made.weights.shape[1], dtype=torch.float64)[None] if reference is None else reference
        apart = disagreement(made.weights, members, looked.flatten(0, 1), made.spread)
        judged = _chosen_on(on, request.seed)
        return {
            "run": self.place.fingerprint,
            "arguments": request.arguments,
            "data": card.data_card(self.data, self.place),
            "learned_from": {"people": teach.size, "judgments": len(teach)},
            "chosen_on": {"people": judged.size, "judgments": len(judged)},
            "settings": asdict(found.settings),
            "scores": dict(Scores(self.place.unfinished / SCORES)),
            "heads": list(names),
            "not_served": made.silent,
            "metrics": card.metrics_card(found.evaluation),
            "ensemble": {"size": len(members), "disagreement": card.by_name(names, apart) if len(members) else None},
            "tuning": self._tuning(),
            "served": reference is not None,
            "warnings": self._warnings(found.evaluation, reference is not None),
        }

    def _warnings(self, evaluation: Evaluation, served: bool) -> list[str]:
        warnings = [] if evaluation.verdict == "better" else [evaluation.sentence]
        if not served:
            warnings.append("Given features have no texts: heads and population were written, but no basis to serve.")
        return warnings

    def _tuning(self) -> dict[str, Any] | None:
        if not self.place.request.tune:
            return None
        found: dict[str, Any] = json.loads((self.place.folder / ENCODER / METRICS).read_text(encoding="utf-8"))
        return found


def _chosen_on(on: Grounds, seed: int) -> Judged:
    return some_people(on.split.teach, MOST_PEOPLE, MOST_JUDGMENTS, torch.Generator().manual_seed(seed))
