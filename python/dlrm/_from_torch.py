"""Checkpoints of the reference implementation, facebookresearch/dlrm."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from . import _dlrm
from ._model import Model
from ._scratch import Scratch
from .errors import ArgumentError, FileError, MissingFileError


def from_torch(
    checkpoint: str | os.PathLike[str] | Mapping[str, Any],
    out: str | os.PathLike[str] | None = None,
    *,
    dense: Sequence[str] | None = None,
    categorical: Sequence[str] | None = None,
    label: str = "click",
    interaction: Literal["dot", "dot_self", "cat"] | None = None,
    single_ids: bool = False,
    overwrite: bool = False,
    threads: int | None = None,
) -> Model:
    """A model from a checkpoint of the reference implementation, facebookresearch/dlrm.

    Its rows are what that implementation reads: numbers are taken as they are, ids are the numbers of rows
    of the tables. So whatever was done to the columns before (logarithms, dictionaries) is to be done before.

    Parameters
    ----------
    checkpoint : path or mapping of str to Tensor
        What its ``--save-model`` wrote, or the ``state_dict()`` of its ``DLRM_Net``, of tensors or NumPy
        arrays. A file is read by ``torch.load`` with ``weights_only=True``, which runs no code of it.
    out : path, optional
        Directory for the model, else it lives as long as the object that is returned.
    dense, categorical : list of str, optional
        Names of the columns, in the order of the checkpoint; ``dense_0``, ``dense_1``, … and ``sparse_0``, …
        if left out.
    label : str, default "click"
        The column in which :meth:`Model.evaluate` finds clicks.
    interaction : {"dot", "dot_self", "cat"}, optional
        ``--arch-interaction-op``, ``"dot_self"`` being ``dot`` with ``--arch-interaction-itself``. Needed where
        the width of the top MLP's first layer does not tell.
    single_ids : bool
        Whether a row has one id in each column. Otherwise it may have any number, in a list, whose vectors are
        added.
    overwrite : bool
        Whether a model in `out` may be replaced.
    threads : int, optional
        Worker threads of predictions, all cores if left out.

    Returns
    -------
    Model
        A dlrm; its scores are those of the reference up to the order in which numbers are added.

    Raises
    ------
    ArgumentError
        A file that is no checkpoint; a tensor that is missing, unknown, or of a type or shape that does not
        fit the others; numbers that are not finite; names of columns that do not fit.
    MissingFileError
        There is no such file (a ``FileNotFoundError``).
    ImportError
        A file is given and PyTorch is not installed.

    Examples
    --------
    >>> import dlrm, numpy as np
    >>> draw = np.random.default_rng(0)
    >>> shapes = {
    ...     "emb_l.0.weight": (100, 8), "emb_l.1.weight": (50, 8),
    ...     "bot_l.0.weight": (8, 3), "bot_l.0.bias": (8,),
    ...     "top_l.0.weight": (1, 11), "top_l.0.bias": (1,),
    ... }
    >>> tensors = {name: draw.normal(size=shape).astype("float32") for name, shape in shapes.items()}
    >>> model = dlrm.from_torch(tensors)
    >>> row = {"dense_0": [0.5], "dense_1": [1.0], "dense_2": [0.0], "sparse_0": [7], "sparse_1": [[3, 4]]}
    >>> model.predict(row).shape
    (1,)
    """
    tensors = _tensors(checkpoint)
    place = _place(out, overwrite)
    scratch = None
    if place is None:
        scratch = Scratch()
        place = os.path.join(scratch.path, "model")
    arguments = {
        "out": place,
        "dense": dense,
        "categorical": categorical,
        "label": label,
        "interaction": interaction,
        "single_ids": single_ids,
    }
    about = [(name, _dtype(value), list(value.shape)) for name, value in tensors.items()]

    flat: dict[str, Any] = {}  # the tensor that is being read: row after row, which may be a copy

    def read(name: str, first: int, count: int) -> bytes:
        if name not in flat:
            flat.clear()
            flat[name] = tensors[name].reshape(-1)
        numbers = flat[name][first : first + count]
        return bytes(numbers.tobytes() if _is_array(numbers) else numbers.cpu().numpy().tobytes())

    _dlrm.from_reference(about, arguments, read)
    return Model(place, scratch=scratch, threads=threads)


def _tensors(checkpoint: Any) -> dict[str, Any]:
    """The tensors of a checkpoint by name."""
    if isinstance(checkpoint, (str, os.PathLike)):
        checkpoint = _loaded(os.fspath(checkpoint))
    if not isinstance(checkpoint, Mapping):
        found = type(checkpoint).__name__
        raise ArgumentError(
            f"checkpoint: expected a file that torch.save wrote, or a state_dict, found a {found}",
            "give the path, or `DLRM_Net.state_dict()`",
        )
    tensors = checkpoint.get("state_dict", checkpoint)
    if not isinstance(tensors, Mapping) or not tensors:
        raise ArgumentError(
            f"checkpoint: expected tensors by name, found {_described(tensors)}",
            "give what the reference implementation saved, or its `DLRM_Net.state_dict()`",
        )
    for name, value in tensors.items():
        if not isinstance(name, str) or not (_is_array(value) or _is_tensor(value)):
            raise ArgumentError(
                f"checkpoint: expected a dense tensor for {name!r}, found {_described(value)}",
                "give the `state_dict()` of a model whose tables are not quantised, or nothing but tensors",
            )
    return {name: value if _is_array(value) else value.detach() for name, value in tensors.items()}


def _is_array(value: Any) -> bool:
    """Whether it is an array of NumPy."""
    return type(value).__module__ == "numpy" and type(value).__name__ == "ndarray"


def _is_tensor(value: Any) -> bool:
    """Whether it is a dense tensor of PyTorch."""
    return str(getattr(value, "layout", "")) == "torch.strided" and not getattr(value, "is_quantized", True)


def _dtype(value: Any) -> str:
    """The type of its elements, as `float32`."""
    return str(value.dtype).removeprefix("torch.")


def _described(value: Any) -> str:
    return "none" if isinstance(value, Mapping) else f"a {type(value).__name__}"


def _loaded(path: str) -> Any:
    """What is in a file, whose tensors stay there until they are read."""
    expected = "checkpoint: expected a file of tensors that torch.save wrote"
    if not os.path.exists(path):
        raise MissingFileError(f"{expected}, found nothing at {path}", "check the path")
    if not os.path.isfile(path):
        raise ArgumentError(f"{expected}, found the directory {path}", "name a file in it")
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            "dlrm.from_torch: expected PyTorch, which reads such files, found none that can be imported\n"
            "hint: pip install torch, or give the tensors as NumPy arrays"
        ) from error
    try:
        with torch.serialization.safe_globals(_numbers()):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=_is_zip(path))
    except OSError as error:
        raise FileError(f"checkpoint: cannot read {path}: {error}") from error
    except Exception as error:  # of many kinds, by what stands in the file
        reason = str(error).strip().split("\n")[0]
        raise ArgumentError(
            f"{expected}, found {path}, of which PyTorch says: {reason}",
            "save the tensors alone: torch.save(net.state_dict(), path)",
        ) from error


def _is_zip(path: str) -> bool:
    """Whether tensors can be mapped: in files of PyTorch 1.6 and later."""
    with open(path, "rb") as file:
        return file.read(2) == b"PK"


def _numbers() -> list[Any]:
    """NumPy's numbers, which stand beside the tensors in checkpoints: accuracies and losses."""
    try:
        import numpy as np
    except ImportError:
        return []
    kinds = [type(np.dtype(kind)) for kind in (np.float64, np.float32, np.int64)]
    makes = np.float64(0).__reduce__()[0]
    # What makes them has one name in NumPy 1, another in NumPy 2.
    return [np.dtype, *kinds, (makes, "numpy.core.multiarray.scalar"), (makes, "numpy._core.multiarray.scalar")]


def _place(out: Any, overwrite: bool) -> str | None:
    """Where the model goes."""
    if out is None:
        return None
    if not isinstance(out, (str, os.PathLike)):
        raise ArgumentError(f"out: expected the path of a directory, found {out!r}", "name a new one")
    place = pathlib.Path(out)
    if place.exists() and (not place.is_dir() or any(place.iterdir())) and not overwrite:
        raise ArgumentError(
            f"out: expected a new or empty directory, found {os.fspath(out)!r}, where something stands",
            "name another one, or replace the model there with overwrite=True",
        )
    return os.fspath(out)
