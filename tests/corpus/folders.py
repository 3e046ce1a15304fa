"""One hostile basis folder for each fault found so far: what somebody does to a basis before another opens it.

The next fault found is one more line here.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path

CARD = "card.json"
LARGE = 300 * 2**20
"""Bytes of a file that is mostly a hole, so that it takes no room."""


def written(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(content)


def replaced(name: str, make: Callable[[Path], object]) -> Callable[[Path], object]:
    def replace(folder: Path) -> None:
        (folder / name).unlink()
        make(folder / name)

    return replace


def lengthened(name: str) -> Callable[[Path], object]:
    return lambda folder: os.truncate(folder / name, LARGE)


def carded(**entries: object) -> Callable[[Path], object]:
    """The card with other entries."""

    def change(folder: Path) -> None:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        (folder / CARD).write_text(json.dumps(card | entries), encoding="utf-8")

    return change


FOLDERS: dict[str, Callable[[Path], object]] = {
    "a deep card": written(CARD, b"[" * 100_000 + b"]" * 100_000),
    "a card of deep objects": written(CARD, b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "a card that is a list": written(CARD, b"[]"),
    "a card that is no UTF-8": written(CARD, b'{"basis": "\xff"}'),
    "a card of zero bytes": written(CARD, b"\0" * 1_000),
    "a card with half a character": written(CARD, b'{"basis": "\\ud800"}'),
    "a card with an integer of 5,000 digits": written(CARD, b'{"basis": ' + b"9" * 5_000 + b"}"),
    "an empty card": written(CARD, b""),
    "a card without hashes": carded(tensors_sha256="", bank_sha256="", guard_sha256=""),
    "an encoder without a hash": carded(encoder={"name": "someone/encoder", "sha256": ""}),
    "a deep guard": written("guard.json", b"[" * 100_000),
    "a deep bank": written("bank.json", b"[" * 100_000),
    "tensors of zero bytes": written("basis.safetensors", b"\0" * 1_000),
    "tensors with a head of 2^63 bytes": written("basis.safetensors", b"\xff" * 7 + b"\x7f" + b"{}"),
    "a link to another file": replaced("guard.json", lambda path: path.symlink_to("/etc/hostname")),
    "a link to itself": replaced(CARD, lambda path: path.symlink_to(path)),
    "a pipe": replaced("bank.json", lambda path: os.mkfifo(path)),
    "a folder for a file": replaced(CARD, lambda path: path.mkdir()),
    "a card of 300 MiB": lengthened(CARD),
    "tensors of 300 MiB": lengthened("basis.safetensors"),
}
