"""The continuous relaxation of architectures: logits on every edge, and how they mix operations.

AdversarialNAS (Gao et al. 2020), eq. 1: an edge computes sum_i w_i op_i(x), with w from the logits
alpha (generator) or beta (discriminator) of that edge, by softmax or with Gumbel noise.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import exp, log
from typing import Any, Literal, TypeVar, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gan_nas.networks.slots import choose
from gan_nas.search.adversarialnas.derivation import derive_cell
from gan_nas.search.logits import Logits, PlaceRow
from gan_nas.spaces.adversarialnas import CellType, EntryOp, NormalOp, UpOp, candidates
from gan_nas.streams import stream

SET_NAMES = {get_args(NormalOp): "normal", get_args(UpOp): "up", get_args(EntryOp): "entry"}

V = TypeVar("V")

Mixture = Literal["gumbel", "softmax"]
NoiseOn = Literal["prob", "logprob"]


class CellLogits(Logits):
    """A row of logits for each edge of cells; edges of one candidate set share a parameter.

    A place is named cell.edge. `normal_entry` gives the discriminator's first edges seven logits
    for their five operations, as in the published code, where two phantoms soak up weight.
    """

    def __init__(self, cells: Sequence[CellType], *, normal_entry: bool = False) -> None:
        self.cells = cells
        super().__init__(
            {
                f"{index}.{edge}": PlaceRow(SET_NAMES.get(ops, "down"), len(ops))
                for index, cell in enumerate(cells)
                for edge, ops in candidates(cell).items()
            },
            num_logits={"entry": len(get_args(NormalOp))} if normal_entry else {},
        )

    def by_cell(self, rows: Mapping[str, V] | Iterable[tuple[str, V]]) -> list[dict[str, V]]:
        """Sort what there is for each place: cell by cell, edge -> value."""
        cells: list[dict[str, V]] = [{} for _ in self.cells]
        for place, value in dict(rows).items():
            index, edge = place.split(".")
            cells[int(index)][edge] = value
        return cells

    def probabilities(self, cells: Sequence[Mapping[str, str]]) -> list[dict[str, float]]:
        """Return the probability of each edge's operation, cell by cell."""
        rows = self.by_cell(self.log_probabilities())
        return [
            {edge: exp(row[edge][candidates(cell)[edge].index(op)]) for edge, op in ops.items()}
            for cell, ops, row in zip(self.cells, cells, rows, strict=True)
        ]

    def matrices(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the raw logits as the authors' files hold them: of normal edges, of the others.

        (cells, 5, 7) and (cells, 2, operations). Where phantom operations have no logits theirs are
        minus infinity.
        """
        tensors = {name: p.detach().double().cpu().numpy() for name, p in self.named_parameters()}
        rows = {name: iter(tensor) for name, tensor in tensors.items()}
        num_normal = len(get_args(NormalOp))
        kinds: tuple[list[NDArray[np.float64]], list[NDArray[np.float64]]] = ([], [])
        for name, _ in self.places.values():
            row = next(rows[name])
            if name in ("normal", "entry"):
                missing = num_normal - len(row)
                kinds[0].append(np.pad(row, (0, missing), constant_values=-np.inf))
            else:
                kinds[1].append(row)
        normal, others = (
            np.stack(kind).reshape(len(self.cells), -1, kind[0].size) for kind in kinds
        )
        return normal, others


class Relaxed(nn.Module):
    """A supernet that draws the weights of its operations from logits at every forward pass.

    `mixture` softmax takes softmax(logits). gumbel takes softmax((p + g) / tau) with g of
    Gumbel(0, 1) and p the probabilities (`noise_on` prob: paper and code, which hardly ever
    concentrates) or their logarithms (logprob: the usual Gumbel-softmax). `hard` computes only the
    drawn operation, repaired to a valid cell, with the soft weight's gradient (straight through).
    `restart` sets temperature and noise; one draw serves a whole batch. `prepare` draws ahead, for
    passes that a GPU records.
    """

    def __init__(
        self,
        network: nn.Module,
        logits: CellLogits,
        *,
        mixture: Mixture,
        noise_on: NoiseOn = "prob",
        hard: bool = False,
    ) -> None:
        super().__init__()
        self.network = network
        self.logits = logits
        self.mixture, self.noise_on, self.hard = mixture, noise_on, hard
        self.tau: float | Tensor = 1.0
        self._random: torch.Generator | None = None
        self._kept: list[dict[str, Tensor]] = []  # noise of passes that were prepared
        self._next = iter(self._kept)

    def restart(self, tau: float, seed: int, purpose: str, step: int) -> None:
        """Set the temperature, and the random stream that this step's draws come from."""
        device = next(self.logits.parameters()).device
        if isinstance(self.tau, Tensor):
            self.tau.fill_(tau)
        else:
            self.tau = tau
        self._random = stream(seed, purpose, step, device=device)
        self._next = iter(())

    def keep_in_place(self) -> None:
        """Keep the temperature in a tensor, which what is recorded of a pass reads."""
        self.tau = next(self.logits.parameters()).new_tensor(self.tau)

    def prepare(self, num: int) -> None:
        """Draw the noise of the next `num` passes now, the same that they would draw.

        It lies in tensors that stay where they are: what is recorded of those passes reads them.
        """
        if self.mixture == "softmax":
            return
        logits = dict(self.logits.named_parameters())
        while len(self._kept) < num:
            empty = {
                name: torch.empty_like(row, requires_grad=False) for name, row in logits.items()
            }
            self._kept.append(empty)
        for kept in self._kept[:num]:
            for noise in kept.values():
                self._fill(noise)
        self._next = iter(self._kept[:num])

    def forward(self, x: Tensor) -> Tensor:
        """Run the supernet with freshly drawn weights."""
        return self.network(x, self.draw())

    def draw(self) -> list[dict[str, Tensor]]:
        """Draw for each cell edge -> weights: a vector over its operations, a scalar if `hard`."""
        prepared: Mapping[str, Tensor] = next(self._next, {})
        soft = {
            name: self._soft(logits, prepared.get(name))
            for name, logits in self.logits.named_parameters()
        }
        weights = self.logits.by_cell(self.logits.rows(soft))
        return self._choose(soft, weights) if self.hard else weights

    def _soft(self, logits: Tensor, noise: Tensor | None = None) -> Tensor:
        if self.mixture == "softmax":
            return logits.softmax(1)
        if noise is None:
            noise = self._fill(torch.empty_like(logits, requires_grad=False))
        return noisy_weights(logits, noise, self.tau, self.noise_on)

    def _fill(self, noise: Tensor) -> Tensor:
        """Fill a tensor with the stream's next numbers of Gumbel(0, 1)."""
        random = None if noise.is_meta else self._random
        return noise.exponential_(generator=random).log_().neg_()

    def _choose(
        self, soft: dict[str, Tensor], weights: list[dict[str, Tensor]]
    ) -> list[dict[str, Tensor]]:
        """Set the supernet to the likeliest valid cells; scale each operation by 1."""
        # Simulated steps cost what steps do on average, and not what the first operations do.
        known = {
            name: torch.rand(t.shape, generator=self._random, device="cpu")
            if t.is_meta
            else t.detach().cpu()
            for name, t in soft.items()
        }
        rows = self.logits.by_cell((p, row.tolist()) for p, row in self.logits.rows(known))
        cells: Any = self.network.cells
        for index, (cell, row) in enumerate(zip(self.logits.cells, rows, strict=True)):
            ops = derive_cell(cell, row)
            choose(cells[index], ops | {f"skip {j}": "present" for j in range(index)})
            for edge, names in candidates(cell).items():
                chosen = weights[index][edge][names.index(ops[edge])]
                weights[index][edge] = 1 + (chosen - chosen.detach())
        return weights


def noisy_weights(logits: Tensor, noise: Tensor, tau: float | Tensor, noise_on: NoiseOn) -> Tensor:
    """Return softmax((p + noise) / tau) over the last dimension, p or log p as `noise_on` says."""
    mean = logits.softmax(-1) if noise_on == "prob" else logits.log_softmax(-1)
    return ((mean + noise) / tau).softmax(-1)


def tau_at(level: int, num_levels: int, first: float, last: float) -> float:
    """Return the temperature of a level: an exponential from `first` that would end at `last`."""
    return max(last, first * exp(-level * log(first / last) / num_levels))
