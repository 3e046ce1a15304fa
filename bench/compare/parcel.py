"""Dataclasses of tensors as dataclasses of NumPy arrays, which travel between processes without shared memory.

PyTorch sends tensors through /dev/shm, which containers often keep at 64 MB. What is referred to twice is sent once and
arrives as one.
"""

from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class _Array:
    values: Any


@dataclass(frozen=True, eq=False)
class _Record:
    kind: type
    parts: dict[str, Any]


def packed(value: Any) -> Any:
    """``value`` with arrays in place of the tensors in its (nested) dataclasses and tuples."""
    return _pack(value, {})


def unpacked(parcel: Any) -> Any:
    """What ``packed`` was given."""
    return _unpack(parcel, {})


def _pack(value: Any, seen: dict[int, Any]) -> Any:
    if id(value) not in seen:
        if isinstance(value, Tensor):
            seen[id(value)] = _Array(value.detach().contiguous().numpy())
        elif isinstance(value, tuple):
            seen[id(value)] = tuple(_pack(part, seen) for part in value)
        elif is_dataclass(value) and not isinstance(value, type):
            parts = {field.name: _pack(getattr(value, field.name), seen) for field in fields(value)}
            seen[id(value)] = _Record(type(value), parts)
        else:
            return value
    return seen[id(value)]


def _unpack(parcel: Any, seen: dict[int, Any]) -> Any:
    if id(parcel) not in seen:
        if isinstance(parcel, _Array):
            seen[id(parcel)] = torch.from_numpy(parcel.values)
        elif isinstance(parcel, tuple):
            seen[id(parcel)] = tuple(_unpack(part, seen) for part in parcel)
        elif isinstance(parcel, _Record):
            parts = {name: _unpack(part, seen) for name, part in parcel.parts.items()}
            seen[id(parcel)] = parcel.kind(**parts)
        else:
            return parcel
    return seen[id(parcel)]
