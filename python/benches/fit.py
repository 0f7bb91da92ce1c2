"""Memory and speed of training from a data frame, beside `dlrm train` on the same rows as Parquet.

python benches/fit.py ROWS DLRM_COMMAND [paper]

With `paper`, numbers are one input each, as in the paper's settings; by default they are many, in pieces.
"""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

import numpy as np
import pandas as pd

import dlrm

COLUMNS = 26


def resident() -> int:
    """Bytes of this process that lie in memory."""
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * 4096


class Peak:
    """The most bytes in memory within a block."""

    def __enter__(self) -> Peak:
        self.bytes = 0
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def watch(self) -> None:
        while not self.done.wait(0.005):
            self.bytes = max(self.bytes, resident())

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self.thread.join()


def clicks(rows: int) -> pd.DataFrame:
    """Rows with 13 numbers and 26 ids, as Criteo's have."""
    draw = np.random.default_rng(0)
    columns: dict[str, object] = {"click": draw.integers(0, 2, rows)}
    for c in range(13):
        columns[f"number_{c}"] = draw.lognormal(1, 2, rows).round(3)
    for c in range(COLUMNS):
        values = np.array([f"{value:08x}" for value in draw.integers(0, 2**32, 4000)])
        columns[f"id_{c}"] = values[draw.zipf(1.3, rows) % 4000]
    return pd.DataFrame(columns)


def encoded_bytes(model: dlrm.Model, frame: pd.DataFrame) -> int:
    """Bytes of the rows of the frame as they are trained on: numbers, ids with offsets of four bytes, labels."""
    sample = frame.head(1000)
    encoded = model.encoder.transform(sample)
    ids = sum(bags.ids.nbytes + 4 * len(sample) for bags in encoded.sparse.values())
    return (encoded.dense.nbytes + ids + 4 * len(sample)) * len(frame) // len(sample)


def main(rows: int, command: str, preset: str | None = None) -> None:
    """Trains both ways and prints figures."""
    frame = clicks(rows)
    # Few steps: what differs is how rows come in, not how a model is trained on them.
    said = {"label": "click", "model": "dlrm", "max_steps": 50, "no_baseline": True, "seed": 0, "preset": preset}
    # What is loaded once: libraries, and what pyarrow keeps of its own.
    dlrm.train(frame.head(2000), **said)
    before = resident()
    with Peak() as peak:
        begun = time.perf_counter()
        model = dlrm.train(frame, **said)
        seconds = time.perf_counter() - begun
    encoded = encoded_bytes(model, frame)
    with tempfile.TemporaryDirectory() as scratch:
        place = pathlib.Path(scratch)
        frame.to_parquet(place / "rows.parquet", index=False)
        flags = ["--label", "click", "--model", "dlrm", "--max-steps", "50", "--no-baseline", "--seed", "0"]
        flags += ["--preset", preset] if preset else []
        begun = time.perf_counter()
        train = [command, "train", place / "rows.parquet", *flags, "-o", place / "run", "--quiet"]
        subprocess.run(train, check=True, capture_output=True)
        theirs = time.perf_counter() - begun
        same = (place / "run/model/weights.safetensors").read_bytes() == (
            pathlib.Path(model.path) / "model/weights.safetensors"
        ).read_bytes()
    print(
        json.dumps(
            {
                "rows": rows,
                "seconds": seconds,
                "seconds_of_the_command": theirs,
                "ratio": seconds / theirs,
                "encoded_bytes": encoded,
                "bytes_above_the_frame": peak.bytes - before,
                "times_the_encoded_rows": (peak.bytes - before) / encoded,
                "same_weights": same,
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:4])
