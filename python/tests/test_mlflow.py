"""Models kept and loaded by MLflow."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dlrm
import dlrm.mlflow

mlflow = pytest.importorskip("mlflow")
pyfunc = pytest.importorskip("mlflow.pyfunc")

ROWS: dict[str, Any] = {
    "user": ["ann", "bob", "cid", None, "eve"] * 80,
    "shop": [7, 8, 9, 10] * 100,
    "price": [None, 2.5, 3.0, 7.25] * 100,
    "tags": [["rock", "live"], ["jazz"], [], None] * 100,
    "seen": pd.date_range("2025-03-01", periods=400, freq="7h"),
    "click": [1, 0, 0, 1, 1, 0, 1, 0] * 50,
}
FRAME = pd.DataFrame(ROWS).drop(columns="click")


@pytest.fixture(scope="module")
def model() -> dlrm.Model:
    return dlrm.train(ROWS, label="click", model="dlrm", epochs=2, categorical=["user", "shop"])


@pytest.fixture(scope="module")
def kept(model: dlrm.Model, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    path = tmp_path_factory.mktemp("mlflow") / "clicks"
    dlrm.mlflow.save_model(model, path)
    return path


def test_scores_are_the_same_bits(model: dlrm.Model, kept: pathlib.Path) -> None:
    loaded = pyfunc.load_model(str(kept))
    assert loaded.predict(FRAME).tobytes() == model.predict(FRAME).tobytes()
    logits = loaded.predict(FRAME, params={"logits": True})
    assert logits.tobytes() == model.predict(FRAME, logits=True).tobytes()
    again = dlrm.mlflow.load_model(str(kept))
    assert isinstance(again, dlrm.Model) and again.predict(FRAME).tobytes() == model.predict(FRAME).tobytes()


def test_the_signature_is_that_of_the_schema(kept: pathlib.Path) -> None:
    signature = mlflow.models.get_model_info(str(kept)).signature
    types = {column.name: str(column.type) for column in signature.inputs}
    assert types == {
        "user": "DataType.string",
        "shop": "DataType.long",
        "price": "DataType.double",
        "tags": "Any",
        "seen": "Any",
    }
    (output,) = signature.outputs
    assert output.type == np.float64
    with pytest.raises(mlflow.exceptions.MlflowException, match="missing inputs.*price"):
        pyfunc.load_model(str(kept)).predict(FRAME.drop(columns="price"))


def test_the_example_is_scored(model: dlrm.Model, kept: pathlib.Path) -> None:
    loaded = pyfunc.load_model(str(kept))
    example = loaded.input_example
    assert list(example.columns) == model.inputs and len(example) > 2
    assert loaded.predict(example).tobytes() == model.predict(example).tobytes()


def test_nothing_is_pickled(kept: pathlib.Path) -> None:
    suffixes = {path.suffix for path in kept.rglob("*") if path.is_file()}
    assert not suffixes & {".pkl", ".pickle", ".cloudpickle"}
    requirements = (kept / "requirements.txt").read_text().split()
    assert f"dlrm=={dlrm.__version__}" in requirements


def test_ones_own_signature_and_none(model: dlrm.Model, tmp_path: pathlib.Path) -> None:
    own = mlflow.models.infer_signature(FRAME[["user", "shop", "price"]])
    dlrm.mlflow.save_model(model, tmp_path / "own", signature=own, input_example=False)
    info = mlflow.models.get_model_info(str(tmp_path / "own"))
    assert info.signature == own and info.saved_input_example_info is None
    (tmp_path / "helper.py").write_text("")
    own_files: dict[str, Any] = {"code_paths": [str(tmp_path / "helper.py")], "pip_requirements": ["numpy"]}
    dlrm.mlflow.save_model(
        model, tmp_path / "none", signature=False, input_example=False, metadata={"team": "ads"}, **own_files
    )
    info = mlflow.models.get_model_info(str(tmp_path / "none"))
    assert info.signature is None and info.metadata == {"team": "ads"}
    assert (tmp_path / "none" / "code" / "helper.py").is_file()
    assert pyfunc.load_model(str(tmp_path / "none")).predict(FRAME).tobytes() == model.predict(FRAME).tobytes()


def test_a_model_is_logged(
    model: dlrm.Model, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri((tmp_path / "runs").as_uri())
    with mlflow.start_run():
        info = dlrm.mlflow.log_model(model, "clicks")
    assert pyfunc.load_model(info.model_uri).predict(FRAME).tobytes() == model.predict(FRAME).tobytes()
    assert dlrm.mlflow.load_model(info.model_uri).kind == "dlrm"


def test_what_is_no_model_is_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(dlrm.ArgumentError, match="dlrm_model: expected a dlrm.Model, found 3"):
        dlrm.mlflow.save_model(3, tmp_path / "m")  # type: ignore[arg-type]
    assert not (tmp_path / "m").exists()
