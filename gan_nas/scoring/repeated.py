"""Score images once or several times: scores, their standard errors, and the passport."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import sqrt
from statistics import mean, stdev
from typing import Literal

from torch import Tensor

from gan_nas.scoring.protocols import Quantise, Scores
from gan_nas.scoring.scorer import Scorer


def score_repeatedly(
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
    alone: another training seed moves scores further). Beside real images these are the
    deviations, too; those of one pass come from its images alone.
    """
    once = repeats == 1
    passes = [
        scorer.compare(images_of((seed or 0) + i), num, deviations=once or i == 0)
        for i in range(repeats)
    ]
    values, errors = _means([values for values, _ in passes])
    comparisons = [comparison for _, comparison in passes if comparison is not None]
    comparison = comparisons[0] if comparisons else None
    if comparison is not None and not once:
        generated, deviations = _means([one.generated for one in comparisons])
        comparison = comparison.model_copy(
            update={"generated": generated, "generated_deviations": deviations}
        )
    passport = scorer.passport(
        num, seed, precision, quantise=quantise, protocol=protocol, repeats=repeats
    )
    return Scores(
        name=name,
        scores=values,
        errors=errors,
        real=comparison.real if comparison else {},
        comparison=comparison,
        passport=passport,
    )


def _means(passes: Sequence[Mapping[str, float]]) -> tuple[dict[str, float], dict[str, float]]:
    """Return means by name and, of several passes, their standard errors."""
    columns = {name: [one[name] for one in passes] for name in passes[0]}
    means = {name: mean(column) for name, column in columns.items()}
    if len(passes) == 1:
        return means, {}
    return means, {name: stdev(column) / sqrt(len(column)) for name, column in columns.items()}
