"""From the logits of a model to those of its predictions: the correction for downsampled negatives, and
calibration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn


class Head(nn.Module):
    """What becomes of logits where rows are scored. It has nothing that is trained or kept."""

    def __init__(self, shift: float, calibration: Mapping[str, Any] | None) -> None:
        super().__init__()
        self.shift = shift
        self.slope, self.offset = 1.0, 0.0
        knots: list[Mapping[str, float]] = []
        if calibration is not None:
            self.slope = calibration.get("slope", 1.0)
            self.offset = calibration.get("offset", 0.0)
            knots = calibration.get("knots", [])
        for name in ("from", "to"):
            values = torch.tensor([knot[name] for knot in knots], dtype=torch.float32)
            self.register_buffer(f"knots_{name}", values, persistent=False)

    def forward(self, logits: torch.Tensor) -> torch.Tensor:
        """[B] → [B]"""
        logits = (logits + self.shift) * self.slope + self.offset
        return logits if len(self.knots_from) == 0 else self._between(logits)

    def _between(self, logits: torch.Tensor) -> torch.Tensor:
        """Straight from knot to knot, and beyond the first and the last one parallel to the identity."""
        starts, ends = self.knots_from, self.knots_to
        right = torch.searchsorted(starts, logits.detach(), right=True)
        low = (right - 1).clamp(min=0)
        beyond = logits - starts[low]
        high = right.clamp(max=len(starts) - 1)
        run = starts[high] - starts[low]
        within = (right > 0) & (right < len(starts))
        slope = torch.where(within, (ends[high] - ends[low]) / torch.where(within, run, 1.0), 1.0)
        value = ends[low] + beyond * slope
        return torch.where(within, torch.minimum(value, ends[high]), value)
