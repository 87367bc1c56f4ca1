"""Time the measures against their peers, on this machine and in one run."""

import time
from collections.abc import Callable, Sequence
from math import sqrt
from typing import Literal, NamedTuple, get_args

import numpy as np
import scipy.linalg
import torch
from torch import Tensor

from gan_nas.metrics.frechet import FrechetReference
from gan_nas.metrics.moments import Moments
from gan_nas.metrics.statistics import Statistics
from gan_nas.streams import stream

CONDITION = 1e6
STRETCH = 0.7  # k of the transport
PER_FEATURE = 6000 / 2048  # samples of the pair "relu"

# What the two covariances are like: ill-conditioned, of ReLU features, or of fewer samples than
# features. The peers' iterations take longer the worse the condition is; ours are direct.
Pair = Literal["condition", "relu", "few"]
PAIRS: tuple[Pair, ...] = get_args(Pair)


class FrechetTime(NamedTuple):
    """One way to the distance: CPU seconds of all threads, error relative to the exact value."""

    pair: Pair
    what: str
    cpu_seconds: float
    relative_error: float


def time_frechet(
    dim: int = 2048, seed: int = 0, repeats: int = 3, pairs: Sequence[Pair] = ("condition",)
) -> list[FrechetTime]:
    """Time ours (reference cached, then not), torch-fidelity's form and SciPy's matrix root.

    Ours is the median of `repeats` after one that warms up; the peers run once: they take half a
    minute each.
    """
    from torch_fidelity.metric_fid import fid_statistics_to_metric

    rows = []
    for pair in pairs:
        real, fake, exact = _MAKERS[pair](dim, seed)
        s1, s2 = real.covariance.numpy(), fake.covariance.numpy()
        peers = [{"mu": one.mean.numpy(), "sigma": one.covariance.numpy()} for one in (real, fake)]
        constant = _constant(real, fake)
        reference = FrechetReference(real)

        def ours(reference: FrechetReference = reference, fake: Statistics = fake) -> float:
            return reference.distance(fake)

        def anew(real: Statistics = real, fake: Statistics = fake) -> float:
            return FrechetReference(real).distance(fake)

        def peer(peers: list[dict[str, np.ndarray]] = peers) -> float:
            found = fid_statistics_to_metric(*peers, verbose=False)
            return float(found["frechet_inception_distance"])

        def matrix_root(
            s1: np.ndarray = s1, s2: np.ndarray = s2, constant: float = constant
        ) -> float:
            return constant - 2 * float(np.trace(scipy.linalg.sqrtm(s1 @ s2)).real)

        ours()
        for what, compute, times in (
            ("gan-nas", ours, repeats),
            ("gan-nas, new reference", anew, repeats),
            ("torch-fidelity", peer, 1),
            ("scipy.linalg.sqrtm", matrix_root, 1),
        ):
            seconds, distance = _timed(compute, times)
            rows.append(FrechetTime(pair, what, seconds, abs(distance - exact) / exact))
    return rows


def relu_features(dim: int, seed: int) -> tuple[Statistics, Statistics, float]:
    """Return statistics of two samples of ReLU features, 6,000 each at 2048, and their distance.

    It is exact by another way: tr (S1 S2)^(1/2) is the nuclear norm of L1' L2, where S = L L'.
    """
    sizes = (round(PER_FEATURE * dim),) * 2
    real, fake = (Statistics.of(Moments.of(x)) for x in _relu(dim, seed, sizes))
    roots = [torch.linalg.cholesky(one.covariance) for one in (real, fake)]
    norm = torch.linalg.svdvals(roots[0].T @ roots[1]).sum()
    return real, fake, _constant(real, fake) - 2 * float(norm)


def few_samples(dim: int, seed: int) -> tuple[Statistics, Statistics, float]:
    """Return the same of half as many samples as features; exact by the nuclear norm of X1 X2'."""
    samples = _relu(dim, seed, (dim // 2 + 1, dim // 2))
    real, fake = (Statistics.of(Moments.of(x)) for x in samples)
    centred = [(x - x.mean(0)) / sqrt(len(x) - 1) for x in samples]
    norm = torch.linalg.svdvals(centred[0] @ centred[1].T).sum()
    return real, fake, _constant(real, fake) - 2 * float(norm)


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


def _relu(dim: int, seed: int, sizes: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Draw ReLU features (N, dim), correlated and of falling scale, the second sample shifted."""
    random = stream(seed, "bench features")
    mixing = torch.randn(dim, dim, generator=random, dtype=torch.float64, device="cpu")
    mixing *= torch.logspace(0, -2, dim, dtype=torch.float64, device="cpu")[:, None] / sqrt(dim)
    real, fake = (
        (
            torch.randn(size, dim, generator=random, dtype=torch.float64, device="cpu") @ mixing
            + shift
        )
        for size, shift in zip(sizes, (0.0, 0.1), strict=True)
    )
    return real.relu(), fake.relu()


def _constant(real: Statistics, fake: Statistics) -> float:
    """Return the distance but for the root."""
    means = (real.mean - fake.mean).square().sum()
    return float(means + real.covariance.trace() + fake.covariance.trace())


def _timed(compute: Callable[[], float], repeats: int) -> tuple[float, float]:
    """Return the median of the CPU seconds, and the last value."""
    seconds, value = [], 0.0
    for _ in range(repeats):
        started = time.process_time()
        value = compute()
        seconds.append(time.process_time() - started)
    return float(np.median(seconds)), value


_MAKERS: dict[Pair, Callable[[int, int], tuple[Statistics, Statistics, float]]] = {
    "condition": transport,
    "relu": relu_features,
    "few": few_samples,
}
