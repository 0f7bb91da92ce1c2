"""From raw rows to what models see."""

from __future__ import annotations

from collections.abc import Mapping
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
        tables = layout["tables"]
        self.dense: list[str] = list(layout["dense"])
        self.sparse: dict[str, int] = {
            feature["name"]: tables[feature["table"]]["rows"] for feature in layout["features"]
        }

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
        import numpy as np

        rows = rows_of(data, "data")
        arguments = {
            "data": data if rows is None else None,
            "max_bad_rows": max_bad_rows,
            "threads": self._threads,
        }
        dense, features = _dlrm.transform(self._native, arguments, rows)
        sparse = {}
        count = 0
        for name, (ids, offsets, weights) in zip(self.sparse, features):
            bags = Bags(
                np.frombuffer(ids, "<u4"),
                np.frombuffer(offsets, "<i8"),
                np.frombuffer(weights, "<f4") if weights else None,
            )
            sparse[name] = bags
            count = len(bags.offsets) - 1
        numbers = np.frombuffer(dense, "<f4")
        if self.dense:
            count = len(numbers) // len(self.dense)
        return Encoded(numbers.reshape(count, len(self.dense)), sparse)
