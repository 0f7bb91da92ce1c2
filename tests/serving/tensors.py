"""Rows as tensors of the Open Inference Protocol, in the ways that clients send them."""

from __future__ import annotations

from typing import Any

import numpy as np

import clicks

#: A tensor: its name, its data type and its values.
Tensor = tuple[str, str, Any]


def texts(rows: list[clicks.Row]) -> list[Tensor]:
    """Every column as BYTES, lists as one text: what any client can do."""
    return [(name, "BYTES", _objects(row[name] for row in rows)) for name in clicks.COLUMNS]


def typed(rows: list[clicks.Row]) -> list[Tensor]:
    """Numbers as FP32 and FP64, where a gap is NaN; ids and moments as INT64; lists as values, lengths and
    weights."""
    tensors: list[Tensor] = []
    for name, datatype, kind in [("price", "FP32", np.float32), ("age", "FP64", np.float64)]:
        tensors.append((name, datatype, np.array([row[name] or "nan" for row in rows], kind)))
    tensors.append(("user", "BYTES", _objects(row["user"] for row in rows)))
    for name in ["item", "hour", "seen_at"]:
        tensors.append((name, "INT64", np.array([int(row[name]) for row in rows], np.int64)))
    for name in clicks.LISTS:
        lists = [row[name].split("|") if row[name] else [] for row in rows]
        lengths = np.array([len(values) for values in lists], np.int32)
        flat = [value for values in lists for value in values]
        if name == "basket":
            pairs = [value.split(":") for value in flat]
            weights = np.array([weight for _, weight in pairs], np.float32)
            tensors.append((f"{name}.weights", "FP32", weights))
            flat = [value for value, _ in pairs]
        tensors += [(f"{name}.lengths", "INT32", lengths), (name, "BYTES", _objects(flat))]
    return tensors


def without_nan(rows: list[clicks.Row]) -> list[Tensor]:
    """As `typed`, but with numbers as texts: NaN has no place in JSON."""
    numbers = [tensor for tensor in texts(rows) if tensor[0] in clicks.NUMBERS]
    return numbers + [tensor for tensor in typed(rows) if tensor[0] not in clicks.NUMBERS]


def _objects(values: Any) -> Any:
    """Texts as clients want them: bytes in an array of objects."""
    values = [value.encode() for value in values]
    array = np.empty(len(values), object)
    array[:] = values
    return array


def inputs(tensors: list[Tensor], kind: Any, **binary: bool) -> list[Any]:
    """The tensors as inputs of a client: `kind` is its class of inputs."""
    made = []
    for name, datatype, values in tensors:
        made.append(kind(name, list(values.shape), datatype))
        made[-1].set_data_from_numpy(values, **binary)
    return made


def batches(rows: list[clicks.Row]) -> list[list[clicks.Row]]:
    """All at once, and the first few each alone: what is asked together does not matter."""
    return [rows, *([row] for row in rows[:5])]


#: The ways over HTTP: name, tensors, and whether inputs come as bytes.
WAYS = {
    "texts as JSON": (texts, False),
    "texts as bytes": (texts, True),
    "types as JSON": (without_nan, False),
    "types as bytes": (typed, True),
}
