"""The wheel by itself: small, quick to import, complete without anything else installed."""

from __future__ import annotations

import pathlib
import subprocess
import sys
import venv

TRAINS = """
import time, sys
begun = time.perf_counter()
import dlrm
seconds = time.perf_counter() - begun
heavy = {"numpy", "pandas", "pyarrow", "sklearn", "polars", "torch"} & set(sys.modules)
assert not heavy, heavy
rows = {"user": ["a", "b", "c", "d"] * 50, "hour": list(range(200)), "click": [1, 0, 0, 0] * 50}
model = dlrm.train(rows, label="click", model="lr", epochs=2)
assert model.metrics["test"]["rows"] > 0
assert model.evaluate(rows)["metrics"]["auc"] > 0.9
try:
    import dlrm.torch
except ImportError as error:
    assert "pip install torch" in str(error)
else:
    raise AssertionError("there is no PyTorch")
print(seconds)
"""


def test_it_is_small(wheel: pathlib.Path) -> None:
    assert "abi3" in wheel.name
    assert wheel.stat().st_size < 15e6


def test_an_empty_environment_trains(wheel: pathlib.Path, tmp_path: pathlib.Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-index", wheel], check=True)
    run = [python, "-c", TRAINS]
    subprocess.run(run, check=True, cwd=tmp_path, capture_output=True)
    # The second time nothing is compiled.
    seconds = float(subprocess.run(run, check=True, cwd=tmp_path, capture_output=True, text=True).stdout)
    assert seconds < 0.1, seconds


def test_imports_are_lazy() -> None:
    code = "import dlrm, sys; print(sorted({'numpy', 'sklearn', 'pandas', 'torch'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert found.strip() == "[]"
