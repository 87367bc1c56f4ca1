"""The continuous relaxation of architectures: logits on every edge, and how they mix operations.

AdversarialNAS (Gao et al. 2020), eq. 1: an edge computes sum_i w_i op_i(x), with w from the logits
alpha (generator) or beta (discriminator) of that edge, by softmax or with Gumbel noise.
"""

from collections.abc import Iterator, Sequence
from math import exp, log
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gan_nas.networks.slots import choose
from gan_nas.search.adversarialnas.derivation import derive_cell
from gan_nas.spaces.adversarialnas import CellType, EntryOp, NormalOp, UpOp, candidates, ops_of
from gan_nas.streams import stream

INITIAL_DEVIATION = 1e-3  # of the logits, in the authors' code
SET_NAMES = {ops_of(NormalOp): "normal", ops_of(UpOp): "up", ops_of(EntryOp): "entry"}

Mixture = Literal["gumbel", "softmax"]
NoiseOn = Literal["prob", "logprob"]


class Logits(nn.Module):
    """A row of logits for each edge of a supernet; edges of one candidate set share a parameter.

    `normal_entry` gives the discriminator's first edges seven logits for their five operations, as
    in the published code, where two phantom operations soak up weight.
    """

    def __init__(self, cells: Sequence[CellType], *, normal_entry: bool = False) -> None:
        super().__init__()
        self.cells = cells
        self.edges: dict[str, list[tuple[int, str]]] = {}  # rows of each set: (cell, edge)
        widths: dict[str, int] = {}
        for index, cell in enumerate(cells):
            for edge, ops in candidates(cell).items():
                name = SET_NAMES.get(ops, "down")
                self.edges.setdefault(name, []).append((index, edge))
                widths[name] = len(ops_of(NormalOp) if normal_entry and name == "entry" else ops)
        for name, rows in self.edges.items():
            self.register_parameter(name, nn.Parameter(torch.zeros(len(rows), widths[name])))

    @torch.no_grad()
    def initialise(self, random: torch.Generator) -> None:
        """Draw all logits from 0.001 N(0, 1), on the CPU."""
        for parameter in self.parameters():
            drawn = torch.randn(parameter.shape, generator=random, device="cpu")
            parameter.copy_(drawn * INITIAL_DEVIATION)

    def rows(self, tensors: dict[str, Tensor]) -> Iterator[tuple[int, str, Tensor]]:
        """Yield cell, edge and its row of (possible operations,) from tensors like the logits."""
        for name, edges in self.edges.items():
            for (index, edge), row in zip(edges, tensors[name].unbind(), strict=True):
                yield index, edge, row[: len(candidates(self.cells[index])[edge])]

    def log_probabilities(self) -> list[dict[str, list[float]]]:
        """Return for each cell edge -> log-probabilities of its operations.

        The logits' own, never an average's; phantom operations are left out before the softmax.
        """
        tensors = {name: p.detach().double().cpu() for name, p in self.named_parameters()}
        found: list[dict[str, list[float]]] = [{} for _ in self.cells]
        for index, edge, row in self.rows(tensors):
            found[index][edge] = row.log_softmax(0).tolist()
        return [
            {edge: values[edge] for edge in candidates(cell)}
            for cell, values in zip(self.cells, found, strict=True)
        ]

    def matrices(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the raw logits as the authors' files hold them: of normal edges, of the others.

        (cells, 5, 7) and (cells, 2, operations). Where phantom operations have no logits theirs are
        minus infinity.
        """
        tensors = {name: p.detach().double().cpu().numpy() for name, p in self.named_parameters()}
        num_normal = len(ops_of(NormalOp))
        kinds: tuple[list[NDArray[np.float64]], list[NDArray[np.float64]]] = ([], [])
        for index, cell in enumerate(self.cells):
            for edge in candidates(cell):
                name = next(name for name, rows in self.edges.items() if (index, edge) in rows)
                row = tensors[name][self.edges[name].index((index, edge))]
                if name in ("normal", "entry"):
                    missing = num_normal - len(row)
                    kinds[0].append(np.pad(row, (0, missing), constant_values=-np.inf))
                else:
                    kinds[1].append(row)
        normal, others = (
            np.stack(rows).reshape(len(self.cells), -1, rows[0].size) for rows in kinds
        )
        return normal, others

    def entropies(self) -> dict[str, float]:
        """Return the entropy of each edge's softmax, in nats, named as cell.edge."""
        return {
            f"{index}.{edge}": -sum(exp(p) * p for p in row)
            for index, edges in enumerate(self.log_probabilities())
            for edge, row in edges.items()
        }


class Relaxed(nn.Module):
    """A supernet that draws the weights of its operations from logits at every forward pass.

    `mixture` softmax takes softmax(logits). gumbel takes softmax((p + g) / tau) with g of
    Gumbel(0, 1) and p the probabilities (`noise_on` prob: paper and code, which hardly ever
    concentrates) or their logarithms (logprob: the usual Gumbel-softmax). `hard` computes only the
    drawn operation, repaired to a valid cell, with the soft weight's gradient (straight through).
    `restart` sets temperature and noise; one draw serves a whole batch.
    """

    def __init__(
        self,
        network: nn.Module,
        logits: Logits,
        *,
        mixture: Mixture,
        noise_on: NoiseOn = "prob",
        hard: bool = False,
    ) -> None:
        super().__init__()
        self.network = network
        self.logits = logits
        self.mixture, self.noise_on, self.hard = mixture, noise_on, hard
        self.tau = 1.0
        self._random: torch.Generator | None = None

    def restart(self, tau: float, seed: int, purpose: str, step: int) -> None:
        """Set the temperature, and the random stream that this step's draws come from."""
        self.tau = tau
        device = next(self.logits.parameters()).device
        self._random = stream(seed, purpose, step, device=device)

    def forward(self, x: Tensor) -> Tensor:
        """Run the supernet with freshly drawn weights."""
        return self.network(x, self.draw())

    def draw(self) -> list[dict[str, Tensor]]:
        """Draw for each cell edge -> weights: a vector over its operations, a scalar if `hard`."""
        soft = {name: self._soft(logits) for name, logits in self.logits.named_parameters()}
        weights: list[dict[str, Tensor]] = [{} for _ in self.logits.cells]
        for index, edge, row in self.logits.rows(soft):
            weights[index][edge] = row
        return self._choose(soft, weights) if self.hard else weights

    def _soft(self, logits: Tensor) -> Tensor:
        if self.mixture == "softmax":
            return logits.softmax(1)
        noise = torch.empty_like(logits, requires_grad=False)
        random = None if noise.is_meta else self._random
        noise = -noise.exponential_(generator=random).log()
        return noisy_weights(logits, noise, self.tau, self.noise_on)

    def _choose(
        self, soft: dict[str, Tensor], weights: list[dict[str, Tensor]]
    ) -> list[dict[str, Tensor]]:
        """Set the supernet to the likeliest valid cells; scale each operation by 1."""
        known = {
            name: torch.zeros_like(t, device="cpu") if t.is_meta else t for name, t in soft.items()
        }
        values = {name: tensor.tolist() for name, tensor in known.items()}
        rows: list[dict[str, Sequence[float]]] = [{} for _ in self.logits.cells]
        for name, edges in self.logits.edges.items():
            for (index, edge), row in zip(edges, values[name], strict=True):
                rows[index][edge] = row
        cells: Any = self.network.cells
        for index, (cell, row) in enumerate(zip(self.logits.cells, rows, strict=True)):
            ops = derive_cell(cell, row)
            choose(cells[index], ops | {f"skip {j}": "present" for j in range(index)})
            for edge, names in candidates(cell).items():
                chosen = weights[index][edge][names.index(ops[edge])]
                weights[index][edge] = 1 + (chosen - chosen.detach())
        return weights


def noisy_weights(logits: Tensor, noise: Tensor, tau: float, noise_on: NoiseOn) -> Tensor:
    """Return softmax((p + noise) / tau) over the last dimension, p or log p as `noise_on` says."""
    mean = logits.softmax(-1) if noise_on == "prob" else logits.log_softmax(-1)
    return ((mean + noise) / tau).softmax(-1)


def tau_at(level: int, num_levels: int, first: float, last: float) -> float:
    """Return the temperature of a level: an exponential from `first` that would end at `last`."""
    return max(last, first * exp(-level * log(first / last) / num_levels))
