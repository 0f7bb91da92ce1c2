"""Encoded rows as tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch

from .._encoder import Encoded


class Bags(NamedTuple):
    """The ids of a categorical column: those of row b are ``ids[offsets[b]:offsets[b + 1]]``.

    ``ids`` and ``offsets`` are int64, ``weights`` float32 or None. Any tuple of these three will do.
    """

    ids: torch.Tensor
    offsets: torch.Tensor
    weights: torch.Tensor | None = None


class Batch(NamedTuple):
    """Encoded rows: what a module reads (``dense``, ``sparse``), and what it is to learn.

    ``dense`` is float32 of shape (rows, n), ``sparse`` a :class:`Bags` for each categorical column, ``labels``
    float32 of shape (rows,), ``weights`` likewise, or None where rows have no weights.
    """

    dense: torch.Tensor
    sparse: dict[str, Bags]
    labels: torch.Tensor
    weights: torch.Tensor | None


def tensors(encoded: Encoded) -> tuple[torch.Tensor, dict[str, Bags]]:
    """What :meth:`dlrm.Encoder.transform` returns, as tensors: the two arguments of a module.

    Parameters
    ----------
    encoded : Encoded

    Returns
    -------
    dense : Tensor of float32, shape (rows, n)
    sparse : dict of str to Bags

    Examples
    --------
    >>> import dlrm, dlrm.torch
    >>> rows = {"user": ["a", "b", "c", "d"] * 50, "click": [1, 0, 0, 1] * 50}
    >>> model = dlrm.train(rows, label="click", model="lr")
    >>> dense, sparse = dlrm.torch.tensors(model.encoder.transform({"user": ["a", "b"]}))
    >>> sparse["user"].offsets
    tensor([0, 1, 2])
    """
    sparse = {
        name: Bags(
            torch.from_numpy(bags.ids.astype("int64")),
            torch.from_numpy(bags.offsets.copy()),
            None if bags.weights is None else torch.from_numpy(bags.weights.copy()),
        )
        for name, bags in encoded.sparse.items()
    }
    return torch.from_numpy(encoded.dense.copy()), sparse


def rows_of(dense: torch.Tensor, sparse: Mapping[str, Sequence[Any]]) -> int:
    """Rows of a batch."""
    return next((len(offsets) - 1 for _, offsets, *_ in sparse.values()), len(dense))
