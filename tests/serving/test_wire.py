"""Requests as no client sends them, byte by byte: each has its status, and a body that says why."""

from __future__ import annotations

import gzip
import json
import socket
import struct
import time
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from served import Server

INFER = "/v2/models/dlrm/infer"
Answer = tuple[int, dict[str, str], Any]


def answer(connection: socket.socket) -> Answer:
    """Status, headers and the JSON of an answer; of another body, one that has no words."""
    file = connection.makefile("rb")
    line = file.readline()
    assert line, "expected an answer, found the end of the connection"
    status = int(line.split()[1])
    headers = {}
    while (line := file.readline()) not in (b"\r\n", b""):
        name, value = line.decode().split(":", 1)
        headers[name.lower()] = value.strip()
    body = file.read(int(headers.get("content-length", 0)))
    is_json = headers.get("content-type") == "application/json"
    return status, headers, json.loads(body) if is_json else {"error": "", "code": "", "text": body}


def request(path: str, body: bytes = b"", method: str = "POST", **headers: object) -> bytes:
    """A request; underscores of header names become hyphens, and a header that is None is left out."""
    said: dict[str, object] = {"Host": "localhost", "Content_Length": len(body), **headers}
    lines = [f"{method} {path} HTTP/1.1"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in said.items() if value is not None]
    return "\r\n".join([*lines, "", ""]).encode() + body


def ask(server: Server, *args: Any, **named: Any) -> Answer:
    """The answer to a request on a connection of its own; the server answers others afterwards."""
    with server.connect() as connection:
        connection.sendall(request(*args, **named))
        found = answer(connection)
    with server.connect() as connection:
        connection.sendall(request("/v2/health/live", method="GET"))
        assert answer(connection)[0] == 200
    return found


def refused(server: Server, status: int, code: str, *args: Any, **named: Any) -> str:
    """The words of a refusal in this status and with this code."""
    found, headers, body = ask(server, *args, **named)
    assert (found, headers["content-type"]) == (status, "application/json"), body
    assert body["code"] == code and body["error"], body
    assert set(body) <= {"error", "code", "hint"}
    return body["error"]


def tensor(name: str = "price", datatype: str = "FP32", shape: Any = (1,), **more: Any) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": list(shape), **more}


def infer(*inputs: Any, **more: Any) -> bytes:
    return json.dumps({"inputs": inputs, **more}).encode()


def binary(server: Server, status: int, code: str, header: bytes, bytes_behind: bytes, length: object = None) -> str:
    """The refusal of a body of JSON and bytes."""
    said = len(header) if length is None else length
    body = header + bytes_behind
    return refused(server, status, code, INFER, body, Inference_Header_Content_Length=said)


def text(value: bytes) -> bytes:
    """A value of BYTES as it lies in binary data."""
    return struct.pack("<I", len(value)) + value


def test_a_body_that_says_it_is_too_large(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(request("/v1/predict", Content_Length=(16 << 20) + 1, Connection="close"))
        # A part of it; whoever reads on must not wait for the rest.
        connection.sendall(b" " * (1 << 16))
        connection.settimeout(10)
        status, headers, body = answer(connection)
    assert (status, body["code"]) == (413, "too_large")


def test_a_body_that_is_too_large(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(request("/v1/predict", Content_Length=None, Transfer_Encoding="chunked"))
        piece = b" " * (1 << 20)
        try:
            for _ in range(17):
                connection.sendall(b"%x\r\n" % len(piece) + piece + b"\r\n")
        except (BrokenPipeError, ConnectionResetError):
            pass  # It may stop listening as soon as it knows.
        status, headers, body = answer(connection)
    assert (status, body["code"], headers["connection"]) == (413, "too_large", "close")


def test_a_body_of_just_the_largest_size(server: Server) -> None:
    body = b'{"rows": []}'.ljust(16 << 20)
    assert ask(server, "/v1/predict", body)[0] == 200


@pytest.mark.parametrize("path", ["/v1/predict", "/v1/rank", "/v1/explain", INFER])
@pytest.mark.parametrize("opened", [b"[", b'{"a":'])
def test_json_that_is_too_deep(server: Server, path: str, opened: bytes) -> None:
    for depth in [65, 100_000]:
        assert "64" in refused(server, 400, "bad_json", path, opened * depth)


@pytest.mark.parametrize("depth", [65, 1000, 100_000])
def test_json_before_bytes_that_is_too_deep(start: Callable[..., Server], models: dict[str, Any], depth: int) -> None:
    # A server of its own: one that recurses ends.
    server = start(f"dlrm={models['dlrm']}")
    header = b'{"inputs": [{"name": "price", "datatype": "FP32", "shape": [1], "data": %s1%s}]}'
    assert "64" in binary(server, 400, "bad_json", header % (b"[" * depth, b"]" * depth), b"")
    server.stop()


def test_lists_are_no_objects(server: Server) -> None:
    """Fields by their place would change their meaning with the next one."""
    for path, body in [
        ("/v1/predict", b"[[{}]]"),
        ("/v1/explain", b"[null, {}]"),
        (INFER, b'[null, {}, [{"name": "price", "datatype": "FP32", "shape": [1], "data": [1]}]]'),
        (INFER, b'{"inputs": [["price", [1], "FP32", {}, [1]]]}'),
        (INFER, b'{"inputs": [{"name": "price", "datatype": "FP32", "shape": [1], "data": [1]}], "outputs": [["logit"]]}'),
    ]:
        refused(server, 400, "bad_request", path, body)


@pytest.mark.parametrize("path", ["/v1/predict", "/v1/rank", "/v1/explain", INFER])
def test_what_is_no_json(server: Server, path: str) -> None:
    for body in [b"", b"{", b'{"model": "dlrm"', b"\xff\xfe", b'{"model": NaN}', b"nul", b"\x00"]:
        refused(server, 400, "bad_json", path, body)
    for body in [b"[]", b"7", b'"text"', b"null"]:
        refused(server, 400, "bad_request", path, body)


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e400", b"01", b"+1", b".5", b"0x10"])
def test_what_is_no_number_in_json(server: Server, number: bytes) -> None:
    for path, body in [
        ("/v1/predict", b'{"rows": [{"price": %s}]}' % number),
        (INFER, b'{"inputs": [{"name": "price", "shape": [1], "datatype": "FP32", "data": [%s]}]}' % number),
    ]:
        status, _, found = ask(server, path, body)
        assert (status, found["code"] in {"bad_json", "bad_value"}) == (400, True), found


def test_answers_have_no_numbers_that_json_does_not_know(server: Server) -> None:
    for value in [b"1e38", b"-1e38", b"3.4e38"]:
        status, _, found = ask(server, "/v1/predict", b'{"rows": [{"price": %s}]}' % value)
        assert status in {200, 400}, found
        if status == 200:
            assert all(isinstance(number, float) for number in found["logits"] + found["predictions"]), found


@pytest.mark.parametrize("length", ["x", "", "-1", "+5", "5.0", "0x10", "9" * 30, "10 20"])
def test_lengths_of_the_json_that_are_no_numbers(server: Server, length: str) -> None:
    words = binary(server, 400, "bad_request", infer(tensor(data=[1])), b"", length)
    assert "Inference-Header-Content-Length" in words


def test_a_length_of_the_json_beyond_the_body(server: Server) -> None:
    body = infer(tensor(data=[1]))
    assert str(len(body)) in binary(server, 400, "bad_request", body, b"", len(body) + 1)
    # Within it, the JSON is cut.
    binary(server, 400, "bad_json", body, b"", len(body) - 1)
    binary(server, 400, "bad_json", body, b"", 0)


@pytest.mark.parametrize("size", [5, 2**63, -1, "4", 4.0, None, [4]])
def test_sizes_of_bytes_that_are_not_there(server: Server, size: Any) -> None:
    header = infer(tensor(parameters={"binary_data_size": size}))
    words = binary(server, 400, "bad_request", header, struct.pack("<f", 1.0))
    assert "price" in words or "binary_data_size" in words or size == 5


def test_bytes_that_nobody_asked_for(server: Server) -> None:
    binary(server, 400, "bad_request", infer(tensor(data=[1])), b"1234")
    header = infer(tensor(parameters={"binary_data_size": 4}, data=[1]))
    assert "both" in binary(server, 400, "bad_request", header, struct.pack("<f", 1.0))
    assert "data" in refused(server, 400, "bad_request", INFER, infer(tensor()))


@pytest.mark.parametrize(
    "shape", [[2], [0], [-1], [1, 2], [2, 2], [2**62, 4], [2**63 - 1, 2**63 - 1], [-1, -1]], ids=str
)
def test_shapes_that_disagree_with_the_data(server: Server, shape: list[int]) -> None:
    assert "price" in refused(server, 400, "bad_request", INFER, infer(tensor(shape=shape, data=[1])))
    header = infer(tensor(shape=shape, parameters={"binary_data_size": 4}))
    assert "price" in binary(server, 400, "bad_request", header, struct.pack("<f", 1.0))


def test_shapes_that_are_none(server: Server) -> None:
    for shape in [b"3", b'"1"', b"[1.5]", b'["1"]', b"[null]", b"[9223372036854775808]", b"{}"]:
        body = b'{"inputs": [{"name": "price", "datatype": "FP32", "shape": %s, "data": [1]}]}' % shape
        refused(server, 400, "bad_request", INFER, body)


@pytest.mark.parametrize(
    "data", [b"\x05", text(b"u1")[:-1], text(b"u1") + b"\x00", struct.pack("<I", 2**32 - 1), text(b"u1") + text(b"u2")]
)
def test_texts_that_are_cut(server: Server, data: bytes) -> None:
    header = infer(tensor("user", "BYTES", parameters={"binary_data_size": len(data)}))
    assert "user" in binary(server, 400, "bad_request", header, data)


def test_texts_that_are_no_utf8(server: Server) -> None:
    header = infer(tensor("user", "BYTES", parameters={"binary_data_size": 6}))
    assert "UTF-8" in binary(server, 400, "bad_value", header, text(b"\xff\xfe"))


@pytest.mark.parametrize(("datatype", "size"), [("FP32", 3), ("FP64", 4), ("INT64", 12), ("INT32", 2)])
def test_values_that_are_cut(server: Server, datatype: str, size: int) -> None:
    header = infer(tensor("price", datatype, parameters={"binary_data_size": size}))
    assert "price" in binary(server, 400, "bad_request", header, bytes(size))


@pytest.mark.parametrize("datatype", ["FP16", "BF16", "FLOAT", "fp32", "", "STRING"])
def test_data_types_that_are_none(server: Server, datatype: str) -> None:
    assert "price" in refused(server, 400, "bad_request", INFER, infer(tensor(datatype=datatype, data=[1])))


@pytest.mark.parametrize(
    ("datatype", "value"),
    [("INT64", "x"), ("INT64", 1.5), ("FP32", "x"), ("FP32", True), ("BOOL", 7), ("UINT8", 256), ("INT8", -129), ("UINT64", -1)],
)
def test_values_that_are_not_of_their_data_type(server: Server, datatype: str, value: Any) -> None:
    words = refused(server, 400, "bad_value", INFER, infer(tensor("item", datatype, data=[value])))
    assert "item" in words


def test_numbers_that_are_none_in_bytes_are_missing(server: Server) -> None:
    """As in data frames; what has no end is no number."""
    header = infer(tensor(parameters={"binary_data_size": 4}))
    nan = struct.pack("<f", float("nan"))
    status, _, found = ask(server, INFER, header + nan, Inference_Header_Content_Length=len(header))
    missing = ask(server, INFER, infer(tensor("price", "BYTES", data=[""])))
    assert (status, found["outputs"]) == (200, missing[2]["outputs"])
    for endless in [float("inf"), float("-inf")]:
        assert "price" in binary(server, 400, "bad_value", header, struct.pack("<f", endless))


@pytest.mark.parametrize(("coding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_packed_bodies_are_what_is_in_them(server: Server, coding: str, pack: Callable[[bytes], bytes]) -> None:
    for path, body in [(INFER, infer(tensor(data=[1]), id="x")), ("/v1/predict", b'{"rows": [{}], "request": "x"}')]:
        assert ask(server, path, pack(body), Content_Encoding=coding)[2] == ask(server, path, body)[2]
    # As they are when they are unpacked, not before.
    assert ask(server, "/v1/predict", pack(b'{"rows": []}'.ljust(16 << 20)), Content_Encoding=coding)[0] == 200
    bomb = pack(bytes(200 << 20))
    assert len(bomb) < 1 << 20
    assert "16777216" in refused(server, 413, "too_large", "/v1/predict", bomb, Content_Encoding=coding)
    for cut in [pack(b'{"rows": [{}]}')[:-3], b'{"rows": [{}]}', b"", pack(b'{"rows": [{}]}') + b"more"]:
        assert coding in refused(server, 400, "bad_request", "/v1/predict", cut, Content_Encoding=coding)


@pytest.mark.parametrize("coding", ["br", "zstd", "compress", "gzip, gzip", "deflate, gzip"])
def test_packed_bodies_that_are_not_understood(server: Server, coding: str) -> None:
    for path in [INFER, "/v1/predict"]:
        status, headers, found = ask(server, path, b"xyz", Content_Encoding=coding)
        assert (status, found["code"], headers["accept-encoding"]) == (415, "unsupported_encoding", "gzip, deflate")
        assert "gzip" in found["error"]


@pytest.mark.parametrize(
    "escaping", ["..", "../dlrm", "%2e%2e", "%2e%2e%2fdlrm", "..%2f..%2fetc%2fpasswd", "dlrm%00", "%ff", "dlrm%20", "a%0d%0ab"]
)
@pytest.mark.parametrize("behind", ["", "/ready", "/infer", "/config", "/stats"])
def test_names_that_escape(server: Server, escaping: str, behind: str) -> None:
    method, body = ("POST", infer(tensor(data=[1]))) if behind == "/infer" else ("GET", b"")
    for path in [f"/v2/models/{escaping}{behind}", f"/v2/models/dlrm/versions/{escaping}{behind}"]:
        status, headers, found = ask(server, path, body, method)
        assert (status, headers["content-type"]) in [(404, "application/json"), (400, "application/json")], path
        assert found["error"] and found["code"], path
        assert "\r" not in found["error"] and "\n" not in found["error"]


@pytest.mark.parametrize("path", ["/nothing", "/v1", "/v1/", "/v2/models", "/v2/models/", "/V2", "//v2", "/v1/predict/", "/.."])
def test_paths_that_are_none(server: Server, path: str) -> None:
    assert "nothing is at" in refused(server, 404, "not_found", path, method="GET")


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v1/predict", "POST"),
        ("/v1/rank", "POST"),
        ("/v1/explain", "POST"),
        ("/v1/models", "GET"),
        ("/v2", "GET"),
        ("/v2/health/live", "GET"),
        ("/v2/models/dlrm", "GET"),
        (INFER, "POST"),
        ("/v2/repository/index", "POST"),
        ("/metrics", "GET"),
    ],
)
def test_methods_that_are_not_asked_with(server: Server, path: str, allowed: str) -> None:
    for method in {"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"} - {allowed}:
        refused(server, 405, "method_not_allowed", path, method=method)
        assert allowed in ask(server, path, method=method)[1]["allow"], method


def test_bodies_that_wait_for_leave(server: Server) -> None:
    """As curl sends large ones."""
    body = b'{"rows": [{}]}'.ljust(2 << 20)
    with server.connect() as connection:
        connection.sendall(request("/v1/predict", Content_Length=len(body), Expect="100-continue"))
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert answer(connection)[0] == 200


def test_http_1_0(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(b"GET /v2/health/live HTTP/1.0\r\n\r\n")
        whole = b"".join(iter(lambda: connection.recv(1000), b""))
    assert whole.split()[1] == b"200" and whole.endswith(b"}")


def test_questions_for_headers_alone(server: Server) -> None:
    for path in ["/v2/health/live", "/v2", "/v1/models", "/metrics"]:
        with server.connect() as connection:
            connection.sendall(request(path, method="HEAD", Connection="close"))
            whole = b"".join(iter(lambda: connection.recv(1000), b""))
        assert whole.split()[1] == b"200" and whole.endswith(b"\r\n\r\n"), path


def test_lines_that_are_no_http(server: Server) -> None:
    lines = [b"GARBAGE\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"]
    for line in lines:
        with server.connect() as connection:
            connection.sendall(line)
            connection.settimeout(10)
            if line.startswith(b"\x16"):
                connection.shutdown(socket.SHUT_WR)
            found = connection.recv(1000)
        assert found == b"" or found.split()[1] in {b"400", b"505"}, found


@pytest.mark.parametrize("length", ["x", "-1", "1, 2"])
def test_lengths_of_bodies_that_are_none(server: Server, length: str) -> None:
    with server.connect() as connection:
        connection.sendall(request("/v1/predict", Content_Length=length))
        connection.settimeout(10)
        assert connection.recv(1000).split()[1] == b"400"


def test_headers_that_are_too_large(server: Server) -> None:
    with server.connect() as connection:
        try:
            connection.sendall(request("/v2", method="GET", X_Much="x" * 200_000))
            found = connection.recv(1000)
        except (BrokenPipeError, ConnectionResetError):
            return
        assert found.split()[1] in {b"400", b"431"}


def test_requests_one_behind_the_other_on_one_connection(server: Server) -> None:
    with server.connect() as connection:
        good, bad = request("/v1/predict", b'{"rows": [{}]}'), request("/v1/predict", b"{")
        connection.sendall(good * 3 + bad + request("/v2", method="GET"))
        file = connection.makefile("rb")
        found = b""
        while found.count(b"HTTP/1.1 ") < 5 or not found.endswith(b"}"):
            found += file.read1(65536)
    assert found.count(b"HTTP/1.1 200") == 4 and found.count(b"HTTP/1.1 400") == 1, found


def test_who_goes_in_the_middle_harms_nobody(server: Server) -> None:
    body = b'{"rows": [' + b",".join([b"{}"] * 4000) + b"]}"
    for number in range(20):
        with server.connect() as connection:
            whole = request("/v1/predict", body)
            connection.sendall(whole if number % 2 else whole[: len(whole) // 2])
    assert ask(server, "/v1/predict", b'{"rows": [{}]}')[0] == 200


def test_a_body_that_does_not_come(start: Callable[..., Server], models: dict[str, Any]) -> None:
    """Whoever keeps a server waiting keeps nobody else waiting."""
    server = start(models["lr"])
    waiting = [server.connect() for _ in range(50)]
    for connection in waiting:
        connection.sendall(request("/v1/predict", Content_Length=1000))
    begun = time.monotonic()
    assert ask(server, "/v1/predict", b'{"rows": [{}]}')[0] == 200
    assert time.monotonic() - begun < 5
    for connection in waiting:
        connection.close()
    server.stop()
