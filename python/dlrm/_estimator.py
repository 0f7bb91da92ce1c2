"""What classifier and regressor share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from . import _sklearn
from ._dlrm import Rows
from ._model import Model
from ._progress import Callback
from ._rows import add_column, add_columns
from ._training import Parts, run, settings_of
from .errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class Estimator:
    """Columns of features and a target, as a run."""

    model_: Model

    def __init__(
        self,
        *,
        model: str | None = None,
        embedding_dim: int | None = None,
        epochs: int | None = None,
        max_steps: int | None = None,
        batch_size: int | None = None,
        categorical: str | Sequence[str] | None = None,
        settings: Mapping[str, Any] | None = None,
        validation_fraction: float = 0.1,
        random_state: Any = None,
        n_jobs: int | None = None,
        memory_limit: int | str | None = None,
        callbacks: Sequence[Callback] = (),
        progress: bool | None = None,
    ) -> None:
        self.model = model
        self.embedding_dim = embedding_dim
        self.epochs = epochs
        self.max_steps = max_steps
        self.batch_size = batch_size
        self.categorical = categorical
        self.settings = settings
        self.validation_fraction = validation_fraction
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.memory_limit = memory_limit
        self.callbacks = callbacks
        self.progress = progress

    def _fit(self, X: Any, y: Any, task: str, sample_weight: Any, eval_set: tuple[Any, Any] | None) -> None:
        """Trains on `X` and the prepared target `y`."""
        main = self._rows(X, y, "X", sample_weight)
        if len(main) < 2:
            raise DataError(f"X: expected at least 2 rows, found {len(main)} sample", "give more rows to learn from")
        features = len(main.names) - 1 - (sample_weight is not None)
        validation = None if eval_set is None else self._rows(*eval_set, "eval_set")
        seed = _sklearn.seed_of(self.random_state)
        arguments: dict[str, Any] = {
            "label": self._label,
            "task": task,
            "weight": self._weight if sample_weight is not None else None,
            "model": self.model,
            "epochs": self.epochs,
            "max_steps": self.max_steps,
            "batch_size": self.batch_size,
            "categorical": self._categories(X),
            "seed": seed,
            "threads": self._threads(),
            "memory_limit": self.memory_limit,
            "settings": settings_of(self._settings(seed, features, eval_set is not None)),
        }
        parts = Parts(main, validation, None)
        self.model_ = run(arguments, parts, self.callbacks, self.progress, threads=self._threads())

    def _settings(self, seed: int, features: int, has_validation: bool) -> dict[str, Any]:
        share = 0.0 if has_validation else self.validation_fraction
        own = {
            "data.split.kind": "random",
            "data.split.validation": share,
            "data.split.test": 0.0,
            "data.split.seed": seed,
        }
        if features == 1 and self.model is None:
            # There is nothing that it could interact with.
            own["model.interaction"] = "cat"
        if self.embedding_dim is not None:
            own["model.embedding_dim"] = self.embedding_dim
        return {**own, **(self.settings or {})}

    def _threads(self) -> int | None:
        return None if self.n_jobs is None or self.n_jobs < 1 else self.n_jobs

    def _rows(self, X: Any, y: Any, name: str, sample_weight: Any = None) -> Rows:
        """Features with target and weights behind them, in columns of names that no feature has."""
        rows = Rows(name)
        add_columns(rows, _named(X))
        self._label = _unused("y", rows.names)
        self._weight = _unused("sample_weight", rows.names)
        add_column(rows, self._label, y)
        if sample_weight is not None:
            add_column(rows, self._weight, sample_weight)
        elif name != "X" and self._weight in rows.names:
            add_column(rows, self._weight, [1] * len(rows))
        return rows

    def _categories(self, X: Any) -> list[str]:
        """Columns that are categories: those that were named, and those whose type says so."""
        said = [self.categorical] if isinstance(self.categorical, str) else list(self.categorical or [])
        dtypes = getattr(X, "dtypes", None)
        if hasattr(X, "iloc") and dtypes is not None:
            typed = [str(name) for name, dtype in dtypes.items() if str(dtype) == "category"]
        elif hasattr(X, "schema") and hasattr(X, "get_columns"):
            typed = [name for name, dtype in X.schema.items() if str(dtype).startswith(("Categorical", "Enum"))]
        else:
            typed = []
        return list(dict.fromkeys([*said, *typed]))

    def _predictions(self, X: Any, *, logits: bool = False) -> npt.NDArray[np.float64]:
        """What the model says of rows."""
        if not hasattr(self, "model_"):
            self._refuse_unfitted()
        X = _sklearn.checked_features(self, X, reset=False)
        rows = Rows("X")
        add_columns(rows, _named(X))
        return self.model_.predict_rows(rows, logits=logits, threads=self._threads())

    def _refuse_unfitted(self) -> None:
        sentence = (
            f"This {type(self).__name__} instance is not fitted yet. Call 'fit' with appropriate arguments "
            "before using this estimator."
        )
        if _sklearn.HAS_SKLEARN:
            from sklearn.exceptions import NotFittedError

            raise NotFittedError(sentence)
        raise ValueError(sentence)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags

    def _repr_html_(self) -> str:
        return self.model_._repr_html_() if hasattr(self, "model_") else f"<code>{self!r}</code>"


def _named(X: Any) -> Any:
    """A pandas frame whose columns have no names is an array to scikit-learn, and has the names of one."""
    if not hasattr(X, "iloc") or all(isinstance(name, str) for name in X.columns):
        return X
    return X.set_axis([f"x{place}" for place in range(X.shape[1])], axis=1)


def _unused(name: str, taken: Sequence[str]) -> str:
    while name in taken:
        name += "_"
    return name
