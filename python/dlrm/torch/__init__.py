"""PyTorch: models as modules, prepared data sets as data sets. Needs PyTorch; not imported with ``dlrm``.

>>> import dlrm.torch
"""

from __future__ import annotations

try:
    import torch as _torch  # noqa: F401
except ImportError as error:
    raise ImportError(
        "dlrm.torch: expected PyTorch, found none that can be imported\nhint: pip install torch"
    ) from error

from ._batch import Bags, Batch, tensors
from ._module import Module, module
from ._prepared import Prepared

__all__ = ["Bags", "Batch", "Module", "Prepared", "module", "tensors"]
