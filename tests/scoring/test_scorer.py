import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from gan_nas.data import Images, load_images
from gan_nas.errors import Incompatible, Interrupted, InvalidInput, RunFailed
from gan_nas.metrics.backbone import Backbone
from gan_nas.metrics.frechet import frechet_distance
from gan_nas.metrics.inception_score import inception_style_score, shuffled_order
from gan_nas.metrics.kid import kernel_distance
from gan_nas.metrics.loading import load_backbone
from gan_nas.metrics.manifold import Neighbours
from gan_nas.metrics.measures import MEASURES, SEED, USUAL, Measure
from gan_nas.metrics.moments import Moments
from gan_nas.metrics.statistics import Statistics, load_statistics, save_statistics
from gan_nas.scoring.generating import generate, to_uint8
from gan_nas.scoring.protocols import OF_MEASURES, Scores
from gan_nas.scoring.reference import ReferenceSplit, make_statistics
from gan_nas.scoring.scorer import Scorer

FRECHET = "frechet_distance[classifier]"


@pytest.fixture(scope="module")
def digits() -> Images:
    return load_images("digits")


@pytest.fixture(scope="module")
def backbone(digits: Images) -> Backbone:
    return load_backbone("classifier", digits, None, "cpu")


def disturbed(images: Tensor, deviation: float) -> Tensor:
    """Add noise; `deviation` in units of the range [-1, 1]."""
    generator = torch.Generator("cpu").manual_seed(0)
    noise = torch.randn(images.shape, generator=generator, device="cpu")
    return to_uint8(images / 127.5 - 1 + deviation * noise)


@pytest.mark.parametrize("side", [4, 8, 16])
def test_worse_images_score_worse_at_every_side(
    digits: Images, backbone: Backbone, side: int
) -> None:
    scorer = Scorer(backbone, digits, side)
    held_out = digits.at(side).held_out
    assert digits.held_out_labels is not None
    half_the_modes = held_out[digits.held_out_labels < 5]
    scores = [scorer.real(360)]
    scores += [scorer.score([disturbed(held_out, d)]) for d in (0.25, 0.5, 1.0)]
    distances = [score[FRECHET] for score in scores]
    assert distances == sorted(distances)
    ceiling = {4: 7, 8: 9.3, 16: 9}[side]
    assert ceiling < scorer.real(360)["classifier_score"] <= 10
    few = scorer.score([half_the_modes])
    assert few["classifier_score"] <= 6.5
    assert few[FRECHET] > 3 * scorer.real(360)[FRECHET]


def test_a_collapsed_generator_scores_one_at_a_finite_distance(
    digits: Images, backbone: Backbone
) -> None:
    scorer = Scorer(backbone, digits, 16)
    for image in digits.at(16).train[:3]:
        score = scorer.score([image.expand(100, -1, -1, -1)] * 2)
        assert score["classifier_score"] == pytest.approx(1, abs=1e-6)
        assert scorer.real(360)[FRECHET] * 10 < score[FRECHET] < math.inf


def test_images_that_are_at_the_side_already_change_nothing(
    digits: Images, backbone: Backbone
) -> None:
    native, at_side = Scorer(backbone, digits, 16), Scorer(backbone, digits.at(16), 16)
    assert native.real(360) == at_side.real(360)
    assert native.passport(500, 0) == at_side.passport(500, 0)


def test_a_share_of_the_training_images_can_be_the_reference(
    digits: Images, backbone: Backbone
) -> None:
    scorer = Scorer(backbone, digits, 8, num_reference=500)
    assert scorer.passport(10, 0).num_real == 500
    assert Scorer(backbone, digits, 8, num_reference=9999).passport(10, 0).num_real == 1437
    assert scorer.real(360)[FRECHET] < 2 * Scorer(backbone, digits, 8).real(360)[FRECHET]


@pytest.mark.parametrize("num", [2, 3, 19, 99])
def test_splits_of_less_than_ten_images_become_one(
    digits: Images, backbone: Backbone, num: int
) -> None:
    images = Images("few", digits.train, digits.held_out[:num])
    ten, one = (Scorer(backbone, images, 8, num_splits=n).real(500) for n in (10, 1))
    assert ten == one
    assert ten["classifier_score"] > 1


def test_impossible_batches_are_refused(digits: Images, backbone: Backbone) -> None:
    scorer = Scorer(backbone, digits, 8)
    with pytest.raises(InvalidInput, match="no images"):
        scorer.score([])
    with pytest.raises(InvalidInput, match="at least 2 images"):
        scorer.score([digits.train[:1]])
    with pytest.raises(Incompatible, match="16 px"):
        scorer.score([digits.at(16).train[:10]])


def test_the_passport_names_the_whole_protocol(digits: Images, backbone: Backbone) -> None:
    scorer = Scorer(backbone, digits, 16, num_splits=2)
    passport = scorer.passport(500, seed=7, precision="bf16")
    assert passport.model_dump(exclude_none=True) == {
        "backbone": "classifier",
        "canonical": False,
        "weights": backbone.fingerprint,
        "backbone_side": 8,
        "resize": backbone.resize,
        "features_precision": "float32",
        "image_side": 16,
        "real_resize": "8 px, to 16 px by bilinear",
        "quantise": "floor",
        "num_fake": 500,
        "num_real": 1437,
        "num_splits": 2,
        "shuffle": False,
        "split": "train",
        "reference": "digits",
        "reference_fingerprint": digits.fingerprint,
        "seed": 7,
        "repeats": 1,
        "precision": "bf16",
        "torch": torch.__version__,
        "gan_nas": version("gan-nas"),
    }
    scores = Scores(scores={FRECHET: 3.0}, real=scorer.real(360), passport=passport)
    assert Scores.model_validate_json(scores.model_dump_json()) == scores
    with pytest.raises(ValidationError):
        Scores.model_validate({**scores.model_dump(), "more": 1})


class Toy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(5, 16, device="cpu")
        self.norm = nn.BatchNorm1d(16, device="cpu")

    def forward(self, z: Tensor) -> Tensor:
        images: Tensor = self.norm(self.linear(z)).view(-1, 1, 4, 4)
        return images


def made(num: int, **options: int) -> Tensor:
    torch.manual_seed(0)
    toy = Toy().eval()
    torch.seed()  # what others draw changes nothing
    return torch.cat(list(generate(toy, num, 5, options.pop("seed", 0), "cpu", **options)))


def test_generated_images_depend_on_the_seed_alone_and_fewer_are_a_prefix() -> None:
    images = made(250)
    assert images.shape == (250, 1, 4, 4)
    assert images.dtype == torch.uint8
    assert torch.equal(made(250), images)
    for num in (1, 7, 99, 100, 101):
        assert torch.equal(made(num), images[:num])
    assert not torch.equal(made(250, seed=1), images)
    assert len(images.flatten(1).unique(dim=0)) > 200


@pytest.mark.parametrize("training", [True, False])
def test_generating_touches_neither_mode_nor_gradients(training: bool) -> None:
    toy = Toy().train(training)
    batches = generate(toy, 20, 5, 0, "cpu", batch_size=10)
    next(batches)
    assert torch.is_grad_enabled()
    assert toy.training == toy.norm.training == training
    assert all(p.requires_grad and p.grad is None for p in toy.parameters())
    rng = torch.get_rng_state()
    next(batches)
    assert torch.equal(torch.get_rng_state(), rng)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_diverged_generator_fails_the_run(value: float) -> None:
    toy = Toy().eval()
    toy.linear.bias.data[3] = value
    with pytest.raises(RunFailed, match="diverged"):
        list(generate(toy, 10, 5, 0, "cpu"))


def test_generating_stops_on_request() -> None:
    answers = iter([False, True])
    batches = generate(Toy(), 30, 5, 0, "cpu", batch_size=10, stop=lambda: next(answers))
    next(batches)
    with pytest.raises(Interrupted):
        next(batches)


def test_scoring_ignores_the_default_device(digits: Images, backbone: Backbone) -> None:
    class Enlarged(Toy):
        def forward(self, z: Tensor) -> Tensor:
            return super().forward(z).repeat_interleave(2, 2).repeat_interleave(2, 3)

    def run() -> Iterator[dict[str, float]]:
        scorer = Scorer(backbone, digits, 8, num_splits=2, num_reference=300)
        yield scorer.real(60)
        yield scorer.score(generate(network, 60, 5, 0, "cpu"))

    network = Enlarged().eval()
    expected = list(run())
    with torch.device("meta"):
        assert list(run()) == expected


class Counting(nn.Module):
    """Counts how often the network is asked, and for how many images."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.sizes = network, list[int]()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        self.sizes.append(len(x))
        outputs: tuple[Tensor, Tensor] = self.network(x)
        return outputs


@pytest.mark.parametrize("measures", [("fid",), USUAL, MEASURES])
def test_one_pass_gives_all_measures(
    digits: Images, backbone: Backbone, measures: Sequence[Measure]
) -> None:
    counting = Counting(backbone.network)
    scorer = Scorer(replace(backbone, network=counting), digits, 8, measures=measures)
    scorer.score([digits.held_out])  # embeds what is needed of the real images
    counting.sizes.clear()
    scorer.score(torch.split(digits.held_out, 90))
    assert counting.sizes == [90] * 4


def test_held_out_images_can_be_the_reference(digits: Images, backbone: Backbone) -> None:
    scorer = Scorer(backbone, digits, 8, split="held-out", measures=("is", "fid", "kid"))
    real, _ = backbone.embed(digits.held_out)
    fake, _ = backbone.embed(digits.train[:200])
    scores = scorer.score([digits.train[:200]])
    distance = frechet_distance(Moments.of(real), Moments.of(fake))
    assert scores[FRECHET] == pytest.approx(distance, rel=1e-5)
    kernel = kernel_distance(real, fake, subset_size=100, seed=SEED)
    assert scores["kernel_distance[classifier]"] == pytest.approx(kernel.mean, rel=1e-5)
    assert scorer.score([digits.held_out])[FRECHET] < 1e-6
    # The training images stand in for the held-out ones, which are at no distance here.
    assert scorer.real(2000) == scorer.score(torch.split(digits.train, 500))
    passport = scorer.passport(200, 0)
    assert (passport.split, passport.num_real) == ("held-out", 360)
    usual = Scorer(backbone, digits, 8).passport(200, 0)
    assert usual.differences(passport).keys() == {"split", "num_real"}


def test_shuffling_helps_images_that_are_sorted_by_class(
    digits: Images, backbone: Backbone
) -> None:
    assert digits.held_out_labels is not None
    images = digits.held_out[digits.held_out_labels.argsort()]
    in_order, shuffled = (
        Scorer(backbone, digits, 8, 10, measures=("is",), shuffle=shuffle)
        for shuffle in (False, True)
    )
    _, logits = backbone.embed(images)
    expected = inception_style_score(logits, 10, shuffled_order(len(images), SEED))
    scores = shuffled.score(torch.split(images, 77))
    assert tuple(scores.values()) == pytest.approx(expected, rel=1e-5)
    assert in_order.score([images])["classifier_score"] < 2 < 7 < scores["classifier_score"]
    assert shuffled.passport(360, 0).shuffle
    assert in_order.passport(360, 0).differences(shuffled.passport(360, 0)).keys() == {"shuffle"}


def test_measures_and_shuffling_have_their_own_place_in_the_cache(
    digits: Images, backbone: Backbone, tmp_path: Path
) -> None:
    kinds: list[dict[str, Any]] = [
        {},
        {"shuffle": True},
        {"measures": ("is",)},
        {"measures": ("is", "kid"), "split": "held-out"},
        {"measures": ("is", "kid"), "num_reference": 200},
    ]
    fresh = [Scorer(backbone, digits, 8, 5, **kind).real(360) for kind in kinds]
    for _ in range(2):
        kept = [Scorer(backbone, digits, 8, 5, cache=tmp_path, **kind).real(360) for kind in kinds]
        assert kept == fresh
    names = [path.name.partition("-")[0] for path in tmp_path.iterdir()]
    assert sorted(names) == ["moments", *["real"] * 5]


@pytest.fixture(scope="module")
def statistics(
    digits: Images, backbone: Backbone, tmp_path_factory: pytest.TempPathFactory
) -> Statistics:
    path = tmp_path_factory.mktemp("statistics") / "digits.npz"
    save_statistics(path, make_statistics(backbone, digits))
    return load_statistics(path)


def test_settings_of_measures_stand_in_the_passport_where_they_are_made(
    digits: Images, backbone: Backbone
) -> None:
    def settings(measures: Sequence[Measure], num: int, **options: Any) -> dict[str, Any]:
        passport = Scorer(backbone, digits, 8, measures=measures, **options).passport(num, 0)
        return {name: getattr(passport, name) for name in OF_MEASURES}

    nothing = dict.fromkeys(OF_MEASURES)
    assert settings(USUAL, 360) == nothing
    assert settings(USUAL, 360, shuffle=True) == nothing | {"draws_seed": SEED}
    kid = {"kid_subset_size": 180, "kid_subsets": 100, "pairwise_images": 10_000}
    assert settings(["kid"], 360) == nothing | kid | {"draws_seed": SEED}
    assert settings(["kid"], 10**6)["kid_subset_size"] == 1437 // 2
    shares = {"precision_neighbours": 3, "density_neighbours": 5, "pairwise_images": 10_000}
    assert settings(["prdc"], 360) == nothing | shares
    five = {"precision_neighbours": 5, "density_neighbours": 5}
    assert settings(["prdc"], 360, neighbours=Neighbours(5, 5)) == nothing | shares | five
    line = {"fid_infinity_sizes": 15, "draws_seed": SEED}
    assert settings(["fid-infinity"], 360) == nothing | line


def test_statistics_stand_in_for_images(
    digits: Images, backbone: Backbone, statistics: Statistics
) -> None:
    images = torch.split(digits.held_out, 90)
    of_images = Scorer(backbone, digits, 8)
    expected = of_images.score(images)
    alone = Scorer(backbone, None, 8, statistics=statistics)
    assert alone.score(images) == pytest.approx(expected, rel=1e-6)
    assert alone.real(360) == {}
    beside = Scorer(backbone, digits, 8, statistics=statistics)
    assert beside.score(images) == alone.score(images)
    assert beside.real(360) == pytest.approx(of_images.real(360), rel=1e-6)
    passport = alone.passport(360, 0)
    assert passport == beside.passport(360, 0)
    assert (passport.reference, passport.split, passport.num_real) == ("digits", "train", 1437)
    assert passport.reference_fingerprint == statistics.fingerprint


def test_statistics_without_passport_are_said_to_be_unknown(
    backbone: Backbone, statistics: Statistics
) -> None:
    bare = Statistics(None, statistics.mean, statistics.covariance)
    passport = Scorer(backbone, None, 8, statistics=bare).passport(360, 0)
    assert (passport.reference, passport.split) == ("a file of statistics", "unknown")
    assert passport.num_real is None


@pytest.mark.parametrize("split", get_args(ReferenceSplit))
@pytest.mark.parametrize("of_file", ["no file", "untold", *get_args(ReferenceSplit)])
def test_real_images_are_never_compared_with_themselves(
    digits: Images, backbone: Backbone, split: ReferenceSplit, of_file: str
) -> None:
    file = None
    if of_file == "untold":
        file = make_statistics(backbone, digits, split=split)
        file = Statistics(None, file.mean, file.covariance)
    elif of_file != "no file":
        file = make_statistics(backbone, digits, split=of_file)
    scorer = Scorer(backbone, digits, 8, measures=("fid", "prdc"), split=split, statistics=file)
    # Images that are among those they are compared with are all within reach of themselves.
    assert 0.8 < scorer.real(300)["precision[classifier]"] < 1


@pytest.mark.parametrize("measure", ["kid", "prdc", "mind", "fwd"])
def test_measures_of_single_images_need_images_and_name_them(
    digits: Images, backbone: Backbone, statistics: Statistics, measure: Measure
) -> None:
    with pytest.raises(InvalidInput, match=f"{measure} cannot be made of statistics alone"):
        Scorer(backbone, None, 8, measures=(measure,), statistics=statistics)
    with pytest.raises(InvalidInput, match="name the real images"):
        Scorer(backbone, None, 8)
    fewer = Images("fewer", digits.train[:100], digits.held_out)
    passports = [
        Scorer(backbone, images, 8, measures=(measure,), statistics=statistics).passport(9, 0)
        for images in (digits, fewer)
    ]
    assert passports[0].differences(passports[1]).keys() == {"reference_fingerprint"}


def test_measures_that_real_images_are_too_few_for_are_left_out(
    digits: Images, backbone: Backbone
) -> None:
    images = Images("few", digits.train, digits.held_out[:3])
    scorer = Scorer(backbone, images, 8, measures=MEASURES)
    assert scorer.real(360).keys() == {
        "frechet_distance[classifier]",
        "classifier_score",
        "sliced_distance[classifier]",
        "frechet_wavelet_distance",
    }
    assert scorer.score([digits.held_out]).keys() > scorer.real(360).keys()


@pytest.mark.parametrize("measure", MEASURES)
def test_no_measure_changes_by_what_is_kept_between_runs(
    digits: Images, backbone: Backbone, measure: Measure, tmp_path: Path
) -> None:
    batches = torch.split(digits.held_out, 100)
    values = [
        Scorer(backbone, digits, 8, cache=cache, measures=(measure,)).score(batches)
        for cache in (None, tmp_path, tmp_path)
    ]
    assert values[0] == values[1] == values[2]


def test_passes_over_real_images_report_and_stop(digits: Images, backbone: Backbone) -> None:
    said: list[tuple[int, int]] = []
    Scorer(backbone, digits, 8, progress=lambda _, done, total, __: said.append((done, total)))
    assert said == [(500, 1437), (1000, 1437), (1437, 1437)]
    with pytest.raises(Interrupted, match="stopped while embedding real images"):
        Scorer(backbone, digits, 8, stop=lambda: True)
    Scorer(backbone, digits, 8, stop=lambda: True, measures=("is",))  # which needs no reference


@pytest.mark.parametrize(
    ("value", "floor", "nearest"),
    [
        *((-1, 0, 0), (1, 255, 255), (0, 127, 128), (0.999, 254, 255), (-0.997, 0, 0)),
        *((-5, 0, 0), (9, 255, 255)),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_quantising_rounds_down_or_to_the_nearest(
    value: float, floor: int, nearest: int, dtype: torch.dtype
) -> None:
    images = torch.full((1, 1, 2, 2), value, dtype=dtype, device="cpu")
    assert (to_uint8(images) == floor).all()
    assert (to_uint8(images, "floor") == floor).all()
    assert (to_uint8(images, "round") == nearest).all()
    assert (images == value).all()
    random = torch.Generator(device="cpu").manual_seed(0)
    noise = torch.rand(1000, 1, 4, 4, generator=random, device="cpu") * 2 - 1
    for quantise, bias in (("floor", -0.5), ("round", 0.0)):
        levels = to_uint8(noise, quantise).float()  # type: ignore[arg-type]  # a loop's literals
        assert float((levels - (noise * 127.5 + 127.5)).mean()) == pytest.approx(bias, abs=0.02)
