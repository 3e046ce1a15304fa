"""Sources give named columns of pairs; a basis makes φ of them, in one way."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import pytest
import torch
from source_contract import PAIRS, Case, check_source

from elicitation.errors import ArtifactMismatch, SourceFailed
from reward_bases.artifact import Artifact
from reward_bases.basis import Basis, Head
from reward_bases.sources import lexicon, surface
from reward_bases.sources.embedding import EncoderSource, Reading
from reward_bases.sources.encoder import Encoder
from reward_bases.sources.features import feature_names, text_and_encoder
from reward_bases.sources.phi import columns_of, phi_of
from reward_bases.sources.source import Columns, Pair, Source
from reward_bases.sources.text import TextSource, code_digest
from reward_bases.text import Conversation


@dataclass(frozen=True)
class Counted(TextSource):
    """A text source of other code."""

    version: str = "other"


@dataclass(frozen=True)
class Lengths:
    """A source of the shortest kind, which cannot read the rows that ``failing`` names."""

    kind: str = "lengths"
    names: tuple[str, ...] = ("asked", "said")
    version: str = "1"
    failing: Mapping[int, str] = field(default_factory=dict)

    async def columns(self, pairs: Sequence[Pair]) -> Columns:
        rows = [(len(pair.conversation.last_user), len(pair.response)) for pair in pairs]
        return Columns(torch.tensor(rows, dtype=torch.float64).reshape(len(rows), 2), self.failing)


def axes(encoder: Encoder, seed: int) -> torch.Tensor:
    return torch.randn(3, encoder.dimension, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def case_of(kind: str, encoder: Encoder) -> Case:
    def on(components: torch.Tensor, sha256: str = encoder.sha256) -> Callable[[], Source]:
        return lambda: EncoderSource(Reading(encoder.encode), sha256, components)

    return {
        "text": Case(TextSource, Counted),
        "encoder, other axes": Case(on(axes(encoder, 0)), on(axes(encoder, 1))),
        "encoder, other weights": Case(on(axes(encoder, 0)), on(axes(encoder, 0), "0" * 64)),
        "encoder, fewer axes": Case(on(axes(encoder, 0)), on(axes(encoder, 0)[:2])),
        "smallest": Case(Lengths, lambda: Lengths(version="2")),
    }[kind]


@pytest.mark.parametrize(
    "kind",
    [
        *("text", "smallest"),
        *(
            pytest.param(f"encoder, {other}", marks=pytest.mark.slow)
            for other in ("other axes", "other weights", "fewer axes")
        ),
    ],
)
async def test_a_source_keeps_the_contract(kind: str, encoder: Encoder) -> None:
    await check_source(case_of(kind, encoder))


def test_the_version_of_text_columns_follows_the_code_that_computes_them(tmp_path: Path) -> None:
    changed, path = ModuleType("lexicon"), tmp_path / "lexicon.py"
    path.write_text(inspect.getsource(lexicon).replace("praise", "prize"))
    changed.__file__ = str(path)
    assert TextSource().version == code_digest(surface, lexicon)
    assert TextSource().version != code_digest(surface, changed)


def test_the_columns_of_text_and_encoder_have_the_order_of_a_basis(encoder: Encoder) -> None:
    sources = text_and_encoder(Reading(encoder.encode), encoder.sha256, axes(encoder, 0))
    assert sum((source.names for source in sources), ()) == feature_names(3)


async def test_each_text_is_encoded_once_in_one_batch(encoder: Encoder) -> None:
    asked: list[list[str]] = []

    def encode(texts: Sequence[str]) -> torch.Tensor:
        asked.append(list(texts))
        return encoder.encode(texts)

    await EncoderSource(Reading(encode), encoder.sha256, axes(encoder, 0)).columns([*PAIRS, *PAIRS])
    assert len(asked) == 1
    assert len(set(asked[0])) == len(asked[0])


def basis_of(weights: torch.Tensor, members: int = 0) -> Basis:
    """A basis over the columns of two ``Lengths``, clipped to 0 … 20."""
    k, width = weights.shape
    generator = torch.Generator().manual_seed(0)
    heads = tuple(Head(f"h{i}", "", "", "designed", False, "") for i in range(k))
    constants = (torch.zeros(0, 3), torch.zeros(width).double(), torch.full((width,), 20.0).double(), weights)
    ensemble = torch.randn(members, k, width, generator=generator, dtype=torch.float64)
    return Basis("b", "e", "s", heads, *constants, torch.arange(k).double(), torch.arange(k).double() + 2, ensemble)


async def test_phi_is_clipped_weighted_and_standardised() -> None:
    weights = torch.tensor([[1.0, -2, 0.5, 3], [0, 1, 1, -1], [2, 0, 0, 1]], dtype=torch.float64)
    basis = basis_of(weights, members=2)
    found = await phi_of(PAIRS, basis, (Lengths(), Lengths()))
    for row, pair in enumerate(PAIRS):
        lengths = [min(len(text), 20) for text in (pair.conversation.last_user, pair.response)] * 2
        for k in range(3):
            raw = sum(float(w) * length for w, length in zip(weights[k], lengths, strict=True))
            assert float(found.phi[row, k]) == pytest.approx((raw - k) / (k + 2))
            for s, member in enumerate(basis.ensemble):
                raw = sum(float(w) * length for w, length in zip(member[k], lengths, strict=True))
                assert float(found.refits[row, s, k]) == pytest.approx((raw - k) / (k + 2))


async def test_no_pairs_have_no_rows_of_phi() -> None:
    found = await phi_of((), basis_of(torch.ones(3, 2).double(), members=2), (Lengths(),))
    assert (found.phi.shape, found.refits.shape) == ((0, 3), (0, 2, 3))


async def test_rows_that_failed_are_an_error_that_names_source_and_rows() -> None:
    judge = Lengths(kind="judge", failing={2: "timed out", 4: "no verdict"})
    with pytest.raises(SourceFailed, match=r"judge could not read 2 of 15 pairs, row 2, 4: timed out"):
        await phi_of(PAIRS, basis_of(torch.ones(1, 4).double()), (Lengths(), judge))


async def test_an_error_names_the_first_rows_of_many() -> None:
    judge = Lengths(kind="judge", failing=dict.fromkeys(range(9), "refused"))
    with pytest.raises(SourceFailed, match=r"9 of 15 pairs, row 0, 1, 2, 3, 4, …: refused"):
        await columns_of(PAIRS, (judge,))


async def test_values_of_another_shape_are_an_error() -> None:
    with pytest.raises(SourceFailed, match=r"shape \(15, 2\) for 15 pairs and 3 columns"):
        await columns_of(PAIRS, (Lengths(names=("asked", "said", "more")),))


async def test_a_basis_refuses_sources_that_it_was_not_learned_on(artifact: Artifact, encoder: Encoder) -> None:
    basis = artifact.basis
    fewer = text_and_encoder(Reading(encoder.encode), encoder.sha256, basis.components[:-1])
    width = basis.weights.shape[1]
    with pytest.raises(ArtifactMismatch, match=f"basis-1 weighs {width} columns, .* text, encoder give {width - 1}"):
        await phi_of(PAIRS, basis, fewer)


def test_a_pair_is_known_by_both_texts_and_their_roles() -> None:
    turns = [{"role": "system", "content": "q"}, {"role": "user", "content": "q"}]
    conversations = (Conversation.of("q"), Conversation.of("r"), Conversation.of(turns))
    digests = {Pair(conversation, said).digest for conversation in conversations for said in ("q", "r", "")}
    assert len(digests) == 9
    assert Pair(Conversation.of("q"), "r").digest in digests
