"""A model behind MLServer and ONNX Runtime, as `cargo xtask serving-peers` starts it (`mlserver start DIR`).

It is asked for less than `dlrm serve`: rows come as two tensors, of ids and of scaled numbers, not as raw values in a tensor for each
column. How many workers there are, and the threads of each, is in the environment.
"""

import os

import numpy as np
import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.handlers import custom_handler
from mlserver.types import InferenceResponse, ResponseOutput


class Onnx(MLModel):
    async def load(self):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = int(os.environ.get("THREADS", "1"))
        self.session = onnxruntime.InferenceSession(
            os.environ["MODEL"], options, providers=["CPUExecutionProvider"]
        )
        self.columns = [i.name for i in self.session.get_inputs() if i.name != "dense"]
        return True

    async def predict(self, payload):
        tensors = {tensor.name: NumpyCodec.decode_input(tensor) for tensor in payload.inputs}
        ids = tensors["ids"].astype(np.int64, copy=False)
        rows = {name: np.ascontiguousarray(ids[:, place]) for place, name in enumerate(self.columns)}
        dense = tensors["dense"].astype(np.float32, copy=False)
        scores = self.session.run(["probability"], {"dense": dense, **rows})[0]
        # Of an output with parameters, as NumpyCodec makes it, perf_analyzer believes that its data are behind the JSON.
        output = ResponseOutput(name="prediction", shape=[len(scores)], datatype="FP32", data=scores.tolist())
        return InferenceResponse(model_name=self.name, outputs=[output])

    @custom_handler(rest_path="/v2/models/k/config", rest_method="GET")
    async def config(self) -> dict:
        """What perf_analyzer asks for before it begins, and the protocol leaves open."""
        return {"name": self.name, "max_batch_size": 0, "input": [], "output": []}
