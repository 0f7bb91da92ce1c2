"""More requests than one compute thread can answer, and a server that is told to end while it answers."""

from __future__ import annotations

import collections
import concurrent.futures
import json
import pathlib
import socket
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

import clicks
from served import Scores, Server, metric
from test_wire import INFER, answer, infer, request, tensor

#: Rows of a request, of which four fill the queue.
MANY = 4000
#: A model that takes its time, and one that four times that many rows are scored with within the time for an answer.
SLOW, FAST = "xdeepfm", "lr"


@pytest.fixture(scope="module")
def body() -> bytes:
    """A request that is read in no time."""
    return json.dumps({"rows": [{"user": row["user"]} for row in clicks.draw(MANY, seed=3)]}).encode()


def test_a_flood_is_answered_or_refused_at_once(
    start: Callable[..., Server], models: dict[str, Any], body: bytes
) -> None:
    server = start(models[FAST], "--threads", 1)
    alone = httpx.post(f"{server.url}/v1/predict", content=body, timeout=60).json()
    whole = Scores(alone["logits"], alone["predictions"])

    def one(_: int) -> tuple[int, dict[str, str], Any]:
        with server.connect() as connection:
            connection.sendall(request("/v1/predict", body))
            return answer(connection)

    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        found = list(pool.map(one, range(96)))
    statuses = collections.Counter(status for status, _, _ in found)
    assert set(statuses) == {200, 429}, statuses
    assert len(found) == 96 and statuses[200] >= 5
    for status, headers, said in found:
        if status == 200:
            assert Scores(said["logits"], said["predictions"]) == whole
        else:
            assert int(headers["retry-after"]) >= 1 and said["code"] == "overloaded", said
    assert metric(server.url, "dlrm_requests_total", code="overloaded") == statuses[429]
    assert metric(server.url, "dlrm_requests_total", code="ok") == statuses[200] + 1
    # The flood is over: there is room again.
    assert httpx.post(f"{server.url}/v1/predict", content=body, timeout=60).status_code == 200
    assert metric(server.url, "dlrm_waiting") == 0
    server.stop()


def test_questions_about_the_server_are_answered_in_a_flood(
    start: Callable[..., Server], models: dict[str, Any], body: bytes
) -> None:
    server = start(models[SLOW], "--threads", 1)
    waiting = [sent(server, body) for _ in range(4)]
    for path in ["/v2/health/live", "/v2/health/ready", "/metrics", "/v1/models"]:
        begun = time.monotonic()
        assert httpx.get(f"{server.url}{path}").status_code == 200
        assert time.monotonic() - begun < 5, path
    assert [answer(connection)[0] for connection in waiting] == [200] * 4
    for connection in waiting:
        connection.close()
    server.stop()


def sent(server: Server, body: bytes) -> socket.socket:
    """A connection on which a request lies."""
    connection = server.connect()
    connection.sendall(request("/v1/predict", body))
    return connection


def wait_for_waiting(server: Server, count: int) -> None:
    """Until so many requests wait for a compute thread."""
    end = time.monotonic() + 20
    while metric(server.url, "dlrm_waiting") < count:
        assert time.monotonic() < end, f"expected {count} requests to wait"


@pytest.mark.parametrize("datatype", ["UINT8", "BYTES", "JSON"])
def test_millions_of_values_take_little(start: Callable[..., Server], models: dict[str, Any], datatype: str) -> None:
    """The largest body there may be, of as many values as fit, which are far more rows than there may be."""
    server = start(f"dlrm={models['lr']}")
    size = (16 << 20) - 500
    if datatype == "JSON":
        values = size // 2
        said = infer(tensor(shape=[values], data=[]))
        body, length = said.replace(b"[]", b"[" + b",".join([b"1"] * values) + b"]"), None
    else:
        # An empty text is a length of four bytes.
        values = size // {"UINT8": 1, "BYTES": 4}[datatype]
        said = infer(tensor(datatype=datatype, shape=[values], parameters={"binary_data_size": size}))
        body, length = said + bytes(size), len(said)
    begun = time.monotonic()
    with server.connect() as connection:
        connection.sendall(request(INFER, body, Inference_Header_Content_Length=length))
        status, _, found = answer(connection)
    took = time.monotonic() - begun
    status_text = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
    (peak,) = (int(line.split()[1]) for line in status_text.splitlines() if line.startswith("VmHWM"))
    assert (status, found["code"]) == (422, "too_many_rows"), found
    assert peak < 512 << 10, f"{peak >> 10} MiB"
    assert took < 10, f"{took:.1f} s"
    server.stop()


def test_what_is_asked_before_the_end_is_answered(
    start: Callable[..., Server], models: dict[str, Any], body: bytes
) -> None:
    server = start(models[SLOW], "--threads", 1)
    idle = [server.connect() for _ in range(3)]
    idle[0].sendall(request("/v2/health/live", method="GET"))
    assert answer(idle[0])[0] == 200
    waiting = [sent(server, body) for _ in range(4)]
    # All of them are read and one is computed.
    wait_for_waiting(server, 3)
    server.terminate()
    server.wait_until_it_says("answering what is there")
    refused_at = time.monotonic() + 5
    while True:
        try:
            server.connect().close()
        except ConnectionRefusedError:
            break
        assert time.monotonic() < refused_at, "expected new connections to be refused"
    assert server.process.poll() is None
    found = [answer(connection) for connection in waiting]
    assert [status for status, _, _ in found] == [200] * 4
    assert all(len(said["logits"]) == MANY for _, _, said in found)
    begun = time.monotonic()
    assert server.ended() == 0
    # Connections on which nothing is asked keep nobody waiting.
    assert time.monotonic() - begun < 5
    for connection in idle + waiting:
        connection.close()


def test_half_a_request_does_not_hold_up_the_end(start: Callable[..., Server], models: dict[str, Any]) -> None:
    """The time for what is being answered bounds it: 20 seconds."""
    server = start(models["lr"])
    halves = [server.connect() for _ in range(2)]
    halves[0].sendall(b"POST /v1/predict HTTP/1.1\r\nHost: ")
    halves[1].sendall(request("/v1/predict", Content_Length=1000) + b"{")
    assert httpx.get(f"{server.url}/v2/health/live").status_code == 200
    begun = time.monotonic()
    server.terminate()
    assert server.ended() == 0
    assert time.monotonic() - begun < 25
    for connection in halves:
        connection.close()


def test_a_second_signal_ends_at_once(start: Callable[..., Server], models: dict[str, Any], body: bytes) -> None:
    server = start(models[SLOW], "--threads", 1)
    waiting = [sent(server, body) for _ in range(4)]
    server.terminate()
    server.wait_until_it_says("answering what is there")
    begun = time.monotonic()
    server.terminate()
    assert server.ended() == 130
    assert time.monotonic() - begun < 2
    for connection in waiting:
        connection.close()
