import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from gan_nas.errors import InvalidInput
from gan_nas.metrics.inception_score import InceptionScore, inception_style_score, shuffled_order

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "metrics_golden.npz", allow_pickle=False)
LOGITS = torch.from_numpy(GOLDEN["is_logits"])
GAPS = [200.0, 2000.0, 1e6, 3e38]


def one_hot(classes: Tensor, gap: float, num_classes: int = 10) -> Tensor:
    return torch.nn.functional.one_hot(classes, num_classes).float() * gap


def test_the_score_is_that_of_the_published_implementations() -> None:
    one = (float(GOLDEN["exp_is_splits1"]), 0)
    ten = (float(GOLDEN["exp_is_splits10_mean"]), float(GOLDEN["exp_is_splits10_std_ddof0"]))
    assert inception_style_score(LOGITS, 1) == pytest.approx(one, rel=1e-7, abs=0)
    assert inception_style_score(LOGITS, 10) == pytest.approx(ten, rel=1e-7, abs=0)


def test_shuffling_first_gives_the_shuffled_value() -> None:
    order = np.random.RandomState(2020).permutation(len(LOGITS))
    mean, deviation = inception_style_score(LOGITS, 10, torch.from_numpy(order))
    assert inception_style_score(LOGITS[order], 10) == pytest.approx((mean, deviation), rel=1e-12)
    assert mean == pytest.approx(float(GOLDEN["exp_is_splits10_shuffled2020_mean"]), rel=1e-7)
    assert deviation == pytest.approx(float(GOLDEN["exp_is_splits10_shuffled2020_std"]), rel=1e-7)


@pytest.mark.parametrize("gap", GAPS)
@pytest.mark.parametrize("splits", [1, 10])
class TestAtAnyGap:
    def test_a_collapsed_generator_scores_one(self, gap: float, splits: int) -> None:
        logits = one_hot(torch.full((1000,), 3), gap)
        assert inception_style_score(logits, splits) == (pytest.approx(1), pytest.approx(0))

    def test_balanced_certain_classes_score_their_number(self, gap: float, splits: int) -> None:
        logits = one_hot(torch.arange(1000) % 10, gap)
        assert inception_style_score(logits, splits)[0] == pytest.approx(10, rel=1e-9)

    def test_sorted_classes_score_one_when_each_split_sees_one(
        self, gap: float, splits: int
    ) -> None:
        logits = one_hot(torch.arange(1000) // 100, gap)
        expected = 1 if splits == 10 else 10
        assert inception_style_score(logits, splits)[0] == pytest.approx(expected, rel=1e-9)

    def test_an_empty_class_does_no_harm(self, gap: float, splits: int) -> None:
        score, _ = inception_style_score(one_hot(torch.arange(1000) % 9, gap), splits)
        expected, error = (8.9999640837, 1e-10) if splits == 1 else (8.995, 1e-3)
        assert score == pytest.approx(expected, rel=error)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("num_classes", [1, 2, 10, 100])
def test_between_one_and_the_number_of_classes_whatever_is_added_to_logits(
    seed: int, num_classes: int
) -> None:
    generator = torch.Generator("cpu").manual_seed(seed)
    logits = torch.randn(200, num_classes, generator=generator, dtype=torch.float64) * 10**seed
    score, _ = inception_style_score(logits)
    assert 1 - 1e-12 <= score <= num_classes * (1 + 1e-12)
    shifts = torch.randn(200, 1, generator=generator, dtype=torch.float64)
    assert inception_style_score(logits + shifts)[0] == pytest.approx(score, rel=1e-9)
    order = torch.randperm(200, generator=generator)
    assert inception_style_score(logits[order])[0] == pytest.approx(score, rel=1e-9)


def test_splits_that_do_not_divide_keep_every_image() -> None:
    classes = torch.tensor([0, 1, 2, 0, 1, 2, 3])  # [0 1 2] and [0 1 2 3]
    mean, deviation = inception_style_score(one_hot(classes, 1e6), 2)
    assert mean == pytest.approx(3.5)
    assert deviation == pytest.approx(0.5)


@pytest.mark.parametrize("splits", [0, -1, 8])
def test_impossible_splits_are_refused(splits: int) -> None:
    with pytest.raises(InvalidInput, match="7 images"):
        inception_style_score(torch.zeros(7, 10), splits)


def whole(logits: Tensor, splits: int) -> list[float]:
    """Score each split from all of its logits, as the definition says, in log space."""
    edges = [i * len(logits) // splits for i in range(splits + 1)]
    scores = []
    for a, b in pairwise(edges):
        log_p = logits[a:b].double().log_softmax(1)
        log_q = log_p.logsumexp(0) - math.log(b - a)
        scores.append(float((log_p.exp() * (log_p - log_q)).sum(1).mean().exp()))
    return scores


@pytest.mark.parametrize("splits", [1, 7, 10, 1000])
@pytest.mark.parametrize("batch", [1, 64, 999, 1000])
def test_logits_that_come_in_parts_score_as_the_whole(splits: int, batch: int) -> None:
    score = InceptionScore(len(LOGITS), splits)
    for part in torch.split(LOGITS, batch):
        score.update(part)
    scores = torch.tensor(whole(LOGITS, splits), dtype=torch.float64)
    expected = (float(scores.mean()), float(scores.std(correction=0)))
    assert score.result() == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_a_thousand_classes_are_scored_in_constant_memory() -> None:
    score = InceptionScore(50_000, 10)
    score.update(torch.randn(2000, 1008, generator=torch.Generator("cpu").manual_seed(0)))
    kept = [x for x in vars(score).values() if isinstance(x, Tensor)]
    assert sum(x.numel() for x in kept) < 10 * 1008 + 50_000 + 100


def test_a_shuffle_is_a_permutation_of_its_seed() -> None:
    order = shuffled_order(1000, 0)
    assert torch.equal(order.sort().values, torch.arange(1000))
    assert torch.equal(order, shuffled_order(1000, 0))
    assert not torch.equal(order, shuffled_order(1000, 1))


@pytest.mark.parametrize(
    "order", [torch.arange(9), torch.zeros(10), torch.arange(1, 11), torch.arange(-1, 9)]
)
def test_an_order_that_is_no_permutation_is_refused(order: Tensor) -> None:
    with pytest.raises(InvalidInput, match=r"0 \.\.\. 9 once"):
        inception_style_score(torch.zeros(10, 4), 2, order)


def test_more_or_fewer_logits_than_announced_are_refused() -> None:
    score = InceptionScore(10)
    score.update(torch.zeros(9, 4))
    with pytest.raises(InvalidInput, match="9 images came, not of the 10"):
        score.result()
    with pytest.raises(InvalidInput, match="more logits came than the 10"):
        score.update(torch.zeros(2, 4))
