"""Inception-style score of any classifier's logits (Salimans et al. 2016, sec. 4)."""

import math
from itertools import pairwise

import torch
from torch import Tensor

from gan_nas.errors import InvalidInput, RunFailed


def inception_style_score(logits: Tensor, splits: int = 1) -> tuple[float, float]:
    """Return mean and deviation (ddof 0) over `splits` of exp(mean_x KL(p(y|x) || p(y))).

    Logits (N, K) are cut into contiguous parts [i N / S, (i + 1) N / S), not shuffled, as OpenAI's
    and AutoGAN's code does. All in log space and float64: a collapsed generator scores 1 at any
    gap between logits. Between 1 and K.
    """
    num = len(logits)
    if not 1 <= splits <= num:
        raise InvalidInput(f"{num} images cannot be cut into {splits} splits; use 1 to {num}")
    log_p = logits.double().log_softmax(1)  # (N, K)
    edges = [i * num // splits for i in range(splits + 1)]
    parts = [log_p[a:b] for a, b in pairwise(edges)]
    scores = torch.stack([_score(part) for part in parts])
    mean, deviation = torch.stack([scores.mean(), scores.std(correction=0)]).tolist()
    if not math.isfinite(mean):
        raise RunFailed("the logits to be scored contain NaN or infinity: training has diverged")
    return mean, deviation


def _score(log_p: Tensor) -> Tensor:
    log_q = log_p.logsumexp(0) - math.log(len(log_p))  # (K,)
    # Finite even where p is 0: log_softmax of finite logits is finite, so 0 * (..) is 0.
    return (log_p.exp() * (log_p - log_q)).sum(1).mean().exp()
