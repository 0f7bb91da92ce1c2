"""Writes data/metric_goldens.json: metrics and DeLong intervals by independent implementations.

Run with: pip install numpy scipy scikit-learn && python make_metric_goldens.py
"""

import json
import pathlib

import numpy as np
from scipy.special import expit
from scipy.stats import norm
from sklearn.metrics import brier_score_loss, log_loss, mean_absolute_error, mean_squared_error, roc_auc_score


def placements(scores, labels):
    """Structural components V10 and V01 from the full matrix of pairs."""
    positive, negative = scores[labels == 1], scores[labels == 0]
    psi = (positive[:, None] > negative[None, :]) + 0.5 * (positive[:, None] == negative[None, :])
    return psi.mean(axis=1), psi.mean(axis=0)


def delong(*models, labels):
    """Estimate and covariance of the AUCs of several models (DeLong et al. 1988)."""
    v10, v01 = zip(*(placements(scores, labels) for scores in models))
    covariance = np.cov(v10) / len(v10[0]) + np.cov(v01) / len(v01[0])
    return np.array([v.mean() for v in v10]), np.atleast_2d(covariance)


def case(name, a, b, labels, weights):
    a, b = a.astype(np.float32), b.astype(np.float32)
    weights = weights.astype(np.float32)
    p = expit(a.astype(np.float64))
    auc, cov = delong(a, b, labels=labels)
    variance = cov[0, 0] + cov[1, 1] - 2 * cov[0, 1]
    z = (auc[0] - auc[1]) / np.sqrt(variance)
    return {
        "name": name,
        "a": a.tolist(), "b": b.tolist(), "labels": labels.tolist(), "weights": weights.tolist(),
        "auc": roc_auc_score(labels, a),
        "log_loss": log_loss(labels, p),
        "accuracy": float(((p >= 0.5) == labels).mean()),
        "brier": brier_score_loss(labels, p),
        "weighted_auc": roc_auc_score(labels, a, sample_weight=weights),
        "weighted_log_loss": log_loss(labels, p, sample_weight=weights),
        "weighted_brier": brier_score_loss(labels, p, sample_weight=weights),
        "delong_variance": cov[0, 0],
        "delong_low": norm.ppf(0.025, auc[0], np.sqrt(cov[0, 0])),
        "delong_high": norm.ppf(0.975, auc[0], np.sqrt(cov[0, 0])),
        "difference": auc[0] - auc[1],
        "difference_variance": variance,
        "difference_z": z,
        "difference_p": 2 * norm.sf(abs(z)),
        "rmse": float(np.sqrt(mean_squared_error(labels, a.astype(np.float64)))),
        "mae": mean_absolute_error(labels, a.astype(np.float64)),
    }


def main():
    rng = np.random.default_rng(20)
    cases = []
    for name, rows, digits in [("smooth", 120, 6), ("ties", 150, 0), ("rare", 200, 2)]:
        truth = rng.normal(-3.0 if name == "rare" else -0.5, 1.5, rows)
        labels = (rng.random(rows) < expit(truth)).astype(int)
        a = np.round(truth + rng.normal(0, 0.7, rows), digits)
        b = np.round(0.5 * truth + rng.normal(0, 1.5, rows), digits)
        cases.append(case(name, a, b, labels, np.round(rng.random(rows) * 3, 2)))
    tails = [{"z": z, "p": 2 * norm.sf(z)} for z in [0.0, 1e-8, 0.1, 0.5, 1.0, 1.96, 2.5, 2.82, 2.84, 4.0, 6.0, 10.0, 30.0]]
    out = pathlib.Path(__file__).parent / "data" / "metric_goldens.json"
    out.write_text(json.dumps({"cases": cases, "tails": tails}) + "\n")


if __name__ == "__main__":
    main()
