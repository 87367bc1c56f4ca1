"""Gradients of parts of a batch that add up to its own."""

import pytest
import torch
from tiny import CPU, TRAINING
from torch import nn

from gan_nas.configs import resolve
from gan_nas.errors import InvalidInput
from gan_nas.spaces.frameworks import FRAMEWORKS, suited
from gan_nas.spaces.published import published_genome
from gan_nas.streams import stream
from gan_nas.training.config import TrainingConfig
from gan_nas.training.gan import GAN
from gan_nas.training.plan import new_gan

PLAIN = published_genome("autogan-cifar10-top1").resized(4, 4)
NUM, SIDE = 6, 8


def made(framework: str, micro_batch: int | None) -> GAN:
    options = TRAINING | {"framework": framework, "micro_batch": micro_batch}
    # So slow that Adam, which makes whole steps of a rounding, moves nothing.
    options |= {"generator_lr": 1e-9, "discriminator_lr": 1e-9}
    config = resolve(TrainingConfig, options | {"batch_size": NUM, "generator_batch_size": NUM})
    genome = suited(PLAIN, config.framework)
    gan = new_gan(genome, config, SIDE, 1, CPU)
    for module in gan.generator.modules():
        if isinstance(module, nn.BatchNorm2d):  # statistics of a part are not those of the whole
            module.eval()
    return gan


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("size", [pytest.param(1, marks=pytest.mark.slow), 4])
def test_steps_in_parts_equal_whole_ones_up_to_rounding_or_are_refused(
    framework: str, size: int
) -> None:
    if framework in ("mmd", "rahinge"):
        with pytest.raises(InvalidInput, match="compares all images of a batch"):
            made(framework, size)
        return
    real = torch.rand(NUM, 1, SIDE, SIDE, generator=stream(0, "real")) * 2 - 1
    whole, parts = made(framework, None), made(framework, size)
    z = torch.randn(NUM, PLAIN.generator.latent_dim, generator=stream(0, "z"))
    beside = real if whole.objective.reals == "own" else None
    for gan in (whole, parts):
        gan.losses = (  # type: ignore[attr-defined]
            gan.discriminator_step(real, z, stream(0, "noise")),
            gan.generator_step(z, stream(1, "noise"), beside),
        )
    if framework == "ctgan":  # parts draw other masks of its dropout
        return
    torch.testing.assert_close(parts.losses, whole.losses)  # type: ignore[attr-defined]
    for of_parts, of_whole in (
        (parts.discriminator, whole.discriminator),
        (parts.generator, whole.generator),
    ):
        for (name, mine), theirs in zip(
            of_parts.named_parameters(), of_whole.parameters(), strict=True
        ):
            assert (mine.grad is None) == (theirs.grad is None)
            if mine.grad is not None and theirs.grad is not None:
                torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-4, atol=1e-5, msg=name)
        for name, buffer in of_parts.named_buffers():
            torch.testing.assert_close(buffer, of_whole.get_buffer(name))
