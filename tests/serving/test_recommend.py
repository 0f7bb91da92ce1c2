"""The best items of a catalogue for a user."""

from __future__ import annotations

import csv
import pathlib
from collections.abc import Callable
from typing import Any

import httpx
import pyarrow.ipc
import pytest

import clicks
from served import Server, dlrm, needs, train
from test_native import post

COLUMNS = ["item", "price", "tags"]
#: How an item is told from another in requests.
KEY = "item"


@pytest.fixture(scope="module")
def items() -> list[dict[str, str]]:
    """More items than were trained on, with gaps."""
    found = {row["item"]: {name: row[name] for name in COLUMNS} for row in clicks.draw(400, seed=6)}
    unseen = [{"item": f"new{number}", "price": f"{number}.5", "tags": "t1|t2"} for number in range(5000)]
    return [*found.values(), *unseen]


@pytest.fixture
def shop(
    items: list[dict[str, str]], models: dict[str, Any], start: Callable[..., Server], tmp_path: pathlib.Path
) -> Server:
    needs("--items")
    table = tmp_path / "items.csv"
    with table.open("w", newline="") as file:
        out = csv.DictWriter(file, COLUMNS)
        out.writeheader()
        out.writerows(items)
    return start(*(f"{name}={place}" for name, place in models.items()), "--items", table)


USER = {"user": "u5", "age": "33", "hour": "7", "seen_at": "1700000000"}


def test_the_best_of_all_items_are_those_of_predict(shop: Server, models: dict[str, Any], items: Any) -> None:
    for name in models:
        rows = [{**USER, **item} for item in items]
        logits: list[float] = []
        for at in range(0, len(rows), 4096):
            logits += post(shop, "/v1/predict", {"model": name, "rows": rows[at : at + 4096]})["logits"]
        best = sorted(range(len(items)), key=lambda place: (-logits[place], place))[:25]
        found = post(shop, "/v1/recommend", {"model": name, "user": USER, "k": 25})
        assert (found["model"], found["candidates"]) == (name, len(items))
        assert [item["item"][KEY] for item in found["items"]] == [items[place]["item"] for place in best]
        assert [item["logit"] for item in found["items"]] == [logits[place] for place in best]
        assert all(item["item"] in items for item in found["items"])
    shop.stop()


def test_filters_and_exclusions(shop: Server, items: list[dict[str, str]]) -> None:
    def admitted(**body: Any) -> set[str]:
        found = post(shop, "/v1/recommend", {"user": USER, "k": 10_000, **body})
        keys = [item["item"][KEY] for item in found["items"]]
        assert len(keys) == len(set(keys)) == found["candidates"]
        return set(keys)

    def those(admits: Callable[[dict[str, str]], bool]) -> set[str]:
        return {item["item"] for item in items if admits(item)}

    def price(item: dict[str, str]) -> float:
        return float(item["price"] or "nan")

    def tags(item: dict[str, str]) -> list[str]:
        return item["tags"].split("|")

    assert admitted() == those(lambda item: True)
    assert admitted(filter="price >= 20") == those(lambda item: price(item) >= 20)
    assert admitted(filter='tags contains "t1" and price < 9') == those(lambda i: "t1" in tags(i) and price(i) < 9)
    some = 'not (tags contains "t1" or item = "1003")'
    assert admitted(filter=some) == those(lambda i: "t1" not in tags(i) and i["item"] != "1003")
    out = ["1001", "new7", "no such item"]
    assert admitted(exclude=out) == those(lambda item: item["item"] not in out)
    assert admitted(filter="price > 1e9") == set()
    for wrong in ["prise > 3", "price >", "price ~ 3", "(price > 3", 'tags contains "t1', ""]:
        refused = post(shop, "/v1/recommend", {"user": USER, "filter": wrong}, 400)
        assert "filter" in refused["error"], refused
    shop.stop()


def test_without_a_catalogue_nothing_is_recommended(start: Callable[..., Server], models: dict[str, Any]) -> None:
    server = start(models["lr"], "--items", "off")
    answer = httpx.post(f"{server.url}/v1/recommend", json={"user": USER})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    server.stop()


def test_the_training_rows_are_a_catalogue(server: Server) -> None:
    rows = clicks.draw(1500, seed=1)
    every = {row["item"] for row in rows}
    found = post(server, "/v1/recommend", {"user": USER, "k": 100})
    assert {item["item"][KEY] for item in found["items"]} == every
    had = {row["item"] for row in rows if row["user"] == USER["user"]}
    new = post(server, "/v1/recommend", {"user": USER, "k": 100, "exclude_seen": True})
    assert {item["item"][KEY] for item in new["items"]} == every - had and had


def test_training_rows_that_are_gone(start: Callable[..., Server], trained: Any, tmp_path: pathlib.Path) -> None:
    rows = clicks.write(tmp_path / "gone.csv", clicks.draw(300, seed=3))
    model = train(rows, trained.schema, tmp_path / "model", "lr")
    rows.unlink()
    server = start(model)
    assert "nothing can be recommended" in server.said() and "gone.csv" in server.said()
    assert httpx.post(f"{server.url}/v1/recommend", json={"user": USER}).status_code == 404
    assert httpx.post(f"{server.url}/v1/predict", json={"rows": [USER]}).status_code == 200
    server.stop()


def test_a_file_of_items_is_arrow_for_everyone(
    items: list[dict[str, str]], start: Callable[..., Server], models: dict[str, Any], tmp_path: pathlib.Path
) -> None:
    """Other programs read it, and a server that maps it recommends what one recommends that reads the table."""
    table, mapped = tmp_path / "items.csv", tmp_path / "items.arrow"
    with table.open("w", newline="") as file:
        out = csv.DictWriter(file, COLUMNS)
        out.writeheader()
        out.writerows(items)
    dlrm("items", table, "-o", mapped)
    read = pyarrow.ipc.open_file(mapped).read_all()
    assert read.select(COLUMNS).to_pylist() == items
    keys = read[KEY].to_pylist()
    assert [keys[place] for place in read["dlrm_by_key"].to_pylist()] == sorted(keys)
    answers = []
    for source in (table, mapped):
        server = start(models["dlrm"], "--items", source)
        answers.append(post(server, "/v1/recommend", {"user": USER, "k": 40})["items"])
        server.stop()
    assert answers[0] == answers[1] and len(answers[0]) == 40
