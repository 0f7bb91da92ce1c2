"""tritonclient over HTTP, as it blocks and with asyncio, and over gRPC."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.grpc.aio
import tritonclient.http
import tritonclient.http.aio
from tritonclient.utils import InferenceServerException

import clicks
import tensors
from served import Scores, Server, predict

#: The model that questions about one model are asked of.
MODEL = "dlrm"
CLIENTS = {
    "http": tritonclient.http,
    "http aio": tritonclient.http.aio,
    "grpc": tritonclient.grpc,
    "grpc aio": tritonclient.grpc.aio,
}


class Client:
    """A client of any of the four kinds, whose methods block and whose answers are plain data."""

    def __init__(self, kind: str, address: str) -> None:
        self.kind, self.module = kind, CLIENTS[kind]
        self.loop = asyncio.new_event_loop()
        self.client = self.run(self.make, address)

    async def make(self, address: str) -> Any:
        return self.module.InferenceServerClient(address)

    @property
    def is_http(self) -> bool:
        return self.kind.startswith("http")

    def run(self, method: Callable[..., Any], *args: Any, **named: Any) -> Any:
        found = method(*args, **named)
        return self.loop.run_until_complete(found) if inspect.isawaitable(found) else found

    def ask(self, method: str, *args: Any, **named: Any) -> Any:
        """What a method answers; messages as the JSON that HTTP has for them."""
        if not self.is_http and method.startswith("get_"):
            named["as_json"] = True
        return self.run(getattr(self.client, method), *args, **named)

    def inputs(self, of: list[tensors.Tensor], binary: bool = True) -> list[Any]:
        flags = {"binary_data": binary} if self.is_http else {}
        return tensors.inputs(of, self.module.InferInput, **flags)

    def outputs(self, *names: str, binary: bool = True) -> list[Any]:
        flags = {"binary_data": binary} if self.is_http else {}
        return [self.module.InferRequestedOutput(name, **flags) for name in names]

    def close(self) -> None:
        self.run(self.client.close)
        self.loop.close()


def addressed(server: Server, kind: str) -> str:
    return server.host if kind.startswith("http") else server.grpc


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest, server: Server) -> Iterator[Client]:
    client = Client(request.param, addressed(server, request.param))
    yield client
    client.close()


@pytest.fixture
def version(client: Client) -> str:
    return client.ask("get_model_metadata", MODEL)["versions"][0]


def scores(result: Any) -> Scores:
    logits, predictions = result.as_numpy("logit"), result.as_numpy("prediction")
    assert (logits.dtype, predictions.dtype) == (np.float32, np.float64)
    return Scores(logits, predictions)


def refused(client: Client, method: str, *args: Any, **named: Any) -> InferenceServerException:
    """The error of a call that must fail."""
    with pytest.raises(InferenceServerException) as caught:
        client.ask(method, *args, **named)
    assert "expected" in caught.value.message(), caught.value
    return caught.value


def test_health(client: Client, version: str) -> None:
    assert client.ask("is_server_live") is True
    assert client.ask("is_server_ready") is True
    assert client.ask("is_model_ready", MODEL) is True
    assert client.ask("is_model_ready", MODEL, version) is True


def test_a_model_that_is_none_is_not_ready(client: Client) -> None:
    if client.is_http:
        assert client.ask("is_model_ready", "no-such-model") is False
        assert client.ask("is_model_ready", MODEL, "no-such-version") is False
    else:
        refused(client, "is_model_ready", "no-such-model")


def test_metadata(client: Client, version: str) -> None:
    found = client.ask("get_server_metadata")
    assert found["name"] == "dlrm"
    assert {"binary_tensor_data", "model_repository", "statistics"} <= set(found["extensions"])
    model = client.ask("get_model_metadata", MODEL, version)
    assert (model["name"], model["platform"], model["versions"]) == (MODEL, "dlrm", [version])
    inputs = {tensor["name"]: tensor["datatype"] for tensor in model["inputs"]}
    assert set(clicks.COLUMNS) <= set(inputs)
    assert (inputs["price"], inputs["user"], inputs["tags"]) == ("FP32", "BYTES", "BYTES")
    assert (inputs["basket.lengths"], inputs["basket.weights"]) == ("INT32", "FP32")
    outputs = {tensor["name"]: tensor["datatype"] for tensor in model["outputs"]}
    assert outputs == {"prediction": "FP64", "logit": "FP32"}
    shapes = [[int(size) for size in tensor["shape"]] for tensor in model["inputs"] + model["outputs"]]
    assert all(shape == [-1] for shape in shapes), shapes


def test_config_names_the_inputs_that_metadata_names(client: Client) -> None:
    found = client.ask("get_model_config", MODEL)
    config = found if client.is_http else found["config"]
    assert (config["name"], config["platform"]) == (MODEL, "dlrm")
    types = {"FP32": "TYPE_FP32", "BYTES": "TYPE_STRING", "INT32": "TYPE_INT32", "FP64": "TYPE_FP64"}
    model = client.ask("get_model_metadata", MODEL)
    for side, said in [("input", model["inputs"]), ("output", model["outputs"])]:
        named = {tensor["name"]: tensor["data_type"] for tensor in config[side]}
        assert named == {tensor["name"]: types[tensor["datatype"]] for tensor in said}, side


def test_statistics_count_rows_and_failures(client: Client, rows: list[clicks.Row]) -> None:
    def now() -> tuple[int, int, int]:
        (model,) = client.ask("get_inference_statistics", MODEL)["model_stats"]
        stats = model["inference_stats"]
        counts = [stats["success"].get("count", 0), stats["fail"].get("count", 0), model.get("inference_count", 0)]
        return tuple(map(int, counts))

    before = now()
    client.ask("infer", MODEL, client.inputs(tensors.typed(rows[:7])))
    bad = np.array([b"no number"], object)
    refused(client, "infer", MODEL, client.inputs([("price", "BYTES", bad)]))
    assert tuple(after - was for after, was in zip(now(), before, strict=True)) == (1, 1, 7)
    everything = client.ask("get_inference_statistics")["model_stats"]
    assert MODEL in {model["name"] for model in everything}


def test_index_lists_all_models(client: Client, models: dict[str, Any], version: str) -> None:
    found = client.ask("get_model_repository_index")
    listed = found if client.is_http else found["models"]
    assert {model["name"] for model in listed} == set(models)
    assert {model["state"] for model in listed} == {"READY"}
    assert version in {model["version"] for model in listed if model["name"] == MODEL}


#: Clients, and the ways in which each of them can send tensors.
WAYS = [(kind, way) for kind in CLIENTS for way, (_, binary) in tensors.WAYS.items() if binary or "http" in kind]


@pytest.mark.parametrize(("client", "way"), WAYS, indirect=["client"])
def test_scores_are_those_of_predict(
    client: Client, name: str, way: str, rows: list[clicks.Row], expected: Callable[[str], Scores]
) -> None:
    of, binary = tensors.WAYS[way]
    own = tensors.batches(rows)
    for number, batch in enumerate(own):
        result = client.ask("infer", name, client.inputs(of(batch), binary))
        whole = expected(name)
        assert scores(result) == (whole if number == 0 else whole[number - 1]), number


@pytest.mark.parametrize("client", [kind for kind in CLIENTS if "http" in kind], indirect=True)
def test_numbers_in_json_are_those_in_bytes(client: Client, rows: list[clicks.Row]) -> None:
    """In JSON this client writes 0.1 as FP32 as 0.10000000149011612."""
    whole = tensors.typed([row for row in rows if row["price"] and row["age"]])
    as_bytes = client.ask("infer", MODEL, client.inputs(whole, binary=True))
    assert scores(client.ask("infer", MODEL, client.inputs(whole, binary=False))) == scores(as_bytes)


def test_outputs_are_those_asked_for(client: Client, rows: list[clicks.Row], expected: Callable[[str], Scores]) -> None:
    inputs = client.inputs(tensors.typed(rows))
    for binary in [True, False] if client.is_http else [True]:
        result = client.ask("infer", MODEL, inputs, outputs=client.outputs("logit", binary=binary))
        assert result.as_numpy("prediction") is None
        assert result.as_numpy("logit").tobytes() == expected(MODEL).logits.tobytes()
        both = client.outputs("prediction", "logit", binary=binary)
        assert scores(client.ask("infer", MODEL, inputs, outputs=both)) == expected(MODEL)


def test_answers_carry_name_version_and_id(client: Client, version: str, rows: list[clicks.Row]) -> None:
    inputs = client.inputs(tensors.typed(rows[:1]))
    result = client.ask("infer", MODEL, inputs, model_version=version, request_id="my 1st")
    answer = result.get_response() if client.is_http else result.get_response(as_json=True)
    assert (answer["model_name"], answer["model_version"], answer["id"]) == (MODEL, version, "my 1st")


def test_columns_without_a_tensor_are_missing(
    client: Client, rows: list[clicks.Row], models: dict[str, Any], tmp_path: Any
) -> None:
    given = {"user", "seen_at"}
    some = [tensor for tensor in tensors.typed(rows) if tensor[0] in given]
    result = client.ask("infer", MODEL, client.inputs(some))
    only = [{name: text if name in given else "" for name, text in row.items()} for row in rows]
    labelled = [{**row, clicks.LABEL: "0"} for row in only]
    assert scores(result) == predict(models[MODEL], labelled, tmp_path)


def test_mistakes_raise_what_the_server_says(client: Client, rows: list[clicks.Row]) -> None:
    good = tensors.typed(rows[:2])

    def message(*changed: tensors.Tensor) -> str:
        names = {tensor[0] for tensor in changed}
        kept = [tensor for tensor in good if tensor[0] not in names]
        return refused(client, "infer", MODEL, client.inputs(kept + list(changed))).message()

    one = np.array([1.0], np.float32)
    assert "2 rows" in message(("price", "FP32", one)) and "price" in message(("price", "FP32", one))
    assert "usr" in message(("usr", "FP32", one)) and "user" in message(("usr", "FP32", one))
    assert "seen_at" in message(("seen_at", "BYTES", np.array([b"yesterday", b"today"], object)))
    assert "basket" in message(("basket.lengths", "INT32", np.array([100, 100], np.int32)))
    assert "basket" in message(("basket.lengths", "INT32", np.array([-1, 1], np.int32)))
    assert "basket" in message(("basket.weights", "FP32", np.array([1.0] * 50, np.float32)))
    assert "no-such-model" in refused(client, "infer", "no-such-model", client.inputs(good)).message()
    wrong = refused(client, "infer", MODEL, client.inputs(good), model_version="7").message()
    assert "7" in wrong and "version" in wrong
    outputs = client.outputs("clicks")
    assert "clicks" in refused(client, "infer", MODEL, client.inputs(good), outputs=outputs).message()


def test_statuses_of_errors(client: Client, rows: list[clicks.Row]) -> None:
    inputs = client.inputs(tensors.typed(rows[:1]))
    missing, wrong = ("404", "400") if client.is_http else ("StatusCode.NOT_FOUND", "StatusCode.INVALID_ARGUMENT")
    assert refused(client, "infer", "no-such-model", inputs).status() == missing
    bad = client.inputs([("nothing", "FP32", np.array([1.0], np.float32))])
    assert refused(client, "infer", MODEL, bad).status() == wrong


def test_too_many_rows_are_refused(client: Client) -> None:
    many = client.inputs([("item", "INT64", np.zeros(5000, np.int64))])
    assert "4096" in refused(client, "infer", MODEL, many).message()


@pytest.mark.parametrize("client", [kind for kind in CLIENTS if "http" in kind], indirect=True)
@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
@pytest.mark.parametrize("binary", [True, False])
def test_packed_questions_and_answers(
    client: Client, algorithm: str, binary: bool, rows: list[clicks.Row]
) -> None:
    # Enough that the answer is packed whatever it is made of, and without gaps, for which this client has no JSON.
    whole = [row for row in rows if row["price"] and row["age"]] * 5
    inputs, outputs = client.inputs(tensors.typed(whole), binary), client.outputs("prediction", "logit", binary=binary)
    packed = {"request_compression_algorithm": algorithm, "response_compression_algorithm": algorithm}
    found = scores(client.ask("infer", MODEL, inputs, outputs=outputs, **packed))
    assert found == scores(client.ask("infer", MODEL, inputs, outputs=outputs)) and len(found.logits) == len(whole)


def test_answers_are_packed_where_it_is_worth_it(server: Server) -> None:
    def encoding(rows: int, accepted: str) -> str | None:
        asked = {"rows": [{}] * rows}
        answer = httpx.post(f"{server.url}/v1/predict", json=asked, headers={"Accept-Encoding": accepted})
        assert len(answer.json()["logits"]) == rows
        return answer.headers.get("content-encoding")

    assert [encoding(1000, accepted) for accepted in ["gzip", "deflate", "br, gzip;q=0"]] == ["gzip", "deflate", None]
    assert encoding(1, "gzip") is None
    # One of these clients says that it accepts them packed, and does not unpack them.
    stats = httpx.get(f"{server.url}/v2/models/stats", headers={"Accept-Encoding": "gzip"})
    assert len(stats.content) > 4096 and "content-encoding" not in stats.headers
