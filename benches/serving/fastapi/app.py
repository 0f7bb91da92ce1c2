"""A model behind FastAPI and ONNX Runtime, as `cargo xtask serving-peers` starts it:

    MODEL=model.onnx THREADS=1 uvicorn app:app --workers 2 --no-access-log

It is asked for less than `dlrm serve`: rows come as ids and scaled numbers, not as raw values, and nothing of a request is checked.
JSON is read and written by orjson, without pydantic between, and candidates are joined to their context here, so that a context is
sent once.

    POST /predict {"dense": [[13 numbers], …], "ids": [[26 ids], …]}
    POST /rank {"dense": [13 numbers], "ids": [ids of the first columns], "items": [[ids of the others], …], "k": 10}
"""

import os

import numpy as np
import onnxruntime
import orjson
from fastapi import FastAPI, Request, Response

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = int(os.environ.get("THREADS", "1"))
session = onnxruntime.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])
columns = [i.name for i in session.get_inputs() if i.name != "dense"]
app = FastAPI()


def probabilities(dense, ids):
    rows = {name: np.ascontiguousarray(ids[:, place]) for place, name in enumerate(columns)}
    return session.run(["probability"], {"dense": dense, **rows})[0]


def answer(content):
    return Response(orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY), media_type="application/json")


@app.post("/predict")
async def predict(request: Request):
    asked = orjson.loads(await request.body())
    scores = probabilities(np.array(asked["dense"], np.float32), np.array(asked["ids"], np.int64))
    return answer({"predictions": scores})


@app.post("/rank")
async def rank(request: Request):
    asked = orjson.loads(await request.body())
    items = np.array(asked["items"], np.int64)
    dense = np.broadcast_to(np.array(asked["dense"], np.float32), (len(items), len(asked["dense"])))
    context = np.broadcast_to(np.array(asked["ids"], np.int64), (len(items), len(asked["ids"])))
    scores = probabilities(np.ascontiguousarray(dense), np.concatenate([context, items], axis=1))
    best = np.argsort(-scores, kind="stable")[: asked["k"]]
    return answer({"items": [{"index": int(i), "prediction": float(scores[i])} for i in best]})


@app.get("/ready")
async def ready():
    return {}
