"""Trained models."""

from __future__ import annotations

import html
import os
import pathlib
import shutil
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from . import _dlrm
from ._encoder import Encoder
from ._explanation import Explanation, Importance
from ._rows import add_columns, rows_of
from ._scratch import Scratch
from .errors import ArgumentError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class Model:
    """A trained model: from raw rows to predictions.

    Made by :func:`dlrm.train` and :func:`dlrm.load`. It can be pickled: its files are what is kept.

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
        notes: Sequence[str] = (),
        threads: int | None = None,
        memory_limit: int | str | None = None,
    ) -> None:
        self.path = os.fspath(path)
        self.notes = list(notes)
        self._scratch = scratch
        self._threads = threads
        self._native = _dlrm.Model.load(self.path, {"threads": threads, "memory_limit": memory_limit})
        self._about = self._native.about()

    @property
    def kind(self) -> str:
        """Kind of the model, such as ``"dlrm"``."""
        return str(self._about["kind"])

    @property
    def task(self) -> str:
        """``"binary"`` where probabilities are predicted, ``"rating"`` where numbers are."""
        return str(self._about["task"])

    @property
    def config(self) -> dict[str, Any]:
        """The complete configuration that it was trained with."""
        return dict(self._about["config"])

    @property
    def metrics(self) -> dict[str, Any]:
        """Metrics by part of the rows, measured when it was trained."""
        return dict(self._about["metrics"])

    @property
    def inputs(self) -> list[str]:
        """Columns that it reads."""
        return list(self._about["inputs"])

    @property
    def encoder(self) -> Encoder:
        """From raw rows to the numbers and ids that the model sees."""
        return Encoder(self._native, self._about["layout"], self._threads)

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
        rows, arguments = self._asked(data, max_bad_rows, threads)
        return self._scores(arguments, rows, logits=logits)

    def predict_rows(
        self, rows: _dlrm.Rows, *, logits: bool = False, threads: int | None = None
    ) -> npt.NDArray[np.float64]:
        """Predict rows that are columns of the native half already."""
        return self._scores({"threads": threads or self._threads}, rows, logits=logits)

    def _asked(
        self, data: Any, max_bad_rows: int | None, threads: int | None
    ) -> tuple[_dlrm.Rows | None, dict[str, Any]]:
        rows = rows_of(data, "data")
        files = data if rows is None else None
        return rows, {"data": files, "max_bad_rows": max_bad_rows, "threads": threads or self._threads}

    def _scores(
        self, arguments: dict[str, Any], rows: _dlrm.Rows | None, *, logits: bool
    ) -> npt.NDArray[np.float64]:
        import numpy as np

        return np.frombuffer(self._native.predict(arguments, rows, logits), dtype="<f8")

    def evaluate(
        self, data: Any, *, max_bad_rows: int | None = None, threads: int | None = None
    ) -> dict[str, Any]:
        """Measure it on rows with labels.

        Parameters
        ----------
        data : path, list of paths, or rows in memory
            With the column of the label.
        max_bad_rows, threads : int, optional
            As in :meth:`predict`.

        Returns
        -------
        dict
            ``metrics`` (by name), ``intervals`` (95 %), ``columns`` (shares of missing and unseen values) and
            ``skipped_rows``.
        """
        rows, arguments = self._asked(data, max_bad_rows, threads)
        return self._native.evaluate(arguments, rows)

    def rank(
        self, context: Mapping[str, Any], items: Any, *, k: int = 10, threads: int | None = None
    ) -> dict[str, Any]:
        """The items that suit a context best.

        Parameters
        ----------
        context : mapping
            Values that hold for every item, such as ``{"user_id": 7}``.
        items : rows in memory
            One row for each item.
        k : int, default 10
            Items wanted.
        threads : int, optional
            Worker threads.

        Returns
        -------
        dict
            ``index``, the places of the items in `items` (ndarray of int64, shape (k,)), and ``score``, their
            predictions (float64), the best first; items of the same score in their order.

        Raises
        ------
        ArgumentError
            A `k` below 1, or a column that is in both `context` and `items`.
        """
        import numpy as np

        if isinstance(k, bool) or not isinstance(k, int) or k < 1:
            raise ArgumentError(f"k: expected a whole number of at least 1, found {k!r}", "how many items are wanted")
        if not isinstance(context, Mapping):
            raise ArgumentError(
                f"context: expected a dictionary of values by column, found {context!r}",
                'such as {"user_id": 7}',
            )
        rows = _dlrm.Rows("items")
        add_columns(rows, items)
        both = [name for name in context if name in rows.names]
        if both:
            raise ArgumentError(
                f"context: expected columns that the items do not have, found {both[0]!r} in both",
                "give it with the items or for all of them",
            )
        count = len(rows)
        for name, value in context.items():
            rows.add_constant(name, value, count)
        scores = self.predict_rows(rows, threads=threads)
        order = np.argsort(-scores, kind="stable")[:k]
        return {"index": order, "score": scores[order]}

    def explain(
        self,
        data: Any,
        *,
        rows: int | None = None,
        sample: int | None = None,
        repeats: int = 3,
        orders: int = 1,
        seed: int = 0,
        max_bad_rows: int | None = None,
        threads: int | None = None,
    ) -> Importance | Explanation:
        """What its scores rest on.

        Parameters
        ----------
        data : path, list of paths, or rows in memory
            With the column of the label, unless `rows` is given.
        rows : int, optional
            Explain so many of the first rows by Shapley values of their logits. Without it: what the loss rises
            by when a column is shuffled.
        sample : int, optional
            Rows that are measured on (20,000 if left out), or stand in the background of Shapley values (100).
        repeats : int, default 3
            Times that each column is shuffled.
        orders : int, default 1
            Orders of the columns for each background row; models of pairs are exact with any.
        seed : int, default 0
            Seed of sample and orders.
        max_bad_rows, threads : int, optional
            As in :meth:`predict`.

        Returns
        -------
        Importance or Explanation
            Columns with what they are worth, or values of shape (rows, columns) that add up with
            ``base_values`` to the logits.
        """
        native, arguments = self._asked(data, max_bad_rows, threads)
        usual = 20_000 if rows is None else 100
        effort = {
            "sample": usual if sample is None else sample,
            "repeats": repeats,
            "orders": orders,
            "seed": seed,
            "rows": rows,
        }
        found = _dlrm.explain(self._native, arguments, native, effort)
        return Importance(found) if rows is None else Explanation(found)

    def summary(self) -> str:
        """The verdict of its report, its size and its metrics, as text."""
        about = self._about
        lines = [
            f"{self.kind} ({self.task}), id {about['id']}",
            f"{about['table_parameters']:,} parameters in tables, {about['dense_parameters']:,} outside",
        ]
        for part, metrics in self.metrics.items():
            named = [f"{name} {value:.5f}" for name, value in metrics.items() if isinstance(value, float)]
            lines.append(f"{part}: {metrics['rows']:,} rows, " + ", ".join(named))
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Keep it in a directory, with its report.

        Parameters
        ----------
        path : path
            A directory that is not there yet, or is empty.
        overwrite : bool
            Whether a model that stands there may be replaced.

        Raises
        ------
        ArgumentError
            Something stands there.
        """
        target = pathlib.Path(path)
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            if not (overwrite and (target / ".dlrm-files").exists()):
                raise ArgumentError(
                    f"path: expected a new or empty directory, found {os.fspath(path)!r}, where something stands",
                    "name another one"
                    if not (target / ".dlrm-files").exists()
                    else "name another one, or replace the model with overwrite=True",
                )
            shutil.rmtree(target)
        files = self._files()
        aside = target.with_name(target.name + ".partial")
        shutil.rmtree(aside, ignore_errors=True)
        _write(aside, files)
        if target.exists():
            target.rmdir()
        aside.rename(target)

    def _files(self) -> dict[str, bytes]:
        """Its files: the model, and the report where there is one."""
        root = pathlib.Path(self.path)
        own = [root / "model"] if (root / "model").is_dir() else [root]
        names = ("report.html", "report.json", "schema.toml", ".dlrm-files", "candidates.json", "folds.json")
        kept = [root / name for name in names if (root / name).is_file()]
        paths = [file for folder in own for file in folder.rglob("*") if file.is_file()]
        return {str(file.relative_to(root)): file.read_bytes() for file in [*paths, *kept]}

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (self._files(), self.notes, self._threads)

    def __repr__(self) -> str:
        return f"<dlrm.Model {self.kind} ({self.task}) of {len(self.inputs)} columns in {self.path}>"

    def report(self) -> str | None:
        """Its report as an HTML page; None where there is none."""
        page = pathlib.Path(self.path, "report.html")
        return page.read_text(encoding="utf-8") if page.is_file() else None

    def _repr_html_(self) -> str:
        page = self.report()
        if page is None:
            return f"<pre>{html.escape(self.summary())}</pre>"
        return f'<iframe srcdoc="{html.escape(page)}" style="width:100%;height:640px;border:0"></iframe>'


def _write(folder: pathlib.Path, files: Mapping[str, bytes]) -> None:
    for name, contents in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(contents)


def _restored(files: Mapping[str, bytes], notes: list[str], threads: int | None) -> Model:
    """A model from its files."""
    scratch = Scratch()
    _write(pathlib.Path(scratch.path), files)
    return Model(scratch.path, scratch=scratch, notes=notes, threads=threads)


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
    if not isinstance(path, (str, os.PathLike)):
        raise ArgumentError(
            f"path: expected the path of a run or model directory, found {path!r}",
            "what `out` of dlrm.train was",
        )
    return Model(path, threads=threads, memory_limit=memory_limit)
