"""Our own interface over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

import clicks
from served import Scores, Server

Body = dict[str, Any]


def post(server: Server, path: str, body: Body, status: int = 200) -> Body:
    """What is answered to this body, in this status. A path that the server does not have yet is skipped."""
    answer = httpx.post(f"{server.url}{path}", json=body, timeout=60)
    found = answer.json()
    if answer.status_code == 404 and "nothing is at" in found["error"]:
        pytest.skip(f"this server has no {path}")
    assert answer.status_code == status, found
    assert answer.headers["content-type"] == "application/json"
    return found


def get(server: Server, path: str) -> Any:
    answer = httpx.get(f"{server.url}{path}", timeout=60)
    if answer.status_code == 404:
        pytest.skip(f"this server has no {path}")
    return answer.json()


def scored(found: Body) -> Scores:
    return Scores(found["logits"], found["predictions"])


def row_of(row: clicks.Row) -> dict[str, str]:
    return {name: row[name] for name in clicks.COLUMNS}


def current(server: Server, name: str) -> Body:
    (model,) = (model for model in get(server, "/v1/models")["models"] if model["name"] == name)
    return model["current"]


@pytest.mark.parametrize("of", [row_of, clicks.typed], ids=["texts", "types"])
def test_predict_is_predict(
    server: Server, name: str, of: Any, rows: list[clicks.Row], expected: Callable[[str], Scores]
) -> None:
    found = post(server, "/v1/predict", {"model": name, "rows": [of(row) for row in rows]})
    assert found["model"] == name and found["version"] == current(server, name)["version"]
    assert scored(found) == expected(name)
    for number, row in enumerate(rows[:5]):
        alone = post(server, "/v1/predict", {"model": name, "rows": [of(row)]})
        assert scored(alone) == expected(name)[number]


def test_columns_of_the_training_rows_that_are_no_input_may_be_there(server: Server, rows: list[clicks.Row]) -> None:
    with_label = post(server, "/v1/predict", {"rows": [dict(row) for row in rows]})
    assert scored(with_label) == scored(post(server, "/v1/predict", {"rows": [row_of(row) for row in rows]}))


def test_no_rows_have_no_scores(server: Server) -> None:
    found = post(server, "/v1/predict", {"rows": []})
    assert (found["predictions"], found["logits"]) == ([], [])


def test_rank_is_predict_on_the_joined_rows(server: Server, name: str, rows: list[clicks.Row]) -> None:
    context = {key: rows[0][key] for key in ["user", "age", "hour", "seen_at", "tags"]}
    items = [{key: row[key] for key in ["item", "price", "basket"]} for row in rows]
    joined = [{**context, **item} for item in items]
    plain = post(server, "/v1/predict", {"model": name, "rows": joined})
    found = post(server, "/v1/rank", {"model": name, "context": context, "items": items, "k": len(items)})
    best = sorted(range(len(items)), key=lambda place: (-plain["logits"][place], place))
    assert [item["index"] for item in found["items"]] == best
    for item in found["items"]:
        place = item["index"]
        assert (item["logit"], item["prediction"]) == (plain["logits"][place], plain["predictions"][place])
        assert item["item"] == items[place]
    few = post(server, "/v1/rank", {"model": name, "context": context, "items": items, "k": 3})
    assert few["items"] == found["items"][:3]


def test_explanations_add_up(
    server: Server, name: str, rows: list[clicks.Row], expected: Callable[[str], Scores]
) -> None:
    for number, row in enumerate(rows[:3]):
        found = post(server, "/v1/explain", {"model": name, "row": row_of(row)})
        total = found["base"] + sum(column["contribution"] for column in found["contributions"])
        assert abs(total - found["logit"]) < 1e-6
        whole = expected(name)[number]
        assert Scores([found["logit"]], [found["prediction"]]) == whole
        assert {column["column"] for column in found["contributions"]} <= {*clicks.COLUMNS, "weekday"}


def test_models_tell_of_themselves(server: Server, models: dict[str, Any]) -> None:
    found = get(server, "/v1/models")["models"]
    assert [model["name"] for model in found] == list(models)
    for model in found:
        assert model["failed"] is None and model["previous"] is None
        assert [column["name"] for column in model["current"]["inputs"]] == clicks.COLUMNS
        assert model["current"]["kind"] == ("dlrm" if model["name"] == "rating" else model["name"])


def test_every_model_has_an_example_that_it_scores(server: Server, name: str) -> None:
    model = current(server, name)
    if "example" not in model:
        pytest.skip("this server gives no example rows")
    assert set(model["example"]) <= set(clicks.COLUMNS)
    post(server, "/v1/predict", {"model": name, "rows": [model["example"]]})


def test_the_training_report_is_there(server: Server) -> None:
    model = current(server, "dlrm")
    if "report" not in model:
        pytest.skip("this server has no training reports")
    page = httpx.get(f"{server.url}{model['report']}")
    assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")


def test_live_figures_follow_requests(server: Server, rows: list[clicks.Row]) -> None:
    get(server, "/v1/live")
    post(server, "/v1/predict", {"rows": [row_of(row) for row in rows]})
    found = get(server, "/v1/live")
    figures = found["models"]["dlrm"]
    assert figures["requests_per_second"] > 0 and figures["rows_per_second"] >= figures["requests_per_second"]
    assert 0 <= figures["p50_ms"] <= figures["p99_ms"]
    assert figures["errors_per_second"] >= 0
    assert found["waiting"] >= 0 and found["connections"] >= 1


@pytest.mark.parametrize(
    ("body", "status", "code", "words"),
    [
        ({}, 400, "bad_request", ["rows"]),
        ({"rows": {}}, 400, "bad_request", ["rows"]),
        ({"rows": [7]}, 400, "bad_request", ["rows[0]", "7"]),
        ({"rows": [{}, {"usr": "u1"}]}, 400, "unknown_column", ["rows[1]", "usr", "user"]),
        ({"rows": [{}, {"price": "cheap"}]}, 400, "bad_value", ["rows[1]", "price", "cheap"]),
        ({"rows": [{"price": [1]}]}, 400, "bad_value", ["rows[0]", "price"]),
        ({"rows": [{"user": {"id": 1}}]}, 400, "bad_value", ["rows[0]", "user"]),
        ({"rows": [{"basket": ["b1:heavy"]}]}, 400, "bad_value", ["basket"]),
        ({"rows": [{"tags": ["a|b"]}]}, 400, "bad_value", ["tags"]),
        ({"rows": [{"seen_at": "yesterday"}]}, 400, "bad_value", ["seen_at", "yesterday"]),
        ({"rows": [{}] * 4097}, 422, "too_many_rows", ["4096", "4097"]),
        ({"rows": [{}], "model": "ghost"}, 404, "unknown_model", ["ghost"]),
        ({"rows": [{}], "model": "../dlrm"}, 404, "unknown_model", ["../dlrm"]),
        ({"rows": [{}], "version": "7"}, 404, "unknown_version", ["7"]),
        ({"rows": [{}], "k": 3}, 400, "bad_request", ["k"]),
        ({"rows": [{}], "colour": 3}, 400, "bad_request", ["colour"]),
        ({"rows": [{}], "timeout_ms": -1}, 400, "bad_request", []),
    ],
    ids=lambda value: json.dumps(value)[:60] if isinstance(value, dict) else "",
)
def test_mistakes_in_predict(server: Server, body: Body, status: int, code: str, words: list[str]) -> None:
    found = post(server, "/v1/predict", body, status)
    assert found["code"] == code
    text = found["error"] + found.get("hint", "")
    assert all(word in text for word in words), text


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/v1/rank", {"context": {}}, ["items"]),
        ("/v1/rank", {"items": [{}], "k": -1}, []),
        ("/v1/rank", {"items": [{}], "k": 1.5}, []),
        ("/v1/rank", {"items": [{"itm": 3}]}, ["items[0]", "itm"]),
        ("/v1/rank", {"items": [{}], "context": 3}, ["context", "3"]),
        ("/v1/rank", {"items": [{"price": "cheap"}]}, ["items[0]", "price", "cheap"]),
        ("/v1/rank", {"items": [{}], "context": {"price": "cheap"}}, ["context", "price", "cheap"]),
        ("/v1/explain", {}, ["row"]),
        ("/v1/explain", {"row": []}, ["row"]),
        ("/v1/explain", {"row": {"price": "cheap"}}, ["row", "price", "cheap"]),
    ],
)
def test_mistakes_in_rank_and_explain(server: Server, path: str, body: Body, words: list[str]) -> None:
    found = post(server, path, body, 400)
    assert found["code"] in {"bad_request", "bad_value", "unknown_column"}
    assert all(word in found["error"] for word in words), found


def test_a_deadline_that_cannot_be_kept_is_said(server: Server, rows: list[clicks.Row]) -> None:
    many = [row_of(row) for row in rows] * 27
    found = post(server, "/v1/predict", {"model": "xdeepfm", "rows": many, "timeout_ms": 0}, 408)
    assert found["code"] == "out_of_time"
