#!/usr/bin/env python3
"""Rows per second of training a DLRM in PyTorch, with its own embedding bags or with the table-batched ones of FBGEMM.

    pip install -r benches/peers/requirements.txt
    python benches/peers/train.py --embeddings torch|fbgemm --workload k|p|w|m|t --batch 2048 128 [--compile] [--bf16] [--threads 2]

Loss, dense part and SGD are PyTorch's. `torch` looks rows up with one nn.EmbeddingBag(sparse=True) per table, whose sparse gradients
SGD adds; `fbgemm` updates the rows while it goes back. --compile compiles the dense part (for which PyTorch wants a C++ compiler), --bf16
runs it under autocast. One line of JSON per size of batch is printed: after a warm-up, the rows of a window of --seconds.
"""

import argparse
import contextlib
import json
import time

import torch
from dense import Dense
from torch import nn
from workloads import WORKLOADS

LEARNING_RATE = 0.1
WARM_UP_SECONDS = 1


class Bags(nn.Module):
    """One nn.EmbeddingBag per table."""

    def __init__(self, workload):
        super().__init__()
        self.per_row = workload.ids
        bag = lambda rows: nn.EmbeddingBag(rows, workload.dim, mode="sum", sparse=True, _weight=initial(rows, workload.dim))
        self.tables = nn.ModuleList(bag(rows) for rows in workload.tables)

    def forward(self, ids, offsets):
        offsets = offsets[: ids.shape[1] // self.per_row]
        return torch.stack([table(row, offsets) for table, row in zip(self.tables, ids)], 1)  # [B, T, D]

    def optimizers(self):
        return [torch.optim.SGD(self.parameters(), lr=LEARNING_RATE)]


class TableBatched(nn.Module):
    """All tables in one operator of FBGEMM, which updates them in its backward."""

    def __init__(self, workload):
        super().__init__()
        from fbgemm_gpu.split_embedding_configs import EmbOptimType
        from fbgemm_gpu.split_table_batched_embeddings_ops_common import EmbeddingLocation, PoolingMode
        from fbgemm_gpu.split_table_batched_embeddings_ops_training import ComputeDevice, SplitTableBatchedEmbeddingBagsCodegen

        self.shape = len(workload.tables), workload.dim
        tables = [(rows, workload.dim, EmbeddingLocation.HOST, ComputeDevice.CPU) for rows in workload.tables]
        settings = {"optimizer": EmbOptimType.EXACT_SGD, "learning_rate": LEARNING_RATE, "pooling_mode": PoolingMode.SUM}
        self.bags = SplitTableBatchedEmbeddingBagsCodegen(tables, **settings)
        for weights in self.bags.split_embedding_weights():
            weights.copy_(initial(*weights.shape))

    def forward(self, ids, offsets):
        return self.bags(ids.view(-1), offsets).view(-1, *self.shape)  # [B, T, D]

    def optimizers(self):
        return []


def initial(rows, dim):
    return torch.empty(rows, dim).uniform_(-(rows**-0.5), rows**-0.5)


def steps(embeddings, dense, workload, rows, bf16):
    """Trains for ever, a step at each `next`."""
    batches = [tuple(torch.from_numpy(part) for part in batch) for batch in workload.batches(rows)]
    offsets = torch.arange(0, len(workload.tables) * rows * workload.ids + 1, workload.ids)
    optimizers = [torch.optim.SGD(dense.parameters(), lr=LEARNING_RATE, fused=True), *embeddings.optimizers()]
    loss = nn.BCEWithLogitsLoss()
    while True:
        for inputs, ids, labels in batches:
            for optimizer in optimizers:
                optimizer.zero_grad(set_to_none=True)
            vectors = embeddings(ids, offsets)
            with torch.autocast("cpu", torch.bfloat16) if bf16 else contextlib.nullcontext():
                logits = dense(inputs, vectors)
            loss(logits.float(), labels).backward()
            for optimizer in optimizers:
                optimizer.step()
            yield


def rows_per_second(training, rows, seconds):
    next(training)  # compiles, too
    rate = 0
    for window in (WARM_UP_SECONDS, seconds):
        count, start = 0, time.perf_counter()
        while time.perf_counter() - start < window:
            next(training)
            count += 1
        rate = rows * count / (time.perf_counter() - start)
    return rate


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--embeddings", choices=["torch", "fbgemm"], required=True)
    parser.add_argument("--workload", choices=WORKLOADS, required=True)
    parser.add_argument("--batch", type=int, nargs="+", required=True)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=4)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    workload = WORKLOADS[args.workload]
    embeddings = {"torch": Bags, "fbgemm": TableBatched}[args.embeddings](workload)
    dense = Dense(workload)
    if args.compile:
        dense = torch.compile(dense, dynamic=False)
    for rows in args.batch:
        rate = rows_per_second(steps(embeddings, dense, workload, rows, args.bf16), rows, args.seconds)
        print(json.dumps({"task": "train", "workload": args.workload, "batch": rows, "rows_per_s": round(rate, 1)}), flush=True)
