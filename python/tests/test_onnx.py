"""`dlrm export --onnx`: every model kind, checked by onnx and scored by ONNX Runtime.

Needs the command, at DLRM_BIN, and numpy, pyarrow, onnx and onnxruntime. A model is trained on a prepared
data set, whose Arrow files are what its inputs are made of: the encoded rows that `dlrm predict` scores.
"""

import csv
import glob
import json
import os
import subprocess
from pathlib import Path

import pytest
from every_model import KINDS, SCHEMA, SETTINGS, write_rows

np = pytest.importorskip("numpy")
pa = pytest.importorskip("pyarrow")
ipc = pytest.importorskip("pyarrow.ipc")
onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

BIN = os.environ.get("DLRM_BIN")
DATA = os.environ.get("DLRM_DATA")
pytestmark = pytest.mark.skipif(not BIN, reason="DLRM_BIN, the path of the dlrm command, is not set")


def dlrm(*args):
    ran = subprocess.run([BIN, "--quiet", *map(str, args)], capture_output=True, text=True)
    assert ran.returncode == 0, f"dlrm {' '.join(map(str, args))}\n{ran.stderr}"
    return ran.stdout


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A function that prepares rows under a schema, once for each."""
    made = {}

    def prepare(tags="", crosses="", rating=False):
        key = (tags, crosses, rating)
        if key not in made:
            root = tmp_path_factory.mktemp("rows")
            write_rows(root / "rows.csv", 4000, rating)
            label = ', task = "rating"' if rating else ""
            schema = SCHEMA.format(tags=tags, crosses=crosses, label=label)
            (root / "schema.toml").write_text(schema)
            dlrm("prepare", root / "rows.csv", "--schema", root / "schema.toml", "-o", root / "prepared")
            made[key] = root / "prepared"
        return made[key]

    return prepare


def encoded(prepared, part="test"):
    """The rows of a part of a prepared data set: its columns as numpy and Arrow arrays."""
    files = sorted(glob.glob(str(Path(prepared) / f"{part}-*.arrow")))
    table = pa.concat_tables([ipc.open_file(file).read_all() for file in files])
    return {name: table[name].combine_chunks() for name in table.column_names}


def lists(array):
    """(values, offsets) of an Arrow column of lists or of single values."""
    if pa.types.is_list(array.type):
        offsets = array.offsets.to_numpy().astype(np.int64)
        return array.values.to_numpy()[offsets[0] : offsets[-1]], offsets - offsets[0]
    return array.to_numpy(), np.arange(len(array) + 1)


def padded(values, offsets, filler):
    """[B, L], filled up at the end of each row."""
    lens = np.diff(offsets)
    rows = np.full((len(lens), max(lens.max(initial=0), 1)), filler, dtype=values.dtype)
    for row, (start, end) in enumerate(zip(offsets[:-1], offsets[1:])):
        rows[row, : end - start] = values[start:end]
    return rows


def feeds(session, rows):
    """What the session reads, of the encoded rows."""
    found = {}
    for port in session.get_inputs():
        if port.name == "dense":
            dense = rows["dense"]
            found["dense"] = dense.flatten().to_numpy().reshape(len(dense), -1).astype(np.float32)
            continue
        column, what = port.name.rsplit(".", 1)
        ids, offsets = lists(rows[f"ids.{column}"])
        ids = ids.astype(np.int64)
        if what == "weights":
            ids = lists(rows[f"weights.{column}"])[0].astype(np.float32)
        if what == "offsets":
            found[port.name] = offsets
        elif len(port.shape) == 2:
            found[port.name] = padded(ids, offsets, -1 if what == "ids" else np.float32("nan"))
        else:
            found[port.name] = ids
    return found


def predicted(model, prepared):
    text = dlrm("--json", "predict", model, prepared, "--part", "test")
    rows = [json.loads(line) for line in text.splitlines()]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def exported(model, path, *flags):
    dlrm("export", model, "--onnx", path, *flags)
    onnx.checker.check_model(str(path), full_check=True)
    return ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def scored(session, inputs):
    names = [port.name for port in session.get_outputs()]
    return dict(zip(names, session.run(None, inputs)))


def check(tmp_path, prepared, model, settings=(), tolerance=1e-5):
    # The best weights may be those of the regression that models start from, where the deep parts add nothing.
    usual = [f"model.kind={model}", "train.keep=last"]
    flags = [flag for setting in [*usual, *settings] for flag in ("--set", setting)]
    out = tmp_path / "run"
    dlrm("train", prepared, "--epochs", 2, *flags, "-o", out)
    expected, rows = predicted(out, prepared), encoded(prepared)
    assert len(expected["logit"]) > 300 and expected["logit"].std() > 0.01
    for form in ("offsets", "padded"):
        session = exported(out, tmp_path / f"{form}.onnx", "--onnx-ids", form)
        found = scored(session, feeds(session, rows))
        assert found.keys() == expected.keys()
        for name in found:
            assert found[name].shape == expected[name].shape
            np.testing.assert_allclose(found[name], expected[name], rtol=tolerance, atol=tolerance)
    return out


def test_every_kind_is_tested():
    assert sorted(about["kind"] for about in json.loads(dlrm("--json", "models"))) == sorted(KINDS)


@pytest.mark.parametrize("model", KINDS)
def test_kind(tmp_path, prepared, model):
    check(tmp_path, prepared(), model)


@pytest.mark.parametrize(
    ("model", "settings"),
    SETTINGS,
    ids=lambda value: value if isinstance(value, str) else ",".join(value),
)
def test_setting(tmp_path, prepared, model, settings):
    out = check(tmp_path, prepared(), model, settings)
    for setting in settings:
        if setting.startswith("calibration="):
            shown = json.loads(dlrm("--json", "show", out))
            assert shown["calibration"]["kept"], "the test is of a map that is kept"


@pytest.mark.parametrize("model", ["lr", "deepfm", "dlrm"])
@pytest.mark.parametrize("pooling", ["mean", "learned"])
def test_poolings_of_columns_and_crosses(tmp_path, prepared, model, pooling):
    crosses = 'crosses = [{ columns = ["tags", "user"], buckets = 500 }, { columns = ["item", "user"] }]'
    check(tmp_path, prepared(f', pooling = "{pooling}"', crosses), model)


@pytest.mark.parametrize("model", ["lr", "fm", "dlrm"])
def test_ratings(tmp_path, prepared, model):
    check(tmp_path, prepared(rating=True), model)


def test_empty_bags_add_nothing(tmp_path, prepared):
    """What encoding never gives, but a caller may: rows without any id, and no rows."""
    out, rows = tmp_path / "run", prepared()
    dlrm("train", rows, "--model", "lr", "-o", out, "--set", "calibration=none")
    for form in ("offsets", "padded"):
        path = tmp_path / f"{form}.onnx"
        session = exported(out, path, "--onnx-ids", form)
        inputs = feeds(session, encoded(rows))
        before = scored(session, inputs)["logit"]
        ids, offsets = lists(encoded(rows)["ids.tags"])
        if form == "offsets":
            inputs |= {"tags.ids": np.empty(0, np.int64), "tags.offsets": np.zeros_like(offsets)}
        else:
            inputs |= {"tags.ids": np.full((len(before), 3), -1, np.int64)}
        after = scored(session, inputs)["logit"]
        weights = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in onnx.load(path).graph.initializer}
        table = weights["linear.tags"][:, 0]
        adds = [table[ids[start:end]].sum() for start, end in zip(offsets[:-1], offsets[1:])]
        np.testing.assert_allclose(before - after, adds, rtol=1e-5, atol=1e-5)
        none = {name: array[:0] for name, array in inputs.items()}
        none |= {name: np.zeros(1, np.int64) for name in none if name.endswith(".offsets")}
        assert scored(session, none)["logit"].shape == (0,)


def test_rows_are_scored_alone_as_among_others(tmp_path, prepared):
    out, rows = tmp_path / "run", prepared()
    dlrm("train", rows, "--model", "dlrm", "--epochs", 1, "-o", out)
    session = exported(out, tmp_path / "m.onnx")
    encoded_rows = encoded(rows)
    together = scored(session, feeds(session, encoded_rows))["probability"]
    for row in range(20):
        alone = {name: array.slice(row, 1) for name, array in encoded_rows.items()}
        found = scored(session, feeds(session, alone))["probability"]
        np.testing.assert_allclose(found, together[row : row + 1], atol=1e-6)


def test_weights_in_a_file_of_their_own(tmp_path, prepared):
    out, rows = tmp_path / "run", prepared()
    dlrm("train", rows, "--model", "dlrm", "--epochs", 1, "-o", out)
    inside = exported(out, tmp_path / "inside.onnx")
    (tmp_path / "moved").mkdir()
    exported(out, tmp_path / "m.onnx", "--external-data")
    assert (tmp_path / "m.onnx").stat().st_size < (tmp_path / "inside.onnx").stat().st_size / 2
    for name in ("m.onnx", "m.onnx.data"):
        (tmp_path / name).rename(tmp_path / "moved" / name)
    beside = ort.InferenceSession(str(tmp_path / "moved" / "m.onnx"), providers=["CPUExecutionProvider"])
    inputs = feeds(inside, encoded(rows))
    np.testing.assert_array_equal(scored(inside, inputs)["logit"], scored(beside, inputs)["logit"])


def test_what_the_file_says_of_itself(tmp_path, prepared):
    out, rows = tmp_path / "run", prepared()
    dlrm("train", rows, "--model", "dlrm", "--epochs", 1, "-o", out)
    text = json.loads(dlrm("--json", "export", out, "--onnx", tmp_path / "m.onnx"))
    session = ort.InferenceSession(str(tmp_path / "m.onnx"), providers=["CPUExecutionProvider"])
    for told, ports in ((text["inputs"], session.get_inputs()), (text["outputs"], session.get_outputs())):
        assert [(port["name"], port["shape"]) for port in told] == [(port.name, port.shape) for port in ports]
    about = session.get_modelmeta()
    shown = json.loads(dlrm("--json", "show", out))
    expected = {"dlrm.model": "dlrm", "dlrm.task": "binary", "dlrm.id": shown["id"]}
    assert (about.producer_name, about.custom_metadata_map) == ("dlrm", expected)


def test_the_example_of_the_page(tmp_path, monkeypatch):
    page = (Path(__file__).parents[2] / "docs" / "export.md").read_text()
    example = page.split("```python\n")[1].split("```")[0]
    monkeypatch.chdir(tmp_path)
    dlrm("demo", "--rows", 3000)
    dlrm("export", "runs/demo", "--onnx", "runs/demo.onnx")
    found = {}
    exec(example, found)
    session = found["session"]
    assert session.run(["probability"], found["rows"])[0].shape == (2,)


def test_ids_are_places_in_the_vocabulary(prepared):
    """As the page says: the id of a value is its place plus 2."""
    rows = prepared()
    (encoder,) = rows.glob("encoder-*.json")
    vocabulary = json.loads(encoder.read_text())["vocabularies"]["tags"]
    with open(rows.parent / "rows.csv", newline="") as file:
        texts = [row["tags"].split("|") if row["tags"] else [] for row in csv.DictReader(file)]
    places = {value: place + 2 for place, value in enumerate(vocabulary)}
    expected = sorted(sorted(places[text] for text in row) or [0] for row in texts)
    found = []
    for part in ("train", "validation", "test"):
        ids, offsets = lists(encoded(rows, part)["ids.tags"])
        found += [sorted(ids[start:end].tolist()) for start, end in zip(offsets[:-1], offsets[1:])]
    assert sorted(found) == expected


@pytest.mark.skipif(not DATA, reason="DLRM_DATA, the directory of public data sets, is not set")
@pytest.mark.parametrize("model", ["lr", "fm", "dcn_v2", "dlrm"])
@pytest.mark.parametrize(
    ("data", "flags"),
    [
        ("movielens-latest-small", ["--label-rule", "rating >= 4"]),
        ("adult-census/adult.data", ["--label", "income"]),
    ],
)
def test_public_data(tmp_path, model, data, flags):
    if data.startswith("adult"):
        columns = "age,workclass,fnlwgt,education,education_num,marital_status,occupation,relationship,race,sex"
        columns += ",capital_gain,capital_loss,hours_per_week,native_country,income"
        flags = [*flags, "--columns", columns, "--positive", ">50K"]
    source = Path(DATA) / data
    if not source.exists():
        pytest.skip(f"{source} is not there")
    dlrm("prepare", source, *flags, "-o", tmp_path / "prepared")
    check(tmp_path, tmp_path / "prepared", model, ["train.max_steps=400"])
