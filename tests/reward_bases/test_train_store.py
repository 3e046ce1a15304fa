"""Vectors and features on disk: encoded once, whole after a break, read row by row."""

import asyncio
import hashlib
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from elicitation.errors import ArtifactMismatch, InvalidInput
from reward_bases.sources.embedding import Reading
from reward_bases.sources.encoder import Encoder
from reward_bases.sources.features import FeatureSpace, feature_names, text_and_encoder
from reward_bases.sources.phi import columns_of
from reward_bases.sources.source import Pair
from reward_bases.text import Conversation
from reward_bases.train.data.table import FeatureTable
from reward_bases.train.features.store import feature_table
from reward_bases.train.features.vectors import BATCH, DIGEST_BYTES, FLOAT_BYTES, VectorCache

DIMENSION = 3
APPENDS = 100
TEXTS = ["one", "three", "four", "", "ein Wort", "two"]


@dataclass(frozen=True)
class HashEncoder(Encoder):
    """Vectors from the text's hash; ``batches`` are those it was asked for."""

    batches: list[list[str]] = field(default_factory=list)

    def encode(self, texts: Sequence[str]) -> Tensor:
        self.batches.append(list(texts))
        bytes_of = [list(hashlib.sha256(text.encode()).digest()[: self.dimension]) for text in texts]
        return torch.tensor(bytes_of, dtype=torch.float32)


def toy(sha256: str = "5" * 64) -> HashEncoder:
    return HashEncoder("toy", sha256, DIMENSION, 1, False, None, None)


def files_of(folder: Path) -> tuple[Path, Path]:
    (rows,), (digests,) = folder.glob("*.f32"), folder.glob("*.sha256")
    return rows, digests


def test_vectors_come_in_the_order_of_the_texts(tmp_path: Path) -> None:
    encoder = toy()
    asked = [*TEXTS, TEXTS[2]]
    torch.testing.assert_close(VectorCache(encoder, tmp_path).of(asked), encoder.encode(asked))


def test_no_texts_have_no_vectors(tmp_path: Path) -> None:
    assert VectorCache(toy(), tmp_path).of([]).shape == (0, DIMENSION)


def test_a_text_is_encoded_once_even_by_another_run(tmp_path: Path) -> None:
    VectorCache(toy(), tmp_path).of([*TEXTS, *TEXTS])
    later = toy()
    VectorCache(later, tmp_path).of([*TEXTS, "new"])
    assert later.batches == [["new"]]


def test_batches_hold_texts_of_similar_length_from_the_longest_down(tmp_path: Path) -> None:
    encoder = toy()
    VectorCache(encoder, tmp_path).learn([f"{i} " * (i % 50 + 1) for i in range(3 * BATCH)])
    lengths = [len(text) for batch in encoder.batches for text in batch]
    assert lengths == sorted(lengths, reverse=True)
    assert max(map(len, encoder.batches)) == BATCH


def test_encoders_do_not_share_vectors(tmp_path: Path) -> None:
    VectorCache(toy("5" * 64), tmp_path).of(TEXTS)
    other = toy("6" * 64)
    VectorCache(other, tmp_path).of(TEXTS)
    assert len(other.batches) == 1


def test_progress_ends_at_the_number_of_unknown_texts(tmp_path: Path) -> None:
    reported: list[tuple[int, int]] = []
    cache = VectorCache(toy(), tmp_path)
    cache.of(TEXTS[:2])
    cache.of(TEXTS, lambda done, total: reported.append((done, total)))
    assert reported == [(len(TEXTS) - 2, len(TEXTS) - 2)]


@pytest.mark.parametrize("torn", ["vectors", "digests"])
def test_a_file_torn_at_any_byte_of_the_last_record_loses_that_record_alone(tmp_path: Path, torn: str) -> None:
    width = FLOAT_BYTES * DIMENSION if torn == "vectors" else DIGEST_BYTES
    for missing in range(1, width + 1):
        folder = tmp_path / str(missing)
        whole = VectorCache(toy(), folder).of(TEXTS)
        file = files_of(folder)[torn == "digests"]
        file.write_bytes(file.read_bytes()[:-missing])
        encoder = toy()
        again = VectorCache(encoder, folder)
        assert len(again) == len(TEXTS) - 1
        assert torch.equal(again.of(TEXTS), whole)
        assert [len(batch) for batch in encoder.batches] == [1]
        assert torch.equal(VectorCache(toy(), folder).of(TEXTS), whole)


def test_vectors_written_without_their_digests_are_cut_off(tmp_path: Path) -> None:
    """What a run leaves that is killed between the two files."""
    whole = VectorCache(toy(), tmp_path).of(TEXTS)
    rows, _ = files_of(tmp_path)
    rows.write_bytes(rows.read_bytes() + bytes(5 * FLOAT_BYTES * DIMENSION + 1))
    cache = VectorCache(toy(), tmp_path)
    new = cache.of(["new"])
    assert torch.equal(new, toy().encode(["new"]))
    assert torch.equal(VectorCache(toy(), tmp_path).of([*TEXTS, "new"]), torch.cat([whole, new]))


class Killed(Exception):
    pass


def test_a_run_that_is_broken_off_keeps_its_finished_batches_and_the_next_one_makes_the_others(tmp_path: Path) -> None:
    texts = [f"text {i}" for i in range(3 * BATCH)]

    def stop(done: int, total: int) -> None:
        if done == 2 * BATCH:
            raise Killed

    first, second, unbroken = toy(), toy(), toy()
    with pytest.raises(Killed):
        VectorCache(first, tmp_path / "broken").learn(texts, stop)
    VectorCache(second, tmp_path / "broken").learn(texts)
    VectorCache(unbroken, tmp_path / "unbroken").learn(texts)
    assert first.batches + second.batches == unbroken.batches


def test_two_open_caches_of_one_folder_append_in_turn(tmp_path: Path) -> None:
    one, other = VectorCache(toy(), tmp_path), VectorCache(toy(), tmp_path)
    for i, text in enumerate(TEXTS):
        (one, other)[i % 2].of([text])
    assert torch.equal(one.of(TEXTS), toy().encode(TEXTS))
    assert torch.equal(other.of(TEXTS), toy().encode(TEXTS))


def learn_in_small_batches(folder: Path, name: str, start: Barrier) -> None:
    cache = VectorCache(toy(), folder)
    start.wait()
    for i in range(APPENDS):
        cache.learn([f"{name} {i}", f"both {i}"])


@pytest.mark.slow
def test_two_processes_that_append_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    spawn = get_context("spawn")
    start = spawn.Barrier(2)
    writers = [spawn.Process(target=learn_in_small_batches, args=(tmp_path, name, start)) for name in ("one", "two")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]
    texts = [f"{name} {i}" for name in ("one", "two", "both") for i in range(APPENDS)]
    later = toy()
    assert torch.equal(VectorCache(later, tmp_path).of(texts), toy().encode(texts))
    assert later.batches == []


@pytest.mark.slow
def test_training_needs_no_fcntl() -> None:
    """Windows has no such module."""
    code = "import sys; sys.modules['fcntl'] = None; import app.jobs.training, reward_bases.train.run"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_files_that_shrink_while_in_use_are_an_error(tmp_path: Path) -> None:
    cache = VectorCache(toy(), tmp_path)
    cache.of(TEXTS)
    files_of(tmp_path)[0].write_bytes(b"")
    with pytest.raises(ArtifactMismatch, match="while in use"):
        cache.of(["new"])


CONVERSATIONS = (Conversation.of("How do I boil rice?"), Conversation.of(""))
RESPONSES = ("Rinse it first.", "- Rinse.\n- Boil.\n- Rest!", "I am afraid I cannot say.")
ITEMS = torch.tensor([[0, 0], [0, 1], [1, 1], [1, 2], [0, 2]])


def space_of(encoder: Encoder) -> FeatureSpace:
    generator = torch.Generator().manual_seed(3)
    components = torch.randn(2, encoder.dimension, generator=generator, dtype=torch.float64)
    lowest = torch.full((len(feature_names(2)),), -0.5, dtype=torch.float64)
    return FeatureSpace(components, lowest, -4 * lowest)


def direct(encoder: Encoder) -> Tensor:
    space, pairs = space_of(encoder), [Pair(CONVERSATIONS[asked], RESPONSES[said]) for asked, said in ITEMS.tolist()]
    sources = text_and_encoder(Reading(encoder.encode), encoder.sha256, space.components)
    return asyncio.run(columns_of(pairs, sources)).clamp(space.lowest, space.highest)


def build(encoder: Encoder, folder: Path, responses: tuple[str, ...] = RESPONSES) -> FeatureTable:
    return feature_table(CONVERSATIONS, responses, ITEMS, VectorCache(encoder, folder), space_of(encoder), folder)


def test_the_table_holds_the_features_of_the_items(encoder: Encoder, tmp_path: Path) -> None:
    table = build(encoder, tmp_path)
    assert table.shape == (len(ITEMS), len(feature_names(2)))
    rows = torch.tensor([4, 0, 0, 2])
    torch.testing.assert_close(table.rows(rows), direct(encoder)[rows], atol=2e-5, rtol=1e-5)
    assert table.rows(rows).dtype == torch.float64


def test_blocks_join_without_a_seam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reward_bases.train.features.store.BLOCK", 2)
    table = build(toy(), tmp_path)
    assert torch.equal(table.rows(torch.arange(len(ITEMS))), direct(toy()).float().double())


def test_the_same_data_find_their_table_again(tmp_path: Path) -> None:
    first, again = build(toy(), tmp_path), toy()
    written = first.path.stat().st_mtime_ns
    assert build(again, tmp_path).path == first.path
    assert first.path.stat().st_mtime_ns == written
    assert not again.batches


def test_other_texts_or_another_encoder_have_a_table_of_their_own(tmp_path: Path) -> None:
    others = build(toy(), tmp_path, (*RESPONSES[:2], "Ask a cook.")), build(toy("6" * 64), tmp_path)
    assert len({build(toy(), tmp_path).path, *(other.path for other in others)}) == 3


def test_a_build_that_is_broken_off_leaves_no_table_behind(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise Killed

    encoder = toy()
    with pytest.raises(Killed):
        feature_table(
            CONVERSATIONS, RESPONSES, ITEMS, VectorCache(encoder, tmp_path), space_of(encoder), tmp_path, building=stop
        )
    assert not list(tmp_path.glob("features*"))


def test_given_features_are_read_as_float64_whatever_they_were(tmp_path: Path) -> None:
    given = np.arange(12).reshape(4, 3)
    np.save(tmp_path / "items.npy", given)
    table = FeatureTable.open(tmp_path / "items.npy")
    assert (len(table), table.shape) == (4, (4, 3))
    assert torch.equal(table.rows(torch.tensor([3, 1])), torch.from_numpy(given[[3, 1]]).double())


def test_a_row_outside_the_table_is_an_error_and_not_the_last_one(tmp_path: Path) -> None:
    np.save(tmp_path / "items.npy", np.zeros((4, 3)))
    table = FeatureTable.open(tmp_path / "items.npy")
    for outside in (-1, 4):
        with pytest.raises(InvalidInput, match="rows 0 to 3"):
            table.rows(torch.tensor([0, outside]))


def test_given_features_must_be_finite(tmp_path: Path) -> None:
    np.save(tmp_path / "items.npy", np.array([[1.0], [np.nan]]))
    with pytest.raises(InvalidInput, match="finite"):
        FeatureTable.open(tmp_path / "items.npy").rows(torch.tensor([1]))


@pytest.mark.parametrize("content", [np.zeros(3), np.array([["a"]]), np.array([[None]], dtype=object)])
def test_what_is_no_matrix_of_numbers_is_refused(tmp_path: Path, content: np.ndarray) -> None:
    np.save(tmp_path / "items.npy", content, allow_pickle=True)
    with pytest.raises(InvalidInput, match=r"items\.npy"):
        FeatureTable.open(tmp_path / "items.npy")


def test_a_file_cut_short_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "items.npy", np.zeros((4, 3)))
    whole = (tmp_path / "items.npy").read_bytes()
    (tmp_path / "items.npy").write_bytes(whole[:-1])
    with pytest.raises(InvalidInput, match="not a table of features"):
        FeatureTable.open(tmp_path / "items.npy")
