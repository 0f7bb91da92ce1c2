#!/usr/bin/env python3
"""Tables and peers of the study of defaults; `cargo xtask defaults` runs this in an environment with requirements.txt.

    python defaults.py export OUT DATA_DIR [--splits 5] [--only NAME,NAME] [--large]
    python defaults.py peers OUT [--splits 5] [--only NAME,NAME] [--threads 1]

`export` writes OUT/NAME/SPLIT/{train,test}.csv (four rows in five against one, stratified by the label, one seed per split) and
OUT/tables.json. `peers` fits logistic regression and LightGBM to each of them and keeps AUC and log loss of the test rows in
OUT/peers.json; what is there already is not repeated. Nothing is tuned: LightGBM and `lr` have the defaults of their makers, and
`lr_cv` chooses its L2 by cross-validation of the training rows.
"""

import argparse
import json
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd


def tables_to_do(args):
    import tables

    known = tables.TABLES + (tables.LARGE if args.large else [])
    names = args.only.split(",") if args.only else [name for name, _, _ in known]
    unknown = set(names) - {name for name, _, _ in tables.TABLES + tables.LARGE}
    if unknown:
        sys.exit(f"--only: no table {', '.join(sorted(unknown))}; there are {', '.join(n for n, _, _ in tables.TABLES + tables.LARGE)}")
    return [entry for entry in tables.TABLES + tables.LARGE if entry[0] in names]


def export(args):
    import tables
    from sklearn.model_selection import train_test_split

    index = load(args.out / "tables.json")
    for name, kind, _ in tables_to_do(args):
        missing = [s for s in range(args.splits) if not (args.out / name / str(s) / "test.csv").exists()]
        if name in index and not missing:
            continue
        try:
            frame, ids = tables.read(name, args.data)
        except FileNotFoundError as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
            continue
        for split in missing:
            parts = train_test_split(frame, test_size=0.2, random_state=split, stratify=frame["label"])
            for part, rows in zip(("train", "test"), parts):
                path = args.out / name / str(split) / f"{part}.csv"
                path.parent.mkdir(parents=True, exist_ok=True)
                unfinished = path.with_suffix(".part")
                rows.to_csv(unfinished, index=False)
                unfinished.rename(path)
        text = [c for c in frame if c in ids or frame[c].dtype.kind not in "biuf"]
        index[name] = {
            "kind": kind,
            "half": tables.half(name),
            "rows": len(frame),
            "columns": frame.shape[1] - 1,
            "positive": round(float(frame["label"].mean()), 4),
            "text": text,
        }
        save(args.out / "tables.json", index)
        print(f"{name}: {len(frame)} rows, {frame.shape[1] - 1} columns, {index[name]['half']}", file=sys.stderr)


def peers(args):
    index, done = load(args.out / "tables.json"), load(args.out / "peers.json")
    names = args.only.split(",") if args.only else list(index)
    for split in range(args.splits):
        for name in names:
            measured = done.setdefault(name, {}).setdefault(str(split), {})
            folder = args.out / name / str(split)
            if not folder.exists():
                continue
            for peer, fit in PEERS.items():
                scores = folder / f"{peer}-scores.csv"
                if peer in measured and scores.exists():
                    continue
                train, test = (read(folder / f"{part}.csv", index[name]["text"]) for part in ("train", "test"))
                started = time.perf_counter()
                predicted, converged = fit(train, test, index[name]["text"], args.threads)
                seconds = round(time.perf_counter() - started, 3)
                np.savetxt(scores, predicted)
                measured[peer] = {**score(test["label"], predicted, converged), "seconds": seconds}
                save(args.out / "peers.json", done)
            print(name, split, {p: (round(m["auc"], 4), round(m["log_loss"], 4)) for p, m in measured.items()}, file=sys.stderr)


def margins(args):
    """Half the widths of paired 95 % intervals between runs of dlrm and logistic regression, on one split each."""
    index, found = load(args.out / "tables.json"), {}
    for ours in args.out.glob("*/*/run-*.csv"):
        name, split = ours.parts[-3:-1]
        labels = read(ours.parent / "test.csv", index[name]["text"])["label"].to_numpy()
        scores = np.loadtxt(ours, skiprows=1)
        variant = found.setdefault(ours.stem.removeprefix("run-"), {}).setdefault(name, {}).setdefault(split, {})
        for peer in ("lr", "lr_cv"):
            path = ours.parent / f"{peer}-scores.csv"
            if path.exists():
                variant[peer] = margin(labels, scores, np.loadtxt(path))
    save(args.out / "margins.json", found)


def margin(labels, ours, theirs):
    losses = [-np.log(np.clip(np.where(labels == 1, p, 1 - p), 1e-15, 1)) for p in (ours, theirs)]
    # DeLong, DeLong and Clarke-Pearson 1988: the variance of what each row adds to the two AUCs.
    parts = [auc_parts(labels == 1, p) for p in (ours, theirs)]
    variance = sum(np.var(a - b, ddof=1) / len(a) for a, b in zip(*parts))
    of_loss = np.std(losses[0] - losses[1], ddof=1) / np.sqrt(len(labels))
    return {"auc": 1.96 * float(np.sqrt(variance)), "log_loss": 1.96 * float(of_loss)}


def auc_parts(positive, scores):
    """By positive, the share of negatives below it; by negative, the share of positives above it."""
    from scipy.stats import rankdata

    ranks, m, n = rankdata(scores), positive.sum(), (~positive).sum()
    of_positives = (ranks[positive] - rankdata(scores[positive])) / n
    of_negatives = 1 - (ranks[~positive] - rankdata(scores[~positive])) / m
    return of_positives, of_negatives


def read(path, text):
    frame = pd.read_csv(path, dtype={c: str for c in text})
    return frame.astype({c: float for c in frame if c not in text and c != "label"})


def score(labels, predicted, converged):
    from sklearn.metrics import log_loss, roc_auc_score

    return {"auc": roc_auc_score(labels, predicted), "log_loss": log_loss(labels, predicted), "converged": bool(converged)}


def logistic(model, train, test, text):
    from sklearn.compose import ColumnTransformer
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = [c for c in train if c != "label" and c not in text]
    columns = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler()), numbers),
            ("text", make_pipeline(SimpleImputer(strategy="constant", fill_value=""), OneHotEncoder(handle_unknown="ignore")), text),
        ]
    )
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        fitted = make_pipeline(columns, model).fit(train.drop(columns="label"), train["label"])
    converged = not any(issubclass(w.category, ConvergenceWarning) for w in said)
    return fitted.predict_proba(test.drop(columns="label"))[:, 1], converged


def lr(train, test, text, _threads):
    from sklearn.linear_model import LogisticRegression

    return logistic(LogisticRegression(max_iter=5000), train, test, text)


def lr_cv(train, test, text, threads):
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.model_selection import StratifiedKFold

    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    model = LogisticRegressionCV(
        Cs=np.logspace(-3, 3, 13),
        cv=folds,
        scoring="neg_log_loss",
        max_iter=5000,
        n_jobs=threads,
        l1_ratios=(0,),
        use_legacy_attributes=False,
    )
    return logistic(model, train, test, text)


def lightgbm(train, test, text, threads):
    from lightgbm import LGBMClassifier

    for column in text:
        seen = sorted(train[column].dropna().unique())
        for rows in (train, test):
            rows[column] = pd.Categorical(rows[column].where(rows[column].isin(seen)), categories=seen)
    model = LGBMClassifier(n_jobs=threads, verbose=-1).fit(train.drop(columns="label"), train["label"])
    return model.predict_proba(test.drop(columns="label"))[:, 1], True


PEERS = {"lr": lr, "lr_cv": lr_cv, "lightgbm": lightgbm}


def load(path):
    return json.loads(path.read_text()) if path.exists() else {}


def save(path, value):
    unfinished = path.with_suffix(".part")
    unfinished.write_text(json.dumps(value, indent=1))
    unfinished.rename(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    exporting = commands.add_parser("export")
    exporting.add_argument("out", type=Path)
    exporting.add_argument("data", type=Path)
    exporting.add_argument("--large", action="store_true")
    exporting.set_defaults(run=export)
    fitting = commands.add_parser("peers")
    fitting.add_argument("out", type=Path)
    fitting.add_argument("--threads", type=int, default=1)
    fitting.set_defaults(run=peers)
    pairing = commands.add_parser("margins")
    pairing.add_argument("out", type=Path)
    pairing.set_defaults(run=margins)
    for command in (exporting, fitting):
        command.add_argument("--splits", type=int, default=5)
        command.add_argument("--only")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    args.run(args)


if __name__ == "__main__":
    main()
