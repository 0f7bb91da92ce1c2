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


@pytest.fixture(scope="session")
def command() -> str:
    """The `dlrm` command."""
    path = os.environ.get("DLRM_BIN")
    if not path:
        pytest.skip("DLRM_BIN names no dlrm command to compare with")
    return path


@pytest.fixture(scope="session")
def data() -> pathlib.Path:
    """The public data sets."""
    path = os.environ.get("DLRM_DATA")
    if not path:
        pytest.skip("DLRM_DATA names no directory of data sets")
    return pathlib.Path(path)
