"""From raw rows to what models see."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from . import _dlrm
from ._rows import rows_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class Bags(NamedTuple):
    """The ids of a categorical column: those of row b are ``ids[offsets[b]:offsets[b + 1]]``."""

    ids: npt.NDArray[np.uint32]
    offsets: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float32] | None


class Encoded(NamedTuple):
    """Encoded rows: dense numbers, shape (rows, n), and ids by categorical column."""

    dense: npt.NDArray[np.float32]
    sparse: dict[str, Bags]


class Encoder:
    """The fitted encoder of a model, :attr:`dlrm.Model.encoder`.

    Attributes
    ----------
    dense : list of str
        Columns that are numbers.
    sparse : dict of str to int
        Categorical columns and crosses, with the rows of their tables.
    """

    def __init__(self, native: _dlrm.Model, layout: Mapping[str, Any], threads: int | None) -> None:
        self._native = native
        self._threads = threads
        self.dense, self.sparse = columns_of(layout)

    def transform(self, data: Any, *, max_bad_rows: int | None = None) -> Encoded:
        """Encode rows as the model sees them.

        Parameters
        ----------
        data : path, list of paths, or rows in memory
            Labels are not looked at.
        max_bad_rows : int, optional
            Malformed rows that may be left out.

        Returns
        -------
        Encoded
            ``dense``, float32 of shape (rows, n), and ``sparse``, a :class:`Bags` for each categorical column.
        """
        rows = rows_of(data, "data")
        arguments = {
            "data": data if rows is None else None,
            "max_bad_rows": max_bad_rows,
            "threads": self._threads,
        }
        return encoded_of(_dlrm.transform(self._native, arguments, rows), self.dense, self.sparse)


def columns_of(layout: Mapping[str, Any]) -> tuple[list[str], dict[str, int]]:
    """Columns that are numbers, and categorical ones with the rows of their tables."""
    tables = layout["tables"]
    sparse = {feature["name"]: int(tables[feature["table"]]["rows"]) for feature in layout["features"]}
    return list(layout["dense"]), sparse


def encoded_of(arrays: _dlrm.Arrays, dense: Sequence[str], sparse: Iterable[str]) -> Encoded:
    """The arrays of encoded rows, which have these columns."""
    import numpy as np

    numbers = np.frombuffer(arrays[0], "<f4")
    found = {}
    count = 0
    for name, (ids, offsets, weights) in zip(sparse, arrays[1]):
        bags = Bags(
            np.frombuffer(ids, "<u4"),
            np.frombuffer(offsets, "<i8"),
            np.frombuffer(weights, "<f4") if weights else None,
        )
        found[name] = bags
        count = len(bags.offsets) - 1
    if dense:
        count = len(numbers) // len(dense)
    return Encoded(numbers.reshape(count, len(dense)), found)
