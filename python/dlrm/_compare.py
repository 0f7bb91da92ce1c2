"""`dlrm.compare`."""

from __future__ import annotations

import html
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from . import _dlrm
from ._progress import Progress
from ._scratch import Scratch
from ._training import Data, Path, parts_of, settings_of


class Comparison:
    """Several models on the same rows, split or in folds.

    Attributes
    ----------
    figures : dict
        What each model is worth and costs, and the differences with their intervals.
    notes : list of str
        What was noticed before.
    """

    def __init__(self, found: Mapping[str, Any], path: str | None) -> None:
        self.figures: dict[str, Any] = dict(found["figures"])
        self.notes: list[str] = list(found["notes"])
        self.path = path
        self._page = str(found["page"])

    def report(self) -> str:
        """The comparison as an HTML page."""
        return self._page

    def __repr__(self) -> str:
        models = self.figures.get("models", self.figures.get("candidates", []))
        return f"<dlrm.Comparison of {', '.join(str(model.get('name')) for model in models)}>"

    def _repr_html_(self) -> str:
        page = html.escape(self._page)
        return f'<iframe srcdoc="{page}" style="width:100%;height:640px;border:0"></iframe>'


def compare(
    data: Data,
    models: Sequence[str] | None = None,
    *,
    label: str | None = None,
    label_rule: str | None = None,
    positive: str | Sequence[str] | None = None,
    task: Literal["binary", "rating"] | None = None,
    configs: Sequence[Path] | None = None,
    seeds: int | None = None,
    folds: int | None = None,
    out: Path | None = None,
    overwrite: bool = False,
    validation: Data = None,
    test: Data = None,
    split: Literal["random", "order", "time", "last-day"] | None = None,
    schema: Path | None = None,
    settings: Mapping[str, Any] | None = None,
    ignore: str | Sequence[str] | None = None,
    categorical: str | Sequence[str] | None = None,
    weight: str | None = None,
    epochs: int | None = None,
    max_bad_rows: int | None = None,
    threads: int | None = None,
    memory_limit: int | str | None = None,
    progress: bool | None = None,
) -> Comparison:
    """Compare models on the same rows, split and seeds.

    Parameters
    ----------
    data : path, list of paths, or rows in memory
        As in :func:`dlrm.train`.
    models : list of str, optional
        Kinds of models, such as ``["lr", "fm", "dlrm"]``.
    configs : list of paths, optional
        Configuration files: one that all models start from, or one for each model.
    seeds : int, optional
        Runs of each model: 3, or 1 on each fold.
    folds : int, optional
        Measure on so many folds: every row tests once.
    out : path, optional
        Directory of the results; with one, finished runs are not made again by the same call.
    overwrite : bool
        Whether the comparison in `out` may be replaced.
    label, label_rule, positive, task, validation, test, split, schema, settings, ignore, categorical, weight, \
epochs, max_bad_rows, threads, memory_limit, progress : optional
        As in :func:`dlrm.train`.

    Returns
    -------
    Comparison

    Raises
    ------
    ArgumentError
        Fewer than two models, or an argument that cannot be used.

    Examples
    --------
    >>> import dlrm
    >>> rows = {"user": ["a", "b", "c", "d"] * 50, "click": [1, 0, 0, 0] * 50}
    >>> dlrm.compare(rows, ["lr", "fm"], label="click", seeds=1, epochs=1)
    <dlrm.Comparison of lr, fm>
    """
    arguments: dict[str, Any] = dict(locals())
    for name in ("data", "validation", "test", "progress"):
        del arguments[name]
    arguments["settings"] = settings_of(settings)
    rows = parts_of(arguments, data, validation, test)
    scratch = None
    if out is None:
        scratch = Scratch()
        arguments["out"] = scratch.path
    watching = Progress(progress)
    try:
        found = _dlrm.compare(arguments, rows, watching)
    finally:
        watching.close()
    return Comparison(found, None if out is None else os.fspath(pathlib.Path(out)))
