"""`dlrm.inspect`."""

from __future__ import annotations

import html
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from . import _dlrm
from ._training import Data, Path, parts_of
from .errors import ArgumentError


class Inspection:
    """What rows hold, and what is wrong with them.

    Attributes
    ----------
    profile : dict
        The columns: kinds, missing values, distinct values, warnings.
    schema : dict or None
        What they are to a model; None where nothing says what the label is.
    findings : list of dict
        What is wrong, the most important first.
    """

    def __init__(self, found: Mapping[str, Any]) -> None:
        self.profile: dict[str, Any] = dict(found["profile"])
        self.schema: dict[str, Any] | None = found["schema"]
        self.findings: list[dict[str, Any]] = list((found["doctor"] or {}).get("findings", []))
        self._text = str(found["text"])
        self._schema_toml: str | None = found["schema_toml"]

    def save_schema(self, path: Path, *, overwrite: bool = False) -> None:
        """Write the schema as TOML with comments, to be edited and given to ``dlrm.train(schema=…)``."""
        if self._schema_toml is None:
            raise ArgumentError(
                "label: expected what says which column is the label, found nothing",
                "name it: dlrm.inspect(data, label=…)",
            )
        place = pathlib.Path(path)
        if place.exists() and not overwrite:
            raise ArgumentError(
                f"path: expected the name of a new file, found {os.fspath(path)!r}, which is there",
                "name another one, or replace it with overwrite=True",
            )
        place.write_text(self._schema_toml, encoding="utf-8")

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return self._text

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self._text)}</pre>"


def inspect(
    data: Data,
    *,
    label: str | None = None,
    label_rule: str | None = None,
    positive: str | Sequence[str] | None = None,
    validation: Data = None,
    test: Data = None,
    split: Literal["random", "order", "time", "last-day"] | None = None,
    schema: Path | None = None,
    ignore: str | Sequence[str] | None = None,
    categorical: str | Sequence[str] | None = None,
    weight: str | None = None,
    format: str | None = None,
    delimiter: str | None = None,
    header: Literal["present", "absent", "auto"] | None = None,
    quote: Literal["double", "none", "auto"] | None = None,
    trim: Literal["blanks", "none", "auto"] | None = None,
    columns: Sequence[str] | None = None,
    threads: int | None = None,
    memory_limit: int | str | None = None,
) -> Inspection:
    """Look at rows before anything is trained on them.

    Parameters
    ----------
    data : path, list of paths, or rows in memory
        As in :func:`dlrm.train`, like the other parameters.

    Returns
    -------
    Inspection

    Examples
    --------
    >>> import dlrm
    >>> rows = {"user": ["a", "b", "c", "d"] * 50, "click": [1, 0, 0, 0] * 50}
    >>> [column["name"] for column in dlrm.inspect(rows, label="click").profile["columns"]]
    ['user', 'click']
    """
    arguments: dict[str, Any] = dict(locals())
    for name in ("data", "validation", "test"):
        del arguments[name]
    rows = parts_of(arguments, data, validation, test)
    return Inspection(_dlrm.inspect(arguments, rows))
