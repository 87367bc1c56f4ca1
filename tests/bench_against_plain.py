"""Time our search step against a plain one: python tests/bench_against_plain.py --precision bf16.

Stage 2 of AutoGAN's search at its own widths and batches, architectures drawn uniformly, the same
for both sides. A round is five discriminator steps and a generator step of each side, in turn;
reported is the time of a discriminator iteration with its fifth of a generator step. The plain
side is always float32.
"""

import argparse
import random
import time
from collections.abc import Callable, Sequence
from statistics import median

import torch
from plain_autogan import PlainGAN

from gan_nas import spaces
from gan_nas.builder import build_discriminator, build_supernet, choose_cells
from gan_nas.gan import GAN, fresh
from gan_nas.genome import SNResNetDiscriminator

NUM_CRITIC = 5
REAL, FAKES = 64, 128
WIDTH, DISCRIMINATOR_WIDTH = 128, 64
CPU = torch.device("cpu")

Round = Callable[[Sequence[spaces.Tokens], torch.Tensor], object]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--precision", choices=("float32", "bf16"), default="float32")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=8)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    sides = {"plain": plain_round(), "ours": our_round(options.precision)}
    draw = random.Random(0)
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    for number in range(options.rounds + 1):
        architectures = [
            [draw.randrange(n) for i in range(3) for n in spaces.token_sizes(i)]
            for _ in range(NUM_CRITIC)
        ]
        real = torch.rand(NUM_CRITIC, REAL, 3, 32, 32) * 2 - 1
        for side, run in sides.items():
            started = time.perf_counter()
            run(architectures, real)
            if number:  # the first round warms up
                seconds[side].append((time.perf_counter() - started) / NUM_CRITIC)
    for side, times in seconds.items():
        print(f"{side:>5}: {median(times):.3f} s per discriminator iteration")
    ratios = [a / b for a, b in zip(seconds["plain"], seconds["ours"], strict=True)]
    total = sum(seconds["plain"]) / sum(seconds["ours"])
    print(
        f"ours is {median(ratios):.2f} times as fast ({min(ratios):.2f} to {max(ratios):.2f}, "
        f"by total time {total:.2f}) in {options.precision} on {options.threads} threads"
    )


def plain_round() -> Round:
    gan = PlainGAN(WIDTH, DISCRIMINATOR_WIDTH, seed=0)

    def run(architectures: Sequence[spaces.Tokens], real: torch.Tensor) -> None:
        for tokens, images in zip(architectures, real, strict=True):
            gan.discriminator_step(images, tokens)
        gan.generator_step(FAKES, architectures[-1])

    return run


def our_round(precision: str) -> Round:
    genome = spaces.decode([0] * 14, WIDTH)
    with torch.device("meta"):
        generator = build_supernet(genome, 32)
        discriminator = build_discriminator(
            SNResNetDiscriminator(space="sn_resnet", width=DISCRIMINATOR_WIDTH), 32
        )
    gan = GAN(
        fresh(generator, 0, "generator", CPU),
        fresh(discriminator, 0, "discriminator", CPU),
        generator_lr=2e-4,
        discriminator_lr=2e-4,
        betas=(0.0, 0.9),
        ema_decay=0.0,
        ema_warm_start=False,
        precision=precision,
    )

    def run(architectures: Sequence[spaces.Tokens], real: torch.Tensor) -> None:
        for tokens, images in zip(architectures, real, strict=True):
            choose_cells(generator, spaces.decode(tokens, WIDTH))
            gan.discriminator_step(images, torch.randn(REAL, genome.latent_dim))
        gan.generator_step(torch.randn(FAKES, genome.latent_dim))

    return run


if __name__ == "__main__":
    main()
