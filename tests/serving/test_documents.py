"""schemathesis: requests made from documents of the interface, as they should be and as they should not, against
what the documents promise. One is that of the Open Inference Protocol, the other is the server's own."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
from typing import Any

import httpx
import pytest
import yaml

import clicks
from served import Server

CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
]
MODEL = "dlrm"


def check(document: dict[str, Any], server: Server, scratch: pathlib.Path) -> None:
    """Asks the server all that the program makes of the document; it must find no failure."""
    written = scratch / "document.json"
    written.write_text(json.dumps(document))
    options = ["--checks", ",".join(CHECKS), "--phases", "examples,coverage,fuzzing", "--max-examples", "30"]
    options += ["--generation-deterministic", "--no-color", "--warnings", "off"]
    # The one beside this Python, from an empty folder: it would take settings from where it is started.
    program = pathlib.Path(sys.executable).with_name("schemathesis")
    asked = [program, "run", written, "--url", server.url, *options, "--continue-on-failure"]
    done = subprocess.run(asked, cwd=scratch, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No test cases were generated" not in done.stdout, done.stdout


@pytest.fixture
def protocol(server: Server) -> dict[str, Any]:
    """The protocol's document, with the names that this server knows."""
    document = yaml.safe_load(pathlib.Path(__file__).with_name("open_inference.yaml").read_text())
    version = httpx.get(f"{server.url}/v2/models/{MODEL}").json()["versions"][0]
    parts = document["components"]
    for parameter, known in [("ModelName", MODEL), ("ModelVersion", version)]:
        parts["parameters"][parameter]["schema"] = {"enum": [known]}
    parts["schemas"]["RequestInput"]["properties"]["name"] = {"enum": clicks.COLUMNS}
    parts["schemas"]["RequestOutput"]["properties"]["name"] = {"enum": ["prediction", "logit"]}
    return document


@pytest.fixture
def ours(server: Server) -> dict[str, Any]:
    """The document that the server makes of its models."""
    answer = httpx.get(f"{server.url}/openapi.json")
    if answer.status_code == 404:
        pytest.skip("this server has no /openapi.json")
    assert answer.headers["content-type"].startswith("application/json")
    return answer.json()


def test_the_protocol(protocol: dict[str, Any], server: Server, tmp_path: pathlib.Path) -> None:
    check(protocol, server, tmp_path)


def test_our_own_document(ours: dict[str, Any], server: Server, tmp_path: pathlib.Path) -> None:
    check(ours, server, tmp_path)


def test_our_own_document_names_what_the_server_has(ours: dict[str, Any]) -> None:
    named = ["/v1/predict", "/v1/rank", "/v1/explain", "/v1/models", "/v2", "/v2/health/live"]
    named += ["/v2/models/{model}/infer", "/v2/models/{model}/versions/{version}/infer"]
    assert set(named) <= set(ours["paths"])


def test_the_page_of_the_document_needs_nothing_from_elsewhere(server: Server) -> None:
    page = httpx.get(f"{server.url}/docs")
    if page.status_code == 404:
        pytest.skip("this server has no /docs")
    assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
    assert "src=\"http" not in page.text and "src='http" not in page.text
