"""The Python of the README and of the book runs, page after page."""

from __future__ import annotations

import pathlib
import random

import pytest

ROOT = pathlib.Path(__file__).parents[2]


def blocks(page: pathlib.Path) -> list[str]:
    """The Python blocks of a page."""
    parts = page.read_text(encoding="utf-8").split("```python\n")[1:]
    return [part.split("```", 1)[0] for part in parts]


@pytest.mark.parametrize("page", ["README.md", "docs/python.md"])
def test_page(page: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    draw = random.Random(0)
    lines = [f"u{draw.randrange(30)},{draw.randrange(24)},{draw.randrange(2)}" for _ in range(400)]
    (tmp_path / "clicks.csv").write_text("\n".join(["user,hour,click", *lines]) + "\n")
    found = [block for block in blocks(ROOT / page) if "torch" not in block]
    assert found
    names: dict[str, object] = {}
    for block in found:
        if "mlflow" in block:  # the last one
            pytest.importorskip("mlflow")
        exec(compile(block, page, "exec"), names)


def test_what_the_page_says_of_torch(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed: `python/check.sh torch` runs this")
    monkeypatch.chdir(tmp_path)
    found = [block for block in blocks(ROOT / "docs" / "python.md") if "torch" in block]
    assert found
    names: dict[str, object] = {}
    for block in found:
        exec(compile(block, "docs/python.md", "exec"), names)
