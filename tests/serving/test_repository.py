"""Loading and unloading through the admin listener, and versions in paths."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import tritonclient.http
from tritonclient.utils import InferenceServerException

import clicks
import tensors
from conftest import Trained
from served import Scores, Server, metric, predict


@pytest.fixture
def place(trained: Trained, models: dict[str, Any], tmp_path: Any) -> Any:
    """A directory of a model that a test may change."""
    return shutil.copytree(models["fm"], tmp_path / "fm")


@pytest.fixture
def other(place: Any, models: dict[str, Any], start: Callable[..., Server]) -> Iterator[Server]:
    server = start(f"fm={place}", f"still={models['dlrm']}", "--no-watch", admin=True)
    yield server
    server.stop()


def infer(server: Server, rows: list[clicks.Row], version: str = "") -> tuple[str, Scores]:
    """Version and scores."""
    with tritonclient.http.InferenceServerClient(server.host) as client:
        inputs = tensors.inputs(tensors.typed(rows), tritonclient.http.InferInput)
        found = client.infer("fm", inputs, model_version=version)
    answered = found.get_response()["model_version"]
    return answered, Scores(found.as_numpy("logit"), found.as_numpy("prediction"))


def test_models_go_and_come_back(other: Server, rows: list[clicks.Row], expected: Callable[[str], Scores]) -> None:
    version, before = infer(other, rows)
    assert before == expected("fm")
    with (
        tritonclient.http.InferenceServerClient(other.admin) as admin,
        tritonclient.http.InferenceServerClient(other.host) as client,
    ):
        admin.unload_model("fm")
        assert client.is_server_live() and not client.is_model_ready("fm") and client.is_model_ready("still")
        assert not client.is_server_ready()
        listed = {model["name"]: model for model in client.get_model_repository_index()}
        assert listed["fm"]["state"] == "UNAVAILABLE" and listed["still"]["state"] == "READY"
        with pytest.raises(InferenceServerException, match="fm") as caught:
            infer(other, rows)
        assert caught.value.status() == "503"
        # Who has gone already may go again.
        admin.unload_model("fm")
        admin.load_model("fm")
        assert client.is_server_ready() and client.is_model_ready("fm")
        admin.load_model("fm")
        assert {model["name"] for model in admin.get_model_repository_index()} == {"fm", "still"}
    assert infer(other, rows) == (version, before)


def test_a_model_that_is_none_is_neither_loaded_nor_unloaded(other: Server) -> None:
    with tritonclient.http.InferenceServerClient(other.admin) as admin:
        for ask in [admin.load_model, admin.unload_model]:
            with pytest.raises(InferenceServerException, match="ghost") as caught:
                ask("ghost")
            assert caught.value.status() == "404"


def test_the_public_listener_changes_nothing(other: Server) -> None:
    with tritonclient.http.InferenceServerClient(other.host) as client:
        for ask in [client.load_model, client.unload_model]:
            with pytest.raises(InferenceServerException) as caught:
                ask("fm")
            assert caught.value.status() == "404"
        assert client.is_model_ready("fm")
    assert httpx.post(f"{other.url}/v1/models/fm/rollback").status_code == 404


def test_two_versions_answer_and_one_can_be_taken_back(
    other: Server, place: Any, trained: Trained, rows: list[clicks.Row], tmp_path: Any
) -> None:
    first, old = infer(other, rows)
    admin = f"http://{other.admin}"
    refused = httpx.post(f"{admin}/v1/models/fm/rollback")
    assert (refused.status_code, refused.json()["code"]) == (404, "not_found")
    trained.model("fm", str(place), "--seed", 5, "--overwrite")
    with tritonclient.http.InferenceServerClient(other.admin) as client:
        client.load_model("fm")
    second, new = infer(other, rows)
    assert second != first and new == predict(place, rows, tmp_path) and new != old
    assert (infer(other, rows, first), infer(other, rows, second)) == ((first, old), (second, new))
    for path in [f"versions/{first}", f"versions/{first}/ready", f"versions/{first}/config", f"versions/{first}/stats"]:
        assert httpx.get(f"{other.url}/v2/models/fm/{path}").status_code == 200, path
    known = httpx.get(f"{other.url}/v2/models/fm").json()["versions"]
    assert set(known) == {first, second}
    stats = httpx.get(f"{other.url}/v2/models/fm/versions/{first}/stats").json()["model_stats"]
    assert [model["version"] for model in stats] == [first]
    listed = [model["version"] for model in httpx.post(f"{other.url}/v2/repository/index").json()]
    assert {first, second} <= set(listed)
    found = httpx.post(f"{admin}/v1/models/fm/rollback")
    assert (found.status_code, found.json()) == (200, {"model": "fm", "version": first})
    assert infer(other, rows) == (first, old)


def test_a_damaged_directory_does_not_replace_a_model(other: Server, place: Any, rows: list[clicks.Row]) -> None:
    before = infer(other, rows)
    (weights,) = place.glob("model/*.safetensors")
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-100] + bytes(100))
    with tritonclient.http.InferenceServerClient(other.admin) as admin:
        with pytest.raises(InferenceServerException, match=weights.name) as caught:
            admin.load_model("fm")
        assert caught.value.status() == "400"
        listed = {model["name"]: model for model in admin.get_model_repository_index()}
    assert listed["fm"]["state"] == "READY" and weights.name in listed["fm"]["reason"]
    assert infer(other, rows) == before
    (said,) = (model for model in httpx.get(f"{other.url}/v1/models").json()["models"] if model["name"] == "fm")
    assert weights.name in said["failed"] and said["current"]["version"] == before[0]
    assert metric(other.url, "dlrm_reloads_total", model="fm", code="error") == 1
    weights.write_bytes(whole)
    with tritonclient.http.InferenceServerClient(other.admin) as admin:
        admin.load_model("fm")
    assert infer(other, rows) == before
