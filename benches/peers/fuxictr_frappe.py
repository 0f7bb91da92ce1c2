#!/usr/bin/env python3
"""Seconds per epoch, and test results, of FuxiCTR (PyPI `fuxictr`) on Frappe_x1 of BARS.

    pip install fuxictr torch        # Python 3.11; brings numpy, pandas, polars, ray and scikit-learn
    python benches/peers/fuxictr_frappe.py DATA_DIR [--models deepfm,dcn] [--threads 1] [--full]

The settings are read from recipes/bars/frappe/*.toml; Adam, N(0, 1e-4) embeddings and the cuts of the learning rate are defaults of
FuxiCTR. Its trainer, data loader (in the training process), metrics and layers are used as they are. The package does not carry the
classes of these models, which are only in the model_zoo of its repository: `Net` puts the same layers together as they do.

DATA_DIR holds train.csv (or else train.reconstructed.csv), valid.csv and test.csv. One JSON object per model is printed:
`epoch_seconds` are of training alone, with the loading of batches; `parameters` count a padding and an out-of-vocabulary row in every
table. With --full a model trains until two epochs in a row bring no better validation AUC; its best epoch is evaluated.
"""

import argparse
import json
import tempfile
import time
import tomllib
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import torch
from fuxictr.features import FeatureMap
from fuxictr.preprocess import FeatureProcessor
from fuxictr.pytorch import layers
from fuxictr.pytorch.dataloaders.npz_dataloader import NpzDataLoader
from fuxictr.pytorch.models import BaseModel
from fuxictr.pytorch.torch_utils import seed_everything

RECIPES = Path(__file__).resolve().parents[2] / "recipes" / "bars" / "frappe"
MODELS = "lr,fm,dnn,wide_deep,deepfm,dcn,dcn_v2,xdeepfm,dlrm_cat,dlrm_dot"


class Net(BaseModel):
    def __init__(self, features, name, recipe, full, directory):
        model, train = recipe["model"], recipe["train"]
        kind, l2 = model["kind"], train["table_optimizer"]["l2"]
        regularizers = {"embedding_regularizer": l2, "net_regularizer": l2 if kind in ("lr", "fm") else None}
        monitor = {"monitor": train["monitor"].upper(), "early_stop_patience": train["patience"], "metrics": ["AUC", "logloss"]}
        super().__init__(features, model_id=name, model_root=directory, verbose=0, **regularizers, **monitor)
        self.full, self.epoch_seconds = full, []
        self.linear = self.embedding = self.fm = self.cin = self.cross = self.mlp = None
        width = features.sum_emb_out_dim()
        if kind in ("lr", "wide_deep", "xdeepfm"):
            self.linear = layers.LogisticRegression(features, use_bias=kind == "lr")
        if kind != "lr":
            self.embedding = layers.FeatureEmbedding(features, model["embedding_dim"])
        if kind in ("fm", "deepfm"):
            self.fm = layers.FactorizationMachine(features)
        if kind == "xdeepfm":
            self.cin = layers.CompressedInteractionNet(features.num_fields, model["cin"])
        if kind in ("dcn", "dcn_v2"):
            self.cross = (layers.CrossNet if kind == "dcn" else layers.CrossNetV2)(width, model["layers"])
            self.head = torch.nn.Linear(width + model["hidden"][-1], 1)
        if kind not in ("lr", "fm"):
            self.interact = torch.nn.Flatten(start_dim=1)
            if model.get("interaction") == "dot":
                self.interact = layers.InnerProductInteraction(features.num_fields, output="inner_product")
                width = self.interact.interaction_units
            hidden, output = model["top" if kind == "dlrm" else "hidden"], None if self.cross else 1
            settings = {"dropout_rates": model["dropout"], "batch_norm": model["norm"] == "batch"}
            self.mlp = layers.MLP_Block(width, hidden, output_dim=output, **settings)
        self.compile("adam", "binary_crossentropy", train["optimizer"]["lr"])
        self.reset_parameters()

    def forward(self, inputs):
        ids = self.get_inputs(inputs)
        vectors = self.embedding(ids) if self.embedding else None
        terms = [self.linear(ids)] if self.linear else []
        if self.fm:
            terms.append(self.fm(ids, vectors))
        if self.cin:
            terms.append(self.cin(vectors))
        if self.cross:
            flat = self.interact(vectors)
            terms.append(self.head(torch.cat([self.cross(flat), self.mlp(flat)], dim=-1)))
        elif self.mlp:
            terms.append(self.mlp(self.interact(vectors)))
        return {"y_pred": self.output_activation(sum(terms))}

    def train_epoch(self, batches):
        start, self.paused = time.perf_counter(), 0.0
        super().train_epoch(batches)
        self.epoch_seconds.append(round(time.perf_counter() - start - self.paused, 3))

    def eval_step(self):
        start = time.perf_counter()
        super().eval_step() if self.full else self.save_weights(self.checkpoint)  # `fit` reads the weights saved last
        self.paused += time.perf_counter() - start

    def save_weights(self, checkpoint):
        self.best_epoch = self._epoch_index + 1
        super().save_weights(checkpoint)


def encode(data, cache, fields):
    """Encodes the three files as FuxiCTR does; the folder of the result."""
    train = next(path for path in (data / "train.csv", data / "train.reconstructed.csv") if path.exists())
    out = cache / f"frappe_x1.{train.stem}"
    if not (out / "test.npz").exists():
        columns = {"name": fields, "active": True, "dtype": "str", "type": "categorical"}
        processor = FeatureProcessor([columns], {"name": "label", "dtype": "float"}, dataset_id=out.name, data_root=str(cache))
        types = dict.fromkeys(fields, pl.String) | {"label": pl.Float64}
        paths = {"train": train, "valid": data / "valid.csv", "test": data / "test.csv"}
        frames = {split: pl.read_csv(path, schema_overrides=types) for split, path in paths.items()}
        processor.fit(frames["train"].lazy(), min_categr_count=1)
        for split, frame in frames.items():
            np.savez(out / f"{split}.npz", **processor.transform(frame.to_dict(as_series=False)))
    return out


def run(name, args):
    common, own = (tomllib.loads((RECIPES / f"{n}.toml").read_text()) for n in ("data", name))
    recipe = common | own | {"train": common["train"] | own["train"]}
    train = recipe["train"]
    directory = encode(args.data, args.cache, [field["name"] for field in recipe["schema"]["categorical"]])
    features = FeatureMap(directory.name, str(directory))
    features.load(str(directory / "feature_map.json"), {"embedding_dim": recipe["model"].get("embedding_dim", 1)})
    loader = partial(NpzDataLoader, features, batch_size=train["batch_size"], num_workers=0)
    loaders = {split: loader(str(directory / split), shuffle=split == "train") for split in ("train", "valid", "test")}
    seed_everything(args.seed)
    net = Net(features, name, recipe, args.full, str(args.cache))
    net.fit(loaders["train"], args.epochs or (train["epochs"] if args.full else 3), loaders["valid"], train["clip_norm"])
    parameters = sum(p.numel() for p in net.parameters() if p.requires_grad)
    result = {"model": name, "threads": args.threads, "epoch_seconds": net.epoch_seconds, "parameters": parameters}
    if args.full:
        result |= {"seed": args.seed, "epochs": len(net.epoch_seconds), "best_epoch": net.best_epoch}
        for split in ("valid", "test"):
            result |= {f"{split}_{key.lower()}": round(float(value), 6) for key, value in net.evaluate(loaders[split]).items()}
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA_DIR")
    parser.add_argument("--models", default=MODELS, help="default: %(default)s")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--epochs", type=int, help="default: 3, with --full the recipe's")
    parser.add_argument("--seed", type=int, default=2021)
    parser.add_argument("--full", action="store_true", help="train to the end, and evaluate")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "fuxictr_frappe", help="default: %(default)s")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    for name in args.models.split(","):
        run(name, args)
