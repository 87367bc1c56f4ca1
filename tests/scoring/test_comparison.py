"""Generated beside real images: only noise tells a perfect generator from real images."""

from math import sqrt
from pathlib import Path
from statistics import fmean, stdev

import pytest
import torch
from torch import Tensor, nn

from gan_nas.data import Images
from gan_nas.metrics.backbone import Backbone
from gan_nas.metrics.jackknife import group_of_each, jackknife, moments_without_each
from gan_nas.metrics.measures import MEASURES
from gan_nas.metrics.moments import Moments
from gan_nas.metrics.statistics import load_statistics, save_statistics
from gan_nas.scoring.protocols import Comparison
from gan_nas.scoring.reference import make_statistics
from gan_nas.scoring.repeated import score_repeatedly
from gan_nas.scoring.scorer import Scorer

NUM = 600  # generated images
DISTANCE, SCORE = "frechet_distance[random]", "classifier_score"


class Random(nn.Module):
    """16 features that ReLU keeps from being Gaussian, and 6 logits."""

    def __init__(self) -> None:
        super().__init__()
        random = torch.Generator(device="cpu").manual_seed(0)
        self.weight = nn.Parameter(torch.randn(22, 64, generator=random, device="cpu") / 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = (x.flatten(1) - 0.5) @ self.weight.t()
        return y[:, :16].relu(), 6 * y[:, 16:]


BACKBONE = Backbone("random", "0", side=8, channels=1, labelled=True, network=Random())


def drawn(num: int, seed: int) -> Tensor:
    """Draw images of one distribution: a perfect generator, or a data set."""
    random = torch.Generator(device="cpu").manual_seed(seed)
    bright = torch.rand(num, 1, 1, 1, generator=random, device="cpu")
    noise = torch.rand(num, 1, 8, 8, generator=random, device="cpu")
    return (255 * (0.5 * bright + 0.5 * noise)).to(torch.uint8)


def data(num_held_out: int, seed: int, num: int = 900) -> Images:
    images = drawn(num + num_held_out, 1000 + seed)
    return Images("noise", images[:num], images[num:])


def compared(images: Images, fakes: Tensor, split: str = "train") -> Comparison:
    scorer = Scorer(BACKBONE, images, 8, split=split)  # type: ignore[arg-type]
    _, comparison = scorer.compare(torch.split(fakes, 100), len(fakes))
    assert comparison is not None
    return comparison


@pytest.mark.parametrize(
    ("num_held_out", "split"),
    [(20, "train"), (100, "held-out"), (500, "all"), (2000, "train")],
)
def test_a_perfect_generator_and_reality_agree_within_their_deviations(
    num_held_out: int, split: str
) -> None:
    better, beyond = {DISTANCE: 0, SCORE: 0}, {DISTANCE: 0, SCORE: 0}
    times = 30
    for seed in range(times):
        comparison = compared(data(num_held_out, seed), drawn(NUM, seed), split)
        others = 900 if split == "held-out" else num_held_out
        assert comparison.num == min(NUM, others)
        for name in better:
            difference = comparison.generated[name] - comparison.real[name]
            noise = sqrt(
                comparison.generated_deviations[name] ** 2 + comparison.real_deviations[name] ** 2
            )
            better[name] += difference < 0
            beyond[name] += abs(difference) > 2 * noise
    for name in better:
        assert 0.2 * times < better[name] < 0.8 * times, name  # nobody beats reality
        assert beyond[name] <= 0.15 * times, name


def test_a_bad_generator_is_told_from_reality() -> None:
    images, fakes = data(100, 0), drawn(NUM, 0)
    fakes = (fakes.float() * 0.8).to(torch.uint8)
    comparison = compared(images, fakes)
    difference = comparison.generated[DISTANCE] - comparison.real[DISTANCE]
    noise = comparison.generated_deviations[DISTANCE] + comparison.real_deviations[DISTANCE]
    assert difference > 2 * noise


@pytest.mark.parametrize("num", [20, 200])
def test_deviations_are_those_of_many_samples_or_somewhat_above(num: int) -> None:
    images = data(2000, 0)
    scorer = Scorer(BACKBONE, images, 8)
    told: dict[str, list[float]] = {DISTANCE: [], SCORE: []}
    values: dict[str, list[float]] = {DISTANCE: [], SCORE: []}
    for seed in range(40):
        _, comparison = scorer.compare([drawn(num, seed)], num)
        assert comparison is not None
        for name in told:
            told[name].append(comparison.generated_deviations[name])
            values[name].append(comparison.generated[name])
    for name in told:
        assert 0.8 < fmean(told[name]) / stdev(values[name]) < 1.8, name


def test_equal_numbers_are_compared_and_the_pass_gives_the_usual_scores_too() -> None:
    num = 160
    fakes = drawn(num, 1)
    for num_held_out, expected in ((20, 20), (159, 159), (161, 160)):
        images = data(num_held_out, 0)
        scorer = Scorer(BACKBONE, images, 8, measures=MEASURES)
        values, comparison = scorer.compare(torch.split(fakes, 70), num)
        assert values == scorer.score(torch.split(fakes, 70))
        assert comparison is not None
        assert (comparison.num, comparison.num_real) == (expected, 900)
        assert comparison.real == pytest.approx(scorer.real(num))
        assert comparison.generated.keys() == comparison.real.keys()
        few = fakes[torch.arange(expected, device="cpu") * num // expected]
        assert comparison.generated == pytest.approx(scorer.score_few([few], num), rel=1e-6)
        if expected == num:
            assert comparison.generated == pytest.approx(values, rel=1e-6)


def test_two_images_have_values_without_deviations_and_one_is_not_compared() -> None:
    comparison = compared(data(2, 0), drawn(NUM, 0))
    assert comparison.num == 2
    assert comparison.generated.keys() == comparison.real.keys() == {DISTANCE, SCORE}
    assert comparison.generated_deviations == comparison.real_deviations == {}
    one = Scorer(BACKBONE, data(1, 0), 8).compare([drawn(NUM, 0)], NUM)
    assert one[1] is None


@pytest.mark.parametrize("num", [16, 17, 40, 300])
def test_a_set_has_no_distance_to_itself_where_all_of_it_is_the_reference(
    num: int, tmp_path: Path
) -> None:
    images = data(max(2, num // 10), 0, num - max(2, num // 10))
    whole = torch.cat([images.train, images.held_out])
    scorer = Scorer(BACKBONE, images, 8, split="all")
    assert (scorer.num_real, scorer.passport(num, None).split) == (num, "all")
    path = tmp_path / "noise.npz"
    save_statistics(path, make_statistics(BACKBONE, images, split="all"))
    by_file = Scorer(BACKBONE, None, 8, statistics=load_statistics(path))
    trace = float(Moments.of(BACKBONE.embed(whole)[0]).covariance.trace())
    for judged in (scorer, by_file):
        for order in (torch.arange(num, device="cpu"), torch.randperm(num, device="cpu")):
            assert judged.score([whole[order]])[DISTANCE] < 1e-6 * trace


def test_statistics_of_all_images_compare_with_the_training_images_alone() -> None:
    images, fakes = data(100, 0), drawn(NUM, 0)
    statistics = make_statistics(BACKBONE, images, split="all")
    by_file = Scorer(BACKBONE, images, 8, statistics=statistics)
    by_images = Scorer(BACKBONE, images, 8, split="all")
    _, comparison = by_file.compare([fakes], NUM)
    assert comparison is not None
    assert comparison == by_images.compare([fakes], NUM)[1] == compared(images, fakes)
    held_out = make_statistics(BACKBONE, images, split="held-out")
    real = Scorer(BACKBONE, images, 8, statistics=held_out).real(NUM)
    assert real == Scorer(BACKBONE, images, 8, split="held-out").real(NUM)
    assert real[DISTANCE] > 1e-3  # not the reference beside itself


def test_several_passes_give_means_and_standard_errors_of_the_comparison() -> None:
    scorer = Scorer(BACKBONE, data(50, 0), 8)
    judged = score_repeatedly(scorer, lambda seed: [drawn(NUM, seed)], NUM, seed=3, repeats=4)
    passes = [scorer.compare([drawn(NUM, seed)], NUM)[1] for seed in range(3, 7)]
    assert judged.comparison is not None
    values = [one.generated[DISTANCE] for one in passes if one]
    assert judged.comparison.generated[DISTANCE] == pytest.approx(fmean(values))
    error = judged.comparison.generated_deviations[DISTANCE]
    assert error == pytest.approx(stdev(values) / 2)
    assert judged.real == judged.comparison.real == scorer.real(NUM)


def test_the_real_side_is_computed_once_and_kept(tmp_path: Path) -> None:
    images = data(100, 0)
    fresh = Scorer(BACKBONE, images, 8).compare([drawn(NUM, 0)], NUM)
    for _ in range(2):
        scorer = Scorer(BACKBONE, images, 8, cache=tmp_path)
        assert scorer.compare([drawn(NUM, 0)], NUM) == fresh
    assert sorted(path.name.partition("-")[0] for path in tmp_path.iterdir()) == ["moments", "real"]


def test_the_jackknife_of_a_mean_is_its_standard_error() -> None:
    random = torch.Generator(device="cpu").manual_seed(0)
    x = torch.randn(10, generator=random, dtype=torch.float64, device="cpu")
    groups = group_of_each(10, 0)  # one image each
    found = jackknife(groups, lambda group: {"mean": float(x[groups != group].mean())})
    assert found["mean"] == pytest.approx(float(x.std()) / sqrt(10))


@pytest.mark.parametrize("num", [3, 10, 11, 95])
def test_groups_are_even_and_moments_are_of_what_is_left(num: int) -> None:
    groups = group_of_each(num, 0)
    sizes = groups.bincount()
    assert len(sizes) == min(10, num)
    assert int(sizes.max() - sizes.min()) <= 1
    x = torch.randn(num, 3, dtype=torch.float64, device="cpu")
    for group, moments in enumerate(moments_without_each(x, groups)):
        expected = Moments.of(x[groups != group])
        assert moments.count == expected.count
        assert torch.allclose(moments.mean, expected.mean)
        assert torch.allclose(moments.scatter, expected.scatter)
