"""`dlrm.torch.module`: it scores as the model that it is made of, and learns."""

from __future__ import annotations

import copy
import pathlib
import pickle
import tomllib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from every_model import KINDS, SCHEMA, SETTINGS, write_rows

import dlrm

torch = pytest.importorskip("torch", reason="PyTorch is not installed: `python/check.sh torch` runs this")
import dlrm.torch  # noqa: E402

Make = Callable[..., "Rows"]
#: What logits may differ by, relative to the larger of 1 and themselves. Where that is less than 32 bits of
#: PyTorch are off from its 64 (batch normalisation divides by small deviations), twice as much as that.
TOLERANCE = 1e-6


class Rows:
    """Rows in a file, with their schema, and prepared."""

    def __init__(self, root: pathlib.Path, schema: str, *, rating: bool) -> None:
        self.file, self.schema, self.prepared = root / "rows.csv", root / "schema.toml", root / "prepared"
        write_rows(self.file, 4000, rating)
        self.schema.write_text(schema)
        dlrm.prepare(self.file, self.prepared, schema=self.schema)

    def train(self, kind: str, settings: list[str] = [], epochs: int = 2) -> dlrm.Model:
        # The last weights, not the best: these may be those of the linear part alone, to which the rest adds 0.
        usual = [f"model.kind={kind}", "train.keep=last"]
        said = dict(setting.split("=", 1) for setting in [*usual, *settings])
        values = {key: value_of(text) for key, text in said.items()}
        return dlrm.train(self.prepared, epochs=epochs, settings=values)


def value_of(text: str) -> Any:
    """The value of a setting as `--set` reads it: TOML, else a text."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Make:
    made: dict[tuple[str, bool], Rows] = {}

    def make(tags: str = "", crosses: str = "", label: str = "", *, schema: str = SCHEMA) -> Rows:
        rating = "rating" in label
        key = schema.format(tags=tags, crosses=crosses, label=label)
        if (key, rating) not in made:
            made[key, rating] = Rows(tmp_path_factory.mktemp("rows"), key, rating=rating)
        return made[key, rating]

    return make


def difference(found: Any, expected: Any) -> float:
    """The greatest, relative to the larger of 1 and what is expected."""
    assert found.shape == expected.shape and np.isfinite(expected).all()
    return float((np.abs(found - expected) / np.maximum(1, np.abs(expected))).max())


def logits(net: Any, model: dlrm.Model, data: Any) -> Any:
    dense, sparse = dlrm.torch.tensors(model.encoder.transform(data))
    with torch.no_grad():
        return net(dense.to(next(net.parameters()).dtype), sparse).numpy().astype("f8")


def check(model: dlrm.Model, data: Any, record: Callable[[str, object], None], tolerance: float = TOLERANCE) -> Any:
    net = dlrm.torch.module(model)
    expected = model.predict(data, logits=True)
    assert len(expected) == 4000 and expected.std() > 0.01
    scores = logits(net, model, data)
    found = difference(scores, expected)
    rounding = difference(scores, logits(dlrm.torch.module(model).double(), model, data))
    record("difference", found)
    print(f"greatest difference {found:.2e}, of 32 bits {rounding:.2e}, largest logit {np.abs(expected).max():.1f}")
    assert found <= max(tolerance, 2 * rounding) and rounding < 1e-5
    return net


@pytest.mark.parametrize("kind", KINDS)
def test_kind(rows: Make, kind: str, record_property: Any) -> None:
    model = rows().train(kind)
    net = check(model, rows().file, record_property)
    weights = {name for name, *_ in dlrm._dlrm.tensors(model._native)}
    assert set(net.state_dict()) == weights, "the names are those of the model"


@pytest.mark.parametrize(
    ("kind", "settings"), SETTINGS, ids=lambda value: value if isinstance(value, str) else ",".join(value)
)
def test_setting(rows: Make, kind: str, settings: list[str], record_property: Any) -> None:
    model = rows().train(kind, settings)
    # Cross layers alone: logits to 8 are sums of larger products, which both round (1.06e-6 was found).
    tolerance = 2e-6 if (kind, settings) == ("dcn", ["model.hidden=[]"]) else TOLERANCE
    check(model, rows().file, record_property, tolerance)
    if any(setting.startswith("calibration=") for setting in settings):
        assert model._about["calibration"]["kept"], "the test is of a map that is kept"


@pytest.mark.parametrize("kind", ["lr", "deepfm", "dlrm"])
@pytest.mark.parametrize("pooling", ["mean", "learned"])
def test_poolings_of_columns_and_crosses(rows: Make, kind: str, pooling: str, record_property: Any) -> None:
    crosses = 'crosses = [{ columns = ["tags", "user"], buckets = 500 }, { columns = ["item", "user"] }]'
    made = rows(f', pooling = "{pooling}"', crosses)
    check(made.train(kind), made.file, record_property)


@pytest.mark.parametrize("kind", ["lr", "fm", "dlrm"])
def test_ratings(rows: Make, kind: str, record_property: Any) -> None:
    made = rows(label=', task = "rating"')
    check(made.train(kind), made.file, record_property)


#: What else columns can be: bins, hashes, widths of their own; no numbers at all.
COLUMNS = {
    "bins": """
label = {{ column = "label" }}
dense = [{{ name = "price", transform = "piecewise_linear", bins = 8 }}, {{ name = "age", missing_indicator = true }}]
categorical = [
  {{ name = "user", encoding = {{ kind = "hash", buckets = 100 }} }},
  {{ name = "item", embedding_dim = 4 }},
  {{ name = "tags", multi = {{ separator = "|" }} }},
]
""",
    "categories": """
label = {{ column = "label" }}
categorical = [{{ name = "user" }}, {{ name = "item" }}, {{ name = "tags", multi = {{ separator = "|" }} }}]
""",
    "numbers": """
label = {{ column = "label" }}
dense = [{{ name = "price" }}, {{ name = "age" }}]
""",
}


@pytest.mark.parametrize("kind", ["lr", "deepfm", "dcn_v2", "dlrm"])
@pytest.mark.parametrize("columns", COLUMNS)
def test_columns(rows: Make, columns: str, kind: str, record_property: Any) -> None:
    made = rows(schema=COLUMNS[columns])
    settings = ["model.interaction=cat"] if (columns, kind) == ("numbers", "dlrm") else []
    check(made.train(kind, settings), made.file, record_property)


def test_rows_without_ids_and_no_rows(rows: Make) -> None:
    """What encoding never gives, but a caller may."""
    model = rows().train("dlrm")
    net = dlrm.torch.module(model)
    dense, sparse = dlrm.torch.tensors(model.encoder.transform(rows().file))
    tags = sparse["tags"]
    empty = dlrm.torch.Bags(tags.ids[:0], torch.zeros_like(tags.offsets))
    before = net(dense, sparse)
    without = net(dense, {**sparse, "tags": empty})
    assert without.isfinite().all() and (before - without).abs().max() > 1e-3
    none = {
        name: dlrm.torch.Bags(ids[:0], offsets[:1], None if weights is None else weights[:0])
        for name, (ids, offsets, weights) in sparse.items()
    }
    for kind in KINDS:
        assert dlrm.torch.module(rows().train(kind, epochs=1))(dense[:0], none).shape == (0,), kind


def test_it_learns(rows: Make) -> None:
    """Gradients reach every parameter; SGD's sparse gradients of tables move them as dense ones do."""
    compressed = 'model.quotient_remainder={ operation = "mult", threshold = 100 }'
    model = rows().train("dlrm", ["model.norm=batch", compressed])
    dense, sparse = dlrm.torch.tensors(model.encoder.transform(rows().file))
    labels = torch.tensor(np.loadtxt(rows().file, delimiter=",", skiprows=1, usecols=0, dtype="f4"))
    moved = []
    for sparse_gradients in (False, True):
        net = dlrm.torch.module(model, sparse=sparse_gradients).train()
        optimizer = torch.optim.SGD(net.parameters(), lr=0.5)
        losses = []
        for _ in range(3):
            optimizer.zero_grad()
            loss = torch.nn.functional.binary_cross_entropy_with_logits(net(dense, sparse), labels)
            loss.backward()
            missing = [name for name, value in net.named_parameters() if value.grad is None]
            assert not missing
            assert net.tables.user._parameters["quotient"].grad.is_sparse == sparse_gradients
            optimizer.step()
            losses.append(loss.item())
        assert losses[2] < losses[1] < losses[0], losses
        moved.append(net.state_dict())
    for name, value in moved[0].items():
        torch.testing.assert_close(moved[1][name], value, rtol=1e-5, atol=1e-6)


def test_training_and_evaluation(rows: Make) -> None:
    """Dropout and batch statistics in training alone; so is what becomes of logits in evaluation."""
    model = rows().train("dnn", ["model.norm=batch", "model.dropout=0.5", "data.negative_downsampling_rate=0.5"])
    arguments = dlrm.torch.tensors(model.encoder.transform(rows().file))
    net = dlrm.torch.module(model)
    assert not net.training
    corrected = net(*arguments)
    net.head = torch.nn.Identity()
    shift = corrected - net(*arguments)
    torch.testing.assert_close(shift, torch.full_like(shift, float(np.log(0.5))), rtol=0, atol=1e-5)
    before = net.state_dict()["deep.0.norm.mean"].clone()
    net.train()
    assert not torch.equal(net(*arguments), net(*arguments)), "dropout"
    assert not torch.equal(net.state_dict()["deep.0.norm.mean"], before), "running statistics"


def test_state(rows: Make) -> None:
    """What it is kept by is kept whole: a state is loaded, copied and pickled."""
    model = rows().train("dlrm", ["model.norm=batch"])
    data = rows().file
    net, other = dlrm.torch.module(model), dlrm.torch.module(model)
    expected = logits(net, model, data)
    for value in other.parameters():
        torch.nn.init.zeros_(value)
    assert difference(logits(other, model, data), expected) > 1e-3
    assert str(other.load_state_dict(net.state_dict())) == "<All keys matched successfully>"
    for same in (other, copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert np.array_equal(logits(same, model, data), expected)
    for value in net.parameters():
        torch.nn.init.zeros_(value)
    assert difference(logits(dlrm.torch.module(model), model, data), expected) == 0, "the model has weights of its own"


def test_names_of_columns_that_modules_have_a_use_for() -> None:
    names = ["type", "training", "a", "a.b", "a..b", ".", "weight", "_parameters"]
    data: dict[str, Any] = {name: [f"v{i % (k + 2)}" for i in range(200)] for k, name in enumerate(names)}
    labels = [i % 3 == 0 for i in range(200)]
    model = dlrm.train({**data, "click": labels}, label="click", model="deepfm", epochs=1)
    net = dlrm.torch.module(model)
    assert difference(logits(net, model, data), model.predict(data, logits=True)) <= TOLERANCE
    assert net.load_state_dict(net.state_dict()).missing_keys == []
    assert difference(logits(copy.deepcopy(net), model, data), model.predict(data, logits=True)) <= TOLERANCE


def test_wrong_models_are_refused() -> None:
    with pytest.raises(dlrm.ArgumentError, match="model: expected a dlrm.Model, found 'runs/x'"):
        dlrm.torch.module("runs/x")  # type: ignore[arg-type]


def test_wrong_rows_are_refused(rows: Make) -> None:
    model = rows().train("dlrm", epochs=1)
    net = dlrm.torch.module(model)
    dense, sparse = dlrm.torch.tensors(model.encoder.transform(rows().file))
    with pytest.raises(dlrm.ArgumentError, match=r"dense: expected shape \(rows, 3\), found \(4000, 2\)"):
        net(dense[:, :2], sparse)
    del sparse["item"]
    with pytest.raises(dlrm.ArgumentError, match="found none of 'item'"):
        net(dense, sparse)
