"""Scores of several sets of latents, and of images as they are."""

from collections.abc import Iterable
from math import sqrt

import pytest
import torch
from tiny import backbone, digits
from torch import Tensor

from gan_nas.scoring.generating import to_uint8
from gan_nas.scoring.repeated import score_repeatedly
from gan_nas.scoring.scorer import Scorer

NUM = 60


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return Scorer(backbone(), digits(), 8, num_splits=2, num_reference=200)


def drawn(seed: int) -> Iterable[Tensor]:
    random = torch.Generator(device="cpu").manual_seed(seed)
    return [to_uint8(torch.randn(30, 1, 8, 8, generator=random, device="cpu")) for _ in range(2)]


def test_repeats_give_means_and_their_standard_errors(scorer: Scorer) -> None:
    asked: list[int] = []

    def images(seed: int) -> Iterable[Tensor]:
        asked.append(seed)
        return drawn(seed)

    judged = score_repeatedly(
        scorer, images, NUM, seed=5, repeats=4, protocol="default", name="mine"
    )
    assert asked == [5, 6, 7, 8]
    passes = [scorer.score(drawn(seed)) for seed in asked]
    assert judged.scores.keys() == judged.errors.keys() == passes[0].keys()
    for name, value in judged.scores.items():
        values = torch.tensor([one[name] for one in passes], dtype=torch.float64, device="cpu")
        assert value == pytest.approx(float(values.mean()), rel=1e-12)
        assert judged.errors[name] == pytest.approx(float(values.std()) / sqrt(4), rel=1e-9)
        assert judged.errors[name] > 0
    assert judged.real == scorer.real(NUM)
    assert judged.name == "mine"
    passport = judged.passport
    assert (passport.seed, passport.repeats, passport.num_fake) == (5, 4, NUM)
    assert (passport.protocol, passport.quantise) == ("default", "floor")


def test_one_pass_has_no_errors(scorer: Scorer) -> None:
    judged = score_repeatedly(scorer, drawn, NUM, seed=1)
    assert judged.errors == {}
    assert judged.scores == scorer.score(drawn(1))
    assert judged.passport == scorer.passport(NUM, 1)


def test_images_as_they_are_have_neither_seed_nor_quantising(scorer: Scorer) -> None:
    images = [digits().held_out[:NUM]]
    judged = score_repeatedly(scorer, lambda _: images, NUM, seed=None, quantise="none")
    assert judged.scores == scorer.score(images)
    assert (judged.passport.seed, judged.passport.quantise) == (None, "none")
    differences = judged.passport.differences(scorer.passport(NUM, 0))
    assert differences == {"quantise": ("none", "floor")}
