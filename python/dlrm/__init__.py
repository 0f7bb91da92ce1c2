"""Raw click logs to a trained, evaluated, explained recommendation model.

>>> import dlrm
>>> dlrm.__version__.count(".")
2
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._compare import Comparison, compare
from ._dlrm import __version__
from ._encoder import Encoder
from ._explanation import Explanation, Importance
from ._from_torch import from_torch
from ._inspect import Inspection, inspect
from ._model import Model, load
from ._onnx import to_onnx
from ._prepare import prepare
from ._tensorboard import TensorBoard
from ._training import train
from .errors import (
    ArgumentError,
    DataError,
    DivergedError,
    Error,
    FileError,
    MissingFileError,
    MissingModelError,
    ModelError,
    OutOfMemoryError,
    ThreadsError,
)

if TYPE_CHECKING:
    from .estimators import DLRMClassifier, DLRMRegressor

__all__ = [
    "ArgumentError",
    "DLRMClassifier",
    "DLRMRegressor",
    "DataError",
    "DivergedError",
    "Error",
    "FileError",
    "MissingFileError",
    "MissingModelError",
    "Model",
    "ModelError",
    "OutOfMemoryError",
    "TensorBoard",
    "ThreadsError",
    "__version__",
    "Comparison",
    "Encoder",
    "Explanation",
    "Importance",
    "Inspection",
    "compare",
    "from_torch",
    "inspect",
    "prepare",
    "load",
    "to_onnx",
    "train",
]


def __getattr__(name: str) -> Any:
    """Estimators are imported when they are asked for, for they import scikit-learn where there is one."""
    if name in ("DLRMClassifier", "DLRMRegressor"):
        from . import estimators

        return getattr(estimators, name)
    raise AttributeError(f"module 'dlrm' has no attribute {name!r}")
