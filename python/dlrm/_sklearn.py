"""scikit-learn's part of an estimator, where it is installed; else the least that stands in for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = ["HAS_SKLEARN", "BaseEstimator", "ClassifierMixin", "RegressorMixin"]

try:
    import sklearn.base

    HAS_SKLEARN = True
except ImportError:
    HAS_SKLEARN = False

if HAS_SKLEARN and not TYPE_CHECKING:
    BaseEstimator = sklearn.base.BaseEstimator
    ClassifierMixin = sklearn.base.ClassifierMixin
    RegressorMixin = sklearn.base.RegressorMixin
else:

    class BaseEstimator:
        """Parameters by name."""

        def get_params(self, deep: bool = True) -> dict[str, Any]:
            """The parameters that the constructor takes."""
            import inspect

            names = inspect.signature(type(self).__init__).parameters
            return {name: getattr(self, name) for name in names if name != "self"}

        def set_params(self, **params: Any) -> Any:
            """Set parameters."""
            for name, value in params.items():
                setattr(self, name, value)
            return self

    class ClassifierMixin:
        """Accuracy as the score."""

        def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
            """Share of rows whose class is predicted."""
            import numpy as np

            hits = np.asarray(self.predict(X)) == np.asarray(y)  # type: ignore[attr-defined]
            return float(np.average(hits, weights=sample_weight))

    class RegressorMixin:
        """R² as the score."""

        def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
            """Share of the variance that is predicted."""
            import numpy as np

            y = np.asarray(y, dtype=float)
            error = (y - self.predict(X)) ** 2  # type: ignore[attr-defined]
            spread = (y - np.average(y, weights=sample_weight)) ** 2
            left = np.average(error, weights=sample_weight) / np.average(spread, weights=sample_weight)
            return float(1 - left)


def is_columns(X: Any) -> bool:
    """Whether `X` is a dictionary of columns; some sparse arrays are dictionaries of other things."""
    return isinstance(X, dict) and not hasattr(X, "tocsr")


def is_frame(X: Any) -> bool:
    """Whether `X` is a table with named columns."""
    return hasattr(X, "__arrow_c_stream__") or hasattr(X, "iloc") or is_columns(X)


def checked_features(estimator: Any, X: Any, *, reset: bool) -> Any:
    """`X` as rows of features, checked against those that were fitted unless `reset`."""
    if is_columns(X) or not HAS_SKLEARN:
        return X
    from sklearn.utils.validation import check_array, validate_data

    if not is_frame(X):
        # Whatever is no number is a category.
        X = check_array(X, dtype=None, ensure_all_finite="allow-nan", estimator=estimator)
    validate_data(estimator, X, reset=reset, skip_check_array=True)
    return X


def checked_target(estimator: Any, X: Any, y: Any, *, numeric: bool) -> Any:
    """`y` as an array of one dimension, as long as `X`."""
    import numpy as np

    if y is None:
        raise ValueError(
            f"{type(estimator).__name__} requires y to be passed, but the target y is None: pass the labels"
        )
    if not HAS_SKLEARN:
        y = np.asarray(y).ravel()
        return y.astype(float) if numeric else y
    from sklearn.utils import check_consistent_length, column_or_1d
    from sklearn.utils.validation import assert_all_finite

    y = column_or_1d(y, warn=True)
    if numeric:
        y = y.astype(np.float64, copy=False)
    assert_all_finite(y, input_name="y", estimator_name=type(estimator).__name__)
    if hasattr(X, "shape"):
        check_consistent_length(X, y)
    return y


def checked_classes(y: Any) -> Any:
    """The two classes in `y`, sorted."""
    import numpy as np

    if HAS_SKLEARN:
        from sklearn.utils.multiclass import check_classification_targets, type_of_target

        check_classification_targets(y)
        kind = type_of_target(y, input_name="y", raise_unknown=True)
        if kind not in ("binary",):
            raise ValueError(f"Only binary classification is supported. The type of the target is {kind}.")
    classes = np.unique(y)
    if len(classes) != 2:
        raise ValueError(
            f"y: expected two classes, found {len(classes)} class{'es' if len(classes) != 1 else ''}: "
            f"{', '.join(map(repr, classes.tolist()[:5]))}. Give rows of both, or fit a DLRMRegressor."
        )
    return classes


def checked_weights(sample_weight: Any, rows: int) -> Any:
    """Weights of rows: numbers of at least 0, not all of them 0."""
    import numpy as np

    if not np.asarray(sample_weight, dtype=np.float64).any():
        raise ValueError(
            "sample_weight: expected a weight above 0, found only zeros. Sample weights must contain at least "
            "one non-zero number."
        )
    if HAS_SKLEARN:
        from sklearn.utils.validation import _check_sample_weight

        weights = _check_sample_weight(sample_weight, np.empty((rows, 1)), dtype=np.float64)
    else:
        weights = np.asarray(sample_weight, dtype=np.float64)
    if (weights < 0).any():
        raise ValueError(
            f"sample_weight: expected numbers of at least 0, found {weights.min()!r}. Leave such rows out."
        )
    return weights


def seed_of(random_state: Any) -> int:
    """The seed that a random state stands for; 0 where none was said, so that the same rows give the same
    model."""
    if random_state is None:
        return 0
    if isinstance(random_state, int):
        return random_state
    if hasattr(random_state, "randint"):
        return int(random_state.randint(2**31 - 1))
    if hasattr(random_state, "integers"):
        return int(random_state.integers(2**31 - 1))
    return int(random_state)
