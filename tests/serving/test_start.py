"""How the command starts, whom it lets ask, and what it says of itself."""

from __future__ import annotations

import json
import pathlib
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import tritonclient.http
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from tritonclient.utils import InferenceServerException

import clicks
import tensors
from served import PATIENCE, Scores, Server, command


def failing(*args: object) -> tuple[int, str]:
    """Exit code and standard error of a server that must not start."""
    found = subprocess.run(
        [command(), "serve", *map(str, args)], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert found.stdout == "" and "panicked" not in found.stderr
    return found.returncode, found.stderr


def test_a_port_that_is_taken(models: dict[str, Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        code, said = failing(models["lr"], "--listen", address)
        assert code != 0 and address in said
        code, said = failing(models["lr"], "--listen", "127.0.0.1:0", "--admin", address)
        assert code != 0 and address in said


def test_models_that_are_none(models: dict[str, Any], tmp_path: pathlib.Path) -> None:
    for place in [tmp_path / "ghost", tmp_path]:
        code, said = failing(place, "--listen", "127.0.0.1:0")
        assert code != 0 and place.name in said
    code, said = failing(f"a={models['lr']}", f"a={models['fm']}", "--listen", "127.0.0.1:0")
    assert code != 0 and '"a" twice' in said


def test_others_reach_it_only_with_keys(models: dict[str, Any]) -> None:
    for address in ["--listen", "--admin"]:
        code, said = failing(models["lr"], address, "0.0.0.0:0")
        assert code == 2 and "--keys" in said and "--insecure" in said


def test_addresses_as_json(models: dict[str, Any]) -> None:
    """One line on standard output, events as lines of JSON on standard error."""
    started = [command(), "serve", models["lr"], "--listen", "127.0.0.1:0", "--json"]
    with subprocess.Popen(started, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stderr
        said = json.loads(process.stdout.readline())
        assert httpx.get(f"http://{said['http']}/v2/health/live").status_code == 200
        process.terminate()
        rest, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, rest) == (0, "")
    loaded = json.loads(errors.splitlines()[0])
    assert (loaded["event"], loaded["model"]) == ("loaded", "lr")


def test_only_who_has_a_key_may_ask(
    start: Callable[..., Server], models: dict[str, Any], rows: list[clicks.Row], tmp_path: pathlib.Path
) -> None:
    keys = tmp_path / "keys.txt"
    keys.write_text("# ours\nfirst-secret\nsecond-secret\n")
    server = start(models["lr"], "--keys", keys, admin=True)
    inputs = tensors.inputs(tensors.typed(rows[:2]), tritonclient.http.InferInput)
    with tritonclient.http.InferenceServerClient(server.host) as client:
        assert client.is_server_live() and client.is_server_ready()
        for headers in [
            None,
            {"Authorization": "Bearer wrong"},
            {"Authorization": "first-secret"},
            {"X-Api-Key": ""},
            {"X-Api-Key": "first-secretfirst-secret"},
        ]:
            with pytest.raises(InferenceServerException, match="key") as caught:
                client.infer("lr", inputs, headers=headers)
            assert caught.value.status() == "401"
        for headers in [{"Authorization": "Bearer first-secret"}, {"X-Api-Key": "second-secret"}]:
            assert client.infer("lr", inputs, headers=headers).as_numpy("logit").shape == (2,)
    refused = httpx.get(f"{server.url}/v1/models")
    assert (refused.status_code, refused.json()["code"]) == (401, "unauthorized")
    assert refused.headers["www-authenticate"] == "Bearer"
    assert httpx.get(f"{server.url}/metrics").status_code == 401
    assert httpx.post(f"http://{server.admin}/v2/repository/models/lr/unload").status_code == 401
    metrics = httpx.get(f"{server.url}/metrics", headers={"X-Api-Key": "first-secret"})
    assert metrics.status_code == 200
    assert "secret" not in metrics.text and "secret" not in server.said()
    server.stop()


def test_fewer_rows_if_so_started(start: Callable[..., Server], models: dict[str, Any]) -> None:
    server = start(models["lr"], "--max-rows", 3)
    for rows, status in [(3, 200), (4, 422)]:
        assert httpx.post(f"{server.url}/v1/predict", json={"rows": [{}] * rows}).status_code == status
    server.stop()


def test_metrics_are_openmetrics(server: Server, rows: list[clicks.Row]) -> None:
    httpx.post(f"{server.url}/v1/predict", json={"rows": [{name: row[name] for name in clicks.COLUMNS} for row in rows]})
    httpx.post(f"{server.url}/v1/predict", json={"rows": [{"price": "x"}]})
    answer = httpx.get(f"{server.url}/metrics")
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    for name, kind in [
        ("dlrm_requests", "counter"),
        ("dlrm_rows", "counter"),
        ("dlrm_stage_seconds", "histogram"),
        ("dlrm_prediction", "histogram"),
        ("dlrm_panics", "counter"),
        ("dlrm_waiting", "gauge"),
        ("dlrm_connections", "gauge"),
        ("dlrm_feature_values", "counter"),
        ("dlrm_feature_unseen", "counter"),
        ("dlrm_feature_missing", "counter"),
        ("dlrm_request_log_lost", "counter"),
    ]:
        assert families[name].type == kind and families[name].documentation, name
    asked = [sample for sample in families["dlrm_requests"].samples if sample.labels.get("kind") == "predict"]
    assert {sample.labels["code"] for sample in asked} >= {"ok", "bad_value"}
    stages = {sample.labels["stage"] for sample in families["dlrm_stage_seconds"].samples}
    assert stages >= {"parse", "queue", "encode", "score", "write"}
    known = {sample.labels["feature"] for sample in families["dlrm_feature_values"].samples}
    assert known >= {"user", "item", "tags", "weekday"}
    (panics,) = families["dlrm_panics"].samples
    assert panics.value == 0


def test_metrics_by_prometheus(server: Server, tmp_path: pathlib.Path) -> None:
    """Read by Prometheus itself, and as its own tool would have them."""
    prometheus, promtool = shutil.which("prometheus"), shutil.which("promtool")
    if not prometheus or not promtool:
        pytest.skip("prometheus and promtool are not installed")
    httpx.post(f"{server.url}/v1/predict", json={"rows": [{}]})
    text = httpx.get(f"{server.url}/metrics", headers={"accept": "text/plain;version=0.0.4"})
    assert text.headers["content-type"].startswith("text/plain; version=0.0.4")
    checked = subprocess.run([promtool, "check", "metrics"], input=text.text, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    target = server.url.removeprefix("http://")
    config = tmp_path / "prometheus.yml"
    config.write_text(
        "global: {scrape_interval: 200ms, scrape_timeout: 200ms}\n"
        f"scrape_configs: [{{job_name: dlrm, static_configs: [{{targets: ['{target}']}}]}}]\n"
    )
    flags = [f"--config.file={config}", f"--storage.tsdb.path={tmp_path / 'data'}", f"--web.listen-address=127.0.0.1:{port}"]
    collector = subprocess.Popen([prometheus, *flags], stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 30
        found: dict[str, float] = {}
        while time.monotonic() < end and not {"up", "dlrm_requests_total"} <= found.keys():
            time.sleep(0.2)
            for name in ("up", "dlrm_requests_total"):
                try:
                    answer = httpx.get(f"http://127.0.0.1:{port}/api/v1/query", params={"query": f"sum({name})"}).json()
                except httpx.TransportError:
                    continue
                for result in answer["data"]["result"]:
                    found[name] = float(result["value"][1])
    finally:
        collector.terminate()
        collector.wait()
    assert found["up"] == 1 and found["dlrm_requests_total"] >= 1


def test_connections_that_nobody_uses_are_few(server: Server) -> None:
    """What clients have closed is closed here too."""
    many = [server.connect() for _ in range(200)]
    for connection in many:
        connection.close()
    end = time.monotonic() + 10
    while True:
        families = text_string_to_metric_families(httpx.get(f"{server.url}/metrics").text)
        (open_now,) = (family.samples[0].value for family in families if family.name == "dlrm_connections")
        if open_now <= 10:
            break
        assert time.monotonic() < end, f"{open_now} connections"
        time.sleep(0.1)


def test_the_same_scores_at_any_number_of_threads(
    start: Callable[..., Server], models: dict[str, Any], rows: list[clicks.Row], expected: Callable[[str], Scores]
) -> None:
    body = {"rows": [{name: row[name] for name in clicks.COLUMNS} for row in rows]}
    for threads in [1, 3]:
        server = start(models["dlrm"], "--threads", threads)
        found = httpx.post(f"{server.url}/v1/predict", json=body).json()
        assert Scores(found["logits"], found["predictions"]) == expected("dlrm")
        server.stop()
