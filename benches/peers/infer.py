#!/usr/bin/env python3
"""Latency of one row, and rows per second of larger batches, of scoring with a DLRM in PyTorch or ONNX Runtime.

    pip install -r benches/peers/requirements.txt
    python benches/peers/infer.py --runtime torch|onnxruntime --workload k --batch 1 1024 [--compile] [--threads 2]

Both look up in one table that holds the rows of all, with ids that point into it: the fastest either can do. One line of JSON per size
of batch is printed: after a warm-up, what a window of --seconds took. `p50_us` and `p99_us` are of one call.
"""

import argparse
import json
import time

import numpy as np
import torch
from dense import Dense
from workloads import WORKLOADS

WARM_UP_SECONDS = 1


def torch_scorer(dense, table, compiled):
    def score(inputs, ids):
        return torch.sigmoid(dense(inputs, torch.nn.functional.embedding(ids, table)))

    scored = torch.compile(score, dynamic=False) if compiled else score

    def run(inputs, ids):
        with torch.inference_mode():
            return scored(inputs, ids)

    return run


def onnx_model(dense, table):
    """The same operations as a graph of ONNX. Its table is an input: a file of ONNX has at most 2 GB."""
    import onnx
    from onnx import helper, numpy_helper

    nodes, constants = [], []

    def constant(name, value):
        constants.append(numpy_helper.from_array(value, name))
        return name

    def node(kind, inputs, **attributes):
        nodes.append(helper.make_node(kind, inputs, [f"n{len(nodes)}"], **attributes))
        return nodes[-1].output[0]

    def mlp(x, layers, prefix):
        for i, layer in enumerate(layers):
            if isinstance(layer, torch.nn.Linear):
                weight, bias = (p.detach().numpy() for p in (layer.weight, layer.bias))
                x = node("Gemm", [x, constant(f"{prefix}.{i}.w", weight), constant(f"{prefix}.{i}.b", bias)], transB=1)
            else:
                x = node("Relu", [x])
        return x

    x = mlp("dense", dense.bottom, "bottom")
    row = node("Unsqueeze", [x, constant("one", np.array([1]))])
    all = node("Concat", [row, node("Gather", ["table", "ids"])], axis=1)
    pairs = node("MatMul", [all, node("Transpose", [all], perm=[0, 2, 1])])
    pairs = node("Gather", [node("Flatten", [pairs]), constant("below", dense.below.numpy())], axis=1)
    score = node("Sigmoid", [mlp(node("Concat", [x, pairs], axis=1), dense.top, "top")])
    kinds = {"dense": (onnx.TensorProto.FLOAT, ["B", None]), "ids": (onnx.TensorProto.INT64, ["B", None])}
    kinds["table"] = (onnx.TensorProto.FLOAT, list(table.shape))
    inputs = [helper.make_tensor_value_info(name, *kind) for name, kind in kinds.items()]
    outputs = [helper.make_tensor_value_info(score, onnx.TensorProto.FLOAT, ["B", 1])]
    graph = helper.make_graph(nodes, "dlrm", inputs, outputs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def onnx_scorer(dense, table, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(onnx_model(dense, table), options, providers=["CPUExecutionProvider"])
    bound = onnxruntime.OrtValue.ortvalue_from_numpy(table.numpy())
    binding = session.io_binding()
    binding.bind_ortvalue_input("table", bound)

    def run(inputs, ids):
        binding.bind_cpu_input("dense", inputs)
        binding.bind_cpu_input("ids", ids)
        binding.bind_output(session.get_outputs()[0].name)
        session.run_with_iobinding(binding)
        return binding.get_outputs()[0].numpy()

    return run


def measure(score, batches, seconds):
    took = []
    for window in (WARM_UP_SECONDS, seconds):
        took.clear()
        end, calls = time.perf_counter() + window, 0
        while time.perf_counter() < end:
            batch = batches[calls % len(batches)]
            start = time.perf_counter()
            score(*batch)
            took.append(time.perf_counter() - start)
            calls += 1
    return np.array(took)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runtime", choices=["torch", "onnxruntime"], required=True)
    parser.add_argument("--workload", choices=[name for name, w in WORKLOADS.items() if w.ids == 1], required=True)
    parser.add_argument("--batch", type=int, nargs="+", required=True)
    parser.add_argument("--compile", action="store_true", help="of torch")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=4)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    workload = WORKLOADS[args.workload]
    dense, table = Dense(workload).eval(), torch.empty(sum(workload.tables), workload.dim).uniform_(-0.01, 0.01)
    first = np.cumsum([0, *workload.tables[:-1]])  # row of each table in the one that holds all
    if args.runtime == "torch":
        score = torch_scorer(dense, table, args.compile)
    else:
        score = onnx_scorer(dense, table, args.threads)
    for rows in args.batch:
        batches = [(inputs, np.ascontiguousarray(ids.T + first)) for inputs, ids, _ in workload.batches(rows)]
        if args.runtime == "torch":
            batches = [tuple(map(torch.from_numpy, batch)) for batch in batches]
        score(*batches[0])  # compiles, too
        took = measure(score, batches, args.seconds)
        result = {"task": "infer", "workload": args.workload, "batch": rows, "rows_per_s": round(rows / took.mean(), 1)}
        result |= {f"p{p}_us": round(1e6 * float(np.percentile(took, p)), 1) for p in (50, 99)}
        print(json.dumps(result), flush=True)
