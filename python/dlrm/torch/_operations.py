"""What each operation of a model's graph is in PyTorch: one function for each, by the name of the operation.

B rows; every value is [B, width].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class Call(NamedTuple):
    """What an operation reads."""

    inputs: Sequence[Tensor]
    parameters: Sequence[Tensor]
    #: Columns of the result.
    width: int
    attributes: Mapping[str, Any]
    #: Whether the module is being trained.
    training: bool

    @property
    def x(self) -> Tensor:
        """The first input."""
        return self.inputs[0]


def _linear(call: Call) -> Tensor:
    """act(x Wᵀ + b), where several blocks of columns may share the layer."""
    blocks = call.attributes["blocks"]
    x = call.x if blocks == 1 else call.x.reshape(len(call.x) * blocks, call.x.shape[1] // blocks)
    y = F.linear(x, *call.parameters)
    if call.attributes["activation"] == "relu":
        y = F.relu(y)
    return y.reshape(len(call.x), call.width)


def _concat(call: Call) -> Tensor:
    return torch.cat(list(call.inputs), 1)


def _slice(call: Call) -> Tensor:
    first = call.attributes["first column"]
    return call.x[:, first : first + call.width]


def _add(call: Call) -> Tensor:
    return call.x + call.inputs[1]


def _product(call: Call) -> Tensor:
    return call.x * call.inputs[1]


def _bias(call: Call) -> Tensor:
    return call.x + call.parameters[0]


def _sum(call: Call) -> Tensor:
    """Over blocks of columns; without blocks, over all columns."""
    x, width = call.x, call.width
    return x.reshape(len(x), x.shape[1] // width, width).sum(1)


def _vectors(x: Tensor, fields: int) -> Tensor:
    """[B, F·D] → [B, F, D]"""
    return x.reshape(len(x), fields, x.shape[1] // fields)


def _dot_interaction(call: Call) -> Tensor:
    fields = call.attributes["fields"]
    x = _vectors(call.x, fields)
    products = x @ x.transpose(1, 2)  # [B, F, F]
    own = 0 if call.attributes["pairs"] == "with self" else -1
    i, j = torch.tril_indices(fields, fields, own, device=x.device)
    return products[:, i, j]


def _second_order(call: Call) -> Tensor:
    """((Σ v)² - Σ v²) / 2"""
    x = _vectors(call.x, call.attributes["fields"])
    return (x.sum(1) ** 2 - (x**2).sum(1)) / 2


def _field_aware(call: Call) -> Tensor:
    """Σ_{i<j} <v_ij, v_ji>"""
    fields = call.attributes["fields"]
    x = call.x.reshape(len(call.x), fields, fields, call.x.shape[1] // fields**2)
    products = (x * x.transpose(1, 2)).sum(3)  # [B, F, F]
    i, j = torch.tril_indices(fields, fields, -1, device=x.device)
    return products[:, i, j].sum(1, keepdim=True)


def _outer_product(call: Call) -> Tensor:
    a, b = (_vectors(x, call.attributes["blocks"]) for x in call.inputs)
    return (a.unsqueeze(3) * b.unsqueeze(2)).reshape(len(a), call.width)


def _transpose(call: Call) -> Tensor:
    return _vectors(call.x, call.attributes["fields"]).transpose(1, 2).reshape(call.x.shape)


def _dense_vectors(call: Call) -> Tensor:
    """x [B, n] times a vector for each."""
    x = call.x
    vectors = call.parameters[0].reshape(x.shape[1], -1)
    return (x.unsqueeze(2) * vectors).reshape(len(x), call.width)


def _softmax(call: Call) -> Tensor:
    return F.softmax(call.x, 1)


_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "gelu": F.gelu,
    "silu": F.silu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
}


def _activation(call: Call) -> Tensor:
    return _ACTIVATIONS[call.attributes["activation"]](call.x)


def _prelu(call: Call) -> Tensor:
    return F.prelu(call.x, call.parameters[0])


def _layer_norm(call: Call) -> Tensor:
    weight, bias = call.parameters
    return F.layer_norm(call.x, (call.width,), weight, bias, call.attributes["epsilon"])


def _batch_norm(call: Call) -> Tensor:
    weight, bias, mean, variance = call.parameters
    epsilon = call.attributes["epsilon"]
    return F.batch_norm(call.x, mean, variance, weight, bias, call.training, 0.1, epsilon)


def _dropout(call: Call) -> Tensor:
    return F.dropout(call.x, call.attributes["rate"], call.training)


#: All but those that read the batch.
OPERATIONS: dict[str, Callable[[Call], Tensor]] = {
    "linear": _linear,
    "concat": _concat,
    "slice": _slice,
    "add": _add,
    "product": _product,
    "scale rows": _product,
    "bias": _bias,
    "sum": _sum,
    "dot interaction": _dot_interaction,
    "second order": _second_order,
    "field-aware": _field_aware,
    "outer product": _outer_product,
    "transpose": _transpose,
    "dense vectors": _dense_vectors,
    "softmax": _softmax,
    "activation": _activation,
    "prelu": _prelu,
    "layer norm": _layer_norm,
    "batch norm": _batch_norm,
    "dropout": _dropout,
}
