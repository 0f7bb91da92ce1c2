"""Rows in memory and rows in files give the same model, and models the same scores, to the bit."""

from __future__ import annotations

import pathlib
import subprocess
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

import dlrm

SETTINGS = {"label": "click", "model": "dlrm", "epochs": 2, "seed": 3, "settings": {"model.embedding_dim": 8}}


def weights(directory: pathlib.Path) -> bytes:
    return (directory / "model" / "weights.safetensors").read_bytes()


def test_a_frame_trains_as_its_parquet_file(clicks: dict[str, list[Any]], tmp_path: pathlib.Path) -> None:
    frame = pd.DataFrame(clicks)
    frame.to_parquet(tmp_path / "rows.parquet")
    dlrm.train(tmp_path / "rows.parquet", out=tmp_path / "file", **SETTINGS)
    others = {
        "pandas": frame,
        "shuffled index": frame.set_axis(range(7, 7 + len(frame))[::-1], axis=0),
        "objects": frame.astype({"user": object}),
        "category": frame.astype({"user": "category"}),
        "polars": pl.DataFrame(clicks),
        "polars category": pl.DataFrame(clicks).with_columns(pl.col("user").cast(pl.Categorical)),
        "pyarrow": pa.table(clicks),
        "view": pa.table(clicks).cast(
            pa.schema(
                [
                    ("user", pa.string_view()),
                    ("hour", pa.int16()),
                    ("price", pa.float64()),
                    ("click", pa.uint8()),
                ]
            )
        ),
        "arrow columns": {name: pa.array(values) for name, values in clicks.items()},
        "polars columns": {name: pl.Series(values) for name, values in clicks.items()},
        "duckdb": duckdb.from_arrow(pa.table(clicks)),
        "lists": clicks,
        "records": pd.DataFrame(clicks).to_dict("records"),
        "numpy": {name: np.array(values) for name, values in clicks.items() if name != "price"}
        | {"price": np.array(clicks["price"], dtype=float)},
    }
    for name, rows in others.items():
        dlrm.train(rows, out=tmp_path / "memory", overwrite=True, **SETTINGS)
        assert weights(tmp_path / "memory") == weights(tmp_path / "file"), name


def test_scores_are_those_of_the_command(
    clicks: dict[str, list[Any]], command: str, tmp_path: pathlib.Path
) -> None:
    frame = pd.DataFrame(clicks)
    frame.to_csv(tmp_path / "rows.csv", index=False)
    model = dlrm.train(frame, out=tmp_path / "run", **SETTINGS)
    printed = subprocess.run(
        [command, "predict", tmp_path / "run", tmp_path / "rows.csv"],
        check=True,
        capture_output=True,
        text=True,
    )
    theirs = [float(line) for line in printed.stdout.split()[1:]]
    assert theirs == model.predict(frame).tolist() == model.predict(tmp_path / "rows.csv").tolist()
    alone = [model.predict(frame.iloc[[row]])[0] for row in range(20)]
    assert alone == theirs[:20]


def test_values_of_every_type_train_as_their_file(tmp_path: pathlib.Path) -> None:
    rows = 600
    days = pd.date_range("2024-01-01", periods=rows, freq="7h")
    frame = pd.DataFrame(
        {
            "user": pd.Series([f"u{row % 37}" for row in range(rows)], dtype="category"),
            "flag": pd.array([True, False, None] * (rows // 3), dtype="boolean"),
            "small": pd.array([row % 5 if row % 11 else None for row in range(rows)], dtype="Int8"),
            "big": np.arange(rows, dtype=np.uint64) * 10**15,
            "half": (np.arange(rows) % 97 / 7).astype(np.float32),
            "when": days.where(np.arange(rows) % 13 > 0),
            "price": pa.array([None if row % 9 == 0 else row / 4 for row in range(rows)]),
            "tags": [[f"t{row % 3}", f"t{row % 4}"] if row % 5 else [] for row in range(rows)],
            "click": np.arange(rows) % 37 % 2,
        }
    )
    frame.to_parquet(tmp_path / "rows.parquet")
    dlrm.train(tmp_path / "rows.parquet", out=tmp_path / "file", **SETTINGS)
    for name, data in {"pandas": frame, "polars": pl.from_pandas(frame)}.items():
        model = dlrm.train(data, out=tmp_path / "memory", overwrite=True, **SETTINGS)
        assert weights(tmp_path / "memory") == weights(tmp_path / "file"), name
        assert "tags" in model.encoder.sparse
