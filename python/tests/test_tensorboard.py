"""`train.tensorboard`: event files, read back by TensorBoard's own reader.

Needs the command, at DLRM_BIN, and tensorboard.
"""

import json
import math
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

np = pytest.importorskip("numpy")
accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
loader = pytest.importorskip("tensorboard.backend.event_processing.event_file_loader")

BIN = os.environ.get("DLRM_BIN")
pytestmark = pytest.mark.skipif(not BIN, reason="DLRM_BIN, the path of the dlrm command, is not set")


def dlrm(*args):
    ran = subprocess.run([BIN, "--quiet", *map(str, args)], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    root = tmp_path_factory.mktemp("rows")
    dlrm("demo", "--rows", 20000, "-o", root / "demo")
    return root / "demo" / "sample.csv"


def flags(rows, out, events):
    setting = f"train.tensorboard={json.dumps(str(events))}"
    return ["train", rows, "--label", "click", "--no-baseline", "-o", out, "--set", setting]


def scalars(events):
    """Steps, values and times of each tag; the reader refuses records with a wrong checksum."""
    read = accumulator.EventAccumulator(str(events))
    read.Reload()
    return {tag: read.Scalars(tag) for tag in read.Tags()["scalars"]}


def curves(out):
    """What the report draws, by tag: pairs of step and value."""
    report = json.loads((Path(out) / "report.json").read_text())
    tags = {("train", "log_loss"): "train/loss", ("train", "accuracy"): "train/accuracy"}
    found = {}
    for curve in report["training"]["curves"]:
        key = (curve["split"], curve["metric"])
        points = [(point["step"], point["value"]) for point in curve["points"] if point["value"] is not None]
        found[tags.get(key, "/".join(key))] = points
    return found


def test_every_evaluation_is_there(tmp_path, rows):
    before = time.time()
    # One attempt: the report draws the last one alone.
    once = ["--set", "train.linear_start=model", "--set", "train.output_bias=model"]
    dlrm(*flags(rows, tmp_path / "run", tmp_path / "events"), "--epochs", 4, *once)
    found, told = scalars(tmp_path / "events"), curves(tmp_path / "run")
    assert {"train/loss", "validation/log_loss", "validation/auc"} <= told.keys()
    for tag, points in told.items():
        assert [event.step for event in found[tag]] == [step for step, _ in points]
        assert [event.value for event in found[tag]] == pytest.approx([value for _, value in points], rel=1e-6)
    assert all(before - 1 <= event.wall_time <= time.time() + 1 for event in found["train/loss"])
    assert {event.value for event in found["learning_rate/dense"]} == {float(np.float32(1e-3))}
    assert all(event.value > 100 for event in found["speed/rows_per_second"])
    assert all(math.isfinite(event.value) for events in found.values() for event in events)


def test_all_attempts_are_there(tmp_path, rows):
    """A training that a regression gained nothing for begins again, after the steps that it has made."""
    dlrm(*flags(rows, tmp_path / "run", tmp_path / "events"), "--epochs", 4)
    found, told = scalars(tmp_path / "events"), curves(tmp_path / "run")
    for tag, points in told.items():
        steps = [event.step for event in found[tag]]
        assert steps == sorted(set(steps))
        values = {event.step: event.value for event in found[tag]}
        assert [values[step] for step, _ in points] == pytest.approx([value for _, value in points], rel=1e-6)


def test_rates_follow_the_schedule(tmp_path, rows):
    schedule = 'train.schedule={ kind = "cosine", warmup_steps = 5, total_steps = 200, final_factor = 0.1 }'
    dlrm(*flags(rows, tmp_path / "run", tmp_path / "events"), "--epochs", 4, "--set", schedule)
    rates = [event.value for event in scalars(tmp_path / "events")["learning_rate/dense"]]
    assert rates == sorted(rates, reverse=True) and rates[-1] < rates[0]


def test_a_regression_has_no_steps(tmp_path, rows):
    dlrm(*flags(rows, tmp_path / "run", tmp_path / "events"), "--model", "lr")
    found = scalars(tmp_path / "events")
    assert found["train/loss"] and "learning_rate/dense" not in found


def test_resuming_goes_on_in_a_new_file(tmp_path, rows):
    events, out = tmp_path / "events", tmp_path / "run"
    args = [*flags(rows, out, events), "--epochs", "2000", "--set", "train.patience=0"]
    running = subprocess.Popen([BIN, "--quiet", *map(str, args)], stderr=subprocess.PIPE)
    try:
        deadline = time.time() + 60
        while time.time() < deadline:
            time.sleep(0.3)
            if events.exists() and len(scalars(events).get("train/loss", [])) >= 3:
                break
        running.send_signal(signal.SIGINT)
        assert running.wait(60) == 130
    finally:
        running.kill()
    before = [event.step for event in scalars(events)["train/loss"]]
    assert len(before) >= 3
    resumed = subprocess.Popen([BIN, "--quiet", "train", "--resume", "-o", str(out)], stderr=subprocess.PIPE)
    try:
        deadline = time.time() + 60
        while time.time() < deadline:
            time.sleep(0.3)
            after = [event.step for event in scalars(events)["train/loss"]]
            if len(after) >= len(before) + 2:
                break
        resumed.send_signal(signal.SIGINT)
        assert resumed.wait(60) == 130
    finally:
        resumed.kill()
    assert len(list(events.iterdir())) == 2
    assert after[: len(before)] == before
    assert after == sorted(set(after)), "steps go on, and none is there twice"


def test_files_are_read_event_by_event(tmp_path, rows):
    dlrm(*flags(rows, tmp_path / "run", tmp_path / "events"), "--epochs", 1)
    (file,) = (tmp_path / "events").iterdir()
    read = list(loader.EventFileLoader(str(file)).Load())
    assert read[0].file_version == "brain.Event:2"
    assert read[1].session_log.status == read[1].session_log.START
    assert all(event.summary.value for event in read[2:]) and len(read) > 2
