"""A network of the reference implementation's kind, written anew from its paper, with the names of its tensors."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn


class ReferenceNetwork(nn.Module):
    """DLRM (Naumov et al. 2019): bags of ids, two MLPs, products of all pairs of vectors, a probability."""

    def __init__(
        self, bottom: Sequence[int], rows: Sequence[int], top: Sequence[int], interaction: str = "dot"
    ) -> None:
        """`bottom` are the widths from the dense columns on, `top` those behind the interaction."""
        super().__init__()
        dim, count = bottom[-1], len(rows) + 1
        pairs = {"dot": count * (count - 1) // 2, "dot_self": count * (count + 1) // 2}
        width = count * dim if interaction == "cat" else dim + pairs[interaction]
        self.interaction = interaction
        self.emb_l = nn.ModuleList([nn.EmbeddingBag(n, dim, mode="sum", sparse=True) for n in rows])
        for table in self.emb_l:
            nn.init.uniform_(table.weight, -(table.num_embeddings**-0.5), table.num_embeddings**-0.5)
        self.bot_l = layers(list(bottom), nn.ReLU())
        self.top_l = layers([width, *top], nn.Sigmoid())

    def forward(
        self, dense: torch.Tensor, offsets: Sequence[torch.Tensor], ids: Sequence[torch.Tensor]
    ) -> torch.Tensor:
        """Probabilities [B, 1]; `offsets` say where the bag of each row begins."""
        return self.top_l(self.met(dense, offsets, ids))

    def met(
        self, dense: torch.Tensor, offsets: Sequence[torch.Tensor], ids: Sequence[torch.Tensor]
    ) -> torch.Tensor:
        """What the top MLP reads."""
        first = self.bot_l(dense)
        vectors = [first] + [table(i, o) for table, i, o in zip(self.emb_l, ids, offsets)]
        if self.interaction == "cat":
            return torch.cat(vectors, 1)
        own = 1 if self.interaction == "dot_self" else 0
        products = [(vectors[i] * vectors[j]).sum(1) for i in range(len(vectors)) for j in range(i + own)]
        return torch.cat([first, torch.stack(products, 1)], 1)

    def logits(
        self, dense: torch.Tensor, offsets: Sequence[torch.Tensor], ids: Sequence[torch.Tensor]
    ) -> torch.Tensor:
        """[B]"""
        return self.top_l[:-1](self.met(dense, offsets, ids))[:, 0]


def layers(widths: list[int], last: nn.Module) -> nn.Sequential:
    """Linear layers with an activation behind each."""
    all_layers: list[nn.Module] = []
    for place, (inputs, outputs) in enumerate(zip(widths, widths[1:])):
        linear = nn.Linear(inputs, outputs)
        nn.init.normal_(linear.weight, std=(2 / (inputs + outputs)) ** 0.5)
        nn.init.normal_(linear.bias, std=(1 / outputs) ** 0.5)
        all_layers += [linear, nn.ReLU() if place + 2 < len(widths) else last]
    return nn.Sequential(*all_layers)
