"""Trained models."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from . import _dlrm
from ._rows import rows_of
from ._scratch import Scratch

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class Model:
    """A trained model: from raw rows to predictions.

    Made by :func:`dlrm.train` and :func:`dlrm.load`.

    Attributes
    ----------
    path : str
        The run or model directory that it lives in.
    notes : list of str
        What was noticed when it was trained.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        scratch: Scratch | None = None,
        notes: list[str] | None = None,
        threads: int | None = None,
        memory_limit: int | str | None = None,
    ) -> None:
        self.path = os.fspath(path)
        self.notes = notes or []
        self._scratch = scratch
        self._threads = threads
        self._native = _dlrm.Model.load(self.path, {"threads": threads, "memory_limit": memory_limit})

    def predict(
        self,
        data: Any,
        *,
        logits: bool = False,
        max_bad_rows: int | None = None,
        threads: int | None = None,
    ) -> npt.NDArray[np.float64]:
        """Predict rows.

        Parameters
        ----------
        data : path, list of paths, or rows in memory
            As in :func:`dlrm.train`; labels are not looked at.
        logits : bool
            Whether logits are wanted in place of probabilities.
        max_bad_rows : int, optional
            Malformed rows that may be skipped; their predictions are NaN.
        threads : int, optional
            Worker threads. No result depends on them.

        Returns
        -------
        ndarray of float64, shape (rows,)
            The probability of a click, or a rating: to the bit those of ``dlrm predict``.

        Raises
        ------
        DataError
            Rows that lack a column, or are malformed.
        """
        rows = rows_of(data, "data")
        files = data if rows is None else None
        return self._scores(files, rows, logits=logits, max_bad_rows=max_bad_rows, threads=threads)

    def predict_rows(
        self, rows: _dlrm.Rows, *, logits: bool = False, threads: int | None = None
    ) -> npt.NDArray[np.float64]:
        """Predict rows that are columns of the native half already."""
        return self._scores(None, rows, logits=logits, max_bad_rows=None, threads=threads)

    def _scores(
        self,
        files: Any,
        rows: _dlrm.Rows | None,
        *,
        logits: bool,
        max_bad_rows: int | None,
        threads: int | None,
    ) -> npt.NDArray[np.float64]:
        import numpy as np

        arguments = {"data": files, "max_bad_rows": max_bad_rows, "threads": threads or self._threads}
        return np.frombuffer(self._native.predict(arguments, rows, logits), dtype="<f8")

    def _repr_html_(self) -> str:
        import html
        import pathlib

        page = pathlib.Path(self.path, "report.html").read_text(encoding="utf-8")
        return f'<iframe srcdoc="{html.escape(page)}" style="width:100%;height:640px;border:0"></iframe>'


def load(
    path: str | os.PathLike[str], *, threads: int | None = None, memory_limit: int | str | None = None
) -> Model:
    """Load a run or model directory; every file of it is checked.

    Parameters
    ----------
    path : path
        What `out` of :func:`dlrm.train` or ``dlrm train -o`` was.
    threads : int, optional
        Worker threads of predictions, all cores if left out.
    memory_limit : int or str, optional
        Bytes that it may take.

    Returns
    -------
    Model

    Raises
    ------
    MissingModelError
        There is no such directory (a ``FileNotFoundError``).
    ModelError
        A file is missing, cut, altered, or written by a newer version.
    """
    return Model(path, threads=threads, memory_limit=memory_limit)
