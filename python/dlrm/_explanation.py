"""What a model's scores rest on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class Importance:
    """What the loss rises by when a column is shuffled.

    Attributes
    ----------
    loss : float
        Log loss, or squared error, of the rows as they are.
    rows : int
        Rows that were measured on.
    columns : list of dict
        Columns with what they are worth, the most important first.
    """

    def __init__(self, found: Mapping[str, Any]) -> None:
        self.loss = float(found["loss"])
        self.rows = int(found["rows"])
        self.columns: list[dict[str, Any]] = list(found["columns"])

    def __repr__(self) -> str:
        lines = [f"{column['column']}: {column['increase']['estimate']:+.5f}" for column in self.columns]
        return "\n".join([f"loss {self.loss:.5f} of {self.rows:,} rows; it rises by", *lines])


class Explanation:
    """Shapley values of rows: the logit of a row is its base value and its values added up.

    Attributes
    ----------
    values : ndarray of float64, shape (rows, columns)
        What each column adds to the logit.
    errors : ndarray of float64, shape (rows, columns)
        Standard errors of the values.
    base_values : ndarray of float64, shape (rows,)
        Mean logit of the background rows.
    logits : ndarray of float64, shape (rows,)
        Logits of the rows.
    feature_names : list of str
        The columns.
    data : list of list of str
        The texts of the rows.
    """

    def __init__(self, found: Mapping[str, Any]) -> None:
        import numpy as np

        rows = found["rows"]
        shape = (len(rows), len(found["columns"]))

        def numbers(name: str) -> npt.NDArray[np.float64]:
            return np.array([row[name] for row in rows], dtype=np.float64)

        self.feature_names: list[str] = list(found["columns"])
        self.values: npt.NDArray[np.float64] = numbers("values").reshape(shape)
        self.errors: npt.NDArray[np.float64] = numbers("errors").reshape(shape)
        self.base_values: npt.NDArray[np.float64] = numbers("base")
        self.logits: npt.NDArray[np.float64] = numbers("logit")
        self.data: list[list[str]] = [list(row["texts"]) for row in rows]

    def to_shap(self) -> Any:
        """As ``shap.Explanation``, for the plots of the package shap, where it is installed."""
        import numpy as np
        import shap

        return shap.Explanation(
            values=self.values,
            base_values=self.base_values,
            data=np.array(self.data, dtype=object),
            feature_names=self.feature_names,
        )

    def __repr__(self) -> str:
        lines = []
        for row, values in enumerate(self.values):
            largest = sorted(range(len(values)), key=lambda c: -abs(values[c]))[:5]
            terms = ", ".join(f"{self.feature_names[c]}={self.data[row][c]} {values[c]:+.4f}" for c in largest)
            lines.append(f"logit {self.logits[row]:.4f} = {self.base_values[row]:.4f} and {terms}, …")
        return "\n".join(lines)
