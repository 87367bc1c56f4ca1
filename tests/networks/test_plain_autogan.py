"""The plain side of the benchmark does the published implementation's work, not less."""

import random

import torch
from plain_autogan import PlainDiscriminator, PlainGAN, PlainGenerator

from gan_nas.networks.cost import num_parameters
from gan_nas.spaces.autogan import NUM_CELLS, token_sizes


def test_the_plain_networks_have_the_published_sizes() -> None:
    """With the weights that no architecture reaches."""
    with torch.device("meta"):
        assert num_parameters(PlainGenerator(128, 4)) == 3_716_995
        assert num_parameters(PlainDiscriminator(64)) == 264_768


def test_the_plain_steps_train_with_any_architecture() -> None:
    gan = PlainGAN(4, 4, seed=0)
    draw = random.Random(0)
    real = torch.zeros(2, 3, 32, 32, device="cpu")
    for _ in range(10):
        tokens = [draw.randrange(n) for i in range(NUM_CELLS) for n in token_sizes(i)]
        before = [p.detach().clone() for p in gan.generator.to_rgb.parameters()]
        assert abs(gan.discriminator_step(real, tokens)) < 1e6
        assert abs(gan.generator_step(2, tokens)) < 1e6
        after = gan.generator.to_rgb.parameters()
        assert not all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
