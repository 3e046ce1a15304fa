"""Encoder vectors on disk, one for every text that was ever asked for, found by the SHA-256 of the text.

Two files per encoder only grow: ``vectors-….f32`` holds rows of float32 and ``vectors-….sha256`` the 32-byte digests
of their texts. A batch's rows reach the disk before its digests do, so a killed run can leave rows without their whole
digest only at the very end; the next run cuts them off. Runs that share a folder append in turn, under a lock file.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor

from elicitation.errors import ArtifactMismatch
from reward_bases.sources.encoder import Encoder
from reward_bases.text import digest

BATCH = 256
DIGEST_BYTES = 32
FLOAT_BYTES = 4

Progress = Callable[[int, int], None]
"""Called with the number of finished texts and of all."""


def silent(done: int, total: int) -> None:
    """No progress."""


class VectorCache:
    """Unit vectors of texts, encoded once."""

    def __init__(self, encoder: Encoder, folder: Path) -> None:
        """Open or create the cache in ``folder``."""
        self.encoder = encoder
        self.key = encoder.sha256 or digest(encoder.name)
        folder.mkdir(parents=True, exist_ok=True)
        self._rows = folder / f"vectors-{self.key[:16]}.f32"
        self._digests = folder / f"vectors-{self.key[:16]}.sha256"
        self._lock = FileLock(folder / f"vectors-{self.key[:16]}.lock")
        self._known: dict[bytes, int] = {}
        self._count = 0
        with self._alone():
            pass

    def __len__(self) -> int:
        """Number of vectors kept."""
        return self._count

    def of(self, texts: Sequence[str], progress: Progress = silent) -> Tensor:
        """(n, d) float32 in the order of ``texts``."""
        self.learn(texts, progress)
        if not texts:
            return torch.zeros(0, self.encoder.dimension)
        rows = [self._known[_key(text)] for text in texts]
        table = np.memmap(self._rows, dtype="<f4", mode="r", shape=(self._count, self.encoder.dimension))
        return torch.from_numpy(np.asarray(table[rows]))

    def learn(self, texts: Sequence[str], progress: Progress = silent) -> None:
        """Encode the texts without a vector, in batches of similar length from the longest down.

        The order depends on the texts alone, so a run that goes on after a break makes the batches that were left.
        ``progress`` counts texts. Raises ArtifactMismatch when the files shrink while in use.
        """
        missing = {key: text for text in texts if (key := _key(text)) not in self._known}
        unknown = sorted(missing.values(), key=lambda text: (-len(text), text))
        for start in range(0, len(unknown), BATCH):
            batch = unknown[start : start + BATCH]
            self._append([_key(text) for text in batch], self.encoder.encode(batch))
            progress(start + len(batch), len(unknown))

    def _append(self, keys: Sequence[bytes], vectors: Tensor) -> None:
        with self._alone():
            _write(self._rows, vectors.float().numpy().astype("<f4").tobytes())
            _write(self._digests, b"".join(keys))
            self._catch_up()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Nobody else appends meanwhile; whole records that others appended are known, a torn end is cut off."""
        with self._lock:
            self._digests.touch()
            self._rows.touch()
            self._cut()
            self._catch_up()
            yield

    def _cut(self) -> None:
        width = FLOAT_BYTES * self.encoder.dimension
        whole = min(self._rows.stat().st_size // width, self._digests.stat().st_size // DIGEST_BYTES)
        if whole < self._count:
            raise ArtifactMismatch(
                f"{self._rows.name} and its digests hold {whole} of {self._count} vectors known; "
                "they were cut or deleted while in use: start again"
            )
        os.truncate(self._rows, whole * width)
        os.truncate(self._digests, whole * DIGEST_BYTES)

    def _catch_up(self) -> None:
        with self._digests.open("rb") as stream:
            stream.seek(self._count * DIGEST_BYTES)
            while len(key := stream.read(DIGEST_BYTES)) == DIGEST_BYTES:
                self._known[key] = self._count
                self._count += 1


def _key(text: str) -> bytes:
    return bytes.fromhex(digest(text))


def _write(path: Path, content: bytes) -> None:
    with path.open("ab") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
