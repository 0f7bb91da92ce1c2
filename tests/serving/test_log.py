"""The log for training, and models that share the requests or are asked beside one."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

import clicks
from conftest import Trained
from served import Scores, Server, dlrm, metric, needs, predict
from test_native import post, row_of
from test_start import failing


def logged(place: pathlib.Path) -> pyarrow.Table:
    """All rows of a model's log."""
    files = sorted(place.glob("*.parquet"))
    assert files, f"{place}: expected files, found {list(place.parent.rglob('*'))}"
    return pyarrow.concat_tables(pyarrow.parquet.read_table(file) for file in files)


def test_what_is_logged_scores_the_same_and_can_be_trained_on(
    start: Callable[..., Server],
    trained: Trained,
    models: dict[str, Any],
    rows: list[clicks.Row],
    expected: Callable[[str], Scores],
    tmp_path: pathlib.Path,
) -> None:
    needs("--log")
    log = tmp_path / "log"
    server = start(models["dlrm"], models["fm"], "--log", log)
    answers = []
    for at in range(0, len(rows), 10):
        some = [row_of(row) for row in rows[at : at + 10]]
        answers.append(post(server, "/v1/predict", {"rows": some, "request": f"r{at}"}))
    ranked = {"model": "fm", "context": {"user": "u1"}, "items": [{"item": row["item"]} for row in rows], "k": 4}
    best = post(server, "/v1/rank", ranked)
    assert metric(server.url, "dlrm_log_lost_total") == 0
    server.stop()

    table = logged(log / "dlrm")
    assert table.column_names[: len(clicks.COLUMNS)] == clicks.COLUMNS
    for name in clicks.COLUMNS:
        assert [text or "" for text in table[name].to_pylist()] == [row[name] for row in rows], name
    assert Scores(table["dlrm_logit"].to_numpy(), table["dlrm_prediction"].to_numpy()) == expected("dlrm")
    assert set(table["dlrm_version"].to_pylist()) == {answers[0]["version"]}
    assert table["dlrm_request"].to_pylist() == [f"r{place // 10 * 10}" for place in range(len(rows))]
    # Replayed, the same bits.
    files = sorted((log / "dlrm").glob("*.parquet"))
    again = tmp_path / "again.parquet"
    dlrm("predict", models["dlrm"], *files, "--quiet", "--logits", "--output", again)
    assert pyarrow.parquet.read_table(again)["logit"].to_numpy().tobytes() == expected("dlrm").logits.tobytes()

    items = logged(log / "fm")
    assert items["item"].to_pylist() == [item["item"]["item"] for item in best["items"]]
    assert items["dlrm_logit"].to_pylist() == pytest.approx([item["logit"] for item in best["items"]], abs=0)

    # With clicks joined to it, it trains the same model as the rows that it was made of.
    labels = pyarrow.array([row[clicks.LABEL] for row in rows])
    joined = tmp_path / "joined.parquet"
    pyarrow.parquet.write_table(table.append_column(clicks.LABEL, labels), joined)
    written = clicks.write(tmp_path / "rows.csv", rows)
    found = []
    for number, source in enumerate([joined, written]):
        run = tmp_path / f"run{number}"
        dlrm("train", source, "--schema", trained.schema, "--model", "fm", "--epochs", 1, "--quiet", "--output", run)
        found.append(predict(run, rows, tmp_path))
    assert found[0] == found[1]


def test_a_split_sticks_to_who_asks(
    start: Callable[..., Server], models: dict[str, Any], rows: list[clicks.Row]
) -> None:
    needs("--split")
    named = [f"a={models['dlrm']}", f"b={models['fm']}"]
    server = start(*named, "--split", "a=0.8,b=0.2", "--by", "user")
    chosen: dict[str, str] = {}
    with httpx.Client() as client:
        for number in range(600):
            user = f"u{number % 300}"
            body = {"rows": [{"user": user, "item": str(number)}]}
            model = client.post(f"{server.url}/v1/predict", json=body).json()["model"]
            assert chosen.setdefault(user, model) == model
        share = np.mean([model == "b" for model in chosen.values()])
        assert 0.1 < share < 0.3, share
        for path, body in [
            ("/v1/rank", {"context": {"user": "u7"}, "items": [{"item": "1001"}]}),
            ("/v1/explain", {"row": {"user": "u7"}}),
        ]:
            assert client.post(f"{server.url}{path}", json=body).json()["model"] == chosen["u7"], path
        # Whoever names a model gets it.
        for name in ["a", "b"]:
            body = {"model": name, "rows": [{"user": "u7"}]}
            assert client.post(f"{server.url}/v1/predict", json=body).json()["model"] == name
    server.stop()


def test_a_shadow_changes_no_answer(
    start: Callable[..., Server], models: dict[str, Any], rows: list[clicks.Row], expected: Callable[[str], Scores]
) -> None:
    needs("--shadow")
    server = start(models["dlrm"], "--shadow", f"shadow={models['fm']}")
    for _ in range(5):
        found = post(server, "/v1/predict", {"rows": [row_of(row) for row in rows]})
        assert found["model"] == "dlrm"
        assert Scores(found["logits"], found["predictions"]) == expected("dlrm")
    for _ in range(100):
        if metric(server.url, "dlrm_shadow_difference_count", model="shadow"):
            break
    count = metric(server.url, "dlrm_shadow_difference_count", model="shadow")
    total = metric(server.url, "dlrm_shadow_difference_sum", model="shadow")
    distance = np.abs(expected("dlrm").predictions - expected("fm").predictions).sum() / len(rows)
    assert count % len(rows) == 0 and count > 0
    assert total / count == pytest.approx(distance, rel=1e-9)
    server.stop()


def test_splits_that_are_none(models: dict[str, Any]) -> None:
    needs("--split")
    named = [f"a={models['dlrm']}", f"b={models['fm']}", "--listen", "127.0.0.1:0"]
    for shares in ["a", "a=x", "c=1", "a=-1,b=2", "a=0,b=0", ""]:
        code, said = failing(*named, "--split", shares, "--by", "user")
        assert code == 2 and "split" in said, shares
    code, said = failing(*named, "--split", "a=1,b=1", "--by", "usr")
    assert code == 2 and "usr" in said
