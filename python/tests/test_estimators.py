"""The estimators among scikit-learn's tools."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

sklearn = pytest.importorskip("sklearn")

from sklearn.base import clone  # noqa: E402
from sklearn.datasets import make_blobs  # noqa: E402
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402
from sklearn.utils.estimator_checks import parametrize_with_checks  # noqa: E402

import dlrm  # noqa: E402

#: A row of weight 2 is not two rows: rows are shuffled, and a share of them validates. As scikit-learn's own SGD.
EXPECTED_FAILURES = {
    "check_sample_weight_equivalence_on_dense_data": "rows are shuffled, and some of them validate",
    "check_sample_weight_equivalence": "rows are shuffled, and some of them validate",
}


@parametrize_with_checks(
    [
        dlrm.DLRMClassifier(settings={"data.baseline": "mean"}),
        dlrm.DLRMRegressor(settings={"data.baseline": "mean"}),
    ],
    expected_failed_checks=lambda _: EXPECTED_FAILURES,
)
def test_estimator(estimator: Any, check: Any) -> None:
    check(estimator)


def frame(clicks: dict[str, list[Any]]) -> tuple[pd.DataFrame, pd.Series[int]]:
    table = pd.DataFrame(clicks)
    return table.drop(columns="click"), table["click"]


def test_300_rows_of_blobs_are_learnt() -> None:
    X, y = make_blobs(n_samples=300, centers=2, random_state=0, cluster_std=1.0)
    assert dlrm.DLRMClassifier(random_state=0).fit(X, y).score(X, y) > 0.9


def test_clicks_are_learnt_from_frames(clicks: dict[str, list[Any]]) -> None:
    X, y = frame(clicks)
    train, rest, train_y, rest_y = train_test_split(X, y, random_state=0)
    classifier = dlrm.DLRMClassifier(epochs=5).fit(train, train_y)
    assert classifier.score(rest, rest_y) > 0.75
    assert list(classifier.feature_names_in_) == ["user", "hour", "price"]
    assert classifier.n_features_in_ == 3
    assert classifier.classes_.tolist() == [0, 1]
    assert "<iframe" in classifier._repr_html_()
    again = dlrm.DLRMClassifier(epochs=5).fit(pl.DataFrame(train), train_y.to_numpy())
    assert (again.predict_proba(rest) == classifier.predict_proba(rest)).all()


def test_texts_as_classes(clicks: dict[str, list[Any]]) -> None:
    X, y = frame(clicks)
    classifier = dlrm.DLRMClassifier(model="lr").fit(X, y.map({0: "no", 1: "yes"}))
    assert set(classifier.predict(X)) == {"no", "yes"}


def test_pickles_predict_the_same(clicks: dict[str, list[Any]]) -> None:
    X, y = frame(clicks)
    classifier = dlrm.DLRMClassifier(model="fm", epochs=2).fit(X, y)
    copy = pickle.loads(pickle.dumps(classifier))
    assert (copy.predict_proba(X) == classifier.predict_proba(X)).all()
    assert copy.model_.path != classifier.model_.path


def test_pipeline_search_and_validation(clicks: dict[str, list[Any]]) -> None:
    X, y = frame(clicks)
    numbers = X[["hour"]].astype(float)
    pipeline = make_pipeline(StandardScaler(), dlrm.DLRMClassifier(model="lr", epochs=1))
    assert pipeline.fit(numbers, y).predict(numbers).shape == (len(y),)
    search = GridSearchCV(dlrm.DLRMClassifier(model="lr"), {"epochs": [1, 2]}, cv=2).fit(X, y)
    assert search.best_params_["epochs"] in (1, 2)
    scores = cross_val_score(dlrm.DLRMClassifier(model="lr", epochs=1), X, y, cv=3, scoring="roc_auc")
    assert len(scores) == 3
    assert clone(dlrm.DLRMClassifier(embedding_dim=4)).embedding_dim == 4


def test_an_eval_set_says_when_to_stop(clicks: dict[str, list[Any]]) -> None:
    X, y = frame(clicks)
    seen: list[dict[str, Any]] = []
    classifier = dlrm.DLRMClassifier(model="dlrm", epochs=2, callbacks=[seen.append])
    classifier.fit(X[:1000], y[:1000], eval_set=(X[1000:], y[1000:]))
    assert [evaluation["epoch"] for evaluation in seen]
    assert seen[-1]["validation"]["rows"] == len(X) - 1000


def test_weights_count(clicks: dict[str, list[Any]]) -> None:
    X, y = frame(clicks)
    weights = np.where(y == 1, 10.0, 1.0)
    plain = dlrm.DLRMClassifier(model="lr").fit(X, y).predict_proba(X)[:, 1].mean()
    weighted = dlrm.DLRMClassifier(model="lr").fit(X, y, sample_weight=weights).predict_proba(X)[:, 1].mean()
    assert weighted > plain + 0.1


def test_numbers_are_regressed() -> None:
    draw = np.random.default_rng(0)
    X = draw.normal(size=(2000, 3))
    y = X @ [1.0, -2.0, 0.5] + 3.0
    assert dlrm.DLRMRegressor(random_state=0).fit(X, y).score(X, y) > 0.9


def test_two_numbers_are_regressed_too(clicks: dict[str, list[Any]]) -> None:
    X, y = frame(clicks)
    assert dlrm.DLRMRegressor(model="lr").fit(X, y).model_.task == "rating"
