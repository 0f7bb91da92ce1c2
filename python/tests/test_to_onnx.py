"""`dlrm.to_onnx`: ONNX Runtime scores what `Encoder.transform` encodes as `Model.predict` scores the rows."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
import pytest

import dlrm

ROWS: dict[str, list[Any]] = {
    "user": ["ann", "bob", "cid", None, "eve"] * 80,
    "price": [None, 2.5, 3.0, 7.25] * 100,
    "tags": [["rock", "live"], ["jazz"], [], None] * 100,
    "words": [{"great": 0.7, "loud": 2.0}, {"dull": 1.0}, {}, None] * 100,
    "click": [1, 0, 0, 1, 1, 0, 1, 0] * 50,
}
NEW = {
    "user": ["ann", "new", None],
    "price": [2.0, None, 1e3],
    "tags": [["jazz", "rock", "new"], [], None],
    "words": [None, {"great": 1.5, "new": 1.0}, {"dull": 0.5}],
}


@pytest.fixture(scope="module")
def model() -> dlrm.Model:
    return dlrm.train(ROWS, label="click", model="dlrm", epochs=2, categorical=["user"])


def padded(values: Any, offsets: Any, filler: float) -> Any:
    rows = [values[start:end] for start, end in zip(offsets[:-1], offsets[1:])]
    found = np.full((len(rows), max(1, *map(len, rows))), filler, values.dtype)
    for place, row in enumerate(rows):
        found[place, : len(row)] = row
    return found


def inputs(encoded: Any, ports: list[dict[str, Any]]) -> dict[str, Any]:
    """What the ports of a file ask for, of encoded rows."""
    found: dict[str, Any] = {}
    for port in ports:
        if port["name"] == "dense":
            found["dense"] = encoded.dense
            continue
        column, what = port["name"].rsplit(".", 1)
        bags = encoded.sparse[column]
        values = bags.offsets if what == "offsets" else bags.weights if what == "weights" else bags.ids.astype("i8")
        filler = -1 if what == "ids" else 0.0
        found[port["name"]] = padded(values, bags.offsets, filler) if len(port["shape"]) == 2 else values
    return found


@pytest.mark.parametrize("external_data", [False, True])
@pytest.mark.parametrize("bags", ["offsets", "padded"])
def test_scores_are_those_of_the_model(
    model: dlrm.Model, tmp_path: pathlib.Path, bags: Any, external_data: bool
) -> None:
    ort = pytest.importorskip("onnxruntime")
    file = tmp_path / "clicks.onnx"
    told = dlrm.to_onnx(model, file, bags=bags, external_data=external_data)
    assert [entry["path"] for entry in told["files"]] == sorted(map(str, tmp_path.iterdir()))
    assert len(told["files"]) == 1 + external_data
    session = ort.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    for rows in ({name: column for name, column in ROWS.items() if name != "click"}, NEW):
        given = inputs(model.encoder.transform(rows), told["inputs"])
        probability, logit = session.run(["probability", "logit"], given)
        np.testing.assert_allclose(probability, model.predict(rows), rtol=0, atol=1e-5)
        np.testing.assert_allclose(logit, model.predict(rows, logits=True), rtol=1e-5, atol=1e-5)


def test_the_file_is_valid(model: dlrm.Model, tmp_path: pathlib.Path) -> None:
    onnx = pytest.importorskip("onnx")
    dlrm.to_onnx(model, tmp_path / "clicks.onnx")
    onnx.checker.check_model(str(tmp_path / "clicks.onnx"), full_check=True)


def test_what_stands_there_is_kept(model: dlrm.Model, tmp_path: pathlib.Path) -> None:
    file = tmp_path / "clicks.onnx"
    file.write_text("mine")
    with pytest.raises(dlrm.ArgumentError, match="path: expected a new file") as raised:
        dlrm.to_onnx(model, file)
    assert raised.value.hint is not None and "overwrite=True" in raised.value.hint
    assert file.read_text() == "mine"
    dlrm.to_onnx(model, file, overwrite=True)
    assert file.read_bytes() != b"mine"
    other = tmp_path / "other.onnx"
    (tmp_path / "other.onnx.data").write_text("mine")
    with pytest.raises(dlrm.ArgumentError, match="other.onnx.data"):
        dlrm.to_onnx(model, other, external_data=True)
    assert not other.exists()


def test_the_model_itself_is_never_replaced(model: dlrm.Model) -> None:
    weights = pathlib.Path(model.path, "model", "weights.safetensors")
    before = weights.read_bytes()
    with pytest.raises(dlrm.ArgumentError, match="those of the model"):
        dlrm.to_onnx(model, weights, overwrite=True)
    assert weights.read_bytes() == before


def test_wrong_calls_say_what_to_do(model: dlrm.Model, tmp_path: pathlib.Path) -> None:
    file = tmp_path / "clicks.onnx"
    calls: dict[str, Any] = {
        "bags: expected \"offsets\" or \"padded\", found 'lists'": lambda: dlrm.to_onnx(model, file, bags="lists"),  # type: ignore[arg-type]
        "model: expected a dlrm.Model, found 'clicks'": lambda: dlrm.to_onnx("clicks", file),  # type: ignore[arg-type]
        "path: expected the path of a file, found 3": lambda: dlrm.to_onnx(model, 3),  # type: ignore[arg-type]
        "path: expected a file, found": lambda: dlrm.to_onnx(model, tmp_path),
    }
    for message, call in calls.items():
        with pytest.raises(dlrm.ArgumentError) as raised:
            call()
        assert message in raised.value.message and raised.value.hint
    with pytest.raises(FileNotFoundError, match="no_such"):
        dlrm.to_onnx(model, tmp_path / "no_such" / "clicks.onnx")
    assert not list(tmp_path.iterdir())
