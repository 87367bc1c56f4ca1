"""The measures that one pass over images gives: which there are, what each needs, its name.

Names say what computed the features: only the canonical Inception's are called inception_score,
fid and kid; others carry their backbone's name.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from gan_nas.errors import InvalidInput, nearest
from gan_nas.metrics.backbone import Backbone
from gan_nas.metrics.evenly import at_places, evenly
from gan_nas.metrics.fid_infinity import NUM_SIZES, SMALLEST, fid_infinity
from gan_nas.metrics.frechet import FrechetReference
from gan_nas.metrics.inception_score import inception_style_score, shuffled_order
from gan_nas.metrics.jackknife import group_of_each, jackknife, moments_without_each
from gan_nas.metrics.kid import kernel_distance, usable_subset_size
from gan_nas.metrics.manifold import Neighbours, manifold_scores
from gan_nas.metrics.mind import sliced_distance
from gan_nas.metrics.moments import Moments
from gan_nas.metrics.wavelets import packet_moments, wavelet_distance

Measure = Literal["is", "fid", "kid", "prdc", "fid-infinity", "mind", "fwd"]
MEASURES: tuple[Measure, ...] = get_args(Measure)
USUAL: tuple[Measure, ...] = ("is", "fid")
PAIRWISE = {"kid", "prdc", "mind"}  # compare single images, so they need features of real ones
OF_IMAGES = PAIRWISE | {"fwd"}  # look at the real images themselves: no file of statistics will do
FRECHET = {"fid", "fid-infinity"}  # need the moments of real images
KEEPING = PAIRWISE | {"fid-infinity"}

MOST = 10_000  # features of either side that are compared singly: 82 MB of Inception's 2048-d
SEED = 2020  # of the subsets that measures draw, and of the order of a shuffled score
PAPERS = Neighbours()
FWD = "frechet_wavelet_distance"  # of pixels, whatever the backbone


class Embedded(NamedTuple):
    """What a pass over images leaves: moments and, where asked for, logits and features."""

    moments: Moments
    logits: Tensor | None  # (N, K)
    features: Tensor | None  # (N, d), float32 on the CPU
    packets: Moments | None = None  # wavelets', of all images
    few_packets: Moments | None = None  # of the images at the places asked for


def embed(
    backbone: Backbone,
    batches: Iterable[Tensor],
    measures: Sequence[Measure],
    places: Tensor | None = None,
    stop: Callable[[], bool] | None = None,
) -> Embedded:
    """Pass uint8 images (N, C, H, W) through the backbone once; raises InvalidInput for none.

    All features are kept if a measure needs them, else those of the images at `places`, if any.
    Raises Interrupted when `stop` says.
    """
    keep_logits = "is" in measures and backbone.labelled
    keep_features = bool(KEEPING & set(measures))
    moments: Moments | None = None
    all_logits: list[Tensor] = []
    all_features: list[Tensor] = []
    packets: Moments | None = None
    few_packets: Moments | None = None
    for batch in batches:
        start = moments.count if moments else 0
        if "fwd" in measures:
            packets = _merged(packets, batch)
            if places is not None:
                few_packets = _merged(few_packets, at_places(batch, start, places))
        features, logits = backbone.embed(batch, stop)
        moments = moments.update(features) if moments else Moments.of(features)
        if keep_logits and logits is not None:
            all_logits.append(logits.cpu())
        if keep_features:
            all_features.append(features.cpu())
        elif places is not None:
            all_features.append(at_places(features, start, places).cpu())
    if moments is None:
        raise InvalidInput("there are no images to score; generate at least 2")
    return Embedded(
        moments,
        torch.cat(all_logits) if all_logits else None,
        torch.cat(all_features) if all_features else None,
        packets,
        few_packets,
    )


def _merged(packets: Moments | None, images: Tensor) -> Moments | None:
    if not len(images):
        return packets
    more = packet_moments(images)
    return packets.merge(more) if packets else more


def values_of(
    fake: Embedded,
    backbone: Backbone,
    measures: Sequence[Measure],
    reference: FrechetReference | None,
    real_features: Tensor | None,
    *,
    splits: int,
    shuffle: bool,
    neighbours: Neighbours = PAPERS,
    real_packets: Moments | None = None,
) -> dict[str, float]:
    """Return the asked measures by name, each deviation or error beside its value.

    `reference` is needed for fid and fid-infinity, `real_features` (M, d) for kid, prdc and mind,
    `real_packets` for fwd.
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
        size = usable_subset_size(len(real_features), len(fake.features))
        distance = kernel_distance(real_features, fake.features, subset_size=size, seed=SEED)
        values[_name("kid", backbone)] = distance.mean
        values[f"{_name('kid', backbone)}_deviation"] = distance.deviation
    if "prdc" in measures and real_features is not None and fake.features is not None:
        shares = manifold_scores(real_features, evenly(fake.features, MOST), neighbours)
        values |= {_name(what, backbone): value for what, value in shares._asdict().items()}
    if "fid-infinity" in measures:
        assert fake.features is not None
        assert reference is not None
        name = _name("fid-infinity", backbone)
        line = fid_infinity(fake.features, reference, SEED)
        values |= {name: line.distance, f"{name}_error": line.standard_error}
    if "mind" in measures and real_features is not None and fake.features is not None:
        generated = evenly(fake.features, MOST)
        values[_name("mind", backbone)] = sliced_distance(real_features, generated, seed=SEED)
    if "fwd" in measures:
        assert real_packets is not None
        assert fake.packets is not None
        values[FWD] = wavelet_distance(real_packets, fake.packets)
    return values


def deviations_of(
    few: Embedded,
    backbone: Backbone,
    measures: Sequence[Measure],
    reference: FrechetReference | None,
    *,
    splits: int,
    shuffle: bool,
) -> dict[str, float]:
    """Return the deviations of the score and the distance of at least 3 images, by name.

    Not of the others: the kernel distance has its own, of one subset, the extrapolated distance
    its error, and neighbours would be sought eleven times.
    """
    measures = [measure for measure in measures if measure in USUAL]
    assert few.features is not None
    groups = group_of_each(len(few.features), SEED)
    moments = moments_without_each(few.features, groups)

    def without(group: int) -> dict[str, float]:
        logits = None if few.logits is None else few.logits[groups != group]
        part = Embedded(moments[group], logits, None)
        values = values_of(
            part, backbone, measures, reference, None, splits=splits, shuffle=shuffle
        )
        return {name: value for name, value in values.items() if not name.endswith("_deviation")}

    return jackknife(groups, without) if measures else {}


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


def smallest_number(
    measures: Sequence[Measure], splits: int = 1, neighbours: Neighbours = PAPERS
) -> int:
    """Return how many images the measures need at least, to mean something.

    A split of one image scores 1 whatever it shows.
    """
    needs = {
        "is": 2 * splits,
        "kid": 4,  # two subsets that differ
        "prdc": neighbours.most + 1,
        "fid-infinity": SMALLEST * NUM_SIZES,
    }
    return max(needs.get(measure, 2) for measure in measures)


def _name(measure: str, backbone: Backbone) -> str:
    if backbone.canonical:
        return {"fid-infinity": "fid_infinity"}.get(measure, measure)
    words = {
        "kid": "kernel_distance",
        "fid-infinity": "frechet_distance_infinity",
        "mind": "sliced_distance",
    }
    return f"{words.get(measure, measure)}[{backbone.name}]"
