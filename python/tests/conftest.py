"""What tests share."""

from __future__ import annotations

import os
import pathlib
import random

import pytest

# Before it is imported: tests need no network.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"


@pytest.fixture(scope="session")
def clicks() -> dict[str, list[object]]:
    """Columns of clicks that users and hours decide, with missing values."""
    draw = random.Random(7)
    users = [f"u{draw.randrange(40)}" for _ in range(1500)]
    hours = [draw.randrange(24) for _ in users]
    prices = [None if draw.random() < 0.1 else round(draw.lognormvariate(2, 1), 2) for _ in users]
    clicks = [int(draw.random() < (0.8 if int(user[1:]) % 3 == 0 else 0.15)) for user in users]
    texts = [None if draw.random() < 0.05 else user for user in users]
    return {"user": texts, "hour": hours, "price": prices, "click": clicks}


def named_by(variable: str, what: str) -> str:
    """The path that an environment variable names; tests that need it are skipped without."""
    path = os.environ.get(variable)
    if not path:
        pytest.skip(f"{variable} names no {what}")
    return path


@pytest.fixture(scope="session")
def command() -> str:
    """The `dlrm` command."""
    return named_by("DLRM_BIN", "dlrm command to compare with")


@pytest.fixture(scope="session")
def data() -> pathlib.Path:
    """The public data sets."""
    return pathlib.Path(named_by("DLRM_DATA", "directory of data sets"))


@pytest.fixture(scope="session")
def wheel() -> pathlib.Path:
    """The wheel under test."""
    return pathlib.Path(named_by("DLRM_WHEEL", "wheel to install"))
