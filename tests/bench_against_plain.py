"""Time our search step against a plain one: python tests/bench_against_plain.py --precision bf16.

Stage 2 of AutoGAN's search at its own widths and batches, architectures drawn uniformly, the same
for both sides. A round is five discriminator steps and a generator step of each side, in turn;
reported is the time of a discriminator iteration with its fifth of a generator step. Each side has
a process of its own, since ours changes how memory is allocated. The plain side is always float32.
"""

import argparse
import random
import time
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection
from statistics import median
from typing import NamedTuple

import torch
from plain_autogan import PlainGAN

from gan_nas.allocator import keep_freed_memory
from gan_nas.builder import build_discriminator, build_supernet, choose_cells
from gan_nas.gan import GAN, Precision, fresh
from gan_nas.spaces import autogan as spaces
from gan_nas.spaces.sn_resnet import SNResNetDiscriminator

NUM_CRITIC = 5
REAL, FAKES = 64, 128
WIDTH, DISCRIMINATOR_WIDTH = 128, 64
RESOLUTION, LATENT_DIM = 32, 128
CPU = torch.device("cpu")


class Seconds(NamedTuple):
    """Time of a discriminator iteration: on the clock, and of all threads together.

    The second one is fair on a machine with other work to do.
    """

    wall: float
    cpu: float


Round = Callable[[Sequence[spaces.Tokens], torch.Tensor], None]


def main() -> None:
    """Run both sides in turn and print times and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--precision", choices=("float32", "bf16"), default="float32")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument(
        "--keep-freed-memory", action=argparse.BooleanOptionalAction, default=True, help="ours only"
    )
    options = parser.parse_args()
    plain = start("plain", options.threads, options.precision, keep=False)
    ours = start("ours", options.threads, options.precision, keep=options.keep_freed_memory)
    draw = random.Random(0)
    sizes = [size for i in range(3) for size in spaces.token_sizes(i)]
    rounds: list[tuple[Seconds, Seconds]] = []
    for number in range(options.rounds + 1):
        architectures = [tuple(map(draw.randrange, sizes)) for _ in range(NUM_CRITIC)]
        pair = seconds_of(plain, architectures), seconds_of(ours, architectures)
        if number:  # the first round warms up
            rounds.append(pair)
    for side in (plain, ours):
        side.send(None)
    print(f"ours in {options.precision} against plain, {options.threads} threads")
    for clock in Seconds._fields:
        times = [(getattr(p, clock), getattr(o, clock)) for p, o in rounds]
        ratios = sorted(p / o for p, o in times)
        print(
            f"{clock:>4} seconds per discriminator iteration: "
            f"{median(p for p, _ in times):.3f} / {median(o for _, o in times):.3f}, "
            f"ratio {median(ratios):.2f} (rounds {ratios[0]:.2f} to {ratios[-1]:.2f})"
        )


def start(side: str, threads: int, precision: Precision, keep: bool) -> Connection:
    """Start a side's process and return the pipe to it."""
    context = get_context("spawn")
    here, there = context.Pipe()
    arguments = (there, side, threads, precision, keep)
    context.Process(target=work, args=arguments, daemon=True).start()
    return here


def seconds_of(side: Connection, architectures: Sequence[spaces.Tokens]) -> Seconds:
    """Let a side run a round."""
    side.send(architectures)
    seconds: Seconds = side.recv()
    return seconds


def work(pipe: Connection, side: str, threads: int, precision: Precision, keep: bool) -> None:
    """Run the rounds that come through the pipe until None comes."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    if keep:
        keep_freed_memory()
    run = plain_round() if side == "plain" else our_round(precision)
    while architectures := pipe.recv():
        real = torch.rand(NUM_CRITIC, REAL, 3, RESOLUTION, RESOLUTION) * 2 - 1
        wall, cpu = time.perf_counter(), time.process_time()
        run(architectures, real)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        pipe.send(Seconds(wall / NUM_CRITIC, cpu / NUM_CRITIC))


def plain_round() -> Round:
    """Return a round of the plain step."""
    gan = PlainGAN(WIDTH, DISCRIMINATOR_WIDTH, seed=0)

    def run(architectures: Sequence[spaces.Tokens], real: torch.Tensor) -> None:
        for tokens, images in zip(architectures, real, strict=True):
            gan.discriminator_step(images, tokens)
        gan.generator_step(FAKES, architectures[-1])

    return run


def our_round(precision: Precision) -> Round:
    """Return a round of the library's step."""
    with torch.device("meta"):
        generator = build_supernet(spaces.decode([0] * 14, WIDTH, LATENT_DIM), RESOLUTION)
        discriminator = build_discriminator(
            SNResNetDiscriminator(space="sn_resnet", width=DISCRIMINATOR_WIDTH), RESOLUTION
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
            choose_cells(generator, spaces.decode(tokens, WIDTH, LATENT_DIM))
            gan.discriminator_step(images, torch.randn(REAL, LATENT_DIM))
        gan.generator_step(torch.randn(FAKES, LATENT_DIM))

    return run


if __name__ == "__main__":
    main()
