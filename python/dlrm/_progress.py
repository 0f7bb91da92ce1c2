"""A line that says how a run goes, in terminals and notebooks."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

#: What is called with each evaluation.
Callback = Callable[[dict[str, Any]], object]


class Progress:
    """Shows the events of a run, and passes evaluations on to callbacks.

    Parameters
    ----------
    shown : bool or None
        Whether to show a line; None shows it in terminals and notebooks.
    callbacks : sequence of callables
        Each is called with every evaluation, a dictionary.
    """

    def __init__(self, shown: bool | None, callbacks: Sequence[Callback] = ()) -> None:
        self.callbacks = list(callbacks)
        self.line = _line(shown)
        self.begun = time.monotonic()
        self.warnings: list[str] = []

    def __call__(self, event: str, facts: Any) -> None:
        """Takes an event of the native half."""
        if event == "stage":
            self.begun = time.monotonic()
            self.line.show(f"{facts} …")
        elif event == "step":
            self.line.show(self._step(facts))
        elif event == "warned":
            self.warnings.append(facts)
        elif event == "evaluated":
            self.line.show(_evaluation(facts))
            for callback in self.callbacks:
                callback(facts)

    def _step(self, facts: Mapping[str, Any]) -> str:
        rate = facts["rows"] / max(time.monotonic() - self.begun, 1e-3)
        share = facts["step"] / max(facts["steps"], 1)
        bar = "=" * int(20 * share) + " " * (20 - int(20 * share))
        return (
            f"step {facts['step']:,} of at most {facts['steps']:,} [{bar}] "
            f"loss {facts['loss']:.4f}, {rate:,.0f} rows/s"
        )

    def close(self) -> None:
        """Takes the line away and tells of warnings."""
        self.line.clear()
        for warning in self.warnings:
            import warnings

            warnings.warn(warning, RuntimeWarning, stacklevel=4)


def _evaluation(facts: Mapping[str, Any]) -> str:
    text = f"epoch {facts['epoch']:.2f}, train loss {facts['train_loss']:.5f}"
    for name in ("log_loss", "auc", "rmse", "ndcg_at_10"):
        value = (facts["validation"] or {}).get(name)
        if value is not None:
            text += f", validation {name} {value:.5f}"
    return text


class _Silent:
    """Shows nothing."""

    def show(self, text: str) -> None:
        pass

    def clear(self) -> None:
        pass


class _Terminal(_Silent):
    """One line of standard error, written over and over."""

    def __init__(self) -> None:
        self.width = 0

    def show(self, text: str) -> None:
        text = text[:110]
        sys.stderr.write("\r" + text.ljust(self.width))
        sys.stderr.flush()
        self.width = len(text)

    def clear(self) -> None:
        sys.stderr.write("\r" + " " * self.width + "\r")
        sys.stderr.flush()
        self.width = 0


class _Notebook(_Silent):
    """One line of a notebook's output."""

    def __init__(self, display: Callable[..., Any]) -> None:
        self.handle = display({"text/plain": "dlrm"}, raw=True, display_id=True)

    def show(self, text: str) -> None:
        self.handle.update({"text/plain": text}, raw=True)

    def clear(self) -> None:
        self.handle.update({"text/plain": ""}, raw=True)


def _line(shown: bool | None) -> _Silent:
    if shown is False:
        return _Silent()
    python = sys.modules.get("IPython")
    shell = python.get_ipython() if python is not None else None
    if shell is not None and hasattr(shell, "kernel"):
        from IPython.display import display

        return _Notebook(display)
    terminal = sys.stderr is not None and sys.stderr.isatty()
    return _Terminal() if shown or terminal else _Silent()
