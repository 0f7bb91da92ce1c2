#!/usr/bin/env python3
"""Rows per second of training a DLRM in PyTorch on several ranks, shared as the DLRM of Facebook Research shares it.

    pip install -r benches/peers/requirements.txt
    python benches/peers/distributed.py --embeddings torch|fbgemm --workload k|p|w|m|t --batch 2048 --ranks 2 [--threads 1] [--check]
    torchrun --nproc-per-node 2 benches/peers/distributed.py --embeddings torch|fbgemm --workload k|p|w|m|t --batch 2048

Tables are sharded whole: a rank looks up the rows of its own tables for the whole batch, and an all-to-all (gloo's, by
all_to_all_single) brings each rank the vectors of its share of the batch while the bottom MLP runs. The MLPs are data-parallel: each
rank has a copy, and DistributedDataParallel averages the gradients. --batch is of all ranks together; model, loss, SGD and batches are
those of train.py. Without torchrun the script starts --ranks processes on this machine. One line of JSON per size of batch is printed,
as train.py does. --check compares, instead, the losses of the first steps with those that train.py has in one process, and what the
steps have changed in the MLPs and in the first rank's tables.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import replace

import torch
from dense import Dense
from torch import distributed, multiprocessing, nn
from torch.nn.parallel import DistributedDataParallel
from train import LEARNING_RATE, WARM_UP_SECONDS, Bags, TableBatched, initial
from train import steps as steps_alone
from workloads import WORKLOADS

EMBEDDINGS = {"torch": Bags, "fbgemm": TableBatched}
CHECKED_STEPS = 20
#: Of a loss.
TOLERANCE = 1e-5
#: Of what the steps have changed in a tensor, as a share of it. Losses alone hardly tell: in so few steps most vectors move little.
TOLERANCE_OF_CHANGE = 1e-3


def shares(tables, ranks):
    """Which tables each rank holds: as many as any other, or one more, in their order."""
    bounds = [(tables * rank + ranks - 1) // ranks for rank in range(ranks + 1)]
    return [range(a, b) for a, b in zip(bounds, bounds[1:])]


def model(kind, workload, tables):
    """The tables of a rank and the dense part, with the same initial parameters at any number of ranks."""
    embeddings = EMBEDDINGS[kind](replace(workload, tables=[workload.tables[table] for table in tables]))
    for table, weights in zip(tables, weights_of(embeddings)):
        weights.copy_(drawn(table, weights.shape))
    torch.manual_seed(0)
    return embeddings, Dense(workload)


def weights_of(embeddings):
    bags = isinstance(embeddings, Bags)
    return [bag.weight.data for bag in embeddings.tables] if bags else embeddings.bags.split_embedding_weights()


def drawn(table, shape):
    torch.manual_seed(1 + table)
    return initial(*shape)


class Exchange:
    """The all-to-all of a step, on its way while something else is computed."""

    def __init__(self, group, held, rows, dim):
        self.group, self.held, self.dim = group, [len(tables) for tables in held], dim
        self.ranks, self.rows = len(held), rows // len(held)
        self.mine = self.held[distributed.get_rank()]

    def vectors(self, rank):
        """How many vectors of a rank's tables go to any other."""
        return self.rows * self.held[rank]

    def start(self, sent, received, outwards):
        """`outwards`: from the owners of the tables to those of the rows; else the gradients back."""
        others = [self.vectors(rank) for rank in range(self.ranks)]
        own = [self.rows * self.mine] * self.ranks
        to, of = (own, others) if outwards else (others, own)
        self.work = distributed.all_to_all_single(received, sent, of, to, group=self.group, async_op=True)
        self.sent, self.received = sent, received  # kept while they are on their way
        return received

    def wait(self):
        self.work.wait()


class Start(torch.autograd.Function):
    """Sends vectors [B, own tables, D]; on the way back waits for their gradients."""

    @staticmethod
    def forward(ctx, vectors, exchange):
        ctx.exchange = exchange
        received = vectors.new_empty(sum(exchange.vectors(rank) for rank in range(exchange.ranks)), exchange.dim)
        return exchange.start(vectors.reshape(-1, exchange.dim), received, True)

    @staticmethod
    def backward(ctx, gradients):
        exchange = ctx.exchange
        exchange.wait()
        # A loss is the mean of a rank's rows, that of the batch the mean of those: DistributedDataParallel does as much for the MLPs.
        return exchange.received.div_(exchange.ranks).view(-1, exchange.mine, exchange.dim), None


class Wait(torch.autograd.Function):
    """Waits for vectors, [B / ranks, all tables, D]; on the way back sends their gradients."""

    @staticmethod
    def forward(ctx, received, exchange):
        exchange.wait()
        ctx.exchange = exchange
        parts = received.split([exchange.vectors(rank) for rank in range(exchange.ranks)])
        return torch.cat([part.view(exchange.rows, -1, exchange.dim) for part in parts], 1)

    @staticmethod
    def backward(ctx, gradients):
        exchange = ctx.exchange
        sent = torch.cat([part.reshape(-1, exchange.dim) for part in gradients.split(exchange.held, 1)])
        received = sent.new_empty(exchange.rows * exchange.ranks * exchange.mine, exchange.dim)
        exchange.start(sent, received, False)
        return gradients.reshape(-1, exchange.dim), None  # of the shape that is wanted; Start takes those that arrive


def steps(embeddings, dense, workload, rows, group, held):
    """Trains for ever; each `next` is a step, and the loss of the rank's rows."""
    rank, ranks = distributed.get_rank(), len(held)
    mine, part = held[rank], rows // ranks
    own = slice(part * rank, part * (rank + 1))
    batches = [(inputs[own], ids[mine.start : mine.stop], labels[own]) for inputs, ids, labels in workload.batches(rows)]
    batches = [tuple(torch.from_numpy(part.copy()) for part in batch) for batch in batches]
    offsets = torch.arange(0, len(mine) * rows * workload.ids + 1, workload.ids)
    bottom, dense.bottom = DistributedDataParallel(dense.bottom, gradient_as_bucket_view=True), nn.Identity()
    dense.top = DistributedDataParallel(dense.top, gradient_as_bucket_view=True)
    parameters = [*bottom.parameters(), *dense.parameters()]
    optimizers = [torch.optim.SGD(parameters, lr=LEARNING_RATE, fused=True), *embeddings.optimizers()]
    loss = nn.BCEWithLogitsLoss()
    exchange = Exchange(group, held, rows, workload.dim)
    while True:
        for inputs, ids, labels in batches:
            for optimizer in optimizers:
                optimizer.zero_grad(set_to_none=True)
            received = Start.apply(embeddings(ids, offsets), exchange)
            x = bottom(inputs)
            result = loss(dense(x, Wait.apply(received, exchange)), labels)
            result.backward()
            for optimizer in optimizers:
                optimizer.step()
            yield result.detach()


def seconds_of(training, count):
    """How long the first rank takes for `count` steps; all ranks learn it, so that all do as many."""
    distributed.barrier()
    start = time.perf_counter()
    for _ in range(count):
        next(training)
    taken = torch.tensor([time.perf_counter() - start])
    distributed.broadcast(taken, 0)
    return taken.item()


def rows_per_second(training, rows, seconds):
    next(training)
    count, taken = 1, 0
    while taken < WARM_UP_SECONDS:
        count *= 2
        taken = seconds_of(training, count)
    count = max(1, round(count * seconds / taken))
    return rows * count / seconds_of(training, count)


def losses(training):
    """Of the first steps, each the mean of all ranks."""
    found = torch.stack([next(training) for _ in range(CHECKED_STEPS)])
    distributed.all_reduce(found)
    return found / distributed.get_world_size()


def losses_alone(embeddings, dense, workload, rows):
    """Of the first steps that train.py does in one process."""
    offsets = torch.arange(0, len(workload.tables) * rows * workload.ids + 1, workload.ids)
    training, loss, found = steps_alone(embeddings, dense, workload, rows, False), nn.BCEWithLogitsLoss(), []
    for batch in workload.batches(rows)[:CHECKED_STEPS]:
        inputs, ids, labels = map(torch.from_numpy, batch)
        with torch.no_grad():
            found.append(loss(dense(inputs, embeddings(ids, offsets)), labels))
        next(training)
    return torch.stack(found)


def compared(args, workload, rows, group, held):
    """Losses and changes beside those of one process, on the first rank."""
    mine = held[distributed.get_rank()]
    embeddings, dense = model(args.embeddings, workload, mine)
    parameters, before = list(dense.parameters()), [p.detach().clone() for p in dense.parameters()]
    shared = losses(steps(embeddings, dense, workload, rows, group, held))
    if distributed.get_rank() != 0:
        return {}
    embeddings_alone, dense_alone = model(args.embeddings, workload, range(len(workload.tables)))
    alone = losses_alone(embeddings_alone, dense_alone, workload, rows)
    apart = lambda a, b, before: ((a - b).norm() / (b - before).norm()).item()
    changes = [apart(*of) for of in zip(parameters, dense_alone.parameters(), before)]
    tables = zip(mine, weights_of(embeddings), weights_of(embeddings_alone))
    changes += [apart(a, b, drawn(table, a.shape)) for table, a, b in tables]
    result = {"steps": CHECKED_STEPS, "losses": [shared[0].item(), shared[-1].item()]}
    return result | {"difference": (shared - alone).abs().max().item(), "difference_of_changes": max(changes)}


def measured(args, workload, rows, group, held):
    training = steps(*model(args.embeddings, workload, held[distributed.get_rank()]), workload, rows, group, held)
    return {"rows_per_s": round(rows_per_second(training, rows, args.seconds), 1)}


def run(rank, ranks, rendezvous, args):
    """What a rank does."""
    torch.set_num_threads(args.threads)
    distributed.init_process_group("gloo", init_method=rendezvous, rank=rank, world_size=ranks)
    group = distributed.new_group()  # so that no vectors wait behind gradients of the MLPs
    workload = WORKLOADS[args.workload]
    held = shares(len(workload.tables), ranks)
    good = True
    for rows in args.batch:
        task = "check" if args.check else f"train on {ranks} ranks"
        result = {"task": task, "workload": args.workload, "batch": rows}
        result |= (compared if args.check else measured)(args, workload, rows, group, held)
        good &= result.get("difference", 0) <= TOLERANCE and result.get("difference_of_changes", 0) <= TOLERANCE_OF_CHANGE
        if rank == 0:
            print(json.dumps(result), flush=True)
    distributed.destroy_process_group()
    if not good:
        sys.exit(f"expected the losses of one process to {TOLERANCE}, and its changes to {TOLERANCE_OF_CHANGE}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--embeddings", choices=EMBEDDINGS, required=True)
    parser.add_argument("--workload", choices=WORKLOADS, required=True)
    parser.add_argument("--batch", type=int, nargs="+", required=True)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1, help="of each rank")
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    launched = "RANK" in os.environ  # by torchrun
    ranks = int(os.environ["WORLD_SIZE"]) if launched else args.ranks
    if not 1 <= ranks <= len(WORKLOADS[args.workload].tables):
        parser.error(f"--ranks {ranks}: expected from 1 to {len(WORKLOADS[args.workload].tables)}, a table for each")
    if uneven := [rows for rows in args.batch if rows % ranks]:
        parser.error(f"--batch {uneven[0]}: expected a multiple of the {ranks} ranks")
    if launched:
        run(int(os.environ["RANK"]), ranks, "env://", args)
    else:
        with tempfile.TemporaryDirectory() as directory:
            multiprocessing.spawn(run, (ranks, f"file://{directory}/rendezvous", args), ranks)
