"""The dense part of a DLRM in PyTorch: bottom MLP, dot products of all pairs of vectors, top MLP."""

import torch
from torch import nn


def mlp(widths):
    layers = [part for a, b in zip(widths, widths[1:]) for part in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(*layers)


class Dense(nn.Module):
    def __init__(self, workload):
        super().__init__()
        n = len(workload.tables) + 1
        self.bottom = mlp(workload.bottom)
        self.top = mlp([workload.dim + workload.pairs, *workload.top])[:-1]  # logits have no ReLU
        i, j = torch.tril_indices(n, n, -1)
        self.register_buffer("below", i * n + j)

    def forward(self, dense, vectors):
        x = self.bottom(dense)  # [B, D]
        all = torch.cat([x.unsqueeze(1), vectors], 1)  # [B, T + 1, D]
        pairs = torch.bmm(all, all.transpose(1, 2)).flatten(1).index_select(1, self.below)
        return self.top(torch.cat([x, pairs], 1)).squeeze(1)  # [B]
