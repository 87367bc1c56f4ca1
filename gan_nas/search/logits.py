"""Logits of a differentiable search: a row for each place of a supernet where operations mix.

DARTS; AdversarialNAS (Gao et al. 2020), eq. 1, calls them alpha and beta; DEGAS (Doveh & Giryes
2019), eq. 1, alpha.
"""

from collections.abc import Iterator, Mapping
from math import exp, log
from statistics import fmean
from typing import NamedTuple

import torch
from torch import Tensor, nn

INITIAL_DEVIATION = 1e-3  # in DARTS' code, and in AdversarialNAS'


class PlaceRow(NamedTuple):
    """Which parameter holds a place's row, and how many operations the place has."""

    parameter: str
    num_ops: int


class Logits(nn.Module):
    """Rows of logits for named places.

    Rows of one parameter are as long as its longest: the rest is padding, which never weighs. With
    `num_logits` a parameter has more than there are operations: phantoms, which soak up weight.
    """

    def __init__(
        self,
        places: Mapping[str, PlaceRow],
        *,
        num_logits: Mapping[str, int] | None = None,
        device: torch.device | None = None,
    ) -> None:
        super().__init__()
        self.places = dict(places)
        self.sets: dict[str, list[str]] = {}  # places of each parameter, in the order of its rows
        for place, row in places.items():
            self.sets.setdefault(row.parameter, []).append(place)
        for name, members in self.sets.items():
            sizes = [places[place].num_ops for place in members]
            width = max([*sizes, (num_logits or {}).get(name, 0)])
            logits = torch.zeros(len(members), width, device=device)
            self.register_parameter(name, nn.Parameter(logits))
            if min(sizes) < max(sizes):
                counts = torch.tensor(sizes, device=device)[:, None]
                padding = torch.arange(width, device=device) >= counts
                mask = torch.zeros_like(logits).masked_fill_(padding, float("-inf"))
                self.register_buffer(_mask(name), mask, persistent=False)

    @torch.no_grad()
    def initialise(self, random: torch.Generator) -> None:
        """Draw all logits from 0.001 N(0, 1), on the CPU; padding stays zero."""
        masks = dict(self.named_buffers())
        for name, parameter in self.named_parameters():
            drawn = torch.randn(parameter.shape, generator=random, device="cpu") * INITIAL_DEVIATION
            if _mask(name) in masks:
                drawn[masks[_mask(name)].cpu() != 0] = 0
            parameter.copy_(drawn)

    def rows(self, tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
        """Yield each place and its row of (operations,), from tensors shaped like the logits."""
        rows = {name: iter(tensor.unbind()) for name, tensor in tensors.items()}
        for place, (name, num_ops) in self.places.items():
            yield place, next(rows[name])[:num_ops]

    def weights(self) -> dict[str, Tensor]:
        """Return for each place the softmax over its operations."""
        return dict(self.rows({name: row.softmax(1) for name, row in self.padded().items()}))

    def padded(self) -> dict[str, Tensor]:
        """Return the logits with minus infinity for padding."""
        masks = dict(self.named_buffers())
        return {
            name: parameter + masks[_mask(name)] if _mask(name) in masks else parameter
            for name, parameter in self.named_parameters()
        }

    def log_probabilities(self) -> dict[str, list[float]]:
        """Return for each place the log-probabilities of its operations, in float64.

        The logits' own, never an average's; phantoms are left out before the softmax.
        """
        tensors = {}
        for name, logits in self.padded().items():
            longest = max(self.places[place].num_ops for place in self.sets[name])
            tensors[name] = logits.detach().double().cpu()[:, :longest].log_softmax(1)
        return {place: row.tolist() for place, row in self.rows(tensors)}

    def entropies(self) -> dict[str, float]:
        """Return the entropy of each place's softmax, in nats."""
        rows = self.log_probabilities()
        return {place: -sum(exp(p) * p for p in row) for place, row in rows.items()}

    def mean_highest_entropy(self) -> float:
        """Return the mean over places of the most that an entropy can be, in nats."""
        return fmean(log(row.num_ops) for row in self.places.values())


def _mask(parameter: str) -> str:
    return f"{parameter}_mask"
