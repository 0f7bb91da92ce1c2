"""Models as ONNX files."""

from __future__ import annotations

import os
from typing import Any, Literal

from . import _dlrm
from ._model import Model
from .errors import ArgumentError


def to_onnx(
    model: Model,
    path: str | os.PathLike[str],
    *,
    bags: Literal["offsets", "padded"] = "offsets",
    external_data: bool = False,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Write a model as an ONNX file, which reads encoded rows: those of :meth:`dlrm.Encoder.transform`.

    Parameters
    ----------
    model : Model
        Of any kind.
    path : path
        The file.
    bags : {"offsets", "padded"}, default "offsets"
        How columns of several values are read: all ids one after the other with offsets, as ``transform``
        returns them, or as a rectangle, shape (rows, most ids of a row), filled up with -1.
    external_data : bool
        Whether weights go into a file beside it, ``path + ".data"``; those of more than 2 GB always do.
    overwrite : bool
        Whether files that stand there may be replaced.

    Returns
    -------
    dict
        ``files`` (``path`` and ``bytes`` of each), ``inputs`` and ``outputs`` (``name``, ``element_type``,
        ``shape`` and ``about`` of each), as ``dlrm export --json`` prints them.

    Raises
    ------
    ArgumentError
        A file stands there, or is one that the model was loaded from (a ``ValueError``).
    FileError
        The file cannot be written (an ``OSError``).

    Examples
    --------
    >>> import dlrm, pathlib, tempfile
    >>> rows = {"user": ["a", "b", "c", "d"] * 50, "click": [1, 0, 0, 1] * 50}
    >>> model = dlrm.train(rows, label="click", model="lr")
    >>> file = pathlib.Path(tempfile.mkdtemp(), "clicks.onnx")
    >>> [port["name"] for port in dlrm.to_onnx(model, file)["outputs"]]
    ['logit', 'probability']
    """
    if not isinstance(model, Model):
        raise ArgumentError(
            f"model: expected a dlrm.Model, found {model!r}",
            "give what dlrm.train or dlrm.load returned, or an estimator's `model_`",
        )
    if not isinstance(path, (str, os.PathLike)):
        raise ArgumentError(f"path: expected the path of a file, found {path!r}", 'such as "clicks.onnx"')
    arguments = {"bags": bags, "external_data": external_data, "overwrite": overwrite}
    return _dlrm.to_onnx(model._native, model.path, os.fspath(path), arguments)
