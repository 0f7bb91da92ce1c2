"""`dlrm.torch.Prepared`: a prepared data set as a data set of PyTorch."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch.utils.data import IterableDataset, get_worker_info

from .. import _dlrm
from .._encoder import columns_of, encoded_of
from ..errors import ArgumentError
from ._batch import Batch, tensors


class Prepared(IterableDataset):
    """A prepared data set as batches of tensors, for ``DataLoader(prepared, batch_size=None)``.

    Workers of a loader share its batches, and however many they are, these come in the same order.

    Parameters
    ----------
    path : path
        What ``dlrm prepare`` or :func:`dlrm.prepare` wrote.
    part : {"train", "validation", "test"}, default "train"
        Which of its rows.
    batch_size : int, default 2048
        Rows of a batch; the last one may have fewer.
    shuffle : bool
        Whether rows come in another order than that of the files: in the one in which `dlrm train` takes them
        with this seed, in epoch 0 unless :meth:`set_epoch` says so.
    seed : int, default 0
        Decides the order, together with the epoch.
    window : int, optional
        Shuffle only within windows of so many rows, as ``dlrm train --stream`` does. Without it all rows are
        in memory, once for each worker.

    Attributes
    ----------
    rows : int
        Rows of the part.
    dense : list of str
        Columns that are numbers.
    sparse : dict of str to int
        Categorical columns and crosses, with the rows of their tables.

    Raises
    ------
    ArgumentError
        An argument that cannot be used.
    MissingFileError
        There is no prepared data set (a ``FileNotFoundError``).
    DataError
        A file of it is torn or was changed.

    Examples
    --------
    >>> import dlrm, dlrm.torch, pathlib, tempfile
    >>> from torch.utils.data import DataLoader
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (folder / "clicks.csv").write_text("user,click\\n" + "a,1\\nb,0\\n" * 500)
    >>> manifest = dlrm.prepare(folder / "clicks.csv", folder / "prepared", label="click", split="order")
    >>> prepared = dlrm.torch.Prepared(folder / "prepared", batch_size=100, shuffle=True)
    >>> loader = DataLoader(prepared, batch_size=None)
    >>> len(loader), [len(batch.labels) for batch in loader]
    (8, [100, 100, 100, 100, 100, 100, 100, 100])
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        part: Literal["train", "validation", "test"] = "train",
        batch_size: int = 2048,
        shuffle: bool = False,
        seed: int = 0,
        window: int | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(path, (str, os.PathLike)):
            raise ArgumentError(
                f"path: expected the path of a prepared data set, found {path!r}", "what `out` of dlrm.prepare was"
            )
        self._path = os.fspath(path)
        self._arguments = {
            "part": part,
            "batch_size": batch_size,
            "shuffle": shuffle,
            "seed": seed,
            "window": window,
        }
        # Shared, so that workers which live longer than an epoch learn of it too.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()
        self._set: _dlrm.PreparedSet | None = None
        about = self._opened().about()
        self.rows: int = about["rows"]
        self._batch_size = batch_size
        self.dense, self.sparse = columns_of(about["layout"])

    def __len__(self) -> int:
        """Batches of an epoch."""
        return math.ceil(self.rows / self._batch_size)

    def set_epoch(self, epoch: int) -> None:
        """Have the rows shuffled as in this epoch, the first being 0, from the next pass on."""
        if isinstance(epoch, bool) or not isinstance(epoch, int) or epoch < 0:
            raise ArgumentError(f"epoch: expected a whole number of at least 0, found {epoch!r}", "the first is 0")
        self._epoch.fill_(epoch)

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        place, workers = (0, 1) if worker is None else (worker.id, worker.num_workers)
        batches = self._opened().batches(int(self._epoch))
        found = batches.next(place)
        while found is not None:
            yield self._batch(*found)
            found = batches.next(workers - 1)

    def _batch(self, arrays: _dlrm.Arrays, labels: bytes, weights: bytes) -> Batch:
        dense, sparse = tensors(encoded_of(arrays, self.dense, self.sparse))
        return Batch(dense, sparse, _floats(labels), _floats(weights) if weights else None)

    def _opened(self) -> _dlrm.PreparedSet:
        if self._set is None:
            self._set = _dlrm.PreparedSet.open(self._path, self._arguments)
        return self._set

    def __getstate__(self) -> dict[str, Any]:
        # A worker opens the files itself.
        return {**self.__dict__, "_set": None}


def _floats(numbers: bytes) -> torch.Tensor:
    return torch.frombuffer(bytearray(numbers), dtype=torch.float32)
