"""The measures that one pass over images gives: which there are, what each needs, its name.

Names say what computed the features: only the canonical Inception's are called inception_score,
fid and kid; others carry their backbone's name.
"""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from gan_nas.errors import InvalidInput, nearest
from gan_nas.metrics.backbone import Backbone
from gan_nas.metrics.fid_infinity import NUM_SIZES, SMALLEST, fid_infinity
from gan_nas.metrics.frechet import FrechetReference
from gan_nas.metrics.inception_score import inception_style_score, shuffled_order
from gan_nas.metrics.kid import kernel_distance
from gan_nas.metrics.manifold import manifold_scores
from gan_nas.metrics.moments import Moments
from gan_nas.metrics.reservoir import SIZE

Measure = Literal["is", "fid", "kid", "prdc", "fid-infinity"]
MEASURES: tuple[Measure, ...] = get_args(Measure)
USUAL: tuple[Measure, ...] = ("is", "fid")
PAIRWISE = {"kid", "prdc"}  # compare single images, so they need features of real ones
FRECHET = {"fid", "fid-infinity"}  # need the moments of real images
KEEPING = PAIRWISE | {"fid-infinity"}

SUBSET_SIZE = 1000  # of the kernel distance, or all where there are fewer
NUM_NEIGHBOURS = 3
SEED = 2020


class Embedded(NamedTuple):
    """What a pass over images leaves: moments and, where asked for, logits and features."""

    moments: Moments
    logits: Tensor | None  # (N, K)
    features: Tensor | None  # (N, d), float32 on the CPU


def embed(backbone: Backbone, batches: Iterable[Tensor], measures: Sequence[Measure]) -> Embedded:
    """Pass uint8 images (N, C, H, W) through the backbone once; raises InvalidInput for none."""
    keep_logits = "is" in measures and backbone.labelled
    keep_features = bool(KEEPING & set(measures))
    moments: Moments | None = None
    all_logits: list[Tensor] = []
    all_features: list[Tensor] = []
    for batch in batches:
        features, logits = backbone.embed(batch)
        moments = moments.update(features) if moments else Moments.of(features)
        if keep_logits and logits is not None:
            all_logits.append(logits.cpu())
        if keep_features:
            all_features.append(features.cpu())
    if moments is None:
        raise InvalidInput("there are no images to score; generate at least 2")
    return Embedded(
        moments,
        torch.cat(all_logits) if all_logits else None,
        torch.cat(all_features) if all_features else None,
    )


def values_of(
    fake: Embedded,
    backbone: Backbone,
    measures: Sequence[Measure],
    reference: FrechetReference | None,
    real_features: Tensor | None,
    *,
    splits: int,
    shuffle: bool,
) -> dict[str, float]:
    """Return the asked measures by name, each deviation or error beside its value.

    `reference` is needed for fid and fid-infinity, `real_features` (M, d) for kid and prdc.
    Measures that the images are too few for raise InvalidInput.
    """
    values: dict[str, float] = {}
    if "fid" in measures:
        assert reference is not None
        values[backbone.distance_name] = reference.distance(fake.moments)
    if fake.logits is not None:
        order = shuffled_order(len(fake.logits), SEED) if shuffle else None
        score, deviation = inception_style_score(fake.logits, splits, order)
        values[backbone.score_name] = score
        if splits > 1:
            values[f"{backbone.score_name}_deviation"] = deviation
    if PAIRWISE & set(measures):
        assert real_features is not None
        assert fake.features is not None
    if "kid" in measures and real_features is not None and fake.features is not None:
        size = min(SUBSET_SIZE, len(real_features), len(fake.features))
        distance = kernel_distance(real_features, fake.features, subset_size=size, seed=SEED)
        values[_name("kid", backbone)] = distance.mean
        values[f"{_name('kid', backbone)}_deviation"] = distance.deviation
    if "prdc" in measures and real_features is not None and fake.features is not None:
        shares = manifold_scores(real_features, evenly(fake.features, SIZE), NUM_NEIGHBOURS)
        values |= {_name(what, backbone): value for what, value in shares._asdict().items()}
    if "fid-infinity" in measures:
        assert fake.features is not None
        assert reference is not None
        name = _name("fid-infinity", backbone)
        line = fid_infinity(fake.features, reference, SEED)
        values |= {name: line.distance, f"{name}_error": line.standard_error}
    return values


def evenly(rows: Tensor, num: int) -> Tensor:
    """Return `num` rows, evenly spaced, or all where there are fewer: sets may be sorted."""
    size = len(rows)
    if num >= size:
        return rows
    return rows[torch.arange(num, device=rows.device) * size // num]


def parse_measures(text: str) -> tuple[Measure, ...]:
    """Read a list such as is,fid,kid; raises InvalidInput naming those there are."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in MEASURES]
    if unknown or not names:
        hint = nearest(unknown[0], list(MEASURES)) if unknown else ""
        raise InvalidInput(
            f"unknown measure {unknown[0] if unknown else text!r}{hint}; there are "
            f"{', '.join(MEASURES)}"
        )
    return tuple(measure for measure in MEASURES if measure in names)


def smallest_number(measures: Sequence[Measure]) -> int:
    """Return how many images the measures need at least."""
    needs = {"prdc": NUM_NEIGHBOURS + 1, "fid-infinity": SMALLEST * NUM_SIZES}
    return max(needs.get(measure, 2) for measure in measures)


def _name(measure: str, backbone: Backbone) -> str:
    if backbone.canonical:
        return {"fid-infinity": "fid_infinity"}.get(measure, measure)
    words = {"kid": "kernel_distance", "fid-infinity": "frechet_distance_infinity"}
    return f"{words.get(measure, measure)}[{backbone.name}]"
