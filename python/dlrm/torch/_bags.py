"""Pooled vectors of ids."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.nn import functional as F

#: Finds a parameter by its name.
Find = Callable[[str], torch.Tensor]
#: Types in which vectors are added.
_WIDE = (torch.float32, torch.float64)


def pooled(slot: Mapping[str, Any], bags: Any, find: Find, *, sparse: bool) -> torch.Tensor:
    """The vectors of a slot, [B, D]."""
    ids, offsets = bags[0].long(), bags[1].long()
    rows, mean = slot["rows"], slot["pooling"] == "mean"
    table = find(rows["table"]) if "table" in rows else None
    if table is None or table.dtype not in _WIDE:
        # Vectors that no table has as they are: each is a row of its own.
        vectors = _pairs(rows, ids, find, sparse=sparse) if table is None else _gathered(table, ids, sparse=sparse)
        table, ids, sparse = vectors, torch.arange(len(ids), device=ids.device), False
    factors = _factors(slot, bags, find)
    return F.embedding_bag(
        ids,
        table,
        offsets,
        mode="mean" if mean else "sum",
        sparse=sparse,
        per_sample_weights=None if factors is None else factors.to(table.dtype),
        include_last_offset=True,
    )


def _factors(slot: Mapping[str, Any], bags: Any, find: Find) -> torch.Tensor | None:
    """What the vector of each id is multiplied by; None for 1."""
    learned = slot["rows"].get("row_weights")
    if slot["pooling"] == "learned" and learned is not None:
        return find(learned)[bags[0].long()]
    weights: torch.Tensor | None = bags[2]
    return weights if slot["weighted"] and slot["pooling"] != "mean" else None


def _pairs(rows: Mapping[str, Any], ids: torch.Tensor, find: Find, *, sparse: bool) -> torch.Tensor:
    """Two rows for each id, made one."""
    collisions = rows["collisions"]
    quotient = _gathered(find(rows["quotient"]), ids // collisions, sparse=sparse)
    remainder = _gathered(find(rows["remainder"]), ids % collisions, sparse=sparse)
    if rows["combine"] == "multiply":
        return quotient * remainder
    if rows["combine"] == "add":
        return quotient + remainder
    return torch.cat([quotient, remainder], 1)


def _gathered(table: torch.Tensor, ids: torch.Tensor, *, sparse: bool) -> torch.Tensor:
    """Rows of a table, widened to 32 bits at least."""
    rows = F.embedding(ids, table, sparse=sparse)
    return rows if rows.dtype in _WIDE else rows.float()
