"""`dlrm.torch.module`: a model as a PyTorch module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from .. import _dlrm
from .._model import Model
from ..errors import ArgumentError, ModelError
from ._bags import pooled
from ._batch import rows_of
from ._head import Head
from ._operations import OPERATIONS, Call

#: Operations that read the batch.
_DENSE, _EMBEDDINGS = "dense inputs", "embeddings"


class Module(nn.Module):
    """A model as a PyTorch module, made by :func:`module`.

    Its parameters, and its buffers for running statistics, have the names that the model's tensors have: those
    of ``weights.safetensors`` in its directory.

    Attributes
    ----------
    head : nn.Module
        What becomes of logits in evaluation: the correction for negatives that were left out in training,
        and calibration. ``torch.nn.Identity()`` in its place leaves them as they are.
    """

    def __init__(self, graph: Mapping[str, Any], tensors: Mapping[str, torch.Tensor], *, sparse: bool) -> None:
        super().__init__()
        self._nodes: list[dict[str, Any]] = graph["nodes"]
        for node in self._nodes:
            if node["operation"] not in (_DENSE, _EMBEDDINGS, *OPERATIONS):
                raise ModelError(
                    f"operation of the model: expected one that dlrm.torch knows, found {node['operation']!r}",
                    "update dlrm",
                )
        self._sparse = sparse
        self._dense = next((node["width"] for node in self._nodes if node["operation"] == _DENSE), None)
        self._columns = {slot["column"] for node in self._nodes for slot in node["slots"]}
        statistics = set(graph["statistics"])
        for name, tensor in tensors.items():
            _place(self, name, tensor, learns=name not in statistics)
        self.head: nn.Module = Head(graph["shift"], graph["calibration"])

    def forward(self, dense: torch.Tensor, sparse: Mapping[str, Sequence[Any]]) -> torch.Tensor:
        """Score encoded rows.

        Parameters
        ----------
        dense : Tensor of float32, shape (rows, n)
            Dense numbers, as :meth:`dlrm.Encoder.transform` gives them.
        sparse : mapping of str to Bags
            For each categorical column ids, offsets and weights (or None).

        Returns
        -------
        Tensor of float32, shape (rows,)
            Logits. In evaluation (``.eval()``) those of ``model.predict(..., logits=True)``; in training
            (``.train()``), as dlrm trains, without what :attr:`head` makes of them.

        Raises
        ------
        ArgumentError
            Dense numbers of another width, or a column without ids.
        """
        self._check(dense, sparse)
        values: list[torch.Tensor] = []
        for node in self._nodes:
            values.append(self._value(node, values, dense, sparse))
        logits = values[-1].reshape(-1)
        return logits if self.training else self.head(logits)

    def _check(self, dense: torch.Tensor, sparse: Mapping[str, Sequence[Any]]) -> None:
        if self._dense is not None and (dense.ndim != 2 or dense.shape[1] != self._dense):
            raise ArgumentError(
                f"dense: expected shape (rows, {self._dense}), found {tuple(dense.shape)}",
                "give what dlrm.torch.tensors or dlrm.torch.Prepared returned",
            )
        missing = self._columns - sparse.keys()
        if missing:
            raise ArgumentError(
                f"sparse: expected ids of the columns {sorted(self._columns)}, found none of {sorted(missing)[0]!r}",
                "give what dlrm.torch.tensors or dlrm.torch.Prepared returned",
            )

    def _value(
        self,
        node: Mapping[str, Any],
        values: Sequence[torch.Tensor],
        dense: torch.Tensor,
        sparse: Mapping[str, Sequence[Any]],
    ) -> torch.Tensor:
        """What a node computes, [B, width]."""
        if node["width"] == 0:
            return dense.new_empty(rows_of(dense, sparse), 0)
        if node["operation"] == _DENSE:
            return dense
        if node["operation"] == _EMBEDDINGS:
            parts = [
                pooled(slot, sparse[slot["column"]], self._find, sparse=self._sparse) for slot in node["slots"]
            ]
            return parts[0] if len(parts) == 1 else torch.cat(parts, 1)
        call = Call(
            inputs=[values[place] for place in node["inputs"]],
            parameters=[self._find(name) for name in node["parameters"]],
            width=node["width"],
            attributes=node["attributes"],
            training=self.training,
        )
        return OPERATIONS[node["operation"]](call)

    def _find(self, name: str) -> torch.Tensor:
        """The parameter or buffer of this name."""
        *path, last = name.split(".")
        holder: nn.Module = self
        for part in path:
            holder = holder._modules[part]
        found = holder._parameters.get(last)
        return holder._buffers[last] if found is None else found


class _Holder(nn.Module):
    """Tensors whose names begin alike."""

    def train(self, mode: bool = True) -> _Holder:
        # As every module does, also where a tensor is called "training".
        object.__setattr__(self, "training", mode)
        for child in self.children():
            child.train(mode)
        return self


def _place(root: nn.Module, name: str, tensor: torch.Tensor, *, learns: bool) -> None:
    """Puts a tensor where its dotted name says.

    The names of tables end with those of columns, which may be words that modules have a use for ("type",
    "training") or hold dots themselves; `register_parameter` refuses both, the dictionaries behind it do not.
    """
    *path, last = name.split(".")
    for part in path:
        root = root._modules.setdefault(part, _Holder())
    if learns:
        root._parameters[last] = nn.Parameter(tensor)
    else:
        root._buffers[last] = tensor


def module(model: Model, *, sparse: bool = False) -> Module:
    """A model as a PyTorch module with the same weights, to go on with in PyTorch.

    Parameters
    ----------
    model : Model
        Of any kind; an estimator's is its ``model_``. The module has a copy of its weights.
    sparse : bool
        Whether the gradients of tables are sparse tensors, as large as the ids of a batch and not as the
        tables; `torch.optim.SparseAdam`, `Adagrad` and `SGD` take them.

    Returns
    -------
    Module
        In evaluation mode: its logits are those of the model, up to the order in which numbers are added.
        Batch normalisation measures the whole batch in training, where dlrm measures shards of it. Tables
        that are kept in 16 bits stay so; ``.float()`` widens them, as training in PyTorch should.

    Raises
    ------
    ArgumentError
        No model was given.

    Examples
    --------
    >>> import dlrm, dlrm.torch, torch
    >>> rows = {"user": ["a", "b", "c", "d"] * 50, "click": [1, 0, 0, 1] * 50}
    >>> model = dlrm.train(rows, label="click", model="fm", epochs=2)
    >>> net = dlrm.torch.module(model)
    >>> logits = net(*dlrm.torch.tensors(model.encoder.transform({"user": ["a", "b"]})))
    >>> logits.shape
    torch.Size([2])
    """
    if not isinstance(model, Model):
        raise ArgumentError(
            f"model: expected a dlrm.Model, found {model!r}",
            "give what dlrm.train or dlrm.load returned, or an estimator's `model_`",
        )
    tensors = {
        name: _tensor(kind, shape, numbers) for name, kind, shape, numbers in _dlrm.tensors(model._native)
    }
    made = Module(_dlrm.graph(model._native), tensors, sparse=sparse)
    made.eval()
    return made


def _tensor(kind: str, shape: Sequence[int], numbers: bytearray) -> torch.Tensor:
    """The tensor of these numbers, in their memory."""
    dtype = getattr(torch, kind)
    if not numbers:
        return torch.empty(shape, dtype=dtype)
    return torch.frombuffer(numbers, dtype=dtype).reshape(shape)
