"""Time the measures against their peers, on this machine and in one run."""

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy.linalg
import torch

from gan_nas.metrics.frechet import FrechetReference
from gan_nas.metrics.statistics import Statistics

CONDITION = 1e6
STRETCH = 0.7  # k of the transport


class FrechetTime(NamedTuple):
    """One way to the distance: CPU seconds of all threads, error relative to the exact value."""

    what: str
    cpu_seconds: float
    relative_error: float


def time_frechet(dim: int = 2048, seed: int = 0, repeats: int = 3) -> list[FrechetTime]:
    """Time ours (reference cached, then not), torch-fidelity's form and SciPy's matrix root.

    Ours is the median of `repeats` after one that warms up; the peers run once: they take half a
    minute each.
    """
    from torch_fidelity.metric_fid import fid_statistics_to_metric

    real, fake, exact = transport(dim, seed)
    mean = np.zeros(dim)
    s1, s2 = real.covariance.numpy(), fake.covariance.numpy()
    peers = [{"mu": mean, "sigma": sigma} for sigma in (s1, s2)]
    traces = float(np.trace(s1) + np.trace(s2))
    reference = FrechetReference(real)

    def peer() -> float:
        return float(fid_statistics_to_metric(*peers, verbose=False)["frechet_inception_distance"])

    def matrix_root() -> float:
        return traces - 2 * float(np.trace(scipy.linalg.sqrtm(s1 @ s2)).real)

    def timed(what: str, compute: Callable[[], float], repeats: int = 1) -> FrechetTime:
        seconds = []
        for _ in range(repeats):
            started = time.process_time()
            distance = compute()
            seconds.append(time.process_time() - started)
        return FrechetTime(what, float(np.median(seconds)), abs(distance - exact) / exact)

    reference.distance(fake)
    return [
        timed("gan-nas", lambda: reference.distance(fake), repeats),
        timed("gan-nas, new reference", lambda: FrechetReference(real).distance(fake), repeats),
        timed("torch-fidelity", peer),
        timed("scipy.linalg.sqrtm", matrix_root),
    ]


def transport(dim: int, seed: int) -> tuple[Statistics, Statistics, float]:
    """Return two Gaussians that do not commute, and their exact distance.

    S1 has the condition 1e6 and S2 = T S1 T with T = I + k u u': the optimal transport is T itself,
    so that the distance is k^2 u' S1 u. Both are rotated, so that neither is diagonal.
    """
    random = np.random.RandomState(seed)
    values = np.logspace(0, -np.log10(CONDITION), dim)
    u = random.randn(dim)
    u /= np.linalg.norm(u)
    stretch = np.eye(dim) + STRETCH * np.outer(u, u)
    rotation, _ = np.linalg.qr(random.randn(dim, dim))
    exact = STRETCH**2 * float(u @ (values * u))

    def rotated(covariance: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> Statistics:
        sigma = torch.from_numpy(rotation @ covariance @ rotation.T)
        return Statistics(
            None, torch.zeros(dim, dtype=torch.float64, device="cpu"), (sigma + sigma.T) / 2
        )

    return rotated(np.diag(values)), rotated(stretch @ np.diag(values) @ stretch), exact
