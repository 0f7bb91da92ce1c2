"""Wrong calls are exceptions that name the argument, what was expected, what was found, and what to do."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dlrm

ROWS: dict[str, list[Any]] = {
    "user": ["a", "b", "c", "d"] * 50,
    "hour": list(range(200)),
    "click": [1, 0, 0, 0] * 50,
}
X = pd.DataFrame(ROWS).drop(columns="click")
Y = ROWS["click"]


@pytest.fixture(scope="module")
def model() -> dlrm.Model:
    return dlrm.train(ROWS, label="click", model="lr", epochs=1)


def train(**said: Any) -> Callable[[dlrm.Model], object]:
    given = {"label": "click", "model": "lr", "epochs": 1, **said}
    data = given.pop("data", ROWS)
    return lambda _: dlrm.train(data, **given)


# What is called; the class; the words that must stand in it.
MISTAKES: dict[str, tuple[Callable[[dlrm.Model], object], type[Exception], list[str]]] = {
    "an unknown label": (train(label="clik"), ValueError, ["label", "clik", "click"]),
    "an unknown model": (train(model="dlmr"), ValueError, ["model", "dlmr", "did you mean", "dlrm"]),
    "epochs as text": (train(epochs="ten"), ValueError, ["epochs", "whole number", "'ten'"]),
    "no epochs": (train(epochs=0), ValueError, ["epochs", "at least 1", "0"]),
    "a negative seed": (train(seed=-1), ValueError, ["seed", "whole number", "-1"]),
    "batches of floats": (train(batch_size=1.5), ValueError, ["batch_size", "whole number", "1.5"]),
    "a missing file": (train(data="no_such.csv"), FileNotFoundError, ["no_such.csv"]),
    "no rows": (train(data=None), ValueError, ["data", "none"]),
    "rows as a number": (train(data=7), ValueError, ["data", "data frame", "7"]),
    "rows of one dimension": (train(data=np.zeros(5)), ValueError, ["data", "data frame", "array"]),
    "columns of other lengths": (
        train(data={**ROWS, "hour": [1]}),
        ValueError,
        ["data", "hour", "200", "1"],
    ),
    "a column of objects": (
        train(data={**ROWS, "hour": [object()] * 200}),
        ValueError,
        ["data", "hour", "row 1", "a text, a number", "object"],
    ),
    "a column that is a text": (train(data={**ROWS, "hour": "abc"}), ValueError, ["hour", "list", "'abc'"]),
    "an unknown split": (train(split="randm"), ValueError, ["split", "random, order", "randm"]),
    "a split by time without one": (train(split="time"), ValueError, ["split", "time", "none"]),
    "an unknown setting": (train(settings={"train.patienc": 3}), ValueError, ["train.patienc", "patience"]),
    "settings that are a list": (train(settings=["a"]), ValueError, ["settings", "dictionary", "['a']"]),
    "an unknown ignored column": (train(ignore=["houre"]), ValueError, ["ignore", "houre", "hour"]),
    "a rule that is none": (train(label=None, label_rule="click"), ValueError, ["rule", "click", ">="]),
    "rule and positive": (
        train(label=None, label_rule="hour >= 3", positive=["1"]),
        ValueError,
        ["label_rule", "positive", "both"],
    ),
    "an unknown task": (train(task="multi"), ValueError, ["task", "binary", "'multi'"]),
    "an unknown preset": (train(preset="papper"), ValueError, ["preset", "paper", "papper"]),
    "auto with folds": (train(model="auto", folds=3), ValueError, ["folds", "one kind of model", "auto"]),
    "memory as words": (train(memory_limit="much"), ValueError, ["memory_limit", "8GB", "'much'"]),
    "too little memory": (train(model="dlrm", memory_limit="2MB", settings={"model.embedding_dim": 4096}), MemoryError, ["needs", "available"]),
    "no threads": (train(threads=0), ValueError, ["threads", "at least 1", "0"]),
    "a callback that is none": (train(callbacks=[3]), ValueError, ["callbacks", "functions", "[3]"]),
    "validation of another kind": (
        train(validation="a.csv"),
        ValueError,
        ["validation", "rows in memory", "a.csv"],
    ),
    "a model that is not there": (lambda _: dlrm.load("no/model"), FileNotFoundError, ["no/model", "found nothing"]),
    "a model by number": (lambda _: dlrm.load(3), ValueError, ["path", "directory", "3"]),  # type: ignore[arg-type]
    "rows that lack a column": (lambda m: m.predict({"hour": [1]}), ValueError, ["data", '"user"', "hour"]),
    "a text for a number": (
        lambda m: m.predict({"user": ["a"], "hour": ["noon"]}),
        ValueError,
        ["data:1", "hour", "number", "noon"],
    ),
    "no label to measure": (lambda m: m.evaluate({"user": ["a"], "hour": [1]}), ValueError, ["data", "click"]),
    "no best item": (lambda m: m.rank({"user": "a"}, {"hour": [1]}, k=0), ValueError, ["k", "at least 1", "0"]),
    "a value twice": (lambda m: m.rank({"hour": 1}, {"hour": [1]}), ValueError, ["context", "hour", "both"]),
    "a context that is a list": (
        lambda m: m.rank([7], {"hour": [1]}),  # type: ignore[arg-type]
        ValueError,
        ["context", "dictionary", "[7]"],
    ),
    "prepared in a number": (lambda _: dlrm.prepare(ROWS, 7), ValueError, ["out", "path", "7"]),  # type: ignore[arg-type]
    "weights that are too few": (
        train(data={**ROWS, "hour": [(["a", "b"], [1])] * 200}),
        ValueError,
        ["data", "hour", "row 1", "as many weights as values (2)"],
    ),
    "three classes": (
        lambda _: dlrm.DLRMClassifier().fit(X, [0, 1, 2, 0] * 50),
        ValueError,
        ["binary", "multiclass"],
    ),
    "one class": (lambda _: dlrm.DLRMClassifier().fit(X, [1] * 200), ValueError, ["y", "two classes", "1"]),
    "weights of zero": (
        lambda _: dlrm.DLRMClassifier().fit(X, Y, sample_weight=[0.0] * 200),
        ValueError,
        ["sample_weight", "above 0", "zeros"],
    ),
    "an eval_set that is a frame": (
        lambda _: dlrm.DLRMClassifier().fit(X, Y, eval_set=X),
        ValueError,
        ["eval_set", "pair (X, y)", "DataFrame"],
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake(mistake: str, model: dlrm.Model) -> None:
    call, kind, words = MISTAKES[mistake]
    with pytest.raises(kind) as raised:
        call(model)
    text = str(raised.value)
    assert not [word for word in words if word not in text], text
    if isinstance(raised.value, dlrm.Error):
        assert raised.value.message in text
        assert "--" not in text, "flags are the command's"


def test_there_is_something_to_do(model: dlrm.Model) -> None:
    without = []
    for name, (call, _, _) in MISTAKES.items():
        try:
            call(model)
        except dlrm.Error as error:
            if error.hint is None:
                without.append(f"{name}: {error}")
        except ValueError:
            pass
    assert not without


def test_a_taken_place_is_kept(tmp_path: pathlib.Path, model: dlrm.Model) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(dlrm.ArgumentError, match="new or empty"):
        model.save(tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"
