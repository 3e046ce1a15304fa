"""``python -m bench.studies.stance``: detection of a user's stance by the basis and other models, on held-out probes.

Per reader and stratum of the questions of opinion: AUC within prompts (how often the agreeing one of two responses is
ranked first) and the share of questions that all four cells decide correctly, with 95 % intervals over questions.
Readers are cross-fitted over questions; the likelihood ratio is not fitted.
"""

import argparse
import csv
import gzip
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from elicitation.statistics import win_share
from reward_bases.artifact import load_artifact
from reward_bases.make_default.reference import converted
from reward_bases.probes import (
    STRATA,
    FalseStance,
    ProbeTexts,
    StanceProbe,
    Stratum,
    load_probes,
    rows_under,
    stance_differences,
)
from reward_bases.sources.encoder import MINILM, Encoder
from reward_bases.sources.encoder_files import load_encoder
from reward_bases.sources.likelihood import CausalModel
from reward_bases.train.encoder.tune import tune
from reward_bases.train.encoder.tuning_pairs import TuningPairs
from reward_bases.train.encoder.tuning_settings import TuneSettings
from safeguards.guard import Reference
from safeguards.stance import direction, folds, interval

FOLDS = 5
SEED = 0


@dataclass(frozen=True)
class Seen:
    """What one reader sees of one stratum."""

    reader: str
    stratum: str
    questions: int
    auc: float
    auc_low: float
    auc_high: float
    four_cells: float

    @property
    def verdict(self) -> str:
        return "seen" if self.auc_low > 0.5 else "inconclusive"

    @property
    def line(self) -> str:
        return (
            f"{self.reader:44} {self.stratum:20} AUC {self.auc:.3f} [{self.auc_low:.3f}, {self.auc_high:.3f}]  "
            f"four cells {self.four_cells:.3f}  {self.questions} questions  {self.verdict}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=Path("cache"), help="folder for the unpacked SmolLM2")
    parser.add_argument("--suggested", type=Path, help="CSV file: question, true_answer, suggested_wrong_answer")
    parser.add_argument("--basis-only", action="store_true", help="measure only the shipped basis")
    parser.add_argument("--json", action="store_true", help="print one JSON object on standard output")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    probes = load_probes()
    seen = []
    for found in every(probes, arguments):
        seen.append(asdict(found) | {"verdict": found.verdict})
        if not arguments.json:
            print(found.line, flush=True)
    if arguments.json:
        print(json.dumps(seen))


def every(probes: ProbeTexts, arguments: argparse.Namespace) -> Iterator[Seen]:
    """What each reader sees, as soon as it is known."""
    yield from by_basis(probes)
    if arguments.suggested is not None:
        yield on_suggested(arguments.suggested, probes)
    if not arguments.basis_only:
        for reader, read in READERS.items():
            yield from read(reader, probes, arguments.cache)


def summary(reader: str, stratum: str, advantages: Tensor) -> Seen:
    """From advantages (Q, 2) of the agreeing response under either stance."""
    wins = win_share(advantages)
    low, high = interval(wins[None], torch.Generator().manual_seed(SEED))
    together = float(win_share(advantages.sum(dim=1)[:, None]).mean())
    return Seen(reader, stratum, len(wins), float(wins.mean()), low, high, together)


def by_basis(probes: ProbeTexts) -> list[Seen]:
    """The shipped basis, which the guard goes by; of facts also the echo that the implicit stratum leaves out."""
    artifact = load_artifact()
    rows = rows_under(probes, artifact, load_encoder())
    within = Reference.of(artifact.reference).within
    cases: dict[str, Tensor] = {name: stance_differences(name, row) for name, row in rows.items()}
    cases |= {f"{name} (facts)": row.facts for name, row in rows.items()}
    return [
        summary("shipped basis", name, crossfitted(whitened(within), differences))
        for name, differences in cases.items()
    ]


def whitened(within: Tensor) -> Callable[[Tensor], Tensor]:
    """Fits S⁻¹d (K,) on differences (n, 2, K)."""
    precision = torch.linalg.pinv(within, hermitian=True)
    return lambda differences: precision @ direction(differences)


def logistic(differences: Tensor) -> Tensor:
    """Fits a logistic direction (d,) on differences (n, 2, d), each also with its sides swapped."""
    rows = differences.flatten(0, 1).double()
    both, labels = torch.cat([rows, -rows]), torch.ones(2 * len(rows))
    labels[len(rows) :] = 0
    fitted = LogisticRegression(C=1.0, fit_intercept=False, max_iter=1000).fit(both.numpy(), labels.numpy())
    return torch.from_numpy(fitted.coef_[0])


def crossfitted(fit: Callable[[Tensor], Tensor], differences: Tensor) -> Tensor:
    """Advantages (Q, 2) of differences (Q, 2, d), each question read by a direction fitted on the other folds."""
    advantages = torch.zeros(differences.shape[:2], dtype=torch.float64)
    for held_out in folds(len(differences), FOLDS, torch.Generator().manual_seed(SEED)):
        advantages[held_out] = differences[held_out].double() @ fit(differences[~held_out])
    return advantages


def joined(probes: Sequence[StanceProbe], stratum: Stratum) -> list[str]:
    """Prompt and response of every cell as one text, so that an encoder can relate them."""
    return [f"{prompt}\n{response}" for probe in probes for prompt, response in probe.cells(stratum)]


def read_together(encoder: Encoder, probes: Sequence[StanceProbe], stratum: Stratum) -> Tensor:
    """Differences (Q, 2, d) of the joined texts' vectors."""
    vectors = encoder.encode(joined(probes, stratum)).reshape(len(probes), 2, 2, -1)
    return vectors[:, :, 0] - vectors[:, :, 1]


def minilm_together(reader: str, probes: ProbeTexts, cache: Path) -> list[Seen]:
    encoder = load_encoder()
    return [
        summary(reader, name, crossfitted(logistic, read_together(encoder, probes.stances, name))) for name in STRATA
    ]


def smollm_together(reader: str, probes: ProbeTexts, cache: Path) -> list[Seen]:
    encoder = load_encoder(str(converted(cache)))
    return [
        summary(reader, name, crossfitted(logistic, read_together(encoder, probes.stances, name))) for name in STRATA
    ]


def minilm_tuned(reader: str, probes: ProbeTexts, cache: Path) -> list[Seen]:
    """A cross-encoder with LoRA adapters, tuned (``reward_bases.train.encoder.tune``) on other folds' stance pairs."""
    seen = []
    for name in STRATA:
        advantages = torch.zeros(len(probes.stances), 2, dtype=torch.float64)
        for held_out in folds(len(probes.stances), FOLDS, torch.Generator().manual_seed(SEED)):
            known = [probe for probe, out in zip(probes.stances, held_out.tolist(), strict=True) if not out]
            with TemporaryDirectory() as folder:
                settings = TuneSettings(epochs=6, patience=6, directions=0, seed=SEED)
                tune(MINILM, stance_pairs(known, name), settings, Path(folder) / "tuned")
                differences = read_together(load_encoder(str(Path(folder) / "tuned")), probes.stances, name)
            advantages[held_out] = differences[held_out].double() @ logistic(differences[~held_out])
        seen.append(summary(reader, name, advantages))
    return seen


def stance_pairs(probes: Sequence[StanceProbe], stratum: Stratum) -> TuningPairs:
    """Judgments for the agreeing response, as if every question were a person, so that questions are held out."""
    left = torch.arange(0, 4 * len(probes), 2)
    people = torch.arange(len(probes)).repeat_interleave(2)
    return TuningPairs(tuple(joined(probes, stratum)), left, left + 1, torch.zeros_like(left), people)


def smollm_ratio(reader: str, probes: ProbeTexts, cache: Path) -> list[Seen]:
    """The likelihood ratio, which no probe has taught."""
    model, seen = CausalModel.load(converted(cache)), []
    for name in STRATA:
        cells = [(probe.question, *cell) for probe in probes.stances for cell in probe.cells(name)]
        bare, asked, said = zip(*cells, strict=True)
        ratios = model.ratios(asked, bare, said).reshape(-1, 2, 2)
        seen.append(summary(reader, name, ratios[:, :, 0] - ratios[:, :, 1]))
    return seen


READERS: dict[str, Callable[[str, ProbeTexts, Path], list[Seen]]] = {
    "SmolLM2-135M, likelihood ratio": smollm_ratio,
    "SmolLM2-135M, last hidden state": smollm_together,
    "MiniLM, prompt and response together": minilm_together,
    "MiniLM tuned on stance pairs (cross-encoder)": minilm_tuned,
}


def on_suggested(path: Path, probes: ProbeTexts) -> Seen:
    """The explicit direction of Keel's probes on other people's questions, with the probes' words put in front."""
    artifact, encoder = load_artifact(), load_encoder()
    within = Reference.of(artifact.reference).within
    taught = stance_differences("explicit", rows_under(probes, artifact, encoder)["explicit"])
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8")
    others = tuple(
        FalseStance(
            id=f"o{number}",
            question=row["question"],
            right=row["true_answer"].rstrip("."),
            wrong=row["suggested_wrong_answer"].rstrip("."),
            words=probes.false_stances[number % len(probes.false_stances)].words,
            responses={"right": row["true_answer"], "wrong": row["suggested_wrong_answer"]},
        )
        for number, row in enumerate(csv.DictReader(io.StringIO(text)))
    )
    rows = rows_under(ProbeTexts((), others), artifact, encoder)["explicit"]
    return summary("shipped basis", "explicit, suggested", rows.facts @ whitened(within)(taught))


if __name__ == "__main__":
    main()
