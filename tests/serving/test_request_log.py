"""The log of requests: a line of JSON for each, over HTTP and gRPC, without keys and values."""

from __future__ import annotations

import json
import pathlib
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import tritonclient.grpc
from tritonclient.utils import InferenceServerException

import clicks
import served
import tensors
from served import PATIENCE, Server

STAGES = {"total", "parse", "queue", "encode", "score", "write"}


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def test_lines_behind_what_a_file_holds(
    start: Callable[..., Server], models: dict[str, Any], rows: list[clicks.Row], tmp_path: pathlib.Path
) -> None:
    served.needs("--request-log")
    log = tmp_path / "requests.jsonl"
    log.write_text('{"mine": 1}\n')
    keys = tmp_path / "keys.txt"
    keys.write_text("the-secret\n")
    server = start(f"m={models['dlrm']}", "--request-log", log, "--keys", keys)
    key = {"X-Api-Key": "the-secret"}
    asked = {"rows": [{"user": "the-value"}] * 3, "request": "mine"}
    answered = httpx.post(f"{server.url}/v1/predict?key=the-secret", json=asked, headers=key).json()
    httpx.post(f"{server.url}/v1/predict", json={"rows": [{"price": "the-value"}]}, headers=key)
    httpx.get(f"{server.url}/v1/models")
    inputs = tensors.inputs(tensors.typed(rows[:2]), tritonclient.grpc.InferInput)
    with tritonclient.grpc.InferenceServerClient(server.grpc) as client:
        client.infer("m", inputs, request_id="from-grpc", headers={"x-api-key": "the-secret"})
        with pytest.raises(InferenceServerException):
            client.infer("no-such-model", inputs, headers={"x-api-key": "the-secret"})
    server.stop()
    text = log.read_text()
    assert "the-secret" not in text and "the-value" not in text
    first, *found = lines(text)
    assert first == {"mine": 1}
    brief = [(line["protocol"], line["status"], line.get("code"), line.get("rows")) for line in found]
    assert brief == [
        ("http", 200, None, 3),
        ("http", 400, "bad_value", 1),
        ("http", 401, "unauthorized", None),
        ("grpc", 0, None, 2),
        ("grpc", 5, "unknown_model", None),
    ]
    http, grpc = found[0], found[3]
    assert (http["method"], http["path"], http["request"]) == ("POST", "/v1/predict", "mine")
    assert (http["model"], http["version"]) == ("m", answered["version"])
    assert grpc["path"] == "/inference.GRPCInferenceService/ModelInfer" and grpc["request"] == "from-grpc"
    for line in [http, grpc]:
        assert set(line["ms"]) == STAGES and all(time >= 0 for time in line["ms"].values()), line
        assert line["ms"]["total"] >= line["ms"]["score"]


def test_lines_on_standard_error_though_it_is_quiet(start: Callable[..., Server], models: dict[str, Any]) -> None:
    served.needs("--request-log")
    server = start(models["lr"], "--request-log", "-", "--quiet")
    httpx.get(f"{server.url}/v2/health/live")
    server.wait_until_it_says("/v2/health/live")
    server.stop()
    assert [line["path"] for line in lines(server.said())] == ["/v2/health/live"]


def test_who_goes_before_the_answer(start: Callable[..., Server], models: dict[str, Any], tmp_path: pathlib.Path) -> None:
    served.needs("--request-log")
    log = tmp_path / "requests.jsonl"
    server = start(models["lr"], "--request-log", log)
    connection = server.connect()
    connection.sendall(b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
    # A reset, as of a client that has crashed.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    time.sleep(0.2)
    connection.close()
    end = time.monotonic() + PATIENCE
    while not log.read_text():
        assert time.monotonic() < end
        time.sleep(0.05)
    server.stop()
    (line,) = lines(log.read_text())
    # It has gone while its body was read, which is told in either way.
    assert (line["status"], line["code"]) in [(None, "client_gone"), (400, "bad_request")]
