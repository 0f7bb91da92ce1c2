"""What a model answers."""

from __future__ import annotations

import os
import pathlib
import pickle
import signal
import threading
import time
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import dlrm


@pytest.fixture(scope="module")
def model(clicks: dict[str, list[Any]]) -> dlrm.Model:
    return dlrm.train(clicks, label="click", model="dlrm", epochs=2)


def test_saved_models_predict_the_same(
    model: dlrm.Model, clicks: dict[str, list[Any]], tmp_path: pathlib.Path
) -> None:
    model.save(tmp_path / "m")
    with pytest.raises(dlrm.ArgumentError):
        model.save(tmp_path / "m")
    model.save(tmp_path / "m", overwrite=True)
    expected = model.predict(clicks)
    for other in (dlrm.load(tmp_path / "m"), pickle.loads(pickle.dumps(model))):
        assert (other.predict(clicks) == expected).all()
        assert other.report() == model.report()


def test_models_tell_of_themselves(model: dlrm.Model) -> None:
    assert (model.kind, model.task) == ("dlrm", "binary")
    assert model.config["train"]["epochs"] == 2
    assert "test" in model.metrics
    assert "log_loss" in model.summary()
    assert "<iframe" in model._repr_html_()
    assert "user" in repr(model.encoder.sparse)


def test_evaluate(model: dlrm.Model, clicks: dict[str, list[Any]]) -> None:
    found = model.evaluate(clicks)
    assert found["metrics"]["rows"] == len(clicks["user"])
    assert found["metrics"]["auc"] > 0.7


def test_rank_puts_the_best_first(model: dlrm.Model) -> None:
    items = {"hour": list(range(24)), "price": [1.0] * 24}
    ranked = model.rank({"user": "u3"}, items, k=5)
    scores = model.predict({**items, "user": ["u3"] * 24})
    assert ranked["score"].tolist() == sorted(scores, reverse=True)[:5]
    assert (scores[ranked["index"]] == ranked["score"]).all()


def test_values_add_up_to_the_logit(model: dlrm.Model, clicks: dict[str, list[Any]]) -> None:
    found = model.explain(clicks, rows=5, sample=20)
    assert isinstance(found, dlrm.Explanation)
    logits = model.predict({name: values[:5] for name, values in clicks.items()}, logits=True)
    assert np.allclose(found.logits, logits)
    assert np.allclose(found.base_values + found.values.sum(axis=1), logits, atol=1e-5)
    assert "user" in found.feature_names and "logit" in repr(found)
    importance = model.explain(clicks)
    assert isinstance(importance, dlrm.Importance)
    assert importance.columns[0]["column"] == "user"
    assert "user" in repr(importance)


def test_encoded_rows_are_those_the_model_sees(model: dlrm.Model, clicks: dict[str, list[Any]]) -> None:
    encoded = model.encoder.transform(clicks)
    rows = len(clicks["user"])
    assert encoded.dense.shape == (rows, len(model.encoder.dense))
    for name, bags in encoded.sparse.items():
        assert len(bags.offsets) == rows + 1
        assert bags.ids.max() < model.encoder.sparse[name]
    users = encoded.sparse["user"]
    assert users.ids[users.offsets[:-1]][[row is None for row in clicks["user"]]].max() == 0


def test_lists_and_weights() -> None:
    rows = {
        "tags": [["a", "b"], ["b"], [], None] * 50,
        "words": [{"x": 0.5, "y": 2.0}, {"y": 1.0}, {}, None] * 50,
        "click": [1, 0, 0, 1] * 50,
    }
    model = dlrm.train(rows, label="click", model="fm", epochs=1)
    encoded = model.encoder.transform(rows)
    assert np.diff(encoded.sparse["tags"].offsets)[:2].tolist() == [2, 1]
    weights = encoded.sparse["words"].weights
    assert weights is not None and weights[:2].tolist() == [0.5, 2.0]


def test_lists_with_lists_of_weights() -> None:
    values = [["a", "b"], ["b"], [], None] * 50
    weights = [[0.5, 2.0], [1.0], [], None] * 50
    numbers = [[3, 8], [8], [], None] * 50
    clicks = [1, 0, 0, 1] * 50

    def pairs(values: list[Any]) -> list[Any]:
        return [None if row is None else (row, own) for row, own in zip(values, weights)]

    def struct(values: list[Any]) -> pa.Array:
        parts = pa.array(values), pa.array(weights)
        return pa.StructArray.from_arrays(parts, ["values", "weights"], mask=pa.array(row is None for row in values))

    texts = {
        "maps": [None if row is None else dict(zip(*row)) for row in pairs(values)],
        "tuples": pairs(values),
        "lists": [None if row is None else list(row) for row in pairs(values)],
        "arrays": [None if row is None else tuple(map(np.array, row)) for row in pairs(values)],
        "pandas": pd.Series(pairs(values), dtype=object),
        "pyarrow": struct(values),
        "polars": pl.Series(struct(values)),
        "pandas of Arrow": pd.Series(struct(values), dtype=pd.ArrowDtype(struct(values).type)),
    }
    ids = {"tuples": pairs(numbers), "pandas": pd.Series(pairs(numbers), dtype=object), "pyarrow": struct(numbers)}
    for columns in (texts, ids):
        model = dlrm.train({"tags": columns["tuples"], "click": clicks}, label="click", model="fm", epochs=1)
        expected = model.encoder.transform({"tags": columns["tuples"]}).sparse["tags"]
        assert expected.weights is not None and expected.weights[:3].tolist() == [0.5, 2.0, 1.0]
        for name, column in columns.items():
            data: Any = pd.DataFrame({"tags": column}) if name.startswith("pandas") else {"tags": column}
            found = model.encoder.transform(data).sparse["tags"]
            for own, other in zip(found, expected):
                assert own.tolist() == other.tolist(), name
    with pytest.raises(dlrm.DataError, match=r"row 2.*as many weights as values \(2\)"):
        dlrm.train({"tags": [(["a"], [1]), (["a", "b"], [1])], "click": [0, 1]}, label="click")
    uneven = pa.StructArray.from_arrays([pa.array([["a"], ["a", "b"]]), pa.array([[1], [1]])], ["v", "w"])
    with pytest.raises(dlrm.DataError, match="as many weights as values"):
        model.predict({"tags": uneven})


def test_callbacks_see_evaluations_and_stop_runs(clicks: dict[str, list[Any]]) -> None:
    seen: list[dict[str, Any]] = []
    dlrm.train(clicks, label="click", model="dlrm", epochs=2, callbacks=[seen.append])
    assert {"step", "epoch", "train_loss", "validation", "best"} <= set(seen[0])

    def refuse(_: dict[str, Any]) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        dlrm.train(clicks, label="click", model="dlrm", callbacks=[refuse])


def test_ctrl_c_stops_and_the_run_goes_on(clicks: dict[str, list[Any]], tmp_path: pathlib.Path) -> None:
    said = {
        "label": "click",
        "model": "dlrm",
        "epochs": 30,
        "batch_size": 16,
        "settings": {"train.patience": 1000},
        "out": tmp_path / "run",
    }
    once = threading.Event()

    def interrupt(_: dict[str, Any]) -> None:
        if not once.is_set():
            once.set()
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.06)

    with pytest.raises(KeyboardInterrupt):
        dlrm.train(clicks, callbacks=[interrupt], **said)
    model = dlrm.train(clicks, resume=True, **said)
    whole = dlrm.train(clicks, **{**said, "out": tmp_path / "whole"})
    assert (model.predict(clicks) == whole.predict(clicks)).all()


def test_ctrl_c_stops_while_rows_are_encoded() -> None:
    rows = 400_000
    columns = {f"x{c}": np.random.default_rng(c).random(rows) for c in range(8)}
    data = {**columns, "click": np.arange(rows) % 2}

    def interrupt() -> None:
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt) as stopped:
        dlrm.train(data, label="click", model="lr", max_steps=1)
    thread.join()
    assert any("nothing was saved" in note for note in stopped.value.__notes__), stopped.value.__notes__
    # A usable state: the next run is a run.
    small = {name: values[:500] for name, values in data.items()}
    dlrm.train(small, label="click", model="lr", epochs=1)


def test_threads_run_python_meanwhile(clicks: dict[str, list[Any]]) -> None:
    ticks, done = [0], threading.Event()

    def tick() -> None:
        while not done.is_set():
            ticks[0] += 1
            time.sleep(0.001)

    thread = threading.Thread(target=tick)
    thread.start()
    dlrm.train(clicks, label="click", model="dlrm", epochs=3)
    done.set()
    thread.join()
    assert ticks[0] > 10


def test_compare_and_inspect_and_prepare(clicks: dict[str, list[Any]], tmp_path: pathlib.Path) -> None:
    compared = dlrm.compare(clicks, ["lr", "fm"], label="click", seeds=1, epochs=1, out=tmp_path / "c")
    assert (tmp_path / "c" / "compare.html").read_text() == compared.report()
    assert "lr" in repr(compared)
    found = dlrm.inspect(clicks, label="click")
    assert "user" in str(found) and found.schema is not None
    found.save_schema(tmp_path / "schema.toml")
    lines = ["user,click", *(f"{user or ''},{click}" for user, click in zip(clicks["user"], clicks["click"]))]
    (tmp_path / "rows.csv").write_text("\n".join(lines) + "\n")
    manifest = dlrm.prepare(tmp_path / "rows.csv", tmp_path / "prep", label="click")
    assert manifest["parts"][0]["rows"] > 1000
    dlrm.train(tmp_path / "prep", model="lr", epochs=1)


def test_rows_in_memory_are_prepared_too(clicks: dict[str, list[Any]], tmp_path: pathlib.Path) -> None:
    said = {"model": "dlrm", "epochs": 2, "seed": 3}
    pd.DataFrame(clicks).to_parquet(tmp_path / "rows.parquet")
    prepared = {}
    for name, rows in {"memory": clicks, "file": tmp_path / "rows.parquet"}.items():
        prepared[name] = dlrm.prepare(rows, tmp_path / name, label="click", seed=3)
        dlrm.train(tmp_path / name, out=tmp_path / f"run_{name}", **said)
    assert prepared["memory"]["parts"] == prepared["file"]["parts"]
    one, other = (dlrm.load(tmp_path / f"run_{name}").predict(clicks) for name in prepared)
    assert (one == other).all()
    fewer = {name: values[:800] for name, values in clicks.items()}
    with pytest.raises(dlrm.ArgumentError, match="a finished data set"):
        dlrm.prepare(fewer, tmp_path / "memory", label="click", seed=3)
    made = dlrm.prepare(fewer, tmp_path / "memory", label="click", seed=3, overwrite=True)
    assert sum(part["rows"] for part in made["parts"]) == 800


def test_models_are_compared_on_folds(clicks: dict[str, list[Any]], tmp_path: pathlib.Path) -> None:
    compared = dlrm.compare(clicks, ["lr", "fm"], label="click", folds=3, epochs=1, out=tmp_path / "c")
    assert "lr" in repr(compared) and "fm" in repr(compared)
    assert compared.figures["folds"] == 3
    assert sum(fold[2] for fold in compared.figures["rows"]) == len(clicks["user"])
    assert (tmp_path / "c" / "compare.html").read_text() == compared.report()
    assert "Over folds" in compared.report()


def test_movielens(data: pathlib.Path) -> None:
    model = dlrm.train(data / "movielens-100k", epochs=1, model="fm")
    assert model.task == "rating"
    assert model.metrics["test"]["rmse"] < 1.1
