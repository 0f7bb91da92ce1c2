"""The `dlrm` command and a server of it, as programs that someone starts."""

from __future__ import annotations

import os
import pathlib
import signal
import socket
import subprocess
import time
import urllib.request
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest

import clicks

#: Seconds that a start or an end may take before it counts as failed.
PATIENCE = 60.0


def command() -> str:
    """The `dlrm` command under test."""
    return os.environ["DLRM_BIN"]


def dlrm(*args: object) -> str:
    """Standard output of the command, which must succeed."""
    done = subprocess.run([command(), *map(str, args)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"dlrm {args}: {done.returncode}\n{done.stderr}"
    return done.stdout


def needs(flag: str) -> None:
    """Skips what the command cannot do yet."""
    if f" {flag} " not in dlrm("serve", "--help"):
        pytest.skip(f"dlrm serve has no {flag}")


def train(rows: pathlib.Path, schema: pathlib.Path, out: pathlib.Path, kind: str, *more: object) -> pathlib.Path:
    """A run directory with a model of this kind."""
    named = {"mf", "ncf"} & {kind}
    columns = ["--set", "model.user=user", "--set", "model.item=item"] if named else []
    options = ["--schema", schema, "--model", kind, "--epochs", 1, "--quiet", "--output", out]
    dlrm("train", rows, *options, *columns, *more)
    return out


class Scores:
    """What rows score: the logits as FP32, the predictions as FP64, to the last bit."""

    def __init__(self, logits: Any, predictions: Any) -> None:
        self.logits = np.asarray(logits, np.float32)
        self.predictions = np.asarray(predictions, np.float64)

    def __eq__(self, other: object) -> bool:
        assert isinstance(other, Scores)
        same = self.logits.tobytes() == other.logits.tobytes()
        return same and self.predictions.tobytes() == other.predictions.tobytes()

    def __hash__(self) -> int:
        return hash((self.logits.tobytes(), self.predictions.tobytes()))

    def __repr__(self) -> str:
        return f"Scores of {len(self.logits)} rows, {self.logits[:3]}, {self.predictions[:3]}, …"

    def __getitem__(self, number: int) -> Scores:
        return Scores(self.logits[number : number + 1], self.predictions[number : number + 1])


def predict(model: pathlib.Path, rows: list[clicks.Row], scratch: pathlib.Path) -> Scores:
    """What `dlrm predict` says of the rows."""
    written = clicks.write(scratch / "rows.csv", rows)
    found = scratch / "scores.parquet"
    dlrm("predict", model, written, "--quiet", "--logits", "--overwrite", "--output", found)
    table = pyarrow.parquet.read_table(found)
    (prediction,) = (name for name in table.column_names if name != "logit")
    assert table.num_rows == len(rows)
    return Scores(table["logit"].to_numpy(), table[prediction].to_numpy())


class Server:
    """`dlrm serve` with these arguments, at free ports of this machine."""

    def __init__(self, scratch: pathlib.Path, *args: object, admin: bool = False) -> None:
        addresses = ["--listen", "127.0.0.1:0", *(["--admin", "127.0.0.1:0"] if admin else [])]
        scratch.mkdir(parents=True, exist_ok=True)
        self._out, self._err = scratch / "out.txt", scratch / "err.txt"
        with self._out.open("w") as out, self._err.open("w") as err:
            # A process group of its own: whether it is empty at the end can be asked.
            self.process = subprocess.Popen(
                [command(), "serve", *map(str, args), *addresses], stdout=out, stderr=err, start_new_session=True
            )
        self.addresses = self._listening()

    def _listening(self) -> dict[str, str]:
        """Addresses by name, of lines such as `http:  http://127.0.0.1:4000`."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            # All lines come in one write.
            lines = self._out.read_text()
            if "http" in lines and lines.endswith("\n"):
                named = (line.split(":", 1) for line in lines.splitlines())
                return {name: place.strip().removeprefix("http://").removeprefix("https://") for name, place in named}
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        self.kill()
        raise AssertionError(f"expected a server, found {self.process.returncode}: {self.said()}")

    @property
    def host(self) -> str:
        """`HOST:PORT` of HTTP."""
        return self.addresses["http"]

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    @property
    def admin(self) -> str:
        """`HOST:PORT` of the admin listener."""
        return self.addresses["admin"]

    @property
    def grpc(self) -> str:
        """`HOST:PORT` of gRPC; what asks for it is skipped until the server has it."""
        if "grpc" not in self.addresses:
            pytest.skip("this server does not listen for gRPC")
        return self.addresses["grpc"]

    def said(self) -> str:
        """Standard error so far."""
        return self._err.read_text()

    def wait_until_it_says(self, text: str) -> None:
        end = time.monotonic() + PATIENCE
        while text not in self.said():
            assert time.monotonic() < end, f"expected {text!r} on standard error, found {self.said()!r}"
            time.sleep(0.02)

    def connect(self) -> socket.socket:
        """A connection of one's own to HTTP."""
        host, port = self.host.rsplit(":", 1)
        return socket.create_connection((host, int(port)), timeout=PATIENCE)

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def ended(self) -> int:
        """Waits for the end; the exit code. Nothing may be left of it."""
        code = self.process.wait(PATIENCE)
        with pytest.raises(ProcessLookupError):
            os.killpg(self.process.pid, 0)
        for address in self.addresses.values():
            host, port = address.rsplit(":", 1)
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((host, int(port)), timeout=PATIENCE)
        return code

    def stop(self) -> None:
        """Ends it as an administrator does, and sees that it ends well."""
        if self.process.poll() is None:
            self.terminate()
        code = self.ended()
        assert code == 0, f"expected exit code 0, found {code}: {self.said()}"
        assert "panicked" not in self.said()

    def kill(self) -> None:
        """Ends it at once, where a test has failed already."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE)


def metric(url: str, name: str, **labels: str) -> float:
    """The sum of the samples of a metric that have these labels."""
    total = 0.0
    with urllib.request.urlopen(f"{url}/metrics", timeout=PATIENCE) as answer:
        lines = answer.read().decode().splitlines()
    for line in lines:
        sample, _, value = line.rpartition(" ")
        asked = all(f'{label}="{text}"' in sample for label, text in labels.items())
        if sample.split("{")[0] == name and asked:
            total += float(value)
    return total
