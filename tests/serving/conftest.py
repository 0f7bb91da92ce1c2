"""What tests share: models of every kind, trained once of rows made here, and a server of them all."""

from __future__ import annotations

import json
import os
import pathlib
import signal
from collections.abc import Callable, Iterator

import pytest

import clicks
import served
from served import Scores, Server

#: Scored besides the kinds: a model of numbers, whose predictions are no probabilities.
RATING = "rating"


def pytest_sessionstart(session: pytest.Session) -> None:
    if not os.access(os.environ.get("DLRM_BIN", ""), os.X_OK):
        pytest.exit("DLRM_BIN: expected the path of the dlrm command; tests/serving/run.sh sets it", 2)
    # Whoever ends the tests early ends the servers too.
    signal.signal(signal.SIGTERM, lambda *_: pytest.exit("ended by a signal", 143))


def kinds() -> list[str]:
    """The kinds of models that the command knows."""
    if not os.access(os.environ.get("DLRM_BIN", ""), os.X_OK):
        return []
    return [kind["kind"] for kind in json.loads(served.dlrm("models", "--json"))]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "name" in metafunc.fixturenames:
        metafunc.parametrize("name", [*kinds(), RATING])


class Trained:
    """Where rows, schema and models are."""

    def __init__(self, place: pathlib.Path) -> None:
        self.place = place
        self.rows = clicks.write(place / "train.csv", clicks.draw(1500, seed=1))
        self.schema = place / "schema.toml"
        self.schema.write_text(clicks.SCHEMA.format(label=""))

    def model(self, kind: str, out: str, *more: object) -> pathlib.Path:
        return served.train(self.rows, self.schema, self.place / out, kind, *more)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return Trained(tmp_path_factory.mktemp("trained"))


@pytest.fixture(scope="session")
def models(trained: Trained) -> dict[str, pathlib.Path]:
    """A model of every kind by its name, the first of which is DLRM, and one of ratings."""
    found = {kind: trained.model(kind, kind) for kind in sorted(kinds(), key=lambda kind: kind != "dlrm")}
    ratings = clicks.draw(1500, seed=1)
    for number, row in enumerate(ratings):
        row[clicks.LABEL] = str(1 + (number + 2 * int(row[clicks.LABEL])) % 5)
    rows = clicks.write(trained.place / "ratings.csv", ratings)
    schema = trained.place / "ratings.toml"
    schema.write_text(clicks.SCHEMA.format(label=', task = "rating"'))
    return {**found, RATING: served.train(rows, schema, trained.place / RATING, "dlrm")}


@pytest.fixture(scope="session")
def rows() -> list[clicks.Row]:
    """Rows to be scored, some of them with values that no training row has."""
    return clicks.draw(150, seed=2, unseen=0.3)


@pytest.fixture(scope="session")
def expected(
    models: dict[str, pathlib.Path], rows: list[clicks.Row], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Scores]:
    """What `dlrm predict` says of the rows, by name of the model."""
    known: dict[str, Scores] = {}

    def of(name: str) -> Scores:
        if name not in known:
            known[name] = served.predict(models[name], rows, tmp_path_factory.mktemp("predict"))
        return known[name]

    return of


@pytest.fixture(scope="session")
def server(models: dict[str, pathlib.Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of all models, with an admin listener."""
    named = [f"{name}={place}" for name, place in models.items()]
    server = Server(tmp_path_factory.mktemp("server"), *named, "--no-watch", admin=True)
    yield server
    server.stop()


@pytest.fixture
def start(tmp_path: pathlib.Path) -> Iterator[Callable[..., Server]]:
    """Starts servers of a test's own; those that the test has not ended itself are ended at once."""
    started: list[Server] = []

    def start(*args: object, admin: bool = False) -> Server:
        started.append(Server(tmp_path / f"server{len(started)}", *args, admin=admin))
        return started[-1]

    yield start
    for server in started:
        server.kill()
