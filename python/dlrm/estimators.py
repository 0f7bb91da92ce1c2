"""Estimators with scikit-learn's interface.

With scikit-learn installed they are scikit-learn estimators, with its tags, cloning, pipelines and searches.
Without it they still fit, predict and score.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._estimator import Estimator
from ._sklearn import (
    BaseEstimator,
    ClassifierMixin,
    RegressorMixin,
    checked_classes,
    checked_features,
    checked_target,
    checked_weights,
)

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["DLRMClassifier", "DLRMRegressor"]

_PARAMETERS = """
    Parameters
    ----------
    model : str, optional
        Kind of model, such as ``"dlrm"``, ``"dcn_v2"`` or ``"deepfm"``; one that suits the columns if left out,
        the best on validation rows with ``"auto"``.
    embedding_dim : int, optional
        Numbers in the vector of an id.
    epochs, max_steps, batch_size : int, optional
        Passes over the rows and steps at most, rows per step. By the number of rows if left out.
    categorical : str or list of str, optional
        Columns that are categories, whatever they look like. Those of a categorical type are anyway.
    settings : mapping, optional
        Further settings by configuration key, such as ``{"train.patience": 3}``.
    validation_fraction : float, default 0.1
        Share of the rows that say when to stop, where `fit` is given no `eval_set`.
    random_state : int, RandomState or Generator, optional
        Seed; 0 if left out, so the same rows give the same model.
    n_jobs : int, optional
        Worker threads, all cores if left out. No result depends on them.
    memory_limit : int or str, optional
        Bytes, or a size such as ``"8GB"``.
    callbacks : sequence of callables
        Each is called with every evaluation, a dictionary.
    progress : bool, optional
        Whether to show a line of progress; in terminals and notebooks if left out.

    Attributes
    ----------
    model_ : dlrm.Model
        The trained model.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of str
        Their names, where they have any.
"""


class DLRMClassifier(ClassifierMixin, Estimator, BaseEstimator):
    __doc__ = (
        """Classifier of two classes.
"""
        + _PARAMETERS
        + """    classes_ : ndarray, shape (2,)
        The classes; the second is the one whose probability the model predicts.

    Examples
    --------
    >>> import dlrm
    >>> X = {"user": ["a", "b", "c", "d"] * 50, "hour": list(range(200))}
    >>> y = [1, 0, 0, 0] * 50
    >>> clf = dlrm.DLRMClassifier(model="lr", epochs=2).fit(X, y)
    >>> clf.predict_proba({"user": ["a", "b"], "hour": [3, 4]}).shape
    (2, 2)
    """
    )

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, eval_set: tuple[Any, Any] | None = None
    ) -> DLRMClassifier:
        """Fit on rows.

        Parameters
        ----------
        X : data frame, dictionary of columns or array, shape (rows, columns)
            Texts, categories, booleans, numbers, dates, lists; missing values of every kind.
        y : array-like, shape (rows,)
            Two classes.
        sample_weight : array-like, shape (rows,), optional
            Weights of at least 0.
        eval_set : (X, y), optional
            Rows that say when to stop.

        Returns
        -------
        DLRMClassifier
            Itself.

        Raises
        ------
        ValueError
            More or fewer than two classes, rows of different numbers, weights below 0.
        """
        import numpy as np

        X = checked_features(self, X, reset=True)
        y = checked_target(self, X, y, numeric=False)
        classes = checked_classes(y)
        if sample_weight is not None:
            sample_weight = checked_weights(sample_weight, len(y))
            # Rows without weight have no say.
            checked_classes(y[sample_weight > 0])
        if eval_set is not None:
            eval_set = _pair(eval_set)
            eval_y = np.asarray(eval_set[1])
            eval_set = (eval_set[0], (eval_y == classes[1]).astype(np.uint8))
        self._fit(X, (y == classes[1]).astype(np.uint8), "binary", sample_weight, eval_set)
        self.classes_ = classes
        return self

    def predict_proba(self, X: Any) -> npt.NDArray[np.float64]:
        """Probabilities of the classes.

        Parameters
        ----------
        X : as in :meth:`fit`

        Returns
        -------
        ndarray of float64, shape (rows, 2)
            In the order of `classes_`.
        """
        import numpy as np

        second = self._predictions(X)
        return np.column_stack([1.0 - second, second])

    def decision_function(self, X: Any) -> npt.NDArray[np.float64]:
        """Logits of the second class.

        Parameters
        ----------
        X : as in :meth:`fit`

        Returns
        -------
        ndarray of float64, shape (rows,)
        """
        return self._predictions(X, logits=True)

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """The more probable classes.

        Parameters
        ----------
        X : as in :meth:`fit`

        Returns
        -------
        ndarray, shape (rows,)
        """
        above = self._predictions(X, logits=True) > 0
        classes: npt.NDArray[Any] = self.classes_[above.astype(int)]
        return classes

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags


class DLRMRegressor(RegressorMixin, Estimator, BaseEstimator):
    __doc__ = (
        """Regressor of one number.
"""
        + _PARAMETERS
        + """
    Examples
    --------
    >>> import dlrm
    >>> X = {"user": ["a", "b", "c", "d"] * 50, "hour": list(range(200))}
    >>> y = [1.0, 2.0, 3.0, 4.0] * 50
    >>> dlrm.DLRMRegressor(model="lr", epochs=2).fit(X, y).predict({"user": ["a"], "hour": [3]}).shape
    (1,)
    """
    )

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, eval_set: tuple[Any, Any] | None = None
    ) -> DLRMRegressor:
        """Fit on rows.

        Parameters
        ----------
        X : data frame, dictionary of columns or array, shape (rows, columns)
            Texts, categories, booleans, numbers, dates, lists; missing values of every kind.
        y : array-like of float, shape (rows,)
            Numbers.
        sample_weight : array-like, shape (rows,), optional
            Weights of at least 0.
        eval_set : (X, y), optional
            Rows that say when to stop.

        Returns
        -------
        DLRMRegressor
            Itself.

        Raises
        ------
        ValueError
            What is no number, rows of different numbers, weights below 0.
        """
        X = checked_features(self, X, reset=True)
        y = checked_target(self, X, y, numeric=True)
        if sample_weight is not None:
            sample_weight = checked_weights(sample_weight, len(y))
        if eval_set is not None:
            eval_set = _pair(eval_set)
        self._fit(X, y, "rating", sample_weight, eval_set)
        return self

    def predict(self, X: Any) -> npt.NDArray[np.float64]:
        """The numbers that are expected.

        Parameters
        ----------
        X : as in :meth:`fit`

        Returns
        -------
        ndarray of float64, shape (rows,)
        """
        return self._predictions(X)


def _pair(eval_set: Any) -> tuple[Any, Any]:
    """Rows and target; also as the only pair of a list."""
    if isinstance(eval_set, list) and len(eval_set) == 1:
        eval_set = eval_set[0]
    if not isinstance(eval_set, tuple) or len(eval_set) != 2:
        raise ValueError(
            f"eval_set: expected a pair (X, y), found a {type(eval_set).__name__}. Give eval_set=(X, y)."
        )
    return eval_set
