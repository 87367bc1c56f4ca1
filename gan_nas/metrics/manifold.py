"""Precision, recall, density and coverage: where generated images lie among the real ones.

Each set is a union of balls around its points, of radius the distance to the k-th neighbour within
the set. Precision and recall: Kynkaanniemi et al. 2019, eq. 1-2; density and coverage: Naeem et
al. 2020, eq. 3-4. Balls are closed, so that equal sets score 1 even where points coincide.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from gan_nas.errors import Incompatible, InvalidInput, RunFailed

CHUNK = 500  # rows of the matrix of distances that are held at a time
COINCIDENT = 1e-12  # relative squared distance: below what float32 features can tell apart


class Manifold(NamedTuple):
    """Shares in [0, 1], but for density, which passes 1 where balls overlap."""

    precision: float
    recall: float
    density: float
    coverage: float


class Neighbours(NamedTuple):
    """Which neighbour's distance is a ball's radius.

    By default those of the papers: 3 for precision and recall (Kynkaanniemi et al. 2019, sec. 4),
    5 for density and coverage (Naeem et al. 2020, sec. 3.3).
    """

    precision: int = 3
    density: int = 5

    @property
    def most(self) -> int:
        """Return the farther one."""
        return max(self)


def manifold_scores(real: Tensor, fake: Tensor, neighbours: Neighbours | None = None) -> Manifold:
    """Compare features (N, d) and (M, d), on one device, in float64 and O((N + M) d) memory.

    Without `neighbours` they are the papers'.
    """
    neighbours = neighbours or Neighbours()
    if real.shape[1] != fake.shape[1]:
        raise Incompatible(
            f"features of {fake.shape[1]} dimensions cannot be compared to real ones of "
            f"{real.shape[1]}; make both with the same backbone"
        )
    most = min(len(real), len(fake)) - 1
    if not 1 <= min(neighbours) <= neighbours.most <= most:
        raise InvalidInput(
            f"{neighbours.precision} and {neighbours.density} neighbours cannot be found among "
            f"{len(real)} real and {len(fake)} generated images; use 1 to {most}"
        )
    if not bool(real.isfinite().all() & fake.isfinite().all()):
        raise RunFailed("the features to be scored contain NaN or infinity: training has diverged")
    centre = real.mean(0, dtype=torch.float64)  # distances to a far origin would cancel
    real, fake = real - centre, fake - centre
    real_radii, density_radii = _radii(real, neighbours)
    fake_radii, _ = _radii(fake, neighbours)
    inside = 0  # pairs of a generated image in the ball of a real one
    precise = 0
    recalled = torch.zeros(len(real), dtype=torch.bool, device=real.device)
    covered = recalled.clone()
    for rows, squares in _squared_distances(fake, real):  # (B, N)
        in_density_balls = squares <= density_radii
        inside += int(in_density_balls.sum())
        covered |= in_density_balls.any(0)
        precise += int((squares <= real_radii).any(1).sum())
        recalled |= (squares <= fake_radii[rows, None]).any(0)
    return Manifold(
        precision=precise / len(fake),
        recall=int(recalled.sum()) / len(real),
        density=inside / (neighbours.density * len(fake)),
        coverage=int(covered.sum()) / len(real),
    )


def _radii(x: Tensor, neighbours: Neighbours) -> tuple[Tensor, Tensor]:
    """Return the squared distances (N,) of each point to both neighbours, itself not counted."""
    nearest = [
        s.topk(neighbours.most + 1, largest=False).values for _, s in _squared_distances(x, x)
    ]
    distances = torch.cat(nearest)  # (N, most + 1), sorted
    return distances[:, neighbours.precision], distances[:, neighbours.density]


def _squared_distances(x: Tensor, y: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Yield rows of x, and their squared distances (B, len(y)) to all of y."""
    y_norms = y.square().sum(1)
    for start in range(0, len(x), CHUNK):
        part = x[start : start + CHUNK]
        norms = part.square().sum(1)[:, None] + y_norms
        squares = torch.addmm(norms, part, y.T, alpha=-2)
        yield slice(start, start + len(part)), squares.where(squares > COINCIDENT * norms, 0)
