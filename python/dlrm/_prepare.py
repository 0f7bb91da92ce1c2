"""`dlrm.prepare`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from . import _dlrm
from ._progress import Progress
from ._training import Data, Path, parts_of, settings_of
from .errors import ArgumentError


def prepare(
    data: Data,
    out: Path,
    *,
    label: str | None = None,
    label_rule: str | None = None,
    positive: str | Sequence[str] | None = None,
    task: Literal["binary", "rating"] | None = None,
    validation: Data = None,
    test: Data = None,
    split: Literal["random", "order", "time", "last-day"] | None = None,
    schema: Path | None = None,
    config: Path | None = None,
    settings: Mapping[str, Any] | None = None,
    ignore: str | Sequence[str] | None = None,
    categorical: str | Sequence[str] | None = None,
    weight: str | None = None,
    cross: Sequence[Sequence[str]] | None = None,
    seed: int | None = None,
    overwrite: bool = False,
    max_bad_rows: int | None = None,
    max_ind_range: int | None = None,
    reference_compat: bool = False,
    format: str | None = None,
    delimiter: str | None = None,
    header: Literal["present", "absent", "auto"] | None = None,
    quote: Literal["double", "none", "auto"] | None = None,
    trim: Literal["blanks", "none", "auto"] | None = None,
    columns: Sequence[str] | None = None,
    threads: int | None = None,
    memory_limit: int | str | None = None,
    progress: bool | None = None,
) -> dict[str, Any]:
    """Encode rows once, to train on them often: ``dlrm.train(out)``.

    Parameters
    ----------
    data : path, list of paths, or rows in memory
        As in :func:`dlrm.train`.
    out : path
        Directory of the prepared data set. An interrupted preparation of the same rows goes on where it stopped.
    overwrite : bool
        Whether the data set in `out` may be replaced.
    label, label_rule, positive, task, validation, test, split, schema, config, settings, ignore, categorical, \
weight, cross, seed, max_bad_rows, max_ind_range, reference_compat, format, delimiter, header, quote, trim, \
columns, threads, memory_limit, progress : optional
        As in :func:`dlrm.train`.

    Returns
    -------
    dict
        The manifest: rows by part, files, settings.

    Raises
    ------
    ArgumentError
        A place that is taken, or an argument that cannot be used.

    Examples
    --------
    >>> import dlrm, tempfile
    >>> rows = {"user": ["a", "b", "c", "d"] * 50, "click": [1, 0, 0, 0] * 50}
    >>> with tempfile.TemporaryDirectory() as place:
    ...     made = dlrm.prepare(rows, place + "/set", label="click")
    ...     model = dlrm.train(place + "/set", model="lr", epochs=1)
    >>> sum(part["rows"] for part in made["parts"])
    200
    """
    arguments: dict[str, Any] = dict(locals())
    for name in ("data", "validation", "test", "progress"):
        del arguments[name]
    if not isinstance(out, (str, os.PathLike)):
        raise ArgumentError(f"out: expected a path, found {out!r}", "name the directory of the data set")
    arguments["settings"] = settings_of(settings)
    rows = parts_of(arguments, data, validation, test)
    watching = Progress(progress)
    try:
        made = _dlrm.prepare(arguments, rows, watching)
    finally:
        watching.close()
    return dict(made["manifest"])
