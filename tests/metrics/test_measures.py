"""What one pass gives: equal to the pure functions on the same features, and rightly named."""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gan_nas.data import load_images
from gan_nas.errors import Incompatible, InvalidInput, RunFailed
from gan_nas.metrics.backbone import Backbone, custom_backbone
from gan_nas.metrics.evenly import even_places, evenly, evenly_of_parts
from gan_nas.metrics.fid_infinity import fid_infinity
from gan_nas.metrics.frechet import FrechetReference
from gan_nas.metrics.inception_score import inception_style_score, shuffled_order
from gan_nas.metrics.kid import kernel_distance
from gan_nas.metrics.manifold import manifold_scores
from gan_nas.metrics.measures import (
    MEASURES,
    SEED,
    USUAL,
    Embedded,
    Measure,
    embed,
    parse_measures,
    smallest_number,
    values_of,
)
from gan_nas.metrics.mind import sliced_distance
from gan_nas.metrics.moments import Moments
from gan_nas.metrics.wavelets import packet_moments, wavelet_distance
from gan_nas.scoring.scorer import Scorer

REAL, FAKE = 300, 200
OF_FEATURES = [measure for measure in MEASURES if measure not in ("is", "fwd")]


class Pixels(nn.Module):
    """Any module: 12 features, and 5 logits, linear in uint8 images of 8 pixels."""

    def __init__(self) -> None:
        super().__init__()
        random = torch.Generator(device="cpu").manual_seed(0)
        self.weight = nn.Parameter(torch.randn(17, 64, generator=random, device="cpu") / 8)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        y = images.flatten(1).float() / 255 @ self.weight.t()
        return y[:, :12], 4 * y[:, 12:]


def backbone(**changes: Any) -> Backbone:
    made = custom_backbone("mine", Pixels(), channels=1, labelled=True)
    return replace(made, **changes)


def images(num: int, seed: int) -> Tensor:
    random = torch.Generator(device="cpu").manual_seed(seed)
    bright = torch.rand(num, 1, 1, 1, generator=random, device="cpu")
    noise = torch.rand(num, 1, 8, 8, generator=random, device="cpu")
    return (255 * bright * noise).to(torch.uint8)


def measured(
    judge: Backbone,
    measures: Sequence[Measure] = MEASURES,
    splits: int = 4,
    shuffle: bool = False,
    num: int = FAKE,
) -> dict[str, float]:
    real = embed(judge, [images(REAL, 0)], measures)
    fake = embed(judge, torch.split(images(num, 1), 64), measures)
    return compared(real, fake, judge, measures, splits, shuffle)


def compared(
    real: Embedded,
    fake: Embedded,
    judge: Backbone,
    measures: Sequence[Measure],
    splits: int = 1,
    shuffle: bool = False,
) -> dict[str, float]:
    reference = None if set(measures) == {"is"} else FrechetReference(real.moments)
    return values_of(
        fake,
        judge,
        measures,
        reference,
        real.features,
        splits=splits,
        shuffle=shuffle,
        real_packets=real.packets,
    )


def test_every_measure_equals_the_pure_function_on_the_same_features() -> None:
    judge = backbone()
    real, _ = judge.embed(images(REAL, 0))
    fake, logits = judge.embed(images(FAKE, 1))
    reference = FrechetReference(Moments.of(real))
    shares = manifold_scores(real, fake)
    kernel = kernel_distance(real, fake, subset_size=FAKE // 2, seed=SEED)
    line = fid_infinity(fake, reference, SEED)
    packets = [packet_moments(images(num, seed)) for num, seed in ((REAL, 0), (FAKE, 1))]
    for shuffle in (False, True):
        order = shuffled_order(FAKE, SEED) if shuffle else None
        score, deviation = inception_style_score(logits, 4, order)
        expected = {
            "frechet_distance[mine]": reference.distance(Moments.of(fake)),
            "classifier_score": score,
            "classifier_score_deviation": deviation,
            "kernel_distance[mine]": kernel.mean,
            "kernel_distance[mine]_deviation": kernel.deviation,
            "precision[mine]": shares.precision,
            "recall[mine]": shares.recall,
            "density[mine]": shares.density,
            "coverage[mine]": shares.coverage,
            "frechet_distance_infinity[mine]": line.distance,
            "frechet_distance_infinity[mine]_error": line.standard_error,
            "sliced_distance[mine]": sliced_distance(real, fake, seed=SEED),
            "frechet_wavelet_distance": wavelet_distance(*packets),
        }
        assert measured(judge, shuffle=shuffle) == pytest.approx(expected, rel=1e-5, abs=1e-9)


def test_each_measure_is_the_same_alone_as_with_all_others() -> None:
    judge = backbone()
    together = measured(judge)
    alone = [measured(judge, [measure]) for measure in MEASURES]
    assert sum(map(len, alone)) == len(together)
    for values in alone:
        assert values.items() <= together.items()
    assert list(measured(judge, USUAL, splits=1)) == ["frechet_distance[mine]", "classifier_score"]


def test_only_the_canonical_backbone_may_call_its_numbers_is_fid_and_kid() -> None:
    assert list(measured(backbone(canonical=True))) == [
        "fid",
        "inception_score",
        "inception_score_deviation",
        "kid",
        "kid_deviation",
        "precision",
        "recall",
        "density",
        "coverage",
        "fid_infinity",
        "fid_infinity_error",
        "mind",
        "frechet_wavelet_distance",
    ]
    names = set(measured(backbone(name="inception"))) - {"frechet_wavelet_distance"}
    assert all("[inception]" in name or name.startswith("classifier_score") for name in names)


def test_without_labels_there_is_no_score_and_no_logit_is_kept() -> None:
    judge = backbone(labelled=False)
    assert list(measured(judge, USUAL)) == ["frechet_distance[mine]"]
    assert embed(judge, [images(20, 0)], MEASURES).logits is None
    digits = load_images("digits")
    with pytest.raises(InvalidInput, match="the backbone mine knows no classes"):
        Scorer(judge, digits, 8, measures=["is"])


def test_only_what_is_needed_is_kept() -> None:
    kept = embed(backbone(), [images(20, 0)], ["fid"])
    assert kept.logits is None
    assert kept.features is None
    assert kept.moments.count == 20


@pytest.mark.parametrize("measure", MEASURES)
def test_too_few_images_are_refused_and_just_enough_are_not(measure: Measure) -> None:
    least = smallest_number([measure])
    assert least == {"kid": 4, "prdc": 6, "fid-infinity": 150}.get(measure, 2)
    assert measured(backbone(), [measure], splits=1, num=least)
    if measure not in ("is", "mind"):
        with pytest.raises(InvalidInput):
            measured(backbone(), [measure], splits=1, num=least - 1)
    with pytest.raises(InvalidInput, match="no images to score"):
        embed(backbone(), [], [measure])


def test_the_most_demanding_measure_decides() -> None:
    assert smallest_number(MEASURES) == 150
    assert smallest_number(USUAL) == 2


def test_measures_are_read_in_any_order_and_given_in_one() -> None:
    assert parse_measures(" fid, is,fid,") == USUAL
    assert parse_measures(",".join(reversed(MEASURES))) == MEASURES
    assert parse_measures("kid") == ("kid",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("fid,kidd", "unknown measure 'kidd', did you mean kid"),
        ("ISC", "there are is, fid, kid, prdc, fid-infinity"),
        ("", "unknown measure ''; there are"),
        (" , ", "there are"),
    ],
)
def test_unknown_measures_are_named(text: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        parse_measures(text)


@pytest.mark.parametrize(("total", "num"), [(1, 1), (10, 10), (10, 3), (5, 100), (99, 98), (7, 0)])
@pytest.mark.parametrize("batch", [1, 4, 1000])
def test_rows_are_spaced_evenly_however_they_come(total: int, num: int, batch: int) -> None:
    rows = torch.arange(total, device="cpu")[:, None]
    few = min(num, total)
    expected = [i * total // few for i in range(few)]
    with torch.device("meta"):
        parts = list(evenly_of_parts(torch.split(rows, batch), num, total))
        assert [int(row) for part in parts for row in part] == expected
        assert evenly(rows, num).flatten().tolist() == expected
        assert evenly(rows, num) is rows or num < total
        kept = embed(
            backbone(), torch.split(images(total, 0), batch), (), even_places(num, total)
        ).features
    assert kept is not None
    torch.testing.assert_close(kept, backbone().embed(images(total, 0))[0][expected])


def test_a_comparison_of_more_or_fewer_images_than_announced_is_refused() -> None:
    scorer = Scorer(backbone(), load_images("digits"), 8)
    for num in (39, 41):
        with pytest.raises(InvalidInput, match=f"40 images came, not the {num} announced"):
            scorer.compare([images(40, 0)], num)


class Spoilt(Pixels):
    """One value of one image is not as it should be."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        outputs = super().forward(images)
        for rows in outputs:
            rows[3, 2] = self.value
        return outputs


@pytest.mark.parametrize(
    ("side", "measure"),
    [*product(["real", "generated"], OF_FEATURES), ("generated", "is")],
)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_features_that_are_not_finite_fail_the_run_by_every_measure(
    side: str, measure: Measure, value: float
) -> None:
    good, spoilt = backbone(), backbone(network=Spoilt(value))
    real = embed(spoilt if side == "real" else good, [images(REAL, 0)], [measure])
    fake = embed(good if side == "real" else spoilt, [images(FAKE, 1)], [measure])
    with pytest.raises(RunFailed, match="NaN or infinity"):
        compared(real, fake, good, [measure])


@pytest.mark.parametrize("measure", OF_FEATURES)
def test_features_of_other_dimensions_are_incompatible(measure: Measure) -> None:
    judge = backbone()
    real = embed(judge, [images(REAL, 0)], MEASURES)
    assert real.features is not None
    few = real.features[:, :4]
    fake = real._replace(moments=Moments.of(few), features=few)
    with pytest.raises(Incompatible, match=r"4 dimensions cannot be compared to .* of 12"):
        compared(real, fake, judge, [measure])


def test_the_default_device_does_not_matter() -> None:
    expected = measured(backbone(), shuffle=True)
    with torch.device("meta"):
        assert measured(backbone(), shuffle=True) == expected


@pytest.mark.parametrize("name", ["mine", "inception", "fid"])
def test_any_module_scores_from_end_to_end_under_its_own_name(name: str) -> None:
    digits = load_images("digits")
    judge = custom_backbone(name, Pixels(), channels=1, labelled=True, resize="none")
    scorer = Scorer(judge, digits, 8, num_splits=2, measures=MEASURES)
    values = scorer.score(torch.split(digits.held_out, 100))
    assert values == pytest.approx(scorer.real(360), rel=1e-5, abs=1e-9)
    assert (
        values[f"frechet_distance[{name}]"]
        < scorer.score([images(300, 0)])[f"frechet_distance[{name}]"]
    )
    assert not {"fid", "kid", "inception_score", "precision"} & set(values)
    passport = scorer.passport(360, None, quantise="none")
    assert (passport.backbone, passport.canonical, passport.resize) == (name, False, "none")
    assert passport.backbone_side is None
    assert passport.weights == judge.fingerprint
