#!/usr/bin/env python3
"""Writes models.json, the reference values of the model family's tests, next to this file.

    pip install torch numpy
    python tests/goldens/make_model_goldens.py

An independent, deliberately plain PyTorch implementation (CPU only) of each model, one function
per model, and five training steps of it. As in make_goldens.py (whose helpers are used here),
inputs and initial parameters are float32 values, everything else is computed in float64 from
exactly those values, and seeds are fixed. Results are printed with seven significant digits.

A draw is rejected, and the next seed tried, if it would make a poor reference: a ReLU input so
near to zero that float32 could round it to the other side, many dead units, parameters without a
gradient, or a training run that float32 cannot follow closely (Adam divides by sqrt(v), so the
sign of a gradient that is nearly zero can decide).

Each case has the model, the layout of its input, its initial parameters and five batches
(bags[feature][row] is a list of ids; weights[feature] is null, or has one weight per id), then
  logits, loss, gradients  of batch 0, in training mode (batch norm uses the batch's statistics);
                           mean BCE, or MSE of the raw output if the model's task is "rating"
  losses                   of batches 0 to 4, each before the step it leads to
  final                    parameters and running statistics after the five steps
  inference                logits of batch 0 after the five steps, with the running statistics
The optimizer is Adam, or plain SGD in the cases with batch norm. The embeddings' gradients are
dense and have DECAY times the embedding added to them, so every row changes in every step.
"""

import itertools
import math

import numpy as np
import torch
import torch.nn.functional as F

from make_goldens import F32, F64, TORCH, draw_batch, loss_of, pool, rounded, to_tensors, write

ADAM, SGD = {"lr": 0.01, "betas": (0.9, 0.999), "eps": 1e-8}, {"lr": 0.1}
DECAY = 0.001
BATCH_SIZES = [7, 7, 7, 7, 5]
NORM_EPS, NORM_MOMENTUM = 1e-5, 0.1

# ---------------------------------------------------------------------------------------- layers


def is_embedding(name):
    """Whether this is a parameter with one row per id (or part of an id), which decays."""
    return (name.startswith(("tables.", "gmf.", "mlp.")) or
            name.startswith("linear.") and name not in ("linear.dense.weight", "linear.bias"))


def is_statistic(name):
    return name.endswith((".norm.mean", ".norm.variance"))


def draw(rng, name, shape):
    last = name.split(".")[-1]
    if is_statistic(name):
        return np.full(shape, 0 if last == "mean" else 1, np.float32)
    if is_embedding(name) or name == "dense_vectors":
        return rounded(rng.uniform(-1, 1, shape))
    if name.endswith(".norm.weight"):
        return rounded(rng.uniform(0.5, 1.5, shape))
    if last == "prelu":
        return rounded(rng.uniform(0.1, 0.5, shape))
    if last == "bias":
        return rounded(rng.uniform(-0.1, 0.5, shape))
    return rounded(rng.randn(*shape) * math.sqrt(1.5 / shape[-1]))


class Pass:
    """One forward pass. p(name, *shape) is a parameter; without params, each is drawn from rng
    when it is first asked for, so that each shape is stated once, where it is used."""

    def __init__(self, model, layout, batch, params=None, training=True, rng=None):
        self.model, self.layout, self.batch = model, layout, batch
        self.params, self.training, self.rng = {} if params is None else params, training, rng
        self.drawn, self.statistics, self.relu_inputs = {}, {}, []  # statistics: the new ones
        self.dense = torch.tensor(batch["dense"],
                                  dtype=next(iter(params.values())).dtype if params else F64)
        self.logits = MODELS[model["kind"]](self)

    def __call__(self, name, *shape):
        if self.rng is not None and name not in self.params:
            self.drawn[name] = draw(self.rng, name, shape)
            self.params[name] = torch.tensor(self.drawn[name], dtype=F64)
        assert self.params[name].shape == shape, name
        return self.params[name]

    def linear(self, name, x, out):
        return x @ self(f"{name}.weight", out, x.shape[1]).T + self(f"{name}.bias", out)

    def norm(self, name, x):
        kind, size = self.model.get("norm", "none"), x.shape[1]
        if kind == "none":
            return x
        weight, bias = self(f"{name}.weight", size), self(f"{name}.bias", size)
        if kind == "layer":
            return F.layer_norm(x, (size,), weight, bias, NORM_EPS)
        assert kind == "batch"
        mean, variance = (self(f"{name}.{s}", size).clone() for s in ("mean", "variance"))
        # Updates mean and variance, the latter with the unbiased variance of the batch.
        x = F.batch_norm(x, mean, variance, weight, bias, self.training, NORM_MOMENTUM, NORM_EPS)
        self.statistics.update({f"{name}.mean": mean, f"{name}.variance": variance})
        return x

    def relu(self, x):
        self.relu_inputs.append(x.detach())
        return torch.relu(x)

    def activation(self, name, x):
        kind = self.model.get("activation", "relu")
        if kind == "relu":
            return self.relu(x)
        if kind == "prelu":  # one slope per unit
            self.relu_inputs.append(x.detach())
            return F.prelu(x, self(f"{name}.prelu", x.shape[1]))
        return getattr(torch, kind)(x) if kind in ("sigmoid", "tanh") else getattr(F, kind)(x)

    def hidden(self, x, prefix="deep", sizes=None):
        for i, size in enumerate(self.model["hidden"] if sizes is None else sizes):
            name = f"{prefix}.{i}"
            x = self.activation(name, self.norm(f"{name}.norm", self.linear(name, x, size)))
        return x

    def tower(self, x):
        return self.linear(f"deep.{len(self.model['hidden'])}", self.hidden(x), 1)[:, 0]

    def output(self, *parts):
        return self.linear("output", torch.cat(parts, 1), 1)[:, 0]

    def pooled(self, prefix, dim):
        """One [batch, dim] per feature: sums over the bags, with the weights in the data."""
        rows_of, out = {t["name"]: t["rows"] for t in self.layout["tables"]}, []
        for f, feature in enumerate(self.layout["features"]):
            name, rows = f"{prefix}.{feature['table']}", rows_of[feature["table"]]
            compression, mixed = self.model.get("quotient_remainder"), self.model.get("mixed_dims")
            if compression and rows > compression["threshold"]:
                out.append(self.pooled_pairs(name, rows, dim, f, compression))
                continue
            if mixed and rows > mixed["threshold"]:
                width = mixed_width(dim, rows, min(rows_of.values()), mixed)
                narrow = pool(self(name, rows, width), "sum", self.batch["bags"][f], None, None)
                out.append(narrow @ self(f"project.{feature['name']}.weight", dim, width).T
                           if width != dim else narrow)
                continue
            out.append(pool(self(name, rows, dim), "weighted" if feature["weighted"] else "sum",
                            self.batch["bags"][f], self.batch["weights"][f], None))
        return out

    def pooled_pairs(self, name, rows, dim, f, compression):
        """Shi et al. 2019: each id's vector is made of two rows; then the bag is summed."""
        c, operation = compression["collisions"], compression["operation"]
        right = dim // 2 if operation == "concat" else dim
        left = dim - right if operation == "concat" else dim
        quotient = self(f"{name}.quotient", -(-rows // c), left)
        remainder = self(f"{name}.remainder", c, right)
        sums = []
        for bag in self.batch["bags"][f]:
            total = torch.zeros(dim, dtype=quotient.dtype)
            for i in bag:
                q, r = quotient[i // c], remainder[i % c]
                total = total + {"mult": lambda: q * r, "add": lambda: q + r,
                                 "concat": lambda: torch.cat([q, r])}[operation]()
            sums.append(total)
        return torch.stack(sums)

    def embeddings(self):
        return self.pooled("tables", self.model["embedding_dim"])

    def flat(self):
        """The dense values, then the embeddings, side by side."""
        return torch.cat([self.dense] + self.embeddings(), 1)

    def vectors(self):
        """[batch, m, dim]: first one vector per dense value, then one per feature."""
        n, out = self.dense.shape[1], self.embeddings()
        if n > 0:
            v = self("dense_vectors", n, self.model["embedding_dim"])
            out = [self.dense[:, i:i + 1] * v[i] for i in range(n)] + out
        return torch.stack(out, 1)

    def linear_part(self, bias):
        total, n = sum(self.pooled("linear", 1))[:, 0], self.dense.shape[1]
        if n > 0:
            total = total + (self.dense * self("linear.dense.weight", 1, n)).sum(1)
        return total + self("linear.bias", 1) if bias else total


# ---------------------------------------------------------------------------------------- models


def lr(p):
    return p.linear_part(bias=True)


def mf(p):
    """Koren et al. 2009: biases and one product."""
    user, item = p.pooled("tables", p.model["dim"])
    return p.linear_part(bias=True) + (user * item).sum(1)


def second_order(vectors):
    """The sum of the inner products of all pairs (Rendle 2010)."""
    return 0.5 * (vectors.sum(1) ** 2 - (vectors ** 2).sum(1)).sum(1)


def fm(p):
    return p.linear_part(bias=True) + second_order(p.vectors())


def field_pairs(rows, k):
    """Juan et al. 2016: feature i has one block of k numbers for each feature j."""
    return sum((rows[i][:, j * k:(j + 1) * k] * rows[j][:, i * k:(i + 1) * k]).sum(1)
               for i, j in itertools.combinations(range(len(rows)), 2))


def ffm(p):
    k = p.model["embedding_dim"]
    rows = p.pooled("tables", len(p.layout["features"]) * k)
    return p.linear_part(bias=True) + field_pairs(rows, k)


def ncf(p):
    """He et al. 2017."""
    parts, variant = [], p.model["variant"]
    if variant != "mlp":
        user, item = p.pooled("gmf", p.model["dim"])
        parts.append(user * item)
    if variant != "gmf":
        parts.append(p.hidden(torch.cat(p.pooled("mlp", p.model["mlp_dim"]), 1)))
    return p.output(*parts)


def dnn(p):
    return p.tower(p.flat())


def wide_deep(p):
    """Cheng et al. 2016."""
    return p.linear_part(bias=False) + p.tower(p.flat())


def deepfm(p):
    """Guo et al. 2017."""
    vectors = p.vectors()
    return p.linear_part(bias=False) + second_order(vectors) + p.tower(vectors.flatten(1))


def dcn(p):
    """Wang et al. 2017."""
    x0 = x = p.flat()
    for layer in range(p.model["layers"]):
        weight = p(f"cross.{layer}.weight", 1, x.shape[1])
        x = x0 * (x @ weight.T) + p(f"cross.{layer}.bias", x.shape[1]) + x
    return p.output(x, p.hidden(x0)) if p.model["hidden"] else p.output(x)


def cross_layers(p, x0, layers, rank=None):
    """The W of each layer is full, or the product of two factors of this rank."""
    x, size = x0, x0.shape[1]
    for layer in range(layers):
        name = f"cross.{layer}"
        if rank is None:
            product = x @ p(f"{name}.weight", size, size).T
        else:
            v, u = p(f"{name}.v.weight", rank, size), p(f"{name}.u.weight", size, rank)
            product = x @ v.T @ u.T
        x = x0 * (product + p(f"{name}.bias", size)) + x
    return x


def mixture_cross(p, x0, layers, rank, experts):
    x, size = x0, x0.shape[1]
    for layer in range(layers):
        name, out = f"cross.{layer}", x
        gates = torch.softmax(x @ p(f"{name}.gate.weight", experts, size).T, 1)
        for e in range(experts):
            v, c, u = (p(f"{name}.{e}.{key}.weight", *shape) for key, shape in
                       (("v", (rank, size)), ("c", (rank, rank)), ("u", (size, rank))))
            h = torch.tanh(torch.tanh(x @ v.T) @ c.T) @ u.T
            out = out + gates[:, e:e + 1] * x0 * h
        x = out + x0 * p(f"{name}.bias", size)
    return x


def dcn_v2(p):
    """Wang et al. 2021."""
    model, x0 = p.model, p.flat()
    if model["cross"] == "mixture":
        x = mixture_cross(p, x0, model["layers"], model["rank"], model["experts"])
    else:
        x = cross_layers(p, x0, model["layers"], model.get("rank"))
    if model["structure"] == "parallel":
        return p.output(x, p.hidden(x0))
    assert model["structure"] == "stacked"
    return p.output(p.hidden(x))


def cin(x0, layers, split_half, relu):
    """The compressed interaction network of Lian et al. 2018: the sums of its maps.
    layers: (weight, bias) each."""
    x, out = x0, []
    for k, (weight, bias) in enumerate(layers):
        # Row i * m + j of the products: vector i of the layer before, vector j of the first.
        products = (x[:, :, None] * x0[:, None]).flatten(1, 2)
        x = pooled = weight @ products + bias[:, None]
        if split_half:
            x = pooled = relu(x)
            if k + 1 < len(layers):  # half goes to the next layer only, half to the output only
                x, pooled = x.tensor_split(2, 1)
        out.append(pooled.sum(2))
    return torch.cat(out, 1)


def xdeepfm(p):
    vectors, layers, split_half = p.vectors(), [], p.model["split_half"]
    m = before = vectors.shape[1]
    for k, size in enumerate(p.model["cin"]):
        layers.append((p(f"cin.{k}.weight", size, before * m), p(f"cin.{k}.bias", size)))
        before = size // 2 if split_half else size
    maps = cin(vectors, layers, split_half, p.relu)
    return (p.linear_part(bias=False) + p.tower(vectors.flatten(1)) +
            p.linear("cin.output", maps, 1)[:, 0])


def mixed_width(dim, rows, smallest, mixed):
    """Ginart et al. 2019: the width of a table falls with its rows."""
    width = round(max(1, dim * (smallest / rows) ** mixed["temperature"]))
    return 2 ** round(math.log2(width)) if mixed["round"] else width


def dlrm(p):
    """DLRM with dot products, or with the interaction of DCN v2 (low rank) in their place."""
    model = p.model
    v0 = p.hidden(p.dense, "bottom", model["bottom"] + [model["embedding_dim"]])
    vectors = [v0] + p.embeddings()
    if model["interaction"] == "dot":
        x = torch.cat([v0] + [(vectors[i] * vectors[j]).sum(1, keepdim=True)
                              for i in range(len(vectors)) for j in range(i)], 1)
    else:
        x = cross_layers(p, torch.cat(vectors, 1), model["cross_layers"], model["cross_rank"])
    return p.linear(f"top.{len(model['top'])}", p.hidden(x, "top", model["top"]), 1)[:, 0]


MODELS = {m.__name__: m for m in (lr, mf, fm, ffm, ncf, dnn, wide_deep, deepfm, dcn, dcn_v2,
                                  xdeepfm, dlrm)}


def check_interactions(rng):
    """The interactions whose indices are easy to get wrong, against the same written otherwise."""
    def tensor(*shape):
        return torch.tensor(rng.randn(*shape))

    v, close = tensor(7, 4, 3), torch.testing.assert_close
    close(second_order(v), sum((v[:, i] * v[:, j]).sum(1) for i in range(4) for j in range(i)))
    rows = tensor(4, 7, 4 * 3)
    blocks = rows.reshape(4, 7, 4, 3)  # [i, row, j, k]
    upper = torch.ones(4, 4, dtype=F64).triu(1)
    close(field_pairs(list(rows), 3), torch.einsum("ibjk,jbik,ij->b", blocks, blocks, upper))
    for split, size, kept in ((False, 6, slice(0, 6)), (True, 3, slice(3, 6))):
        layers = [(tensor(6, 4 * 4), tensor(6)), (tensor(5, size * 4), tensor(5))]
        activation = torch.relu if split else lambda x: x
        w1, w2 = (weight.unflatten(1, (-1, 4)) for weight, _ in layers)
        b1, b2 = (bias[:, None] for _, bias in layers)
        x1 = activation(torch.einsum("hij,bid,bjd->bhd", w1, v, v) + b1)
        x2 = activation(torch.einsum("hij,bid,bjd->bhd", w2, x1[:, :size], v) + b2)
        close(cin(v, layers, split, torch.relu), torch.cat([x1[:, kept], x2], 1).sum(2))


# --------------------------------------------------------------------------------------- training


def normalized_biases(model):
    """Batch norm takes away any bias before it: the gradient is zero, but for rounding."""
    return [f"deep.{i}.bias" for i in range(len(model.get("hidden", [])))
            if model.get("norm") == "batch"]


def run(case, initial, dtype, noise=0.0):
    """(results, the ReLU inputs of the first pass, the smallest |ReLU input| of all passes)
    noise: added to each gradient but exact zeros, as a share of the tensor's largest, to see how
    far an implementation that rounds differently would end up."""
    model, layout, batches = case["model"], case["layout"], case["batches"]
    rng = torch.Generator().manual_seed(1)
    values = to_tensors(initial, dtype)
    leaves = {n: v.requires_grad_() for n, v in values.items() if not is_statistic(n)}
    groups = [{"params": [v for n, v in leaves.items() if is_embedding(n) == decayed],
               "weight_decay": DECAY if decayed else 0.0} for decayed in (True, False)]
    optimizer = (torch.optim.Adam(groups, **ADAM) if case["optimizer"] == "adam"
                 else torch.optim.SGD(groups, **SGD))
    results, losses, passes = {}, [], []
    for batch in batches:
        p = Pass(model, layout, batch, values)
        loss = loss_of("mse" if model.get("task") == "rating" else "bce", p.logits,
                       torch.tensor(batch["labels"], dtype=dtype))
        gradients = dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values()))))
        for n in normalized_biases(model):
            assert gradients[n].abs().max() < (1e-13 if dtype == F64 else 1e-5)
            gradients[n] = torch.zeros_like(gradients[n])
        if not losses:
            results = {"logits": p.logits.detach(), "loss": loss.detach(), "gradients": gradients}
        losses.append(loss.detach())
        passes.append(p)
        for n, g in gradients.items():
            random = 2 * torch.rand(g.shape, generator=rng, dtype=dtype) - 1
            leaves[n].grad = g + noise * g.abs().max() * random * (g != 0)
        optimizer.step()
        values = {**values, **p.statistics}
    values = {n: v.detach() for n, v in values.items()}
    passes.append(Pass(model, layout, batches[0], values, training=False))
    results.update(losses=torch.stack(losses), final=values, inference=passes[-1].logits)
    nearest = min([x.abs().min().item() for p in passes for x in p.relu_inputs], default=math.inf)
    return results, passes[0].relu_inputs, nearest


def distance(a, b):
    """The largest difference, relative to the expected value b, or to 0.1 where that is less."""
    if isinstance(b, dict):
        return max(distance(a[n], b[n]) for n in b)
    return ((a - b).abs() / b.abs().clamp(min=0.1)).max().item()


def finish(case, initial):
    """The case with its results, or None if this draw makes a poor reference."""
    results, relu_inputs, nearest = run(case, initial, F64)
    if relu_inputs:
        relu = torch.cat([x.flatten() for x in relu_inputs])
        if relu.abs().min() < 1e-3 or not 0.35 < (relu > 0).to(F64).mean() < 0.9:
            return None
    if nearest < 1e-4 or results["logits"].abs().max() > 6:
        return None
    if min(g.abs().max() for n, g in results["gradients"].items()
           if n not in normalized_biases(case["model"])) < 1e-3:
        return None
    for other in (run(case, initial, F32)[0], run(case, initial, F64, noise=1e-6)[0]):
        if max(distance(other[k], v) for k, v in results.items() if k != "gradients") > 2e-5:
            return None
    return {**case, **{k: compact(v) for k, v in results.items()}}


# ------------------------------------------------------------------------------------------ cases


def make_layout(dense, features, weighted=(), multi_hot=()):
    """features: (name, table, rows) each. Weighted features are multi-hot too."""
    rows = {table: n for _, table, n in features}
    out = [{"name": name, "table": table, "weighted": name in weighted}
           for name, table, _ in features]
    for feature in out:
        if feature["name"] in multi_hot:
            feature["multi_hot"] = True
    return {"dense": dense, "features": out,
            "tables": [{"name": table, "rows": n} for table, n in rows.items()]}


def model_cases():
    """(name, model, layout)"""
    sites, devices = ("site", "sites", 6), ("device", "devices", 5)
    words, hours = ("tag", "words", 7), ("hour", "hours", 9)
    pair = make_layout(0, [("user", "users", 7), ("item", "items", 6)])
    plain = make_layout(2, [sites, devices, words])
    weighted = make_layout(2, [sites, words, devices], weighted=["tag"])
    shared = make_layout(0, [("site", "sites", 8), words, ("referrer", "sites", 8), devices],
                         weighted=["tag"])

    yield "lr", {"kind": "lr"}, make_layout(2, [sites, devices, words, hours])
    yield "mf", {"kind": "mf", "dim": 4}, pair
    yield "mf_rating", {"kind": "mf", "dim": 4, "task": "rating"}, pair
    yield "fm", {"kind": "fm", "embedding_dim": 4}, weighted
    yield "fm_shared_table", {"kind": "fm", "embedding_dim": 4}, shared
    yield "ffm", {"kind": "ffm", "embedding_dim": 3}, plain
    for variant in ("gmf", "mlp", "neumf"):
        yield f"ncf_{variant}", {"kind": "ncf", "variant": variant, "dim": 4, "mlp_dim": 3,
                                 "hidden": [6, 4]}, pair

    def embedded(kind, hidden=(6, 5), norm="none", **more):
        return {"kind": kind, "embedding_dim": 4, **more, "hidden": list(hidden), "norm": norm}

    for activation, norm in [("relu", "batch"), ("gelu", "layer"), ("silu", "none"),
                             ("sigmoid", "layer"), ("tanh", "none"), ("prelu", "layer")]:
        yield (f"dnn_{activation}_{norm}",
               {**embedded("dnn", norm=norm), "activation": activation}, plain)
    yield "wide_deep", embedded("wide_deep", norm="batch"), plain
    yield "deepfm", embedded("deepfm"), weighted
    yield "dcn", embedded("dcn", norm="batch", layers=3), plain
    yield "dcn_no_hidden", embedded("dcn", hidden=(), layers=3), plain
    for cross, structure, more in [("full", "parallel", {}), ("full", "stacked", {}),
                                   ("low_rank", "stacked", {"rank": 3}),
                                   ("mixture", "parallel", {"rank": 3, "experts": 2})]:
        yield (f"dcn_v2_{cross}_{structure}",
               embedded("dcn_v2", layers=2, cross=cross, structure=structure, **more), plain)
    yield "xdeepfm", embedded("xdeepfm", cin=[5, 4], split_half=False), plain
    yield "xdeepfm_split_half", embedded("xdeepfm", cin=[6, 4], split_half=True), plain
    yield "dlrm_dcn", {"kind": "dlrm", "first_order": False, "embedding_dim": 4, "bottom": [6], "top": [6],
                       "interaction": "dcn", "cross_layers": 2, "cross_rank": 3}, plain
    # Only the tables of the first two are compressed; the first is multi-hot.
    small = {"kind": "dlrm", "first_order": False, "embedding_dim": 5, "bottom": [6], "top": [6],
             "interaction": "dot"}
    large = make_layout(2, [("tag", "words", 11), ("hour", "hours", 9), ("device", "devices", 5)],
                        multi_hot=["tag"])
    for operation in ("mult", "add", "concat"):
        yield (f"dlrm_quotient_remainder_{operation}",
               {**small, "quotient_remainder": {"operation": operation, "collisions": 4,
                                                "threshold": 8}}, large)
    yield ("dlrm_mixed_dims",
           {**small, "mixed_dims": {"temperature": 1.2, "threshold": 8, "round": False}}, large)


def draw_batches(rng, model, layout):
    """Batches as make_goldens.py draws them; it refers to tables by index."""
    names = [t["name"] for t in layout["tables"]]
    config = {"dense": layout["dense"], "tables": layout["tables"],
              "features": [{"table": names.index(f["table"]),
                            "pooling": "weighted" if f["weighted"] else "sum"}
                           for f in layout["features"]]}
    kinds = ["multi_hot" if f["weighted"] or f.get("multi_hot") else "one_hot"
             for f in layout["features"]]
    batches = [draw_batch(rng, config, kinds, size) for size in BATCH_SIZES]
    if model.get("task") == "rating":
        for batch in batches:  # half stars
            batch["labels"] = rounded(rng.randint(1, 11, len(batch["labels"])) / 2)
    return batches


def compact(x):
    """Seven significant digits."""
    if isinstance(x, dict):
        return {k: compact(v) for k, v in x.items()}
    return np.array([float(f"{v:.7g}") for v in x.flatten().tolist()]).reshape(x.shape)


def make_models():
    check_interactions(np.random.RandomState(0))
    cases = []
    for index, (name, model, layout) in enumerate(model_cases()):
        for seed in itertools.count(1000 * (index + 1)):
            rng = np.random.RandomState(seed)
            batches = draw_batches(rng, model, layout)
            initial = Pass(model, layout, batches[0], rng=rng).drawn
            case = finish({"name": name, "model": model,
                           "optimizer": "sgd" if model.get("norm") == "batch" else "adam",
                           "layout": layout, "initial": initial, "batches": batches}, initial)
            if case is not None:
                break
        cases.append(case)
    return {"torch": TORCH, "cases": cases}


if __name__ == "__main__":
    assert write("models.json", make_models()) < 350_000
