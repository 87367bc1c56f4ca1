"""Protocols are presets; passports tell which numbers may be compared."""

from math import sqrt
from pathlib import Path

import pytest
from pydantic import ValidationError

from gan_nas.errors import InvalidInput
from gan_nas.scoring.comparing import compare
from gan_nas.scoring.protocols import (
    INCIDENTAL,
    OF_MEASURES,
    PROTOCOLS,
    UNKNOWN,
    Passport,
    Scores,
    differing,
    find_protocol,
    is_distance,
    say_differences,
)

OLD = Path(__file__).parents[1] / "golden" / "scores_0_1.json"  # written by version 0.1.0

PASSPORT = Passport(
    protocol="autogan",
    backbone="inception",
    canonical=True,
    weights="6726825d",
    backbone_side=None,
    resize="TF1 bilinear to 299",
    image_side=32,
    real_resize="as they are",
    quantise="floor",
    num_fake=50_000,
    num_real=50_000,
    num_splits=10,
    reference="cifar10",
    reference_fingerprint="0123",
    seed=0,
    precision="float32",
    kid_subset_size=1000,
    kid_subsets=100,
    precision_neighbours=3,
    density_neighbours=5,
    pairwise_images=10_000,
    fid_infinity_sizes=15,
    mind_directions=1000,
    fwd_levels=4,
    draws_seed=2020,
    torch="2.15.0",
    gan_nas="0.1.0",
)


def another(value: object) -> object:
    """Return a value which is not this one."""
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case str():
            return "round"  # which `quantise` allows
        case _:
            return 8


def scores(value: float, error: float | None = None, repeats: int = 1000) -> Scores:
    errors = {} if error is None else {"fid": error}
    passport = PASSPORT.model_copy(update={"repeats": repeats})
    return Scores(scores={"fid": value}, errors=errors, real={}, passport=passport)


def test_presets_are_those_of_the_papers() -> None:
    made_of = {
        name: (p.num_fake, p.num_splits, p.shuffle, p.quantise, p.split, p.preprocessing)
        for name, p in PROTOCOLS.items()
    }
    assert made_of == {
        "default": (10_000, 1, False, "floor", "train", "tf1"),
        "autogan": (50_000, 10, False, "floor", "train", "tf1"),
        "sngan": (5_000, 10, False, "floor", "held-out", "tf1"),
        "studiogan": (50_000, 1, False, "round", "train", "studiogan"),
        "cleanfid": (50_000, 1, False, "round", "train", "cleanfid"),
        "pytorch-fid": (50_000, 1, False, "round", "train", "pytorch-fid"),
    }
    neighbours = {(p.precision_neighbours, p.density_neighbours) for p in PROTOCOLS.values()}
    assert neighbours == {(3, 5), (5, 5)}
    studiogan = PROTOCOLS["studiogan"]
    assert (studiogan.precision_neighbours, studiogan.density_neighbours) == (5, 5)
    assert find_protocol("autogan") is PROTOCOLS["autogan"]


def test_unknown_protocols_are_refused_with_the_nearest_name() -> None:
    with pytest.raises(InvalidInput, match="unknown protocol 'autogna', did you mean autogan"):
        find_protocol("autogna")
    with pytest.raises(
        InvalidInput, match="there are default, autogan, sngan, studiogan, cleanfid"
    ):
        find_protocol("?")


@pytest.mark.parametrize("field", Passport.model_fields)
def test_passports_differ_by_all_but_noise_and_versions(field: str) -> None:
    mine = getattr(PASSPORT, field)
    pair = (mine, another(mine))
    other = PASSPORT.model_copy(update={field: pair[1]})
    ignored = field in {"protocol", "seed", "repeats", "torch", "gan_nas"}
    assert (field in INCIDENTAL) == ignored
    assert PASSPORT.differences(other) == ({} if ignored else {field: pair})
    assert differing([PASSPORT, PASSPORT, other]) == PASSPORT.differences(other)
    if not ignored:
        assert say_differences({field: pair}) == f"{field} {pair[0]} and {pair[1]}"


def test_what_older_scores_do_not_tell_of_real_images_forbids_nothing() -> None:
    older = PASSPORT.model_copy(update={"real_resize": UNKNOWN})
    assert not older.differences(PASSPORT)
    assert not PASSPORT.differences(older)


def test_what_differs_among_many_passports_is_listed_once() -> None:
    passports = [PASSPORT.model_copy(update={"num_fake": num}) for num in (1, 2, 3, 2)]
    assert differing(passports) == {"num_fake": (1, 2, 3)}
    assert say_differences(differing(passports)) == "num_fake 1 and 2 and 3"
    assert differing([]) == differing(passports[:1]) == {}


def test_older_passports_are_read() -> None:
    later = ("protocol", "canonical", "features_precision", "shuffle", "split", "repeats")
    old = {k: v for k, v in PASSPORT.model_dump().items() if k not in later}
    assert Passport.model_validate(old).split == "train"
    with pytest.raises(ValidationError):
        Passport.model_validate(old | {"unknown": 1})


@pytest.mark.parametrize(
    ("a", "b", "beyond"),
    [
        (scores(10, 0.3), scores(11.1, 0.4), True),  # the noise is 2 * 0.5
        (scores(10, 0.3), scores(10.9, 0.4), False),
        (scores(11.1, 0.4), scores(10, 0.3), True),
        (scores(10, 0), scores(10, 0), False),
        (scores(10), scores(90, 0.4), None),
        (scores(10, 0.3), scores(90), None),
    ],
)
def test_a_difference_is_more_than_noise_beyond_two_standard_errors_of_many_repeats(
    a: Scores, b: Scores, beyond: bool | None
) -> None:
    assert compare(a, b).beyond_noise["fid"] is beyond


@pytest.mark.parametrize(
    ("repeats", "quantile"),
    [(2, 4.53), (3, 2.87), (5, 2.37), (1000, 2.0)],  # Student's t at .97725, 2 (R - 1) degrees
)
def test_few_repeats_are_less_sure_of_their_noise(repeats: int, quantile: float) -> None:
    noise = quantile * 0.5
    for factor, beyond in ((0.99, False), (1.01, True)):
        a, b = (
            scores(10, 0.5 / sqrt(2), repeats),
            scores(10 + factor * noise, 0.5 / sqrt(2), repeats),
        )
        for pair in ((a, b), (b, a)):
            assert compare(*pair).beyond_noise["fid"] is beyond


def test_seeds_of_trainings_are_noise_of_their_own() -> None:
    """Latents say that every pair differs; seeds that the genomes need not."""
    near = [scores(value, 0.01, 5) for value in (10.0, 12.0, 14.0)]
    # Student's t at .97725 with 4 degrees, 2.87, of standard errors of 2 / sqrt(3) each: 4.69.
    beyond, within = ([scores(v + d, 0.01, 5) for v in (10.0, 12.0, 14.0)] for d in (4.8, 4.6))
    assert compare(near, beyond).beyond_seeds == {"fid": True}
    assert compare(near, within).beyond_seeds == {"fid": False}
    far = [scores(value, 0.01, 5) for value in (30.0, 31.0, 32.0)]
    same = [scores(value, 0.01, 5) for value in (11.0, 13.0, 15.0)]
    assert compare(near[0], near[1]).beyond_noise == {"fid": True}
    assert compare(near[0], near[1]).beyond_seeds == {"fid": None}
    apart, alike = compare(near, far), compare(near, same)
    assert (apart.values["fid"], alike.values["fid"]) == (19, 1)
    assert apart.beyond_seeds == {"fid": True}
    assert alike.beyond_seeds == {"fid": False}
    assert alike.beyond_noise == {"fid": True}
    ours = alike.means[0]["fid"]
    assert (ours.value, ours.deviation, ours.trainings) == (12, 2, 3)
    assert ours.error == pytest.approx(0.01 / sqrt(3))
    assert compare(near, far[0]).beyond_seeds == {"fid": None}
    equal = [scores(1.0, None, 1)] * 2
    assert compare(equal, equal).beyond_seeds == {"fid": False}
    assert compare(equal, equal).beyond_noise == {"fid": None}


@pytest.mark.parametrize("setting", sorted(OF_MEASURES))
def test_settings_of_a_measure_forbid_nothing_where_only_one_side_made_it(setting: str) -> None:
    without = PASSPORT.model_copy(update={setting: None})
    assert without.differences(PASSPORT) == PASSPORT.differences(without) == {}


def test_files_of_version_0_1_are_completed_by_what_was_fixed_then() -> None:
    old = Scores.model_validate_json(OLD.read_text())
    assert old.scores["kernel_distance[classifier]"] == pytest.approx(0.1799, abs=1e-4)
    settings = {name: getattr(old.passport, name) for name in OF_MEASURES}
    assert settings == {
        "kid_subset_size": 160,  # all images
        "kid_subsets": 100,
        "precision_neighbours": 3,
        "density_neighbours": 3,
        "pairwise_images": 10_000,
        "fid_infinity_sizes": 15,
        "mind_directions": None,
        "fwd_levels": None,
        "draws_seed": 2020,
    }
    assert old.comparison is None
    assert Scores.model_validate_json(old.model_dump_json()) == old
    now = old.passport.model_copy(update={"kid_subset_size": 80, "density_neighbours": 5})
    assert old.passport.differences(now) == {
        "kid_subset_size": (160, 80),
        "density_neighbours": (3, 5),
    }
    usual = old.model_dump() | {"scores": {"classifier_score": 1.0}}
    for name in OF_MEASURES:
        del usual["passport"][name]
    passport = Scores.model_validate(usual).passport
    assert all(getattr(passport, name) is None for name in OF_MEASURES)


def test_lower_is_better_for_distances() -> None:
    better_when_lower = ["fid", "fid_infinity", "kid", "kernel_distance[x]", "frechet_distance[x]"]
    assert all(map(is_distance, better_when_lower))
    assert not any(
        map(is_distance, ["inception_score", "classifier_score", "recall", "density[x]"])
    )
