"""Evaluations that TensorBoard shows: by the callback and by the setting."""

from __future__ import annotations

import pathlib
import time
from typing import Any

import pytest

import dlrm

ROWS: dict[str, list[Any]] = {
    "user": ["ann", "bob", "cid", "dora"] * 100,
    "hour": list(range(400)),
    "click": [1, 0, 0, 1] * 100,
}


def scalars(events: pathlib.Path) -> dict[str, list[Any]]:
    """Events by tag, as TensorBoard's own reader finds them."""
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    found = reader.EventAccumulator(str(events)).Reload()
    return {tag: found.Scalars(tag) for tag in found.Tags()["scalars"]}


def test_the_callback_writes_every_evaluation(tmp_path: pathlib.Path) -> None:
    told: list[dict[str, Any]] = []
    begun = time.time()
    callbacks = [dlrm.TensorBoard(tmp_path / "events"), told.append]
    dlrm.train(ROWS, label="click", model="fm", epochs=3, callbacks=callbacks)
    found = scalars(tmp_path / "events")
    assert [(e.step, e.value) for e in found["train/loss"]] == [
        (facts["step"], pytest.approx(facts["train_loss"], rel=1e-6)) for facts in told
    ]
    assert [e.value for e in found["validation/log_loss"]] == [
        pytest.approx(facts["validation"]["log_loss"], rel=1e-6) for facts in told
    ]
    assert all(begun - 1 <= e.wall_time <= time.time() + 1 for events in found.values() for e in events)


def test_tags_are_those_of_the_setting(tmp_path: pathlib.Path) -> None:
    begun = time.time()
    callback = dlrm.TensorBoard(tmp_path / "callback")
    dlrm.train(ROWS, label="click", model="fm", epochs=2, tensorboard=tmp_path / "setting", callbacks=[callback])
    by_setting, by_callback = scalars(tmp_path / "setting"), scalars(tmp_path / "callback")
    more = {"learning_rate/dense", "learning_rate/tables", "speed/rows_per_second"}
    assert more < set(by_setting)
    for tag in set(by_setting) - more:
        assert [(e.step, e.value) for e in by_callback[tag]] == [(e.step, e.value) for e in by_setting[tag]]
    assert all(begun - 1 <= e.wall_time <= time.time() + 1 for e in by_setting["train/loss"])


def test_a_callback_that_is_used_again_begins_a_file(tmp_path: pathlib.Path) -> None:
    callback = dlrm.TensorBoard(tmp_path)
    for _ in range(2):
        dlrm.train(ROWS, label="click", model="fm", epochs=1, callbacks=[callback])
    assert len(list(tmp_path.iterdir())) == 2


def test_wrong_directories_are_named(tmp_path: pathlib.Path) -> None:
    with pytest.raises(dlrm.ArgumentError, match="dir: expected the path of a directory, found 3"):
        dlrm.TensorBoard(3)  # type: ignore[arg-type]
    with pytest.raises(dlrm.ArgumentError, match="tensorboard: expected the path of a directory, found 3"):
        dlrm.train(ROWS, label="click", model="fm", tensorboard=3)  # type: ignore[arg-type]
    taken = tmp_path / "taken"
    taken.write_text("mine")
    with pytest.raises(dlrm.ArgumentError, match="tensorboard: expected a directory that can be written to"):
        dlrm.train(ROWS, label="click", model="fm", tensorboard=taken)
    with pytest.raises(OSError, match="taken"):
        dlrm.train(ROWS, label="click", model="fm", epochs=1, callbacks=[dlrm.TensorBoard(taken)])
    assert taken.read_text() == "mine"
