"""A model directory that is replaced while requests are answered."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

import clicks
from conftest import Trained
from served import PATIENCE, Scores, Server, metric, predict, train


class Load:
    """Clients that ask for the same rows again and again, and note what they were answered."""

    def __init__(self, server: Server, rows: list[clicks.Row], clients: int = 4) -> None:
        self.server = server
        self.body = json.dumps({"rows": [{name: row[name] for name in clicks.COLUMNS} for row in rows]})
        self.found: dict[str, set[Scores]] = {}
        self.failures: list[str] = []
        self.answers = 0
        self._lock, self._over = threading.Lock(), threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def _ask(self) -> None:
        with httpx.Client(timeout=PATIENCE) as client:
            while not self._over.is_set():
                try:
                    answer = client.post(f"{self.server.url}/v1/predict", content=self.body)
                except httpx.HTTPError as error:
                    with self._lock:
                        self.failures.append(repr(error))
                    continue
                with self._lock:
                    if answer.status_code != 200:
                        self.failures.append(f"{answer.status_code}: {answer.text}")
                        continue
                    said = answer.json()
                    scores = Scores(said["logits"], said["predictions"])
                    self.found.setdefault(said["version"], set()).add(scores)
                    self.answers += 1

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(PATIENCE)

    def wait_for(self, version: str) -> None:
        """Until this version has answered."""
        end = time.monotonic() + PATIENCE
        while version not in self.found:
            assert time.monotonic() < end, f"expected answers of version {version}, found {list(self.found)}"
            time.sleep(0.02)


@pytest.fixture
def place(models: dict[str, Any], tmp_path: Any) -> Any:
    return shutil.copytree(models["deepfm"], tmp_path / "m")


@pytest.fixture
def watching(place: Any, start: Callable[..., Server]) -> Iterator[Server]:
    server = start(place, admin=True)
    yield server
    server.stop()


def version(server: Server) -> str:
    return httpx.get(f"{server.url}/v1/models").json()["models"][0]["current"]["version"]


def wait_until(what: Callable[[], bool]) -> None:
    """The server looks at its directories every second."""
    end = time.monotonic() + PATIENCE / 3
    while not what():
        assert time.monotonic() < end, "expected the server to see a change"
        time.sleep(0.05)


def test_versions_follow_each_other_without_a_failed_request(
    watching: Server, place: Any, trained: Trained, rows: list[clicks.Row], tmp_path: Any
) -> None:
    known = {version(watching): predict(place, rows, tmp_path)}
    with Load(watching, rows) as load:
        load.wait_for(version(watching))
        for seed in [11, 12, 13]:
            before = version(watching)
            # What a training run does at its end, as an administrator has it.
            trained.model("deepfm", str(place), "--seed", seed, "--overwrite")
            wait_until(lambda before=before: version(watching) != before)
            known[version(watching)] = predict(place, rows, tmp_path)
            load.wait_for(version(watching))
    assert not load.failures, load.failures[:3]
    assert len(known) == 4 and set(load.found) == set(known)
    for answered, scores in load.found.items():
        assert scores == {known[answered]}, f"version {answered} gave scores that are not its own"
    assert metric(watching.url, "dlrm_reloads_total", code="ok") == 3


def test_damaged_directories_do_not_replace_a_model(
    watching: Server, place: Any, trained: Trained, rows: list[clicks.Row], tmp_path: Any
) -> None:
    good, scores = version(watching), predict(place, rows, tmp_path)
    model = place / "model"
    whole = {path: path.read_bytes() for path in model.iterdir()}
    manifest, weights = model / "manifest.json", model / "weights.safetensors"
    with Load(watching, rows, clients=2) as load:
        load.wait_for(good)
        damages: list[Callable[[], object]] = [
            lambda: weights.write_bytes(whole[weights][:-100] + bytes(100)),
            lambda: weights.unlink(),
            lambda: (model / "encoder.json").write_text("{}"),
            lambda: (model / "config.toml").write_bytes(b"\xff"),
        ]
        for number, damage in enumerate(damages):
            for path, content in whole.items():
                path.write_bytes(content)
            damage()
            # Something else is there than before: it is looked at.
            manifest.write_bytes(whole[manifest] + b"\n" * (number + 1))
            failed = number + 1
            wait_until(lambda failed=failed: metric(watching.url, "dlrm_reloads_total", code="error") == failed)
        manifest.write_text("{}")
        wait_until(lambda: metric(watching.url, "dlrm_reloads_total", code="error") == len(damages) + 1)
        shutil.rmtree(place)
        time.sleep(1.5)
    assert not load.failures, load.failures[:3]
    assert load.found == {good: {scores}}
    assert watching.said().count("warning: model \"m\" was not loaded, the one before goes on") == len(damages) + 1
    (model_now,) = httpx.get(f"{watching.url}/v1/models").json()["models"]
    assert model_now["current"]["version"] == good and model_now["failed"]
    # And a good one replaces it again.
    trained.model("deepfm", str(place), "--seed", 21)
    wait_until(lambda: version(watching) != good)
    (model_now,) = httpx.get(f"{watching.url}/v1/models").json()["models"]
    assert model_now["failed"] is None and model_now["previous"] == good
    body = {"rows": [{name: row[name] for name in clicks.COLUMNS} for row in rows]}
    found = httpx.post(f"{watching.url}/v1/predict", json=body).json()
    assert Scores(found["logits"], found["predictions"]) == predict(place, rows, tmp_path)


def test_a_directory_that_is_copied_file_by_file(
    watching: Server, place: Any, trained: Trained, rows: list[clicks.Row], tmp_path: Any
) -> None:
    """As `cp -r` and `rsync` do, by name: between the manifest and the weights the server looks at it."""
    before = version(watching)
    new = trained.model("deepfm", "copied", "--seed", 31, "--overwrite")
    for path in sorted((new / "model").iterdir()):
        if path.name == "weights.safetensors":
            wait_until(lambda: "was not loaded" in watching.said())
        shutil.copyfile(path, place / "model" / path.name)
    wait_until(lambda: version(watching) != before)
    body = {"rows": [{name: row[name] for name in clicks.COLUMNS} for row in rows]}
    found = httpx.post(f"{watching.url}/v1/predict", json=body).json()
    assert Scores(found["logits"], found["predictions"]) == predict(new, rows, tmp_path)


def test_a_model_of_other_columns_takes_the_place_of_one(
    watching: Server, place: Any, trained: Trained, rows: list[clicks.Row]
) -> None:
    """Requests for the columns of both are answered throughout."""
    schema = trained.place / "few.toml"
    schema.write_text('label = { column = "click" }\ncategorical = [{ name = "user" }, { name = "item" }]\n')
    only = [{name: row[name] for name in ["user", "item"]} for row in rows]
    before = version(watching)
    failures = []
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            answer = httpx.post(f"{watching.url}/v1/predict", json={"rows": only})
            if answer.status_code != 200:
                failures.append(answer.text)

    thread = threading.Thread(target=ask)
    thread.start()
    train(trained.rows, schema, place, "lr", "--overwrite")
    wait_until(lambda: version(watching) != before)
    over.set()
    thread.join(PATIENCE)
    assert not failures, failures[:3]
    refused = httpx.post(f"{watching.url}/v1/predict", json={"rows": [{"price": "1"}]})
    assert (refused.status_code, refused.json()["code"]) == (400, "unknown_column")
    # The one before still answers to its version.
    old = httpx.post(f"{watching.url}/v1/predict", json={"rows": [{"price": "1"}], "version": before})
    assert old.status_code == 200
