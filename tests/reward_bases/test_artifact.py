"""The shipped artifact: what its card claims is what its tensors and texts give, and a mismatch is refused."""

import json
import shutil
from itertools import combinations
from pathlib import Path

import pytest
import torch

from elicitation.errors import ArtifactMismatch, InvalidInput
from reward_bases.artifact import DEFAULT, Artifact, load_artifact, save_with_bank
from reward_bases.sources.embedding import Reading
from reward_bases.sources.encoder import Encoder
from reward_bases.sources.features import text_and_encoder
from reward_bases.sources.phi import phi_of
from reward_bases.sources.source import Pair


@pytest.fixture(scope="module")
def shipped() -> Artifact:
    return load_artifact()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    folder = tmp_path / "artifact"
    shutil.copytree(DEFAULT, folder)
    return folder


def ordered_as_designed(artifact: Artifact, part: str, trait: str) -> float:
    column, hits = artifact.basis.names.index(trait), []
    for prompt in artifact.bank.part(part):
        for a, b in combinations(prompt.answers, 2):
            levels = a.traits[trait] - b.traits[trait]
            gap = float(artifact.bank_phi[a.id][column] - artifact.bank_phi[b.id][column])
            if levels:
                hits.append(levels * gap > 0)
    return sum(hits) / len(hits)


@pytest.mark.parametrize("part", ["questions", "test"])
def test_designed_heads_order_unseen_pairs_as_the_card_says(shipped: Artifact, part: str) -> None:
    for trait, report in shipped.card["metrics"]["designed"].items():
        found = ordered_as_designed(shipped, part, trait)
        assert found == pytest.approx(report[part]["head"], abs=1e-9)
        assert found >= 0.8


def test_every_left_out_trait_has_no_head(shipped: Artifact) -> None:
    assert shipped.bank.left_out
    assert not set(shipped.bank.left_out) & set(shipped.basis.names)


def test_the_reference_set_is_the_origin_and_unit_of_phi(shipped: Artifact) -> None:
    prompts, responses, k = shipped.reference.shape
    assert prompts >= 200
    assert responses == 16
    torch.testing.assert_close(shipped.reference.mean((0, 1)), torch.zeros(k).double(), atol=1e-9, rtol=0)
    within = shipped.reference - shipped.reference.mean(1, keepdim=True)
    pooled = (within.square().sum((0, 1)) / (prompts * (responses - 1))).sqrt()
    torch.testing.assert_close(pooled, torch.ones(k).double())


def test_protected_heads_have_no_prior_spread_and_agreement_is_worth_nothing(shipped: Artifact) -> None:
    protected = torch.tensor(shipped.basis.protected)
    assert shipped.basis.names[-1] == "quality"
    assert bool((shipped.population.protected == protected).all())
    assert float(shipped.population.mean[shipped.basis.names.index("agreement")]) == 0
    assert float(shipped.population.mean[-1]) > 0


def test_quality_rides_on_no_designed_trait(shipped: Artifact) -> None:
    ridden = shipped.card["metrics"]["people_on_bank"]["quality"]
    designed = [head.name for head in shipped.basis.heads if head.kind == "designed"]
    assert all(abs(ridden[trait]) < 0.25 for trait in designed), ridden


@pytest.mark.slow
async def test_the_stored_phi_of_the_bank_is_that_of_its_texts(shipped: Artifact, encoder: Encoder) -> None:
    shipped.require_encoder(encoder)
    rows = [(prompt.conversation, answer) for prompt in shipped.bank.part("questions")[:4] for answer in prompt.answers]
    pairs = [Pair(conversation, answer.text) for conversation, answer in rows]
    sources = text_and_encoder(Reading(encoder.encode), encoder.sha256, shipped.basis.components)
    phi = (await phi_of(pairs, shipped.basis, sources)).phi
    stored = torch.stack([shipped.bank_phi[answer.id] for _, answer in rows])
    torch.testing.assert_close(phi, stored, atol=1e-3, rtol=0)


def test_changed_tensors_are_refused(copy: Path) -> None:
    path = copy / "basis.safetensors"
    payload = bytearray(path.read_bytes())
    payload[-1] ^= 1
    path.write_bytes(payload)
    with pytest.raises(ArtifactMismatch, match=r"basis\.safetensors has sha256"):
        load_artifact(copy)


def test_a_changed_bank_is_refused(copy: Path) -> None:
    path = copy / "bank.json"
    path.write_text(path.read_text().replace("mushy", "soggy", 1))
    with pytest.raises(ArtifactMismatch, match="bank_version"):
        load_artifact(copy)


def test_a_renamed_head_is_refused(copy: Path) -> None:
    path = copy / "card.json"
    card = json.loads(path.read_text())
    card["heads"][0]["name"] = "length"
    path.write_text(json.dumps(card))
    with pytest.raises(ArtifactMismatch, match="basis_version"):
        load_artifact(copy)


def test_another_encoder_is_refused(shipped: Artifact) -> None:
    stranger = Encoder("other", "0" * 64, 384, 256, False, None, None)
    with pytest.raises(ArtifactMismatch, match="load minilm or train a basis"):
        shipped.require_encoder(stranger)


class TestAnotherBank:
    """The shipped artifact with the shipped bank's first prompts."""

    @pytest.fixture
    def bank(self, tmp_path: Path) -> Path:
        raw = json.loads((DEFAULT / "bank.json").read_text(encoding="utf-8"))
        path = tmp_path / "bank.json"
        path.write_text(json.dumps({**raw, "prompts": raw["prompts"][:3]}), encoding="utf-8")
        return path

    def test_the_bank_alone_is_another(self, shipped: Artifact, bank: Path, tmp_path: Path) -> None:
        prompts = shipped.bank.prompts[:3]
        phi = torch.stack([1 + shipped.bank_phi[answer.id] for prompt in prompts for answer in prompt.answers])
        save_with_bank(DEFAULT, tmp_path / "other", bank, phi)
        other = load_artifact(tmp_path / "other")
        assert other.bank.prompts == prompts
        assert other.bank.version != shipped.bank.version
        assert torch.equal(torch.stack(list(other.bank_phi.values())), phi)
        assert (other.basis.version, other.population_version) == (shipped.basis.version, shipped.population_version)

    def test_every_answer_needs_its_base_rewards(self, shipped: Artifact, bank: Path, tmp_path: Path) -> None:
        with pytest.raises(InvalidInput, match=rf"shape \(1, {shipped.basis.k}\)"):
            save_with_bank(DEFAULT, tmp_path / "other", bank, torch.zeros(1, shipped.basis.k))
        assert not (tmp_path / "other").exists()
