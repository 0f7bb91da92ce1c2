"""Rows, kinds of models and settings that exports are tested with: every operation is in one of them."""

from __future__ import annotations

import csv
import math
import random

SCHEMA = """
label = {{ column = "label"{label} }}
dense = [{{ name = "price" }}, {{ name = "age", missing_indicator = true }}]
categorical = [
  {{ name = "user" }},
  {{ name = "item" }},
  {{ name = "friend", table = "user" }},
  {{ name = "tags", multi = {{ separator = "|" }}{tags} }},
  {{ name = "basket", multi = {{ separator = "|", weight_separator = ":" }} }},
]
{crosses}
"""


def write_rows(path, rows, rating=False):
    """Clicks whose logit depends on all columns; lists of values may be empty."""
    rng = random.Random(7)
    effect = [rng.gauss(0, 1) for _ in range(400)]
    with open(path, "w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["label", "price", "age", "user", "item", "friend", "tags", "basket"])
        for _ in range(rows):
            price, age = rng.expovariate(0.1), rng.choice(["", rng.randrange(18, 80)])
            user, item, friend = rng.randrange(250), rng.randrange(60), rng.randrange(250)
            tags = rng.sample(range(20), rng.choice([0, 0, 1, 2, 3, 7]))
            basket = [(rng.randrange(30), round(rng.uniform(0.1, 3), 2)) for _ in range(rng.choice([0, 1, 4]))]
            z = effect[user] + effect[item] * effect[300 + friend % 90] - 0.02 * price
            z += sum(0.3 * effect[320 + tag] for tag in tags) + sum(0.2 * w * effect[350 + i] for i, w in basket)
            label = round(z, 3) if rating else int(rng.random() < 1 / (1 + math.exp(-z)))
            out.writerow(
                [label, f"{price:.2f}", age, f"u{user}", f"i{item}", f"u{friend}"]
                + ["|".join(f"t{tag}" for tag in tags), "|".join(f"b{i}:{w}" for i, w in basket)]
            )


KINDS = ["lr", "mf", "fm", "ffm", "ncf", "dnn", "wide_deep", "deepfm", "dcn", "dcn_v2", "xdeepfm", "dlrm"]

#: Kinds with settings, as ``--set`` takes them.
SETTINGS = [
    ("lr", ["train.solver=steps"]),
    ("ncf", ["model.variant=gmf", "model.embedding_std=0.5"]),
    ("ncf", ["model.variant=mlp"]),
    ("dnn", ["model.norm=batch", "model.dropout=0.2"]),
    ("dnn", ["model.norm=layer", "model.activation=gelu"]),
    ("dnn", ["model.activation=silu"]),
    ("dnn", ["model.activation=sigmoid"]),
    ("dnn", ["model.activation=tanh"]),
    ("dnn", ["model.activation=prelu"]),
    ("wide_deep", ["train.linear_start=model"]),
    ("dcn", ["model.hidden=[]"]),
    ("dcn_v2", ["model.cross=low_rank", "model.rank=4"]),
    ("dcn_v2", ["model.cross=mixture", "model.rank=4", "model.experts=3"]),
    ("dcn_v2", ["model.structure=stacked"]),
    ("dcn_v2", ["model.hidden=[]"]),
    ("xdeepfm", ["model.split_half=true", "model.cin=[8, 6]"]),
    ("dlrm", ["model.interaction=dot_self"]),
    ("dlrm", ["model.interaction=cat"]),
    ("dlrm", ["model.interaction=dcn", "model.cross_rank=4"]),
    ("dlrm", ["model.first_order=false", "model.norm=batch"]),
    ("dlrm", ["model.norm=layer", "model.dropout=0.1"]),
    ("dlrm", ["model.pooling=mean"]),
    ("dlrm", ["model.pooling=learned"]),
    ("dlrm", ['model.quotient_remainder={ operation = "mult", collisions = 3, threshold = 20 }']),
    ("dlrm", ['model.quotient_remainder={ operation = "add", threshold = 10 }', "model.pooling=mean"]),
    ("dlrm", ['model.quotient_remainder={ operation = "concat", threshold = 10 }']),
    ("dlrm", ["model.mixed_dims={ threshold = 10 }"]),
    ("dlrm", ["train.table_precision=bf16"]),
    ("dlrm", ["train.table_precision=f16", "model.pooling=learned"]),
    ("dlrm", ["data.negative_downsampling_rate=0.5"]),
    ("fm", ["train.loss={ kind = \"bce\", positive_weight = 3.0 }", "calibration=temperature"]),
    ("dlrm", ["train.loss={ kind = \"bce\", positive_weight = 3.0 }", "calibration=platt"]),
    ("dlrm", ["train.loss={ kind = \"bce\", positive_weight = 3.0 }", "calibration=isotonic"]),
]
