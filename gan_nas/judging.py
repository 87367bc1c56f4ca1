"""Judge images once or several times: scores, their standard errors, and the passport."""

from collections.abc import Callable, Iterable
from math import sqrt
from statistics import mean, stdev
from typing import Literal

from torch import Tensor

from gan_nas.protocols import Quantise, Scores
from gan_nas.scoring import Scorer


def judge(
    scorer: Scorer,
    images_of: Callable[[int], Iterable[Tensor]],
    num: int,
    *,
    seed: int | None,
    repeats: int = 1,
    quantise: Quantise | Literal["none"] = "floor",
    protocol: str | None = None,
    precision: str = "float32",
    name: str | None = None,
) -> Scores:
    """Score `images_of(seed)`, and of the seeds after it: uint8 batches, `num` images each time.

    Values are means over the repeats, errors the standard errors of these means (of the latents
    alone: another training seed moves scores further).
    """
    passes = [scorer.score(images_of((seed or 0) + i)) for i in range(repeats)]
    names = list(passes[0])
    values = {key: mean(one[key] for one in passes) for key in names}
    errors: dict[str, float] = {}
    if repeats > 1:
        errors = {key: stdev([one[key] for one in passes]) / sqrt(repeats) for key in names}
    passport = scorer.passport(
        num, seed, precision, quantise=quantise, protocol=protocol, repeats=repeats
    )
    return Scores(name=name, scores=values, errors=errors, real=scorer.real, passport=passport)
