"""A run of tuning: epochs of adapters and head together, checkpoints between them, the tuned folder at the end."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from elicitation.errors import InvalidInput
from reward_bases.sources.encoder import Encoder
from reward_bases.sources.encoder_files import TUNED_CARD, tuned_card
from reward_bases.train.encoder.adapters import trainable, with_adapters, write_adapter, write_json
from reward_bases.train.encoder.tuning_head import Head, log_likelihood
from reward_bases.train.encoder.tuning_pairs import TuningPairs, affordable
from reward_bases.train.encoder.tuning_settings import TuneSettings

METRICS = "metrics.json"
WARM_UP = 0.1
PARTS = ("train", "watched", "reported")

Progress = Callable[[int, int], None]


@dataclass(eq=False)
class TuningRun:
    """A run between two epochs. ``train``, ``watched`` and ``reported`` are rows; ``judged`` (P,) counts the training
    judgments of each person; ``history`` and ``best`` are the watched people's figures and the best epoch's tensors.
    """

    encoder: Encoder
    pairs: TuningPairs
    settings: TuneSettings
    train: Tensor
    watched: Tensor
    reported: Tensor
    head: Head
    optimiser: torch.optim.AdamW
    judged: Tensor
    epoch: int = 0
    best_epoch: int = 0
    before: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)

    @property
    def steps(self) -> int:
        return self.settings.epochs * self.steps_per_epoch

    @property
    def steps_per_epoch(self) -> int:
        return math.ceil(len(self.train) / self.settings.batch)

    @property
    def done(self) -> bool:
        return self.epoch == self.settings.epochs or self.epoch - self.best_epoch >= self.settings.patience

    def fit_head(self) -> None:
        """The head's posterior mode on frozen vectors, and what it predicts of held-out people."""
        pairs, head = self.pairs.where(self.train), self.head
        with torch.no_grad():
            differences = self._differences(pairs)
            head.scale.copy_(differences.square().sum(1).mean().clamp_min(1e-12).rsqrt())
        learned = list(head.learned.values())
        optimiser = torch.optim.LBFGS(learned, max_iter=200, line_search_fn="strong_wolfe", tolerance_grad=1e-7)

        def loss() -> Tensor:
            optimiser.zero_grad()
            value = self._cost(differences, pairs).mean()
            value.backward()
            return value

        optimiser.step(loss)
        self.before = self._held_out(self.reported)
        self._watch()

    def run_epoch(self, progress: Progress) -> None:
        """One pass over the training judgments in an order that depends on seed and epoch alone."""
        generator = torch.Generator().manual_seed(self.settings.seed + 1 + self.epoch)
        order = self.train[torch.randperm(len(self.train), generator=generator)]
        for number, rows in enumerate(order.split(self.settings.batch), start=self.epoch * self.steps_per_epoch):
            self._step(self.pairs.where(rows), number)
            progress(number + 1, self.steps)
        self.epoch += 1
        self._watch()

    def _step(self, batch: TuningPairs, number: int) -> None:
        share, warm = number / self.steps, max(1.0, WARM_UP * self.steps)
        rise = min(1.0, (number + 1) / warm) * (1 - share)
        self.optimiser.zero_grad()
        for rows in affordable(batch):
            part = batch.where(rows)
            (self._cost(self._differences(part), part).sum() / len(batch.left)).backward()
        rates = (self.settings.adapter_rate, self.settings.head_rate)
        for group, rate in zip(self.optimiser.param_groups, rates, strict=True):
            group["lr"] = rate * rise
            torch.nn.utils.clip_grad_norm_(group["params"], self.settings.max_norm)
        self.optimiser.step()

    def _cost(self, differences: Tensor, pairs: TuningPairs) -> Tensor:
        """Each judgment's (N,) negative log-likelihood and its share of the priors, nats."""
        head = self.head
        fit = log_likelihood(head.utilities(differences, pairs.people), pairs.wins)
        common = (head.aggregate.square().sum() + head.directions.square().sum()) / self.settings.head_std**2
        own = head.tastes.square().sum(1)[pairs.people] / self.judged[pairs.people]
        return -fit + (common / len(self.train) + own) / 2

    def _differences(self, pairs: TuningPairs) -> Tensor:
        """Vector of the left text minus that of the right (N, d), each text encoded once."""
        texts, places = torch.cat([pairs.left, pairs.right]).unique(return_inverse=True)
        vectors = self.encoder.vectors([pairs.texts[text] for text in texts.tolist()]).double()
        left, right = vectors[places].chunk(2)
        return left - right

    def _watch(self) -> None:
        """Note how well the watched people are predicted, and keep the best so far."""
        self.history.append(self._held_out(self.watched))
        values = [entry["log_likelihood"] for entry in self.history]
        if values[-1] >= max(values):
            self.best_epoch = self.epoch
            self.best = {name: tensor.detach().cpu().clone() for name, tensor in self._learned.items()}

    @torch.no_grad()
    def _held_out(self, rows: Tensor) -> dict[str, float]:
        pairs = self.pairs.where(rows)
        return self.head.held_out(self._differences(pairs), pairs)

    @property
    def _learned(self) -> dict[str, Tensor]:
        """Every tensor that tuning changes, by name."""
        adapters = {f"adapter.{name}": tensor for name, tensor in trainable(self.encoder).items()}
        return adapters | {f"head.{name}": tensor for name, tensor in self.head.learned.items()}

    @torch.no_grad()
    def _put(self, tensors: Mapping[str, Tensor]) -> None:
        for name, tensor in self._learned.items():
            tensor.copy_(tensors[name])

    def save(self, path: Path, run: str) -> None:
        """Write everything that ``restore`` needs, all at once."""
        tensors = {name: tensor.detach() for name, tensor in self._learned.items()} | {"scale": self.head.scale}
        tensors |= {f"best.{name}": tensor for name, tensor in self.best.items()}
        for number, state in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{number}.{name}": tensor for name, tensor in state.items()}
        known = {name: getattr(self, name) for name in ("epoch", "best_epoch", "before", "history")}
        draft = path.with_suffix(".draft")
        contiguous = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
        save_file(contiguous, draft, metadata={"run": run, "known": json.dumps(known)})
        draft.replace(path)

    def restore(self, path: Path, run: str) -> None:
        """Take up a checkpoint of the same run; raises InvalidInput for another's."""
        with safe_open(path, framework="pt") as stored:
            notes = stored.metadata()
            require_same_run(path.parent, run, notes["run"])
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
        self._put(tensors)
        self.head.scale.copy_(tensors["scale"])
        self.best = {name: tensors[f"best.{name}"] for name in self._learned}
        state: dict[int, dict[str, Tensor]] = {}
        for name in tensors:
            if name.startswith("optimiser."):
                _, number, kind = name.split(".")
                state.setdefault(int(number), {})[kind] = tensors[name]
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": state, "param_groups": groups})
        for name, value in json.loads(notes["known"]).items():
            setattr(self, name, value)

    def finish(self, folder: Path, base: Encoder, run: str) -> None:
        """Write the best epoch's adapter with what it achieves; the card comes last and makes the folder an encoder."""
        self._put(self.best)
        after = self._held_out(self.reported)
        write_adapter(folder, self.encoder.model, base.name)
        metrics = {
            "run": run,
            "settings": asdict(self.settings),
            "people": {name: len(self.pairs.people[getattr(self, name)].unique()) for name in PARTS},
            "before": self.before,
            "after": after,
            "best_epoch": self.best_epoch,
            "watched": self.history,
        }
        write_json(folder / METRICS, metrics)
        write_json(folder / TUNED_CARD, tuned_card(base, folder))


def begin(base: Encoder, pairs: TuningPairs, settings: TuneSettings, device: str) -> TuningRun:
    """A run before its first step: adapters that change nothing yet, a head of zeros, people split into parts."""
    pairs = replace(pairs, texts=tuple(text[: settings.characters] for text in pairs.texts))
    generator = torch.Generator().manual_seed(settings.seed)
    parts = _split(pairs.people, settings.held_out, generator)
    people = int(pairs.people.max()) + 1
    head = Head(
        torch.ones((), dtype=torch.float64),
        torch.zeros(base.dimension, dtype=torch.float64),
        torch.randn(settings.directions, base.dimension, generator=generator, dtype=torch.float64) / base.dimension,
        torch.zeros(people, settings.directions, dtype=torch.float64),
    )
    for tensor in head.learned.values():
        tensor.requires_grad_()
    adapted = with_adapters(base.model.float().to(device), settings.rank, settings.alpha, settings.seed)
    encoder = replace(base, model=adapted)
    adapters, learned = list(trainable(encoder).values()), list(head.learned.values())
    groups = [{"params": adapters, "weight_decay": settings.decay}, {"params": learned, "weight_decay": 0.0}]
    judged = torch.bincount(pairs.people[parts[0]], minlength=people).double()
    return TuningRun(encoder, pairs, settings, *parts, head, torch.optim.AdamW(groups), judged)


def _split(people: Tensor, held_out: float, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Rows of the people who train, who are watched and who are reported, at least one person each."""
    known = people.unique()
    if len(known) < len(PARTS):
        raise InvalidInput(f"{len(known)} people; tuning needs at least {len(PARTS)}: some train, others are held out")
    shuffled = known[torch.randperm(len(known), generator=generator)]
    each = min(max(1, round(len(known) * held_out / 2)), (len(known) - 1) // 2)
    chosen = (shuffled[2 * each :], shuffled[:each], shuffled[each : 2 * each])
    train, watched, reported = (torch.isin(people, part).nonzero().squeeze(1) for part in chosen)
    return train, watched, reported


def require_same_run(folder: Path, run: str, found: str) -> None:
    """Raises InvalidInput unless the tuning ``found`` in ``folder`` is ``run``."""
    if found != run:
        raise InvalidInput(f"{folder} holds tuning {found[:12]} of other data or settings; choose another folder")
