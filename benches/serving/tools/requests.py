#!/usr/bin/env python3
"""Requests of the same rows in the words of every server, and whether all of them answer alike.

    python requests.py make RUN/model/encoder.json CLICKS.tsv OUT [--rows 270] [--count 64]
    python requests.py agree OUT --dlrm URL [--fastapi URL] [--mlserver URL]

`make` writes files with a request in each line for wrk, and files of JSON for perf_analyzer. The rows are the last ones of the clicks.
`dlrm serve` gets their raw values; the others get what `docs/export.md` says an ONNX file wants: ids and encoded numbers, so that they
have less to do. In a ranking the numbers and the first half of the categories are the context, the other half is the item's.

`agree` posts the first requests of each file and compares the probabilities.
"""

import argparse
import json
import math
import pathlib
import urllib.request

DENSE = [f"I{i}" for i in range(1, 14)]
CATEGORICAL = [f"C{i}" for i in range(1, 27)]
#: Categories of the context.
CONTEXT = 13
#: Places of a ranking.
PLACES = 10
#: How far probabilities may be apart.
TOLERANCE = 1e-5


class Encoder:
    """What an ONNX file leaves to its caller, for the schema of recipes/section-5.1."""

    def __init__(self, path):
        vocabularies = json.loads(pathlib.Path(path).read_text())["vocabularies"]
        self.ids = [{text: place + 2 for place, text in enumerate(vocabularies[name])} for name in CATEGORICAL]

    def numbers(self, row):
        return [round(math.log1p(max(float(text), 0.0)), 7) if text else 0.0 for text in row[: len(DENSE)]]

    def categories(self, row):
        texts = row[len(DENSE) :]
        return [ids.get(text, 1) if text else 0 for ids, text in zip(self.ids, texts, strict=True)]


def raw(row, names):
    """A row as `dlrm serve` takes it, without what is missing."""
    values = dict(zip(DENSE + CATEGORICAL, row, strict=True))
    return {n: int(values[n]) if n in DENSE else values[n] for n in names if values[n]}


def rank(rows, encoder):
    context, items = DENSE + CATEGORICAL[:CONTEXT], CATEGORICAL[CONTEXT:]
    ids = [encoder.categories(row) for row in rows]
    dlrm = {"context": raw(rows[0], context), "items": [raw(row, items) for row in rows], "k": PLACES}
    fastapi = {"dense": encoder.numbers(rows[0]), "ids": ids[0][:CONTEXT], "items": [i[CONTEXT:] for i in ids], "k": PLACES}
    return {"dlrm": dlrm, "fastapi": fastapi}


def predict(rows, encoder):
    dense, ids = [encoder.numbers(row) for row in rows], [encoder.categories(row) for row in rows]
    flat = lambda lists: [value for values in lists for value in values]
    tensors = [
        {"name": "dense", "datatype": "FP32", "shape": [len(rows), len(DENSE)], "data": flat(dense)},
        {"name": "ids", "datatype": "INT64", "shape": [len(rows), len(CATEGORICAL)], "data": flat(ids)},
    ]
    return {
        "dlrm": {"rows": [raw(row, DENSE + CATEGORICAL) for row in rows]},
        "fastapi": {"dense": dense, "ids": ids},
        "mlserver": {"inputs": tensors},
    }


def tensors(rows, request):
    """What perf_analyzer is to send: a tensor for each column to `dlrm serve`, two to MLServer."""
    columns = list(zip(*rows, strict=True))
    # A tensor has no place for what is missing; 0 is what a missing number is taken for here.
    content = [[float(text or 0) for text in column] for column in columns[: len(DENSE)]]
    content += [list(column) for column in columns[len(DENSE) :]]
    named = zip(DENSE + CATEGORICAL, content, strict=True)
    dlrm = {name: {"content": values, "shape": [len(rows)]} for name, values in named}
    mlserver = {t["name"]: {"content": t["data"], "shape": t["shape"]} for t in request["mlserver"]["inputs"]}
    return {"dlrm": dlrm, "mlserver": mlserver}


def make(args):
    lines = pathlib.Path(args.clicks).read_text().splitlines()[-(args.rows + args.count) :]
    rows, encoder = [line.split("\t")[1:] for line in lines], Encoder(args.encoder)
    windows = [rows[i : i + args.rows] for i in range(args.count)]
    # One row out of each window, so that no two requests are alike.
    kinds = {
        "one": [predict(window[:1], encoder) for window in windows],
        "many": [predict(window, encoder) for window in windows],
        "rank": [rank(window, encoder) for window in windows],
    }
    out = pathlib.Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    for kind, requests in kinds.items():
        for side in requests[0]:
            text = "".join(json.dumps(request[side], separators=(",", ":")) + "\n" for request in requests)
            (out / f"{kind}-{side}.txt").write_text(text)
        if kind != "rank":
            some = [window[: 1 if kind == "one" else None] for window in windows]
            data = [tensors(rows, request) for rows, request in zip(some, requests, strict=True)]
            for side in data[0]:
                (out / f"{kind}-{side}.json").write_text(json.dumps({"data": [step[side] for step in data]}))


def post(url, body):
    request = urllib.request.Request(url, body.encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def scores(side, url, kind, body):
    if kind == "rank":
        items = post(f"{url}/v1/rank" if side == "dlrm" else f"{url}/rank", body)["items"]
        return [item["prediction"] for item in items]
    if side == "mlserver":
        return post(f"{url}/v2/models/k/infer", body)["outputs"][0]["data"]
    return post(f"{url}/v1/predict" if side == "dlrm" else f"{url}/predict", body)["predictions"]


def agree(args):
    apart = 0.0
    for side in ("fastapi", "mlserver"):
        url = getattr(args, side)
        for kind in ("one", "many", "rank") if url else ():
            file = lambda side: pathlib.Path(args.out) / f"{kind}-{side}.txt"
            if not file(side).exists():
                continue
            bodies = zip(file("dlrm").read_text().splitlines()[:8], file(side).read_text().splitlines()[:8], strict=True)
            for number, (ours, theirs) in enumerate(bodies):
                ours, theirs = scores("dlrm", args.dlrm, kind, ours), scores(side, url, kind, theirs)
                assert len(ours) == len(theirs), f"{side}, {kind}, request {number}: {len(ours)} and {len(theirs)} scores"
                far = max(abs(a - b) for a, b in zip(ours, theirs, strict=True))
                assert far <= TOLERANCE, f"{side}, {kind}, request {number}: probabilities are {far} apart"
                apart = max(apart, far)
    print(json.dumps({"apart": apart}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    making = commands.add_parser("make")
    making.add_argument("encoder")
    making.add_argument("clicks")
    making.add_argument("out")
    making.add_argument("--rows", type=int, default=270)
    making.add_argument("--count", type=int, default=64)
    making.set_defaults(run=make)
    agreeing = commands.add_parser("agree")
    agreeing.add_argument("out")
    for side in ("--dlrm", "--fastapi", "--mlserver"):
        agreeing.add_argument(side, required=side == "--dlrm")
    agreeing.set_defaults(run=agree)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
