"""Rows in memory: what a caller may give in the place of files, as columns that the native half reads.

Whatever has an Arrow C stream (pandas, polars, pyarrow, DuckDB) is read where it lies. NumPy arrays and
dictionaries of columns need no pyarrow.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from ._dlrm import Rows
from .errors import ArgumentError, DataError

#: What messages call the rows that may be given.
EXPECTED = (
    "a path, a list of paths, a data frame (pandas, polars, pyarrow, DuckDB), a two-dimensional array, "
    "or a dictionary of columns"
)


def is_paths(data: object) -> bool:
    """Whether `data` names files."""
    if isinstance(data, (str, os.PathLike)):
        return True
    if not isinstance(data, (list, tuple)):
        return False
    return len(data) > 0 and all(isinstance(path, (str, os.PathLike)) for path in data)


def rows_of(data: Any, name: str) -> Rows | None:
    """Rows that messages call `name`; None where `data` names files."""
    if data is None or is_paths(data):
        return None
    rows = Rows(name)
    add_columns(rows, data)
    return rows


def add_columns(rows: Rows, data: Any, names: Sequence[str] | None = None) -> None:
    """Adds the columns of `data`; of an array they have `names`, else `x0`, `x1`, …"""
    if _is_pandas(data, "DataFrame"):
        _add_pandas(rows, data)
    elif hasattr(data, "__arrow_c_stream__"):
        rows.add_stream(data)
    elif isinstance(data, Mapping):
        for column, values in data.items():
            add_column(rows, str(column), values)
    elif _is_sequence_of(data, Mapping):
        _add_records(rows, data)
    elif getattr(data, "ndim", None) == 2 or _is_sequence_of(data, Sequence):
        _add_array(rows, data, names)
    else:
        raise ArgumentError(
            f"{_name(rows)}: expected {EXPECTED}, found {_described(data)}",
            "make it a data frame or a dictionary of columns",
        )


def add_column(rows: Rows, name: str, values: Any) -> None:
    """Adds one column: an array, a series or a list."""
    if _is_pandas(values, "Series"):
        _add_series(rows, name, values)
    elif hasattr(values, "__arrow_c_stream__") or hasattr(values, "__arrow_c_array__"):
        rows.add_stream(_Named(name, values))
    elif hasattr(values, "dtype") and hasattr(values, "tobytes"):
        _add_numpy(rows, name, values)
    elif isinstance(values, (str, bytes)) or not hasattr(values, "__iter__"):
        raise DataError(
            f"{_name(rows)}: column \"{name}\": expected a list or an array of values, "
            f"found {_described(values)}",
            "give one value for each row",
        )
    else:
        rows.add_objects(name, list(values))


class _Named:
    """A column as a table of one, for the stream of an array has no name."""

    def __init__(self, name: str, values: Any) -> None:
        self.name = name
        self.values = values

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        if hasattr(self.values, "to_frame"):  # polars
            return self.values.to_frame(self.name).__arrow_c_stream__()
        import pyarrow as pa

        return pa.table({self.name: self.values}).__arrow_c_stream__()


def _add_pandas(rows: Rows, frame: Any) -> None:
    """The columns of a pandas frame, without its index."""
    for place, name in enumerate(frame.columns):
        _add_series(rows, str(name), frame.iloc[:, place])


def _add_series(rows: Rows, name: str, series: Any) -> None:
    values = series.array
    if type(values).__name__ == "NumpyExtensionArray" and series.dtype != object:
        _add_numpy(rows, name, series.to_numpy())
        return
    try:
        import pyarrow as pa

        array = pa.array(values, from_pandas=True)
        if _is_for_objects(pa, array.type):
            rows.add_objects(name, series.tolist())
            return
        column = array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])
        rows.add_stream(pa.table({name: column}))
    except ImportError:
        rows.add_objects(name, series.tolist())
    except (ValueError, TypeError) as error:
        # pyarrow refuses columns of mixed types.
        if type(error).__module__.startswith("dlrm"):
            raise
        rows.add_objects(name, series.tolist())


def _is_for_objects(pa: Any, kind: Any) -> bool:
    """Whether pyarrow has taken dictionaries of weights for structs, or pairs of lists for lists of lists."""

    def is_list(kind: Any) -> bool:
        lists = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
        return any(found(kind) for found in lists)

    if pa.types.is_struct(kind):
        return not all(is_list(field.type) for field in kind)
    return is_list(kind) and is_list(kind.value_type)


def _add_numpy(rows: Rows, name: str, values: Any) -> None:
    import numpy as np

    array = np.asarray(values)
    if array.ndim != 1:
        raise DataError(
            f"{_name(rows)}: column \"{name}\": expected one dimension, found the shape {array.shape}",
            "give a column of lists for several values in a row",
        )
    native = array.dtype.newbyteorder("=")
    if native.kind == "m":
        native = np.dtype("m8[us]")
    kind = native.str[1:]
    if array.dtype.kind in "biufmM" and rows.add_numbers(
        name, kind, np.ascontiguousarray(array, dtype=native).tobytes()
    ):
        return
    rows.add_objects(name, array.tolist())


def _add_array(rows: Rows, data: Any, names: Sequence[str] | None) -> None:
    import numpy as np

    array = data if isinstance(data, np.ndarray) else np.asarray(data)
    if array.ndim != 2:
        raise DataError(
            f"{_name(rows)}: expected two dimensions (rows, columns), found the shape {array.shape}",
            "reshape it with array.reshape(-1, 1) if it is one column, or (1, -1) if it is one row",
        )
    for place in range(array.shape[1]):
        add_column(rows, names[place] if names is not None else f"x{place}", array[:, place])


def _add_records(rows: Rows, records: Sequence[Mapping[str, Any]]) -> None:
    """A list of dictionaries, each a row."""
    names = list(dict.fromkeys(name for record in records for name in record))
    for name in names:
        rows.add_objects(str(name), [record.get(name) for record in records])


def _is_pandas(data: Any, name: str | None = None) -> bool:
    module = type(data).__module__.split(".", 1)[0]
    return module == "pandas" and (name is None or type(data).__name__ == name)


def _is_sequence_of(data: Any, kind: type) -> bool:
    if not isinstance(data, (list, tuple)) or not data:
        return False
    return isinstance(data[0], kind) and not isinstance(data[0], (str, bytes))


def _name(rows: Rows) -> str:
    return rows.name


def _described(data: object) -> str:
    text = repr(data)
    return text if len(text) <= 60 and "\n" not in text else f"a {type(data).__name__}"
