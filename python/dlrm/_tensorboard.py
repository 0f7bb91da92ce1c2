"""Evaluations as event files that TensorBoard reads."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

from . import _dlrm
from ._training import directory_of


class TensorBoard:
    """A callback that writes each evaluation to an event file.

    ``train/loss``, ``train/accuracy`` and ``validation/METRIC``, under the names that `tensorboard` of
    :func:`dlrm.train` gives them, which also tells learning rates and rows per second.

    Parameters
    ----------
    dir : path
        Directory of the run, made when the first evaluation comes. Every training begins a new file in it;
        give runs that are compared directories of their own.

    Raises
    ------
    FileError
        The directory cannot be written to (an ``OSError``); the run ends.

    Examples
    --------
    >>> import dlrm, os, tempfile
    >>> rows = {"user": ["a", "b", "c", "d"] * 50, "click": [1, 0, 0, 1] * 50}
    >>> events = tempfile.mkdtemp()
    >>> model = dlrm.train(rows, label="click", model="fm", callbacks=[dlrm.TensorBoard(events)])
    >>> len(os.listdir(events))
    1
    """

    def __init__(self, dir: str | os.PathLike[str]) -> None:
        self.dir = directory_of(dir, "dir")
        self._file: _dlrm.EventFile | None = None
        self._last = -1

    def __call__(self, evaluation: Mapping[str, Any]) -> None:
        """Write an evaluation."""
        now, step = time.time(), evaluation["step"]
        if self._file is None or step <= self._last:  # the first one of a training
            self._file = _dlrm.EventFile(self.dir, now)
            self._file.start(now, step)
        self._last = step
        self._file.scalars(now, step, _scalars(evaluation))


def _scalars(evaluation: Mapping[str, Any]) -> list[tuple[str, float]]:
    """What is shown of an evaluation: metrics, and not what the rows themselves are like."""
    found = {f"train/{name}": evaluation.get(f"train_{name}") for name in ("loss", "accuracy")}
    for name, value in (evaluation["validation"] or {}).items():
        if name not in ("rows", "positives", "mean_label", "mean_prediction"):
            found[f"validation/{name}"] = value
    return [(tag, float(value)) for tag, value in found.items() if value is not None]
