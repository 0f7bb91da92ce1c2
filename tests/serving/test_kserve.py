"""KServe's client of the Open Inference Protocol, over HTTP and gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest
from kserve import InferInput, InferRequest, InferenceGRPCClient, InferenceRESTClient
from kserve.inference_client import RESTConfig
from kserve.protocol.infer_type import InferResponse, RequestedOutput

import clicks
import tensors
from served import Scores, Server

MODEL = "dlrm"
#: How a request is sent.
WAYS = {
    "texts as JSON": (tensors.texts, False),
    "texts as bytes": (tensors.texts, True),
    # This client writes NaN as null, which is missing too.
    "types as JSON": (tensors.typed, False),
    "types as bytes": (tensors.typed, True),
}


def with_rest(server: Server, method: str, *args: Any, **named: Any) -> Any:
    async def ask() -> Any:
        async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
            return await getattr(client, method)(server.url, *args, **named)

    return asyncio.run(ask())


def with_grpc(server: Server, method: str, *args: Any, **named: Any) -> Any:
    address = server.grpc

    async def ask() -> Any:
        async with InferenceGRPCClient(address, retries=0) as client:
            return await getattr(client, method)(*args, **named)

    return asyncio.run(ask())


def request(of: list[tensors.Tensor], binary: bool = True, **named: Any) -> InferRequest:
    inputs = []
    for name, datatype, values in of:
        inputs.append(InferInput(name, list(values.shape), datatype))
        inputs[-1].set_data_from_numpy(values, binary_data=binary)
    return InferRequest(named.pop("model_name", MODEL), inputs, request_id="my 1st", **named)


def scores(found: InferResponse) -> Scores:
    outputs = {output.name: output.as_numpy() for output in found.outputs}
    assert (outputs["logit"].dtype, outputs["prediction"].dtype) == (np.float32, np.float64)
    return Scores(outputs["logit"], outputs["prediction"])


def test_health_over_http(server: Server) -> None:
    assert with_rest(server, "is_server_live") is True
    assert with_rest(server, "is_server_ready") is True
    assert with_rest(server, "is_model_ready", MODEL) is True
    assert with_rest(server, "is_model_ready", "no-such-model") is False


def test_health_over_grpc(server: Server) -> None:
    assert with_grpc(server, "is_server_live") is True
    assert with_grpc(server, "is_server_ready") is True
    assert with_grpc(server, "is_model_ready", MODEL) is True


@pytest.mark.parametrize("binary_outputs", [False, True], ids=["numbers", "bytes"])
@pytest.mark.parametrize("way", WAYS)
def test_scores_over_http_are_those_of_predict(
    server: Server,
    name: str,
    way: str,
    binary_outputs: bool,
    rows: list[clicks.Row],
    expected: Callable[[str], Scores],
) -> None:
    of, binary = WAYS[way]
    asked = request(of(rows), binary, model_name=name, parameters={"binary_data_output": binary_outputs})
    found = with_rest(server, "infer", asked, model_name=name)
    assert scores(found) == expected(name)
    assert (found.model_name, found.id) == (name, "my 1st")


def test_scores_over_grpc_are_those_of_predict(
    server: Server, name: str, rows: list[clicks.Row], expected: Callable[[str], Scores]
) -> None:
    for of, binary in [(tensors.texts, True), (tensors.typed, True), (tensors.typed, False)]:
        found = with_grpc(server, "infer", request(of(rows), binary, model_name=name))
        assert scores(found) == expected(name)


def test_outputs_are_those_asked_for(server: Server, rows: list[clicks.Row], expected: Callable[[str], Scores]) -> None:
    wanted = [RequestedOutput("logit", parameters={"binary_data": True})]
    asked = request(tensors.typed(rows), request_outputs=wanted)
    found = with_rest(server, "infer", asked, model_name=MODEL)
    (output,) = found.outputs
    assert output.name == "logit"
    assert output.as_numpy().tobytes() == expected(MODEL).logits.tobytes()


def test_errors_carry_what_the_server_says(server: Server) -> None:
    asked = request([("usr", "FP32", np.array([1.0], np.float32))])
    with pytest.raises(httpx.HTTPStatusError, match="usr") as caught:
        with_rest(server, "infer", asked, model_name=MODEL)
    assert caught.value.response.status_code == 400
    with pytest.raises(httpx.HTTPStatusError, match="no-such-model") as caught:
        with_rest(server, "infer", asked, model_name="no-such-model")
    assert caught.value.response.status_code == 404
