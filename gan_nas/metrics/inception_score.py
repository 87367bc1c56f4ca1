"""Inception-style score of any classifier's logits (Salimans et al. 2016, sec. 4).

    exp(mean_x KL(p(y|x) || p(y))) = exp(mean_x sum_y p log p - sum_y q log q),  q = mean_x p

The right side needs two sums a split, so that no logits are kept.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_nas.errors import InvalidInput, RunFailed
from gan_nas.streams import stream

CHUNK = 1000  # logits turned into float64 at a time


class InceptionScore:
    """The score of `num` logits that come in parts, in constant memory and float64.

    The logits are cut into contiguous parts [i N / S, (i + 1) N / S), not shuffled, as OpenAI's
    and AutoGAN's code does. `order` (N,) is a permutation to apply before cutting: place i gets
    image order[i].
    """

    def __init__(self, num: int, splits: int = 1, order: Tensor | None = None) -> None:
        if not 1 <= splits <= num:
            raise InvalidInput(f"{num} images cannot be cut into {splits} splits; use 1 to {num}")
        edges = torch.tensor([i * num // splits for i in range(splits + 1)], device="cpu")
        self.num, self.splits, self.seen = num, splits, 0
        self.sizes = edges.diff()
        split = torch.arange(splits, device="cpu").repeat_interleave(self.sizes)  # of each place
        if order is not None:
            split = torch.empty_like(split).scatter_(0, _permutation(order, num), split)
        self.split = split  # (N,) of each image
        self.sum_p: Tensor | float = 0.0  # (S, K)
        self.sum_p_log_p = torch.zeros(splits, dtype=torch.float64, device="cpu")

    def update(self, logits: Tensor) -> None:
        """Add the logits (B, K) of the next B images."""
        if self.seen + len(logits) > self.num:
            raise InvalidInput(
                f"more logits came than the {self.num} images announced; announce as many as come"
            )
        for part in torch.split(logits, CHUNK):
            split = self.split[self.seen : self.seen + len(part)].to(part.device)
            member = F.one_hot(split, self.splits).T.double()  # (S, B)
            log_p = part.double().log_softmax(1)  # (B, K)
            p = log_p.exp()
            # Finite even where p is 0: log_softmax of finite logits is finite, so 0 * (..) is 0.
            self.sum_p_log_p += (member @ (p * log_p).sum(1)).cpu()
            self.sum_p = (member @ p).cpu() + self.sum_p
            self.seen += len(part)

    def result(self) -> tuple[float, float]:
        """Return mean and deviation (ddof 0) over the splits, each score between 1 and K.

        A collapsed generator scores 1 at any gap between logits. Raises RunFailed when a logit
        was not finite.
        """
        if self.seen < self.num:
            raise InvalidInput(
                f"logits of {self.seen} images came, not of the {self.num} announced; "
                "announce as many as come"
            )
        q = self.sum_p / self.sizes[:, None]  # (S, K)
        scores = (self.sum_p_log_p / self.sizes - torch.xlogy(q, q).sum(1)).exp()
        if not bool(scores.isfinite().all()):
            raise RunFailed(
                "the logits to be scored contain NaN or infinity: training has diverged"
            )
        return float(scores.mean()), float(scores.std(correction=0))


def inception_style_score(
    logits: Tensor, splits: int = 1, order: Tensor | None = None
) -> tuple[float, float]:
    """Return mean and deviation over `splits` of the score of logits (N, K): see InceptionScore."""
    score = InceptionScore(len(logits), splits, order)
    score.update(logits)
    return score.result()


def shuffled_order(num: int, seed: int) -> Tensor:
    """Return the permutation (N,) of `seed`, for images that come sorted by class."""
    return torch.randperm(num, generator=stream(seed, "inception score order"), device="cpu")


def _permutation(order: Tensor, num: int) -> Tensor:
    order = order.to("cpu", torch.int64)
    if not torch.equal(order.sort().values, torch.arange(num, device="cpu")):
        raise InvalidInput(f"the order of {num} images must hold each of 0 ... {num - 1} once")
    return order
