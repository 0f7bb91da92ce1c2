"""gRPC beside the Open Inference Protocol: health, reflection, keys, and what is no request."""

from __future__ import annotations

import pathlib
import queue
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from tritonclient.grpc import service_pb2, service_pb2_grpc

import clicks
import tensors
from served import PATIENCE, Scores, Server
from test_overload import wait_for_waiting

NAME = "inference.GRPCInferenceService"


@pytest.fixture
def channel(server: Server) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(server.grpc) as channel:
        yield channel


@pytest.fixture
def stub(channel: grpc.Channel) -> Any:
    return service_pb2_grpc.GRPCInferenceServiceStub(channel)


def test_health(channel: grpc.Channel) -> None:
    stub = health_pb2_grpc.HealthStub(channel)
    for service in ["", NAME]:
        found = stub.Check(health_pb2.HealthCheckRequest(service=service))
        assert found.status == health_pb2.HealthCheckResponse.SERVING
    with pytest.raises(grpc.RpcError) as caught:
        stub.Check(health_pb2.HealthCheckRequest(service="no.such.Service"))
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


def test_reflection_tells_what_can_be_asked(channel: grpc.Channel) -> None:
    database = ProtoReflectionDescriptorDatabase(channel)
    assert {NAME, "grpc.health.v1.Health"} <= set(database.get_services())
    service = DescriptorPool(database).FindServiceByName(NAME)
    named = {method.name for method in service.methods}
    assert {"ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata", "ModelInfer"} <= named


def tensor(name: str, datatype: str, shape: list[int], **contents: Any) -> Any:
    made = service_pb2.ModelInferRequest.InferInputTensor(name=name, datatype=datatype, shape=shape)
    for field, values in contents.items():
        getattr(made.contents, field).extend(values)
    return made


def infer(stub: Any, inputs: list[Any], raw: list[bytes] = (), model: str = "dlrm", **more: Any) -> Any:
    asked = service_pb2.ModelInferRequest(model_name=model, inputs=inputs, raw_input_contents=raw, **more)
    return stub.ModelInfer(asked)


def test_typed_contents_are_raw_contents(
    stub: Any, name: str, rows: list[clicks.Row], expected: Callable[[str], Scores]
) -> None:
    lists = {name: [row[name].split("|") if row[name] else [] for row in rows] for name in clicks.LISTS}
    flat = {name: [value for values in lists[name] for value in values] for name in lists}
    pairs = [value.split(":") for value in flat["basket"]]

    def one(column: str, datatype: str, field: str, values: list[Any]) -> Any:
        return tensor(column, datatype, [len(values)], **{field: values})

    inputs = [
        one("price", "FP32", "fp32_contents", [float(row["price"] or "nan") for row in rows]),
        one("age", "FP64", "fp64_contents", [float(row["age"] or "nan") for row in rows]),
        one("user", "BYTES", "bytes_contents", [row["user"].encode() for row in rows]),
        one("item", "INT64", "int64_contents", [int(row["item"]) for row in rows]),
        one("hour", "UINT32", "uint_contents", [int(row["hour"]) for row in rows]),
        one("seen_at", "UINT64", "uint64_contents", [int(row["seen_at"]) for row in rows]),
        one("tags", "BYTES", "bytes_contents", [value.encode() for value in flat["tags"]]),
        one("tags.lengths", "INT32", "int_contents", [len(values) for values in lists["tags"]]),
        one("basket", "BYTES", "bytes_contents", [value.encode() for value, _ in pairs]),
        one("basket.lengths", "INT32", "int_contents", [len(values) for values in lists["basket"]]),
        one("basket.weights", "FP32", "fp32_contents", [float(weight) for _, weight in pairs]),
    ]
    found = infer(stub, inputs, model=name)
    outputs = {output.name: output.contents for output in found.outputs}
    logits, predictions = outputs["logit"].fp32_contents, outputs["prediction"].fp64_contents
    assert Scores(list(logits), list(predictions)) == expected(name)


def refused(stub: Any, code: grpc.StatusCode, word: str, *args: Any, **named: Any) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        infer(stub, *args, **named)
    assert caught.value.code() == code, caught.value
    assert word in caught.value.details()
    metadata = {key: value for key, value in caught.value.trailing_metadata() or ()}
    assert metadata.get("dlrm-code"), metadata


def test_mistakes(stub: Any) -> None:
    wrong = grpc.StatusCode.INVALID_ARGUMENT
    price = tensor("price", "FP32", [1])
    given = tensor("price", "FP32", [1], fp32_contents=[1.0])
    refused(stub, wrong, "price", [price])
    refused(stub, wrong, "price", [price], [b"123"])
    refused(stub, wrong, "price", [price], [b"12345678"])
    refused(stub, wrong, "raw", [price], [b"1234", b"1234"])
    refused(stub, wrong, "both", [given], [b"1234"])
    refused(stub, wrong, "price", [tensor("price", "FP32", [2], fp32_contents=[1.0])])
    refused(stub, wrong, "price", [tensor("price", "FP32", [-1], fp32_contents=[1.0])])
    refused(stub, wrong, "price", [tensor("price", "FP32", [2**62, 4], fp32_contents=[1.0])])
    refused(stub, wrong, "price", [tensor("price", "FLOAT", [1], fp32_contents=[1.0])])
    refused(stub, wrong, "price", [tensor("price", "FP32", [1], fp64_contents=[1.0])])
    refused(stub, wrong, "item", [tensor("item", "INT8", [1], int_contents=[1000])])
    refused(stub, wrong, "price", [given, given])
    refused(stub, wrong, "usr", [tensor("usr", "BYTES", [1], bytes_contents=[b"u1"])])
    refused(stub, wrong, "UTF-8", [tensor("user", "BYTES", [1], bytes_contents=[b"\xff\xfe"])])
    refused(stub, wrong, "user", [tensor("user", "BYTES", [1])], [b"\x05\x00\x00\x00u1"])
    refused(stub, wrong, "4096", [tensor("item", "INT64", [4097])], [np.zeros(4097, np.int64).tobytes()])
    refused(stub, grpc.StatusCode.NOT_FOUND, "../dlrm", [given], model="../dlrm")
    refused(stub, grpc.StatusCode.NOT_FOUND, "7", [given], model_version="7")


def test_messages_that_are_too_large(stub: Any) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        infer(stub, [tensor("user", "BYTES", [1])], [b" " * (17 << 20)])
    assert caught.value.code() in {grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.OUT_OF_RANGE}
    assert infer(stub, [tensor("user", "BYTES", [1], bytes_contents=[b"u1"])]).model_name == "dlrm"


def test_packed_messages(server: Server, stub: Any) -> None:
    def scores(stub: Any, count: int) -> list[bytes]:
        users = tensor("user", "BYTES", [count], bytes_contents=[b"u%d" % (n % 7) for n in range(count)])
        return [output.contents.SerializeToString() for output in infer(stub, [users]).outputs]

    def packs_by(compression: grpc.Compression) -> Any:
        return grpc.insecure_channel(server.grpc, compression=compression)

    with packs_by(grpc.Compression.Gzip) as channel:
        packs = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        for count in [1, 2000]:
            assert scores(packs, count) == scores(stub, count)
        # A few small bytes that become too many are refused like those.
        with pytest.raises(grpc.RpcError) as caught:
            infer(packs, [tensor("user", "BYTES", [1])], [b" " * (17 << 20)])
        assert caught.value.code() in {grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.OUT_OF_RANGE}, caught.value
    with packs_by(grpc.Compression.Deflate) as channel:
        with pytest.raises(grpc.RpcError) as caught:
            scores(service_pb2_grpc.GRPCInferenceServiceStub(channel), 2000)
        assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED and "deflate" in str(caught.value.details()), caught.value


def test_methods_that_are_none(channel: grpc.Channel) -> None:
    ask = channel.unary_unary(f"/{NAME}/Ghost", request_serializer=bytes, response_deserializer=bytes)
    with pytest.raises(grpc.RpcError) as caught:
        ask(b"")
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_bytes_that_are_no_message(channel: grpc.Channel) -> None:
    ask = channel.unary_unary(f"/{NAME}/ModelInfer", request_serializer=bytes, response_deserializer=bytes)
    with pytest.raises(grpc.RpcError) as caught:
        ask(b"\xff\xff\xff\xff")
    assert caught.value.code() in {grpc.StatusCode.INTERNAL, grpc.StatusCode.INVALID_ARGUMENT}


def test_only_who_has_a_key_may_ask(
    start: Callable[..., Server], models: dict[str, Any], tmp_path: pathlib.Path
) -> None:
    keys = tmp_path / "keys.txt"
    keys.write_text("first-secret\n")
    server = start(models["lr"], "--keys", keys)
    with grpc.insecure_channel(server.grpc) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        asked = service_pb2.ModelMetadataRequest(name="lr")
        for metadata in [[], [("authorization", "Bearer wrong")], [("x-api-key", "first")]]:
            with pytest.raises(grpc.RpcError) as caught:
                stub.ModelMetadata(asked, metadata=metadata)
            assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED
        for metadata in [[("authorization", "Bearer first-secret")], [("x-api-key", "first-secret")]]:
            assert stub.ModelMetadata(asked, metadata=metadata).name == "lr"
        # Whether the server lives may always be asked, as over HTTP.
        assert health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest()).status == 1
        assert stub.ServerLive(service_pb2.ServerLiveRequest()).live
    server.stop()


def test_what_is_asked_before_the_end_is_answered(start: Callable[..., Server], models: dict[str, Any]) -> None:
    server = start(f"slow={models['xdeepfm']}", "--threads", 1)
    inputs = tensors.inputs(tensors.typed(clicks.draw(2000, seed=4)), tritonclient.grpc.InferInput)
    with tritonclient.grpc.InferenceServerClient(server.grpc) as client:
        answers: queue.Queue[tuple[Any, Any]] = queue.Queue()
        for _ in range(4):
            client.async_infer("slow", inputs, lambda result, error: answers.put((result, error)))
        wait_for_waiting(server, 1)
        server.terminate()
        for _ in range(4):
            result, error = answers.get(timeout=PATIENCE)
            assert error is None, error
            assert len(result.as_numpy("logit")) == 2000
    assert server.ended() == 0
