"""`dlrm.torch.Prepared`: batches of a prepared data set, every row once, in the order of the trainer."""

from __future__ import annotations

import pathlib
import random
from typing import Any

import numpy as np
import pytest

import dlrm

torch = pytest.importorskip("torch", reason="PyTorch is not installed: `python/check.sh torch` runs this")
import dlrm.torch  # noqa: E402
from torch.utils.data import DataLoader  # noqa: E402

SCHEMA = """
weight = "weight"
label = { column = "click" }
dense = [{ name = "row", transform = "none" }]
categorical = [
  { name = "user" },
  { name = "words", multi = { separator = "|", weight_separator = ":" } },
]
"""
COUNT = 1000
BITS = (1 << 64) - 1


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Rows that say which they are."""
    root = tmp_path_factory.mktemp("prepared")
    draw = random.Random(3)
    lines = ["row,user,words,weight,click"]
    for row in range(COUNT):
        words = "|".join(f"w{draw.randrange(9)}:{draw.random():.2f}" for _ in range(draw.randrange(4)))
        lines.append(f"{row},u{draw.randrange(30)},{words},{1 + row % 3},{draw.randrange(2)}")
    (root / "rows.csv").write_text("\n".join(lines) + "\n")
    (root / "schema.toml").write_text(SCHEMA)
    dlrm.prepare(root / "rows.csv", root / "set", schema=root / "schema.toml", split="order")
    return root / "set"


def order(batches: Any) -> list[int]:
    """The numbers of the rows, as they come."""
    return [int(row) for batch in batches for row in batch.dense[:, 0]]


def test_batches_hold_what_encoding_gives(prepared: pathlib.Path) -> None:
    model = dlrm.train(prepared, model="lr", epochs=1)
    file = prepared.parent / "rows.csv"
    encoded = model.encoder.transform(file)
    rows = dlrm.torch.Prepared(prepared, batch_size=64)
    assert (rows.dense, rows.sparse) == (model.encoder.dense, model.encoder.sparse)
    assert len(rows) == -(-rows.rows // 64) == len(list(rows))
    first = 0
    for batch in rows:
        last = first + len(batch.labels)
        assert len(batch.labels) == min(64, rows.rows - first)
        np.testing.assert_array_equal(batch.dense, encoded.dense[first:last])
        np.testing.assert_array_equal(batch.weights, [1 + row % 3 for row in range(first, last)])
        for name, bags in batch.sparse.items():
            start, end = encoded.sparse[name].offsets[[first, last]]
            np.testing.assert_array_equal(bags.ids, encoded.sparse[name].ids[start:end])
            np.testing.assert_array_equal(bags.offsets, encoded.sparse[name].offsets[first : last + 1] - start)
            weights = encoded.sparse[name].weights
            assert (bags.weights is None) == (weights is None)
            if weights is not None:
                np.testing.assert_array_equal(bags.weights, weights[start:end])
        first = last
    assert first == rows.rows
    net = dlrm.torch.module(model)
    scores = torch.cat([net(batch.dense, batch.sparse) for batch in rows])
    expected = model.predict(file, logits=True)[: rows.rows]
    np.testing.assert_allclose(scores.detach(), expected, rtol=1e-6, atol=1e-6)


def test_parts(prepared: pathlib.Path) -> None:
    parts: Any = ("train", "validation", "test")
    rows = [order(dlrm.torch.Prepared(prepared, part=part)) for part in parts]
    assert all(rows) and sum(rows, []) == list(range(COUNT))


def shuffled(count: int, seed: int, epoch: int) -> list[int]:
    """The trainer's order of rows: Fisher and Yates with SplitMix64."""

    def mix(z: int) -> int:
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & BITS
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB & BITS
        return z ^ (z >> 31)

    gamma = 0x9E3779B97F4A7C15
    state = mix(seed ^ mix(epoch + gamma & BITS))
    found = list(range(count))
    for i in range(count - 1, 0, -1):
        state = state + gamma & BITS
        j = mix(state) * (i + 1) >> 64
        found[i], found[j] = found[j], found[i]
    return found


@pytest.mark.parametrize("workers", [0, 2, 3])
@pytest.mark.parametrize(
    "options",
    [{}, {"shuffle": True, "seed": 5}, {"shuffle": True, "seed": 5, "window": 100}],
    ids=["in order", "in memory", "in windows"],
)
def test_workers_share_the_batches(prepared: pathlib.Path, options: dict[str, Any], workers: int) -> None:
    rows = dlrm.torch.Prepared(prepared, batch_size=30, **options)
    loader = DataLoader(rows, batch_size=None, num_workers=workers)
    assert len(loader) == len(rows)
    first = order(loader)
    assert sorted(first) == list(range(rows.rows)), "every row once"
    if options.get("window"):
        assert all(abs(row - place) < 100 for place, row in enumerate(first)) and first != sorted(first)
    else:
        expected = shuffled(rows.rows, 5, 0) if options else list(range(rows.rows))
        assert first == expected
    assert order(loader) == first, "the same epoch, the same order"
    rows.set_epoch(1)
    second = order(loader)
    assert sorted(second) == list(range(rows.rows))
    if options:
        assert second != first
        if not options.get("window"):
            assert second == shuffled(rows.rows, 5, 1)


def test_workers_that_live_on_learn_of_the_epoch(prepared: pathlib.Path) -> None:
    rows = dlrm.torch.Prepared(prepared, batch_size=30, shuffle=True)
    loader = DataLoader(rows, batch_size=None, num_workers=2, persistent_workers=True)
    for epoch in range(3):
        rows.set_epoch(epoch)
        assert order(loader) == shuffled(rows.rows, 0, epoch)


def test_workers_that_are_started_anew_open_it(prepared: pathlib.Path) -> None:
    rows = dlrm.torch.Prepared(prepared, batch_size=100, shuffle=True)
    loader = DataLoader(rows, batch_size=None, num_workers=1, multiprocessing_context="spawn")
    assert order(loader) == order(rows)


def test_wrong_arguments(prepared: pathlib.Path, tmp_path: pathlib.Path) -> None:
    make = dlrm.torch.Prepared
    calls: dict[str, Any] = {
        'part: expected "train" or "validation" or "test", found \'all\'': lambda: make(prepared, part="all"),  # type: ignore[arg-type]
        "batch_size: expected a whole number of at least 1, found 0": lambda: make(prepared, batch_size=0),
        "seed: expected a whole number of at least 0, found -1": lambda: make(prepared, seed=-1),
        "window: expected a whole number of at least 1, found 0": lambda: make(prepared, window=0),
        "shuffle: expected True or False, found 'yes'": lambda: make(prepared, shuffle="yes"),  # type: ignore[arg-type]
        "path: expected the path of a prepared data set, found 3": lambda: make(3),  # type: ignore[arg-type]
        "epoch: expected a whole number of at least 0, found -1": lambda: make(prepared).set_epoch(-1),
    }
    for message, call in calls.items():
        with pytest.raises(dlrm.ArgumentError) as raised:
            call()
        assert message in raised.value.message and raised.value.hint
    with pytest.raises(FileNotFoundError, match="no_such"):
        make(tmp_path / "no_such")
