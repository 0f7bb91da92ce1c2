"""`dlrm.from_torch`: checkpoints of the reference implementation score here as there; what is none is refused."""

from __future__ import annotations

import pathlib
import pickle
import subprocess
from typing import Any

import numpy as np
import pytest

import dlrm

torch = pytest.importorskip("torch", reason="PyTorch is not installed: `python/check.sh torch` runs this")
import dlrm.torch  # noqa: E402
from reference_network import ReferenceNetwork  # noqa: E402

#: What logits may differ by, relative to the larger of 1 and themselves, and probabilities.
TOLERANCE = 1e-6
ROWS = [50, 7, 1000, 3]
NETWORKS: dict[str, tuple[list[int], list[int], list[int], str]] = {
    "dot": ([13, 32, 16], ROWS, [24, 12, 1], "dot"),
    "dot with self": ([13, 32, 16], ROWS, [24, 1], "dot_self"),
    "cat": ([4, 8], ROWS, [16, 1], "cat"),
    "smallest": ([1, 1], [1], [1], "dot"),
    "as the reference's default": ([4, 3, 2], [4, 3, 2], [4, 2, 1], "dot"),
    "Criteo": ([13, 512, 256, 64, 16], [20, 30, 1500] + [10] * 23, [512, 256, 1], "dot"),
}


def network(name: str = "dot") -> ReferenceNetwork:
    torch.manual_seed(len(name))
    return ReferenceNetwork(*NETWORKS[name])


def batch(net: ReferenceNetwork, rows: int, most: int) -> tuple[dict[str, Any], tuple[Any, ...]]:
    """Rows as a dictionary of columns, and as the network reads them; a row has up to `most` ids in a column."""
    draw = np.random.default_rng(5)
    dense = draw.normal(size=(rows, net.bot_l[0].in_features)).astype("f4")
    columns: dict[str, Any] = {f"dense_{i}": dense[:, i] for i in range(dense.shape[1])}
    ids, offsets = [], []
    for table, bag in enumerate(net.emb_l):
        lens = draw.integers(0, most + 1, rows) if most > 1 else np.ones(rows, int)
        bags = [draw.integers(0, bag.num_embeddings, n).tolist() for n in lens]
        columns[f"sparse_{table}"] = bags if most > 1 else [row[0] for row in bags]
        ids.append(torch.tensor(sum(bags, []), dtype=torch.int64))
        offsets.append(torch.tensor([0, *np.cumsum(lens)[:-1]]))
    return columns, (torch.from_numpy(dense), offsets, ids)


def differences(model: dlrm.Model, net: ReferenceNetwork, most: int) -> tuple[float, float]:
    """The greatest of logits, relative to the larger of 1 and themselves, and of probabilities."""
    columns, arguments = batch(net, 500, most)
    with torch.no_grad():
        logits, scores = net.logits(*arguments).numpy(), net(*arguments).numpy()[:, 0]
    found = model.predict(columns, logits=True)
    relative = np.abs(found - logits) / np.maximum(1, np.abs(logits))
    return float(relative.max()), float(np.abs(model.predict(columns) - scores).max())


@pytest.mark.parametrize("most", [1, 4], ids=["single ids", "bags"])
@pytest.mark.parametrize("name", NETWORKS)
def test_scores_are_those_of_the_reference(
    name: str, most: int, tmp_path: pathlib.Path, record_property: Any
) -> None:
    net = network(name)
    interaction: Any = NETWORKS[name][3] if "default" in name or name == "smallest" else None
    saved = {"epoch": 0, "iter": 7, "train_loss": 0.4, "test_acc": np.float64(0.78), "state_dict": net.state_dict()}
    torch.save(saved, tmp_path / "dlrm.pt")
    model = dlrm.from_torch(
        tmp_path / "dlrm.pt", tmp_path / "model", interaction=interaction, single_ids=most == 1
    )
    logits, scores = differences(model, net, most)
    record_property("difference", logits)
    print(f"greatest difference of logits {logits:.2e}, of probabilities {scores:.2e}")
    assert logits <= TOLERANCE and scores <= TOLERANCE
    again = dlrm.load(tmp_path / "model")
    columns, arguments = batch(net, 20, most)
    assert np.array_equal(again.predict(columns), model.predict(columns))
    assert (model.kind, model.task, model.metrics) == ("dlrm", "binary", {})
    there_and_back = dlrm.torch.module(again)
    for own, value in net.state_dict().items():
        words = own.split(".")
        if words[0] == "emb_l":
            table = there_and_back.state_dict()[f"tables.sparse_{words[1]}"]
            assert torch.equal(table[:-1], value) and not table[-1].any()
        else:
            name = {"bot_l": "bottom", "top_l": "top"}[words[0]]
            assert torch.equal(there_and_back.state_dict()[f"{name}.{int(words[1]) // 2}.{words[2]}"], value)


@pytest.mark.parametrize("form", ["tensors", "arrays", "parameters", "strided", "plain file", "file of old"])
def test_forms_of_a_checkpoint(form: str, tmp_path: pathlib.Path) -> None:
    net = network()
    state: Any = net.state_dict()
    if form == "arrays":
        state = {name: value.numpy() for name, value in state.items()}
    elif form == "parameters":
        state = dict(net.named_parameters())
    elif form == "strided":
        state = {name: value.t().contiguous().t() for name, value in state.items()}
    elif form in ("plain file", "file of old"):
        torch.save(state, tmp_path / "dlrm.pt", _use_new_zipfile_serialization=form == "plain file")
        state = str(tmp_path / "dlrm.pt")
    model = dlrm.from_torch(state)
    assert max(differences(model, net, 4)) <= TOLERANCE
    assert max(differences(pickle.loads(pickle.dumps(model)), net, 4)) <= TOLERANCE


def test_names_of_columns(tmp_path: pathlib.Path) -> None:
    net = network("cat")
    dense, categorical = ["a", "b", "c", "d"], ["user", "item", "shop", "day"]
    model = dlrm.from_torch(net.state_dict(), dense=dense, categorical=categorical, label="bought")
    assert model.inputs == dense + categorical
    columns, _ = batch(net, 100, 4)
    named = dict(zip(model.inputs, columns.values()))
    plain = dlrm.from_torch(net.state_dict())
    assert np.array_equal(model.predict(named), plain.predict(columns))
    labels = [0, 1] * 50
    assert model.evaluate({**named, "bought": labels})["metrics"]["rows"] == 100
    # A missing number is 0, a missing id the zero vector, as that of an empty bag.
    row = {name: [None] for name in model.inputs}
    empty = ([torch.zeros(1, 4), [torch.zeros(1, dtype=torch.int64)] * 4, [torch.zeros(0, dtype=torch.int64)] * 4])
    np.testing.assert_allclose(model.predict(row, logits=True), net.logits(*empty).detach(), atol=TOLERANCE)
    with pytest.raises(dlrm.DataError, match="user"):
        model.predict({**named, "user": [[50]] * 100})


def test_what_stands_there_is_kept(tmp_path: pathlib.Path) -> None:
    state = network().state_dict()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(dlrm.ArgumentError) as raised:
            dlrm.from_torch(state, tmp_path / "mine", overwrite=overwrite)
        assert "out" in raised.value.message and raised.value.hint
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]
    dlrm.from_torch(state, tmp_path / "new" / "model")
    with pytest.raises(dlrm.ArgumentError, match="out: expected a new or empty directory"):
        dlrm.from_torch(state, tmp_path / "new" / "model")
    first = dlrm.load(tmp_path / "new" / "model")
    dlrm.from_torch(network("cat").state_dict(), tmp_path / "new" / "model", overwrite=True)
    assert len(dlrm.load(tmp_path / "new" / "model").inputs) < len(first.inputs)


def test_the_command_knows_the_model(command: str, tmp_path: pathlib.Path) -> None:
    net = network("cat")
    model = dlrm.from_torch(net.state_dict(), tmp_path / "model", single_ids=True)
    columns, _ = batch(net, 50, 1)
    lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values()))]
    (tmp_path / "rows.csv").write_text("\n".join(lines) + "\n")
    for arguments in (["show"], ["predict", tmp_path / "rows.csv"], ["export", "--onnx", tmp_path / "m.onnx"]):
        words = [command, arguments[0], tmp_path / "model", *arguments[1:]]
        ran = subprocess.run(words, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
        if arguments[0] == "predict":
            scores = [float(line.split(",")[-1]) for line in ran.stdout.split("\n")[1:-1]]
            assert scores == model.predict(columns).tolist()


def changed(change: Any) -> Any:
    state = dict(network().state_dict())
    change(state)
    return state


def spoiled(name: str, value: float) -> Any:
    def change(state: Any) -> None:
        state[name] = state[name].clone()
        state[name].reshape(-1)[5] = value

    return changed(change)


def renamed(old: str, new: str) -> Any:
    return changed(lambda state: state.update({new: state.pop(old)}))


def without(part: str) -> Any:
    return {name: value for name, value in network().state_dict().items() if part not in name}


WRONG: dict[str, Any] = {
    'a tensor "emb_l.0.weight", found none': lambda: without("emb_l"),
    'a tensor "emb_l.1.weight", found none': lambda: renamed("emb_l.1.weight", "emb_l.9.weight"),
    'a tensor "bot_l.2.bias", found none': lambda: changed(lambda state: state.pop("bot_l.2.bias")),
    'a tensor "top_l.0.weight", found none': lambda: without("top_l"),
    'found "emb_l.2.weight_q"': lambda: renamed("emb_l.2.weight", "emb_l.2.weight_q"),
    'found "emb_l.2.embs.weight"': lambda: renamed("emb_l.2.weight", "emb_l.2.embs.weight"),
    'found "v_W_l.0"': lambda: changed(lambda state: state.update({"v_W_l.0": torch.ones(50)})),
    'found "module.bot_l.0.bias"': lambda: renamed("bot_l.0.bias", "module.bot_l.0.bias"),
    'found "extra"': lambda: changed(lambda state: state.update(extra=torch.ones(1))),
    '"emb_l.0.weight": expected 16 columns, the width of the bottom MLP\'s result, found 8': lambda: changed(
        lambda state: state.update({"emb_l.0.weight": torch.zeros(50, 8)})
    ),
    '"bot_l.0.bias": expected [32], found [31]': lambda: changed(
        lambda state: state.update({"bot_l.0.bias": torch.zeros(31)})
    ),
    '"bot_l.2.weight": expected 32 columns, as the layer before has rows, found 30': lambda: changed(
        lambda state: state.update({"bot_l.2.weight": torch.zeros(16, 30)})
    ),
    "columns for 5 vectors of width 16: 26 (dot) or 31 (dot_self) or 80 (cat), found 27": lambda: changed(
        lambda state: state.update({"top_l.0.weight": torch.zeros(24, 27)})
    ),
    '"top_l.4.weight": expected 1 row, which gives the logit, found 2': lambda: changed(
        lambda state: state.update({"top_l.4.weight": torch.zeros(2, 12), "top_l.4.bias": torch.zeros(2)})
    ),
    '"emb_l.3.weight": expected float32, found float16': lambda: changed(
        lambda state: state.update({"emb_l.3.weight": state["emb_l.3.weight"].half()})
    ),
    '"bot_l.0.bias": expected float32, found int64': lambda: changed(
        lambda state: state.update({"bot_l.0.bias": torch.zeros(32, dtype=torch.int64)})
    ),
    "expected finite numbers, found NaN in row 0, column 5": lambda: spoiled("emb_l.1.weight", float("nan")),
    "expected finite numbers, found inf in place 5": lambda: spoiled("top_l.0.bias", float("inf")),
    "weights with which scores are finite": lambda: changed(
        lambda state: state.update({name: state[name] * 1e15 for name in state if "weight" in name})
    ),
    "expected a dense tensor for 'bot_l.0.bias', found a list": lambda: changed(
        lambda state: state.update({"bot_l.0.bias": [1.0]})
    ),
    "expected a dense tensor for 'emb_l.0.weight', found a Tensor": lambda: changed(
        lambda state: state.update({"emb_l.0.weight": state["emb_l.0.weight"].to_sparse()})
    ),
    "expected tensors by name, found none": dict,
    "or a state_dict, found a ReferenceNetwork": network,
}


@pytest.mark.parametrize("message", WRONG)
def test_wrong_tensors_are_refused(message: str, tmp_path: pathlib.Path) -> None:
    with pytest.raises(dlrm.ArgumentError) as raised:
        dlrm.from_torch(WRONG[message](), tmp_path / "model")
    assert raised.value.message.startswith("checkpoint") and message in raised.value.message
    assert raised.value.hint
    assert not list(tmp_path.iterdir()), "nothing is left behind"


def test_wrong_arguments_are_refused(tmp_path: pathlib.Path) -> None:
    state = network().state_dict()
    twice = network("as the reference's default").state_dict()
    calls: dict[str, Any] = {
        'interaction: expected one of "dot", "cat", for 8 columns fit them all': lambda: dlrm.from_torch(twice),
        'interaction: expected "dot" or "dot_self" or "cat"': lambda: dlrm.from_torch(state, interaction="sum"),  # type: ignore[arg-type]
        "width 16: 80 (cat), found 26": lambda: dlrm.from_torch(state, interaction="cat"),
        "dense: expected 13 names of columns, found 2": lambda: dlrm.from_torch(state, dense=["a", "b"]),
        "categorical: expected 4 names of columns, found 1": lambda: dlrm.from_torch(state, categorical=["a"]),
        "inputs that do not hold the label": lambda: dlrm.from_torch(state, label="sparse_0"),
        "each column once": lambda: dlrm.from_torch(state, categorical=["a", "b", "a", "c"]),
        "out: expected the path of a directory, found 3": lambda: dlrm.from_torch(state, 3),  # type: ignore[arg-type]
        "single_ids: expected True or False": lambda: dlrm.from_torch(state, single_ids="yes"),  # type: ignore[arg-type]
    }
    for message, call in calls.items():
        with pytest.raises(dlrm.ArgumentError) as raised:
            call()
        assert message in raised.value.message and raised.value.hint, raised.value


class Harmful:
    """What a checkpoint must not be able to run."""

    def __reduce__(self) -> tuple[Any, ...]:
        return pathlib.Path.touch, (pathlib.Path("harmed"),)


def test_files_that_are_no_checkpoints(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files = {name: tmp_path / name for name in ("text", "empty", "cut", "pickle", "harmful", "list", "zip")}
    files["text"].write_text("user,click\n1,0\n")
    files["empty"].write_bytes(b"")
    files["zip"].write_bytes(b"PK\x03\x04 and then nothing of the kind")
    torch.save(network().state_dict(), files["cut"])
    files["cut"].write_bytes(files["cut"].read_bytes()[:3000])
    files["pickle"].write_bytes(pickle.dumps({"state_dict": {}}))
    torch.save({"state_dict": Harmful()}, files["harmful"])
    torch.save([1, 2], files["list"])
    for name, file in files.items():
        with pytest.raises(dlrm.ArgumentError, match="^checkpoint: expected (a file|tensors)") as raised:
            dlrm.from_torch(file)
        assert raised.value.hint, name
    assert not (tmp_path / "harmed").exists(), "nothing of a file is run"
    with pytest.raises(dlrm.ArgumentError, match="found the directory"):
        dlrm.from_torch(tmp_path)
    with pytest.raises(FileNotFoundError, match="found nothing at"):
        dlrm.from_torch(tmp_path / "no_such.pt")
