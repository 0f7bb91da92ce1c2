"""Features by key, from SQLite and from Redis, which may fall silent under load."""

from __future__ import annotations

import pathlib
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from typing import Any, Callable

import httpx
import pytest

import served
from served import Server

USERS = "user,age,country\nu1,31,fr\nu2,,de\nu3,55,it\n"
ITEMS = "item,price,shelf\ni1,3.5,a\ni2,9.25,b\ni3,0.5,a\n"


@pytest.fixture(scope="module")
def joined(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A model of rows that hold the columns of users and items, and these as tables."""
    served.needs("--features")
    place = tmp_path_factory.mktemp("joined")
    users = [line.split(",") for line in USERS.splitlines()[1:]]
    items = [line.split(",") for line in ITEMS.splitlines()[1:]]
    rows = ["click,user,age,country,item,price,shelf"]
    for number in range(900):
        user, item = users[number % 3], items[number // 3 % 3]
        click = int((number // 9 + len(user[2]) + len(item[1])) % 3 == 0)
        rows.append(",".join([str(click), *user, *item]))
    (place / "rows.csv").write_text("\n".join(rows) + "\n")
    (place / "users.csv").write_text(USERS)
    (place / "items.csv").write_text(ITEMS)
    (place / "seen.csv").write_text("user,item\nu1,i2\nu1,i3\n")
    train = ["train", place / "rows.csv", "--label", "click", "--model", "dlrm", "--epochs", 1, "--quiet"]
    served.dlrm(*train, "--set", "train.keep=last", "--output", place / "model")
    return place


def load(place: pathlib.Path, store: object) -> None:
    users = ["--users", place / "users.csv", "--key", "user"]
    items = ["--items", place / "items.csv", "--key", "item"]
    seen = ["--seen", place / "seen.csv", "--key", "user", "--key", "item"]
    served.dlrm("features", "load", store, *users, *items, *seen, "--quiet")


def whole() -> list[dict[str, str]]:
    """Every user with every item, all columns said."""
    def tables(text: str) -> list[dict[str, str]]:
        names, *lines = (line.split(",") for line in text.splitlines())
        return [dict(zip(names, line, strict=True)) for line in lines]

    return [{**user, **item} for user in tables(USERS) for item in tables(ITEMS)]


def keys(row: dict[str, str]) -> dict[str, str]:
    return {"user": row["user"], "item": row["item"]}


def failed(server: Server) -> float:
    """Keys that the store had no answer for in time."""
    return served.metric(server.url, "dlrm_feature_lookups_total", result="failed")


def check(server: Server) -> None:
    """Rows are joined. A store that was too slow for a look-up leaves columns missing: then it is asked again."""
    end = time.monotonic() + served.PATIENCE
    while True:
        late = failed(server)
        try:
            return check_once(server)
        except AssertionError:
            if failed(server) == late or time.monotonic() > end:
                raise
            # An outage is remembered for a second.
            time.sleep(1.1)


def check_once(server: Server) -> None:
    """Rows that name keys alone score as rows that say everything, and rankings too."""
    with httpx.Client(base_url=server.url) as client:
        said = client.post("/v1/predict", json={"rows": whole()}).json()["predictions"]
        found = client.post("/v1/predict", json={"rows": [keys(row) for row in whole()]}).json()["predictions"]
        assert found == said and len(set(said)) > 3
        items = [{"item": row["item"]} for row in whole()[:3]]
        ranked = client.post("/v1/rank", json={"context": {"user": "u1"}, "items": items}).json()["items"]
        assert {i["index"]: i["prediction"] for i in ranked} == dict(enumerate(said[:3]))
        own = client.post("/v1/predict", json={"rows": [{**keys(whole()[0]), "age": "55"}]}).json()["predictions"]
        other = client.post("/v1/predict", json={"rows": [{**whole()[0], "age": "55"}]}).json()["predictions"]
        assert own == other, "what a request says itself counts"
        nobody = client.post("/v1/predict", json={"rows": [{"user": "nobody", "item": "i1"}]})
        assert nobody.status_code == 200
        assert 'dlrm_feature_lookups_total{result="missing"}' in client.get("/metrics").text


def test_sqlite(joined: pathlib.Path, start: Callable[..., Server], tmp_path: pathlib.Path) -> None:
    store = tmp_path / "features.sqlite"
    load(joined, store)
    server = start(f"m={joined / 'model'}", "--features", f"sqlite:{store}", "--items", joined / "items.csv")
    check(server)
    with httpx.Client(base_url=server.url) as client:
        asked: dict[str, Any] = {"user": {"user": "u1"}, "exclude_seen": True}
        items = client.post("/v1/recommend", json=asked).json()["items"]
        assert [item["item"]["item"] for item in items] == ["i1"]
    server.stop()


def test_sqlite_that_the_sqlite3_program_has_filled(
    joined: pathlib.Path, start: Callable[..., Server], tmp_path: pathlib.Path
) -> None:
    if shutil.which("sqlite3") is None:
        pytest.skip("sqlite3 is not installed")
    store = tmp_path / "mine.sqlite"
    lines = ["CREATE TABLE users (user TEXT PRIMARY KEY, age TEXT, country TEXT);"]
    lines += ["CREATE TABLE items (item TEXT PRIMARY KEY, price REAL, shelf TEXT);"]
    for table, text in (("users", USERS), ("items", ITEMS)):
        for line in text.splitlines()[1:]:
            lines.append(f"INSERT INTO {table} VALUES ({', '.join(repr(field) for field in line.split(','))});")
    subprocess.run(["sqlite3", store], input="\n".join(lines), text=True, check=True)
    server = start(f"m={joined / 'model'}", "--features", f"sqlite:{store}")
    check(server)
    server.stop()


@pytest.fixture
def redis(tmp_path: pathlib.Path) -> Iterator[Callable[[], tuple[subprocess.Popen[bytes], int]]]:
    """Starts a Redis server without persistence, each time at the same free port."""
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running: list[subprocess.Popen[bytes]] = []

    def begin() -> tuple[subprocess.Popen[bytes], int]:
        command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        running.append(subprocess.Popen([*command, "--dir", str(tmp_path)], stdout=subprocess.DEVNULL))
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        return running[-1], port

    yield begin
    for process in running:
        process.kill()
        process.wait()


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + served.PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_redis_that_stops_under_load(
    joined: pathlib.Path, start: Callable[..., Server], redis: Callable[[], tuple[subprocess.Popen[bytes], int]]
) -> None:
    process, port = redis()
    load(joined, f"redis://127.0.0.1:{port}")
    server = start(f"m={joined / 'model'}", "--features", f"redis://127.0.0.1:{port}")
    check(server)
    over, statuses = threading.Event(), []

    def ask() -> None:
        with httpx.Client(base_url=server.url, timeout=30) as client:
            while not over.is_set():
                statuses.append(client.post("/v1/predict", json={"rows": [keys(whole()[0])]}).status_code)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(statuses) > 20)
    process.kill()
    process.wait()
    wait_until(lambda: failed(server) > 0)
    redis()
    load(joined, f"redis://127.0.0.1:{port}")
    asked = len(statuses)
    wait_until(lambda: len(statuses) > asked + 20)
    over.set()
    for thread in threads:
        thread.join()
    assert set(statuses) == {200}
    check(server)
    server.stop()
