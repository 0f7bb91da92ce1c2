"""Certificates: HTTP and gRPC that nobody else may read."""

from __future__ import annotations

import pathlib
import shutil
import subprocess
from typing import Any, Callable

import httpx
import pytest
import tritonclient.grpc

import served
from served import Server


@pytest.fixture
def certificate(tmp_path: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    """A certificate for localhost, and its key."""
    served.needs("--tls-certificate")
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    made, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *name]
    subprocess.run([*command, "-keyout", key, "-out", made], check=True, capture_output=True)
    return made, key


def test_http_and_grpc_speak_tls(
    models: dict[str, pathlib.Path], certificate: tuple[pathlib.Path, pathlib.Path], start: Callable[..., Server]
) -> None:
    made, key = certificate
    server = start(f"m={models['lr']}", "--tls-certificate", made, "--tls-key", key)
    address = server.host
    with httpx.Client(verify=str(made), base_url=f"https://{address}") as client:
        assert client.get("/v2/health/ready").json()["ready"] is True
        assert len(client.post("/v1/predict", json={"rows": [{}]}).json()["predictions"]) == 1
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"http://{address}/v2/health/ready")
    with tritonclient.grpc.InferenceServerClient(server.grpc, ssl=True, root_certificates=str(made)) as client:
        assert client.is_model_ready("m")
    server.stop()


def test_what_is_no_certificate(
    models: dict[str, pathlib.Path], certificate: tuple[pathlib.Path, pathlib.Path], tmp_path: pathlib.Path
) -> None:
    made, key = certificate
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("no certificate\n")
    cases: list[tuple[Any, Any, str]] = [(wrong, key, "a certificate"), (made, wrong, "a private key"), (key, made, "")]
    for certificate_file, key_file, expected in cases:
        args = ["serve", models["lr"], "--listen", "127.0.0.1:0"]
        args += ["--tls-certificate", certificate_file, "--tls-key", key_file]
        done = subprocess.run([served.command(), *map(str, args)], capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 2, done.stderr
        assert "expected" in done.stderr and expected in done.stderr
