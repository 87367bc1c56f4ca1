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


def manifold_scores(real: Tensor, fake: Tensor, num_neighbours: int = 3) -> Manifold:
    """Compare features (N, d) and (M, d), on one device, in float64 and O((N + M) d) memory.

    Precision and recall are usually given with 3 neighbours, density and coverage with 5.
    """
    if real.shape[1] != fake.shape[1]:
        raise Incompatible(
            f"features of {fake.shape[1]} dimensions cannot be compared to real ones of "
            f"{real.shape[1]}; make both with the same backbone"
        )
    most = min(len(real), len(fake)) - 1
    if not 1 <= num_neighbours <= most:
        raise InvalidInput(
            f"{num_neighbours} neighbours cannot be found among {len(real)} real and {len(fake)} "
            f"generated images; use 1 to {most}"
        )
    if not bool(real.isfinite().all() & fake.isfinite().all()):
        raise RunFailed("the features to be scored contain NaN or infinity: training has diverged")
    centre = real.mean(0, dtype=torch.float64)  # distances to a far origin would cancel
    real, fake = real - centre, fake - centre
    real_radii, fake_radii = (_radii(x, num_neighbours) for x in (real, fake))
    inside = 0  # pairs of a generated image in the ball of a real one
    precise = 0
    recalled = torch.zeros(len(real), dtype=torch.bool, device=real.device)
    covered = recalled.clone()
    for rows, squares in _squared_distances(fake, real):  # (B, N)
        in_real_balls = squares <= real_radii
        in_fake_balls = squares <= fake_radii[rows, None]
        inside += int(in_real_balls.sum())
        precise += int(in_real_balls.any(1).sum())
        covered |= in_real_balls.any(0)
        recalled |= in_fake_balls.any(0)
    return Manifold(
        precision=precise / len(fake),
        recall=int(recalled.sum()) / len(real),
        density=inside / (num_neighbours * len(fake)),
        coverage=int(covered.sum()) / len(real),
    )


def _radii(x: Tensor, num_neighbours: int) -> Tensor:
    """Return the squared distance (N,) of each point to its k-th neighbour, itself not counted."""
    parts = [s.kthvalue(num_neighbours + 1, dim=1).values for _, s in _squared_distances(x, x)]
    return torch.cat(parts)


def _squared_distances(x: Tensor, y: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Yield rows of x, and their squared distances (B, len(y)) to all of y."""
    y_norms = y.square().sum(1)
    for start in range(0, len(x), CHUNK):
        part = x[start : start + CHUNK]
        norms = part.square().sum(1)[:, None] + y_norms
        squares = torch.addmm(norms, part, y.T, alpha=-2)
        yield slice(start, start + len(part)), squares.where(squares > COINCIDENT * norms, 0)
