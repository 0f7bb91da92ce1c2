#!/usr/bin/env python3
"""Writes dlrm.json and optimizers.json, the reference values of the tests, next to this file.

    pip install torch numpy
    python tests/goldens/make_goldens.py

An independent, deliberately plain PyTorch implementation (CPU only) of DLRM (Naumov et al.
2019, arXiv:1906.00091) and of its optimisers. Inputs and initial parameters are drawn as float32
values (printed with the fewest digits that round-trip float32); everything else is computed in
float64 from exactly those values and printed with nine significant digits. Seeds are fixed, so
the output is the same every time. torch's version is written into both files.

A draw is rejected, and the next seed tried, if it would make a poor reference: a ReLU input so
near to zero that float32 could round it to the other side, many dead units or zero gradients, or
(optimisers) a training run that float32 cannot follow closely.

Parameters: bottom.{i}.weight [out, in], bottom.{i}.bias, top.{i}.weight, top.{i}.bias,
tables.{t} [rows, dim], row_weights.{t} [rows] (tables with learned pooling), project.{f}
[embedding_dim, dim] (features whose table has another dim). batch.bags[feature][row] is a list of
ids; batch.weights[feature] is null, or has one weight per id.
"""

import itertools
import json
import math
import os

import numpy as np
import torch
import torch.nn.functional as F

torch.set_num_threads(1)
torch.sparse.check_sparse_tensor_invariants.enable()
F32, F64 = torch.float32, torch.float64
TORCH = torch.__version__.split("+")[0]

# ------------------------------------------------------------------------------------- the model


def widths(config):
    """(input, output) sizes of the bottom and of the top layers."""
    dim, has_dense = config["embedding_dim"], config["dense"] > 0
    m = len(config["features"]) + has_dense  # the number of vectors that interact
    top_in = {
        "dot": dim * has_dense + m * (m - 1) // 2,
        "dot_self": dim * has_dense + m * (m + 1) // 2,
        "cat": m * dim,
    }[config["interaction"]]
    bottom, top = [config["dense"]] + config["bottom"], [top_in] + config["top"]
    return list(zip(bottom, bottom[1:])), list(zip(top, top[1:]))


def mlp(x, params, prefix, layers, relu_last, relu_inputs):
    for i in range(layers):
        x = x @ params[f"{prefix}.{i}.weight"].T + params[f"{prefix}.{i}.bias"]
        if relu_last or i + 1 < layers:
            relu_inputs.append(x.detach())
            x = torch.relu(x)
    return x


def pool(table, pooling, bags, weights, row_weights):
    """One vector per bag; an empty bag gives zeros."""
    out = []
    for row, ids in enumerate(bags):
        ids = torch.tensor(ids, dtype=torch.long)
        e = table[ids]
        if pooling == "mean":
            e = e / max(len(ids), 1)
        elif pooling == "weighted":
            e = e * torch.tensor(weights[row], dtype=table.dtype)[:, None]
        elif pooling == "learned":
            e = e * row_weights[ids][:, None]
        out.append(e.sum(0))
    return torch.stack(out)


def forward(config, params, batch, relu_inputs):
    dtype = params["top.0.weight"].dtype
    vectors = []
    if config["dense"]:
        x = torch.tensor(batch["dense"], dtype=dtype)
        vectors.append(mlp(x, params, "bottom", len(config["bottom"]), True, relu_inputs))
    for f, feature in enumerate(config["features"]):
        t = feature["table"]
        v = pool(params[f"tables.{t}"], feature["pooling"], batch["bags"][f], batch["weights"][f],
                 params.get(f"row_weights.{t}"))
        if f"project.{f}" in params:
            v = v @ params[f"project.{f}"].T
        vectors.append(v)
    if config["interaction"] == "cat":
        row = vectors
    else:
        row = vectors[:1] if config["dense"] else []
        own = 1 if config["interaction"] == "dot_self" else 0
        for i in range(len(vectors)):  # row-major lower triangle: (1,0), (2,0), (2,1), (3,0), ...
            for j in range(i + own):
                row = row + [(vectors[i] * vectors[j]).sum(1, keepdim=True)]
    x = torch.cat(row, 1)
    return mlp(x, params, "top", len(config["top"]), False, relu_inputs)[:, 0]


def loss_of(kind, logits, labels, positive_weight=1.0, weights=None):
    """sum(w_i * l_i) / B; mse is on the raw output."""
    if kind == "mse":
        each = (logits - labels) ** 2
    else:
        pos_weight = torch.tensor(positive_weight, dtype=logits.dtype)
        each = F.binary_cross_entropy_with_logits(logits, labels, pos_weight=pos_weight,
                                                  reduction="none")
    return (each if weights is None else each * weights).mean()


def evaluate(config, params, batch):
    """(logits, loss, {name: gradient}, [inputs of every ReLU]). Table gradients are dense."""
    leaves = {k: v.detach().clone().requires_grad_() for k, v in params.items()}
    relu_inputs = []
    logits = forward(config, leaves, batch, relu_inputs)
    loss = loss_of("bce", logits, torch.tensor(batch["labels"], dtype=logits.dtype))
    gradients = dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values()))))
    return logits.detach(), loss.detach(), gradients, relu_inputs


def touched_rows(config, batch, t):
    """The rows of table t that the batch names, ascending: those of its sparse gradient."""
    ids = {i for f, feature in enumerate(config["features"]) if feature["table"] == t
           for bag in batch["bags"][f] for i in bag}
    return torch.tensor(sorted(ids), dtype=torch.long)


# ----------------------------------------------------------------------------------- random draws


def rounded(values, decimals=4):
    return np.round(values, decimals).astype(np.float32)


def draw_parameters(rng, config):
    dim, params = config["embedding_dim"], {}
    for prefix, layers in zip(("bottom", "top"), widths(config)):
        for i, (n, m) in enumerate(layers):
            params[f"{prefix}.{i}.weight"] = rounded(rng.randn(m, n) * math.sqrt(2 / n))
            params[f"{prefix}.{i}.bias"] = rounded(rng.uniform(-0.1, 0.5, m))
    for t, table in enumerate(config["tables"]):
        params[f"tables.{t}"] = rounded(rng.uniform(-1, 1, (table["rows"], table["dim"])))
        if any(x["table"] == t and x["pooling"] == "learned" for x in config["features"]):
            params[f"row_weights.{t}"] = rounded(rng.uniform(0.3, 1.7, table["rows"]))
    for f, feature in enumerate(config["features"]):
        d = config["tables"][feature["table"]]["dim"]
        if d != dim:
            params[f"project.{f}"] = rounded(rng.randn(dim, d) / math.sqrt(d))
    return params


def draw_batch(rng, config, kinds, batch_size, allowed=None):
    """kinds[f]: "one_hot", or "multi_hot" (an empty bag and a repeated id are always there).
    allowed[f]: the ids to draw from (default: all rows)."""
    bags, weights = [], []
    for f, feature in enumerate(config["features"]):
        rows = config["tables"][feature["table"]]["rows"]
        ids = np.arange(rows) if allowed is None else np.array(allowed[f])
        if kinds[f] == "one_hot":
            sizes = [1] * batch_size
        else:
            sizes = rng.permutation([0, 3, 2, 1, 4, 2, 3][:batch_size])
        bags.append([[int(i) for i in rng.choice(ids, size)] for size in sizes])
        for bag in bags[-1]:
            if len(bag) == 3:
                bag[2] = bag[0]
        weights.append([rounded(rng.uniform(-0.5, 1.5, len(bag)), 3) for bag in bags[-1]]
                       if feature["pooling"] == "weighted" else None)
    labels = np.zeros(batch_size, np.float32)
    labels[rng.permutation(batch_size)[: batch_size // 2]] = 1
    dense = rounded(rng.randn(batch_size, config["dense"]), 3)
    return {"dense": dense, "bags": bags, "weights": weights, "labels": labels}


def is_good_draw(config, batch, gradients, relu_inputs):
    relu = torch.cat([x.flatten() for x in relu_inputs] or [torch.tensor([1.0, 1.0, -1.0])])
    active = (relu > 0).to(F64).mean().item()
    if relu.abs().min() < 1e-3 or not 0.4 < active < 0.9:
        return False
    for name, g in gradients.items():
        kind, index = name.split(".")[:2]
        if kind in ("tables", "row_weights"):  # judge the rows that the batch names
            g = g[touched_rows(config, batch, int(index))]
        if (g.abs() > 1e-6).to(F64).mean() < 0.7 or g.abs().max() < 1e-3:
            return False
    return True


def to_tensors(params, dtype):
    return {k: torch.tensor(v, dtype=dtype) for k, v in params.items()}


# -------------------------------------------------------------------------------------- dlrm.json


def make_config(dense, dim, bottom, top, interaction, tables, features):
    """tables: (rows, dim) each; features: (table, pooling) each."""
    return {
        "dense": dense, "embedding_dim": dim, "bottom": bottom, "top": top,
        "interaction": interaction,
        "tables": [{"rows": r, "dim": d} for r, d in tables],
        "features": [{"table": t, "pooling": p} for t, p in features],
    }


def dlrm_cases():
    """(name, config, kind of the bags of each feature, batch size)"""
    shapes = {"dot": (4, 3, [7, 3], [6, 1]), "dot_self": (3, 5, [7, 5], [7, 4, 1]),
              "cat": (5, 3, [3], [7, 1])}
    kinds = [("one_hot", "sum", "one_hot"), ("multi_hot", "sum", "multi_hot"),
             ("weighted", "weighted", "multi_hot")]
    for interaction, (n, dim, bottom, top) in shapes.items():
        for k, (kind, pooling, bags) in enumerate(kinds):
            tables = [(5, dim), (9, dim), (7, dim), (6, dim)][: 4 if k == 1 else 3]
            features = [(t, pooling) for t in range(len(tables))]
            config = make_config(n, dim, bottom, top, interaction, tables, features)
            yield f"{interaction}_{kind}", config, [bags] * len(tables), 5 + k

    multi = ["multi_hot"] * 4
    yield "mean", make_config(
        3, 3, [7, 3], [5, 1], "dot", [(7, 3), (5, 3), (9, 3)],
        [(0, "mean"), (1, "sum"), (2, "mean")]), multi[:3], 7
    yield "learned", make_config(
        3, 5, [5], [7, 1], "dot", [(6, 5), (5, 5), (8, 5)],
        [(0, "learned"), (1, "sum"), (2, "learned")]), multi[:3], 6
    yield "mixed_dims", make_config(
        4, 5, [7, 5], [6, 1], "dot", [(7, 2), (5, 5), (8, 3), (6, 7)],
        [(0, "sum"), (1, "sum"), (2, "mean"), (3, "weighted")]), multi, 6
    yield "shared_table", make_config(
        3, 3, [3], [7, 1], "dot", [(6, 3), (7, 3)],
        [(0, "sum"), (1, "sum"), (0, "mean")]), multi[:3], 5
    yield "no_dense", make_config(
        0, 5, [], [7, 1], "dot", [(5, 5), (7, 5), (6, 5), (9, 5)],
        [(0, "sum"), (1, "sum"), (2, "sum"), (3, "mean")]), ["one_hot"] + multi[:3], 6
    yield "no_dense_cat", make_config(
        0, 3, [], [1], "cat", [(5, 3), (7, 3), (6, 3)],
        [(0, "sum"), (1, "weighted"), (2, "sum")]), ["one_hot"] + multi[:2], 5
    # A table of another dim shared by two features (so two projections), all the poolings.
    yield "everything", make_config(
        4, 3, [7, 3], [6, 5, 1], "dot_self", [(7, 2), (5, 3), (6, 5)],
        [(0, "sum"), (1, "weighted"), (0, "learned"), (2, "mean")]), multi, 7


def check_pooling(config, params, batch):
    """pool() against torch's own bags."""
    for f, feature in enumerate(config["features"]):
        bags, t = batch["bags"][f], feature["table"]
        ids = torch.tensor([i for bag in bags for i in bag], dtype=torch.long)
        offsets = torch.tensor([0] + [len(b) for b in bags[:-1]]).cumsum(0)
        row_weights = params.get(f"row_weights.{t}")
        per_id = {"weighted": lambda: torch.tensor(np.concatenate(batch["weights"][f]), dtype=F64),
                  "learned": lambda: row_weights[ids]}.get(feature["pooling"], lambda: None)()
        mode = "mean" if feature["pooling"] == "mean" else "sum"
        table = params[f"tables.{t}"]
        expected = F.embedding_bag(ids, table, offsets, mode=mode, per_sample_weights=per_id)
        got = pool(table, feature["pooling"], bags, batch["weights"][f], row_weights)
        torch.testing.assert_close(got, expected, rtol=1e-13, atol=1e-14)


def make_dlrm():
    cases = []
    for index, (name, config, kinds, batch_size) in enumerate(dlrm_cases()):
        for seed in itertools.count(1000 * (index + 1)):
            rng = np.random.RandomState(seed)
            initial = draw_parameters(rng, config)
            batch = draw_batch(rng, config, kinds, batch_size)
            params = to_tensors(initial, F64)
            logits, loss, gradients, relu_inputs = evaluate(config, params, batch)
            if is_good_draw(config, batch, gradients, relu_inputs):
                break
        check_pooling(config, params, batch)
        cases.append({"name": name, "config": config, "batch": batch, "initial": initial,
                      "logits": logits, "loss": loss, "gradients": gradients})
    return {"torch": TORCH, "cases": cases, "losses": make_losses()}


def make_losses():
    rng = np.random.RandomState(77)
    ordinary = rounded(rng.randn(7) * 2, 3)
    extreme = np.array([-120, -40, -9.5, 0, 9.5, 40, 120], np.float32)
    labels = np.array([1, 0, 0, 1, 1, 0, 1], np.float32)
    targets = rounded(rng.randn(7), 3)
    ones, weights = np.ones(7, np.float32), rounded(rng.uniform(0, 3, 7), 3)
    weights[2] = 0
    out = []
    for kind, positive_weight, x, y, w in [
        ("bce", 1.0, ordinary, labels, ones), ("bce", 1.0, ordinary, labels, weights),
        ("bce", 2.5, ordinary, labels, ones), ("bce", 2.5, ordinary, labels, weights),
        ("bce", 1.0, extreme, labels, ones), ("bce", 2.5, extreme, labels, weights),
        ("mse", 1.0, ordinary, labels, ones), ("mse", 1.0, ordinary, targets, weights),
    ]:
        logits = torch.tensor(x, dtype=F64, requires_grad=True)
        loss = loss_of(kind, logits, torch.tensor(y, dtype=F64), positive_weight,
                       torch.tensor(w, dtype=F64))
        (gradient,) = torch.autograd.grad(loss, [logits])
        out.append({"kind": kind, "positive_weight": positive_weight, "logits": x, "labels": y,
                    "weights": w, "loss": loss.detach(), "gradient": gradient})
    return out


# -------------------------------------------------------------------------------- optimizers.json


def torch_optimizer(o, params):
    """The torch optimiser that a description means, over dense gradients."""
    if o["kind"] == "sgd":
        return torch.optim.SGD(params, o["lr"], momentum=o.get("momentum", 0),
                               weight_decay=o.get("weight_decay", 0))
    if o["kind"] == "adagrad":
        return torch.optim.Adagrad(params, o["lr"], eps=o["eps"],
                                   initial_accumulator_value=o["initial_accumulator"])
    adam = dict(lr=o["lr"], betas=(o["beta1"], o["beta2"]), eps=o["eps"])
    if o["kind"] == "adam":
        return torch.optim.Adam(params, **adam)
    if o["kind"] == "adamw":
        return torch.optim.AdamW(params, weight_decay=o["weight_decay"], **adam)
    raise ValueError(o)


class TableOptimizer:
    """The optimiser of one table. step() takes the rows that the batch names (unique) and the
    gradient of each, already summed over all its occurrences; no other row is changed, except by
    "adam". Where torch has the same optimiser, every step is checked against torch's."""

    def __init__(self, o, table):
        self.o, self.table, self.t = o, table.clone(), 0
        self.m, self.v = torch.zeros_like(table), torch.zeros_like(table)
        start = o.get("initial_accumulator", 0)
        self.sums = torch.full_like(table[:, 0] if o["kind"] == "rowwise_adagrad" else table, start)
        self.twin = None
        if o["kind"] != "rowwise_adagrad":
            self.twin = torch.nn.Parameter(table.clone())
            if o["kind"] == "adam_lazy":
                self.torch = torch.optim.SparseAdam([self.twin], lr=o["lr"], eps=o["eps"],
                                                    betas=(o["beta1"], o["beta2"]))
            else:
                self.torch = torch_optimizer(o, [self.twin])

    def step(self, rows, gradient, lr):
        o, kind, w, g = self.o, self.o["kind"], self.table, gradient
        self.t += 1
        if "l2" in o:  # lazily: only the rows named, once per step
            g = g + o["l2"] * w[rows]
        if self.twin is not None:
            self.torch_step(rows, g, lr)
        if kind == "sgd":
            w[rows] -= lr * g
        elif kind == "adagrad":
            self.sums[rows] += g * g
            w[rows] -= lr * g / (self.sums[rows].sqrt() + o["eps"])
        elif kind == "rowwise_adagrad":  # one accumulator per row
            self.sums[rows] += (g * g).mean(1)
            w[rows] -= lr * g / (self.sums[rows].sqrt() + o["eps"])[:, None]
        else:
            b1, b2 = o["beta1"], o["beta2"]
            c1, c2 = 1 - b1**self.t, 1 - b2**self.t  # self.t counts all steps, not a row's own
            if kind == "adam_lazy":  # torch's SparseAdam: eps is added before the correction
                self.m[rows] = b1 * self.m[rows] + (1 - b1) * g
                self.v[rows] = b2 * self.v[rows] + (1 - b2) * g * g
                w[rows] -= lr * math.sqrt(c2) / c1 * self.m[rows] / (self.v[rows].sqrt() + o["eps"])
            elif kind == "adam":  # torch's Adam: every row, every step; eps after the correction
                all_rows = torch.zeros_like(w)
                all_rows[rows] = g
                self.m = b1 * self.m + (1 - b1) * all_rows
                self.v = b2 * self.v + (1 - b2) * all_rows * all_rows
                w -= lr / c1 * self.m / ((self.v / c2).sqrt() + o["eps"])
            else:
                raise ValueError(o)
        if self.twin is not None and w.dtype == F64:
            torch.testing.assert_close(w, self.twin.detach(), rtol=1e-12, atol=1e-13)

    def torch_step(self, rows, g, lr):
        if self.o["kind"] == "adam":
            self.twin.grad = torch.zeros_like(self.table)
            self.twin.grad[rows] = g
        else:
            # Each row twice, half and half, so that torch has something to coalesce.
            self.twin.grad = torch.sparse_coo_tensor(
                torch.cat([rows, rows])[None], torch.cat([g / 2, g / 2]), self.table.shape)
        self.torch.param_groups[0]["lr"] = lr
        self.torch.step()


def scheduled(base, schedule, steps, hold):
    """The learning rate of each step. Step k (the first is 1) uses step_count = k.

    hold=False: the full rate between warm-up and decay. hold=True: what the reference's
    LRPolicyScheduler does there, which is to keep the last warm-up rate, (w - 1) / w of the full
    one."""
    rates, last = [], base
    warmup, start = schedule["warmup_steps"], schedule["decay_start_step"]
    decay = schedule["decay_steps"]
    for count in range(1, steps + 1):
        if count < warmup:
            last = base * (1 - (warmup - count) / warmup)
        elif start <= count < start + decay:
            last = max(1e-7, base * ((decay - (count - start)) / decay) ** 2)
        elif count < start and not hold:
            last = base
        rates.append(last)
    return rates


def train(config, batches, initial, case, dtype):
    """(losses, final parameters, gradient norms, smallest |ReLU input|)"""
    params = to_tensors(initial, dtype)
    tables = {k: TableOptimizer(case["table_optimizer"], v) for k, v in params.items()
              if k.startswith("tables.")}
    dense = {k: torch.nn.Parameter(v.clone()) for k, v in params.items() if k not in tables}
    optimizer = torch_optimizer(case["dense_optimizer"], list(dense.values()))
    lrs = case.get("lrs")
    losses, norms, nearest = [], [], math.inf
    for k, batch in enumerate(batches):
        params = {**{n: p.detach() for n, p in dense.items()},
                  **{n: t.table for n, t in tables.items()}}
        _, loss, gradients, relu_inputs = evaluate(config, params, batch)
        losses.append(loss)
        nearest = min([nearest] + [x.abs().min().item() for x in relu_inputs])

        # One norm over all the gradients; the rows a batch does not name contribute nothing.
        norm = torch.sqrt(sum((g * g).sum() for g in gradients.values()))
        norms.append(norm)
        if case["clip_norm"] is not None:
            twins = [torch.nn.Parameter(g.clone()) for g in gradients.values()]
            for twin in twins:
                twin.grad = twin.detach().clone()
            torch.nn.utils.clip_grad_norm_(twins, case["clip_norm"])
            if norm > case["clip_norm"]:
                scale = case["clip_norm"] / (norm + 1e-6)
                gradients = {n: g * scale for n, g in gradients.items()}
            for g, twin in zip(gradients.values(), twins):
                torch.testing.assert_close(g, twin.grad)

        for n, p in dense.items():
            p.grad = gradients[n]
        if lrs is not None:
            optimizer.param_groups[0]["lr"] = lrs[k]
        optimizer.step()
        for n, table in tables.items():
            rows = touched_rows(config, batch, int(n.split(".")[1]))
            others = torch.ones(len(table.table), dtype=torch.bool)
            others[rows] = False
            assert (gradients[n][others] == 0).all()
            table.step(rows, gradients[n][rows], case["table_optimizer"]["lr"] if lrs is None
                       else lrs[k])
    final = {n: (tables[n].table if n in tables else dense[n].detach()) for n in initial}
    return torch.stack(losses), final, torch.stack(norms), nearest


def optimizer_cases():
    sgd = {"kind": "sgd", "lr": 0.1, "momentum": 0.0, "weight_decay": 0.0}
    adagrad = {"kind": "adagrad", "lr": 0.1, "eps": 1e-10, "initial_accumulator": 0.0}
    adam = {"kind": "adam", "lr": 0.01, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
    t_sgd = {"kind": "sgd", "lr": 0.1}
    rowwise = {**adagrad, "kind": "rowwise_adagrad"}
    lazy = {**adam, "kind": "adam_lazy"}
    started = {"initial_accumulator": 0.1}

    def case(name, dense, table, schedule=None, clip_norm=None):
        out = {"name": name, "dense_optimizer": dense, "table_optimizer": table,
               "schedule": schedule, "clip_norm": clip_norm}
        if schedule:
            assert dense["lr"] == table["lr"]
            out["lrs"] = scheduled(dense["lr"], schedule, 10, hold=True)
        return out

    def decay(warmup, start, steps):
        return {"kind": "warmup_decay", "warmup_steps": warmup, "decay_start_step": start,
                "decay_steps": steps}

    return [
        case("sgd_sgd", sgd, t_sgd),
        case("sgd_adagrad", sgd, adagrad),
        case("sgd_rowwise_adagrad", sgd, rowwise),
        case("sgd_adam_lazy", sgd, lazy),
        case("sgd_adam", sgd, adam),
        case("momentum_sgd", {**sgd, "lr": 0.05, "momentum": 0.9}, t_sgd),
        case("weight_decay_sgd", {**sgd, "weight_decay": 0.05}, t_sgd),
        case("momentum_weight_decay_sgd",
             {**sgd, "lr": 0.05, "momentum": 0.9, "weight_decay": 0.05}, t_sgd),
        case("adagrad_sgd", adagrad, t_sgd),
        case("adam_sgd", adam, t_sgd),
        case("adamw_sgd", {**adam, "kind": "adamw", "weight_decay": 0.01}, t_sgd),
        case("adam_adam_lazy", adam, lazy),
        case("adagrads_initial_accumulator", {**adagrad, **started}, {**rowwise, **started}),
        case("clip", sgd, t_sgd, clip_norm=0.75),
        case("table_l2", sgd, {**t_sgd, "l2": 0.01}),
        case("table_l2_rowwise_adagrad", sgd, {**rowwise, "l2": 0.01}),
        case("schedule", sgd, t_sgd, decay(3, 5, 4)),
        case("schedule_no_plateau", sgd, t_sgd, decay(4, 4, 3)),
    ]


def make_optimizers():
    config = make_config(3, 3, [5, 3], [7, 1], "dot", [(8, 3), (9, 3), (8, 3)],
                         [(0, "sum"), (1, "sum"), (2, "weighted")])
    kinds = ["one_hot", "multi_hot", "multi_hot"]
    # Ids are drawn from one half of the rows for four steps, from the other for three, then from
    # the first again. The last row of every table is never named.
    halves = [[[0, 1, 2, 3], [0, 2, 4, 6], [1, 2, 3]], [[4, 5, 6], [1, 3, 5, 7], [0, 4, 5, 6]]]
    never = [7, 8, 7]
    for seed in itertools.count(500000):
        rng = np.random.RandomState(seed)
        initial = draw_parameters(rng, config)
        batches = [draw_batch(rng, config, kinds, 5, halves[1 if 4 <= k < 7 else 0])
                   for k in range(10)]
        _, _, gradients, relu_inputs = evaluate(config, to_tensors(initial, F64), batches[0])
        if not is_good_draw(config, batches[0], gradients, relu_inputs):
            continue
        cases = finish_cases(config, batches, initial)
        if cases is not None:
            break
    named = [[set(touched_rows(config, b, t).tolist()) for b in batches] for t in range(3)]
    for t in range(3):
        assert never[t] not in set().union(*named[t])
        assert set().union(*named[t][:4]) & set().union(*named[t][7:])  # left alone, then back
    return {"torch": TORCH, "config": config, "batches": batches, "initial": initial,
            "cases": cases}


def finish_cases(config, batches, initial):
    """The cases with their results, or None if these batches make a poor reference."""
    cases = []
    for case in optimizer_cases():
        losses, final, norms, nearest = train(config, batches, initial, case, F64)
        # A float32 run must stay close: no ReLU and no sign of a tiny gradient may decide.
        losses32, final32, _, _ = train(config, batches, initial, case, F32)
        error = max([(losses - losses32).abs().max().item()]
                    + [(final[n] - final32[n]).abs().max().item() for n in final])
        moved = [(final[n] - torch.tensor(initial[n], dtype=F64)).abs().max() for n in final]
        if nearest < 2e-5 or error > 5e-6 or min(moved) < 0.01:
            return None
        if case["clip_norm"] is not None:
            active = int((norms > case["clip_norm"]).sum())
            if not 3 <= active <= 7 or (norms - case["clip_norm"]).abs().min() < 1e-3:
                return None
            case["norms"] = norms  # before clipping
        cases.append({**case, "losses": losses, "final": final})
    return cases


# ----------------------------------------------------------------------------------------- output


def text(x):
    """JSON, objects longer than a line broken after each entry. float32: the shortest decimal that
    round-trips; other results: nine significant digits; Python's numbers (settings): as they are."""
    if isinstance(x, torch.Tensor):
        x = x.numpy()
    if isinstance(x, np.ndarray):
        x = list(x) if x.ndim else x[()]
    if isinstance(x, (np.float32, np.float64)):
        single = isinstance(x, np.float32)
        x = np.format_float_positional(x, trim="-") if single else f"{x:.9g}"
        return "0" if x == "-0" else x
    if isinstance(x, dict):
        parts, (left, right) = [f"{json.dumps(k)}:{text(v)}" for k, v in x.items()], "{}"
    elif isinstance(x, (list, tuple)):
        parts, (left, right) = [text(v) for v in x], "[]"
        if not (x and isinstance(x[0], dict)):
            return "[" + ",".join(parts) + "]"
    else:
        return json.dumps(x)
    separator = ",\n" if sum(map(len, parts)) > 150 else ","
    return left + separator.join(parts) + right


def write(name, value):
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), name)
    out = text(value) + "\n"
    json.loads(out)
    with open(path, "w", newline="\n") as file:
        file.write(out)
    print(f"{name}: {len(value['cases'])} cases, {len(out)} bytes")
    return len(out)


if __name__ == "__main__":
    size = write("dlrm.json", make_dlrm()) + write("optimizers.json", make_optimizers())
    assert size < 350_000
