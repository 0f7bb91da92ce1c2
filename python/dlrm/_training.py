"""`dlrm.train`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from . import _dlrm
from ._model import Model
from ._progress import Callback, Progress
from ._rows import is_paths, rows_of
from ._scratch import Scratch
from .errors import ArgumentError

#: A path, as files are named.
Path = str | os.PathLike[str]
#: Rows in memory, or the files that hold them.
Data = Any


def train(
    data: Data,
    *,
    label: str | None = None,
    label_rule: str | None = None,
    positive: str | Sequence[str] | None = None,
    task: Literal["binary", "rating"] | None = None,
    model: str | None = None,
    out: Path | None = None,
    validation: Data = None,
    test: Data = None,
    split: Literal["random", "order", "time", "last-day"] | None = None,
    schema: Path | None = None,
    config: Path | None = None,
    preset: Literal["paper"] | None = None,
    settings: Mapping[str, Any] | None = None,
    ignore: str | Sequence[str] | None = None,
    categorical: str | Sequence[str] | None = None,
    weight: str | None = None,
    cross: Sequence[Sequence[str]] | None = None,
    epochs: int | None = None,
    max_steps: int | None = None,
    batch_size: int | None = None,
    seed: int | None = None,
    folds: int | None = None,
    start_from: Path | None = None,
    keep_optimizer: bool = False,
    stream: bool = False,
    no_baseline: bool = False,
    resume: bool = False,
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
    tensorboard: Path | None = None,
    callbacks: Sequence[Callback] = (),
    progress: bool | None = None,
) -> Model:
    """Train a model; measure it; keep it with its report.

    Parameters
    ----------
    data : path, list of paths, or rows in memory
        Files (CSV, TSV, JSON lines, Parquet, libsvm, Criteo, MovieLens, …; patterns and directories too), a
        prepared data set, or rows: whatever has an Arrow C stream (pandas, polars, pyarrow, DuckDB), a
        dictionary of columns, a list of dictionaries, a two-dimensional array.
    label : str, optional
        Column to predict. Found by its name and values where it is left out.
    label_rule : str, optional
        What counts as a click, such as ``"rating >= 4"``.
    positive : str or list of str, optional
        Values of the label that count as a click.
    task : {"binary", "rating"}, optional
        Whether clicks or numbers are predicted; by the label's values if left out.
    model : str, optional
        Kind of model, such as ``"dlrm"``, ``"dcn_v2"`` or ``"deepfm"``; ``"auto"`` lets the validation rows
        choose one.
    out : path, optional
        Run directory. Without one the model lives in a temporary directory as long as the result does.
    validation, test : as `data`, optional
        Rows that are not trained on. In memory where `data` is.
    split : {"random", "order", "time", "last-day"}, optional
        How rows to validate and to test are taken from `data` otherwise.
    schema, config : path, optional
        What the columns are, and configuration (TOML).
    preset : {"paper"}, optional
        Settings to start from in place of a configuration.
    settings : mapping, optional
        Further settings by configuration key, such as ``{"model.embedding_dim": 16}``.
    ignore, categorical : str or list of str, optional
        Columns that are no input, or are categories whatever they look like.
    weight : str, optional
        Column of sample weights.
    cross : list of lists of str, optional
        Conjunctions of columns for the linear part.
    epochs, max_steps, batch_size, seed : int, optional
        Passes over the rows and steps at most, rows per step, seed.
    folds : int, optional
        Also measure on so many folds.
    start_from : path, optional
        Run or model directory that training goes on from.
    keep_optimizer, stream, no_baseline : bool
        Keep the optimiser's state with the model; read training rows as they are needed; leave out the
        regression that the model is compared with.
    resume, overwrite : bool
        Go on with the run in `out`, or replace it.
    max_bad_rows : int, optional
        Malformed rows that may be skipped.
    max_ind_range, reference_compat : optional
        Ids as the reference implementation's preprocessing makes them.
    format, delimiter, header, quote, trim, columns : optional
        How files are read; detected where left out.
    threads : int, optional
        Worker threads, all cores if left out. No result depends on them.
    memory_limit : int or str, optional
        Bytes, or a size such as ``"8GB"``; a run that needs more is refused.
    tensorboard : path, optional
        Directory for event files of the evaluations, with learning rates and rows per second
        (``train.tensorboard``); :class:`dlrm.TensorBoard` is a callback that writes the metrics alone.
    callbacks : sequence of callables
        Each is called with every evaluation: a dictionary with ``step``, ``epoch``, ``train_loss``,
        ``validation`` (metrics by name, or None) and ``best``. What it raises ends the run.
    progress : bool, optional
        Whether to show a line of progress; in terminals and notebooks if left out.

    Returns
    -------
    Model
        The model with its best weights.

    Raises
    ------
    ArgumentError
        An argument that cannot be used, or contradicts the rows or another one (a ``ValueError``).
    DataError
        Rows that are not what they should be (a ``ValueError``).
    MissingFileError
        A file that is not there (a ``FileNotFoundError``).
    DivergedError
        The loss grew without bound; with `out`, the best model before that is kept there.
    KeyboardInterrupt
        Ctrl-C stops at the next step; with `out`, ``resume=True`` goes on from there.

    Examples
    --------
    >>> import dlrm
    >>> rows = {"user": ["a", "b", "c", "d"] * 50, "hour": list(range(200)),
    ...         "click": [1, 0, 0, 0] * 50}
    >>> model = dlrm.train(rows, label="click", model="lr", epochs=2)
    >>> model.predict({"user": ["a", "b"], "hour": [3, 4]}).shape
    (2,)
    """
    arguments = {name: value for name, value in locals().items()}
    for name in ("validation", "test", "callbacks", "progress", "settings", "tensorboard", "data"):
        del arguments[name]
    arguments["settings"] = settings_of(settings)
    if tensorboard is not None:
        arguments["settings"] += settings_of({"train.tensorboard": directory_of(tensorboard, "tensorboard")})
    rows = parts_of(arguments, data, validation, test)
    return run(arguments, rows, callbacks, progress, threads=threads)


def run(
    arguments: dict[str, Any],
    rows: Parts | None,
    callbacks: Sequence[Callback],
    progress: bool | None,
    *,
    threads: int | None,
) -> Model:
    """Does a run and loads its model."""
    check_callbacks(callbacks)
    scratch = None
    if arguments.get("out") is None:
        scratch = Scratch()
        arguments["out"] = scratch.path
        arguments["once"] = True
    watching = Progress(progress, callbacks)
    try:
        done = _dlrm.train(arguments, rows, watching)
    finally:
        watching.close()
    return Model(arguments["out"], scratch=scratch, notes=done["notes"], threads=threads)


class Parts:
    """Rows of Python in the place of files."""

    def __init__(self, main: _dlrm.Rows, validation: _dlrm.Rows | None, test: _dlrm.Rows | None) -> None:
        self.main = main
        self.validation = validation
        self.test = test


def parts_of(arguments: dict[str, Any], data: Data, validation: Data, test: Data) -> Parts | None:
    """The rows in memory; files go into `arguments`."""
    main = rows_of(data, "data")
    others = {"validation": validation, "test": test}
    if main is None:
        for name, value in {"data": data, **others}.items():
            if value is not None and not is_paths(value):
                raise ArgumentError(
                    f"{name}: expected a path or a list of paths, as `data` is, found a {type(value).__name__}",
                    "give all parts as files, or all as rows in memory",
                )
            arguments[name] = value
        return None
    for name, value in others.items():
        if value is not None and is_paths(value):
            raise ArgumentError(
                f"{name}: expected rows in memory, as `data` is, found the path {value!r}",
                "give all parts as files, or all as rows in memory",
            )
    return Parts(main, rows_of(validation, "validation"), rows_of(test, "test"))


def settings_of(settings: Mapping[str, Any] | None) -> list[str]:
    """Settings as the configuration reads them, `key=value`."""
    if settings is None:
        return []
    if not isinstance(settings, Mapping):
        raise ArgumentError(
            f"settings: expected a dictionary of configuration keys, found {settings!r}",
            'such as {"model.embedding_dim": 16}',
        )
    return [f"{key}={_toml(value)}" for key, value in settings.items()]


def _toml(value: Any) -> str:
    """A value of a configuration as it is written there."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(str(key))} = {_toml(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, default=str)


def directory_of(path: object, name: str) -> str:
    """The path of a directory, which the argument `name` gives."""
    if not isinstance(path, (str, os.PathLike)):
        raise ArgumentError(f"{name}: expected the path of a directory, found {path!r}", "such as \"runs/events\"")
    return str(os.fspath(path))


def check_callbacks(callbacks: object) -> None:
    """Refuses what cannot be called."""
    if not isinstance(callbacks, (list, tuple)) or not all(map(callable, callbacks)):
        raise ArgumentError(
            f"callbacks: expected a list of functions of one argument, found {callbacks!r}",
            "each is called with every evaluation, a dictionary: callbacks=[print]",
        )
