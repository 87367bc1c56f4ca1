"""Time our search steps against plain ones: python tests/bench_against_plain.py --precision bf16.

autogan: level 2 of the search at the paper's widths and batches, architectures drawn uniformly, the
same for both sides. A round is five discriminator steps and a generator step of each side, in turn;
reported is the time of a discriminator iteration with its fifth of a generator step.
adversarialnas: an iteration of the search at the published widths 160 and 80, soft Gumbel noise,
with its fifth of the generator's two updates; the published batches of 120 are scaled down by
`--images`. Each side has a process of its own, since ours changes how memory is allocated. The
plain side is always float32. `--memory` counts what is kept for the backward pass instead.
degas: an iteration of the search at the published width 128, a step on weights and latents and one
on alpha; also printed are images per second and the hours of the paper's 39,050 iterations.
`--profile` lists where our iteration's CPU time goes instead.
"""

import argparse
import random
import time
from collections.abc import Callable, Iterator
from itertools import count
from multiprocessing import get_context
from multiprocessing.connection import Connection
from statistics import median
from typing import NamedTuple

import torch
from plain_adversarialnas import PlainSearch, PlainSuperD, PlainSuperG
from plain_autogan import PlainGAN
from plain_degas import PlainGLO

from gan_nas.machine.allocator import keep_freed_memory
from gan_nas.networks.builder import build_discriminator, build_supernet, choose_cells
from gan_nas.search.adversarialnas import config as adversarialnas_config
from gan_nas.search.adversarialnas.super_gan import SuperGAN
from gan_nas.search.degas import config as degas_config
from gan_nas.search.degas.genomes import new_alpha, supernet
from gan_nas.search.degas.glo import GLO
from gan_nas.spaces import autogan as spaces
from gan_nas.spaces.sn_resnet import SNResNetDiscriminator
from gan_nas.training.gan import GAN, fresh

NUM_CRITIC = 5
REAL, FAKES = 64, 128
WIDTH, DISCRIMINATOR_WIDTH = 128, 64
RESOLUTION, LATENT_DIM = 32, 128
SUPER_WIDTH, SUPER_DISCRIMINATOR_WIDTH = 160, 80
TAU = 5.0
CPU = torch.device("cpu")


class Seconds(NamedTuple):
    """Time of an iteration of the search: on the clock, and of all threads together.

    The second one is fair on a machine with other work to do.
    """

    wall: float
    cpu: float


Round = Callable[[], None]


def main() -> None:
    """Run both sides in turn and print times and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--method", choices=tuple(ROUNDS), default="autogan")
    parser.add_argument("--precision", choices=("float32", "bf16"), default="float32")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--images", type=int, help="a batch: adversarialnas 8, degas 64")
    parser.add_argument("--profile", action="store_true", help="degas: where the time goes")
    parser.add_argument("--memory", action="store_true", help="adversarialnas: count bytes kept")
    parser.add_argument(
        "--keep-freed-memory", action=argparse.BooleanOptionalAction, default=True, help="ours only"
    )
    options = parser.parse_args()
    options.images = options.images or {"degas": 64}.get(options.method, 8)
    if options.profile:
        show_profile(options)
        return
    if options.memory:
        show_memory(options.images)
        return
    plain, ours = (start(side, options) for side in ("plain", "ours"))
    rounds: list[tuple[Seconds, Seconds]] = []
    for number in range(options.rounds + 1):
        pair = seconds_of(plain), seconds_of(ours)
        if number:  # the first round warms up
            rounds.append(pair)
    for side in (plain, ours):
        side.send(False)
    print(f"{options.method}, ours in {options.precision}, {options.threads} threads")
    for clock in Seconds._fields:
        times = [(getattr(p, clock), getattr(o, clock)) for p, o in rounds]
        ratios = sorted(p / o for p, o in times)
        print(
            f"{clock:>4} seconds per {ITERATION[options.method]}: "
            f"{median(p for p, _ in times):.3f} / {median(o for _, o in times):.3f}, "
            f"ratio {median(ratios):.2f} (rounds {ratios[0]:.2f} to {ratios[-1]:.2f})"
        )
        if options.method == "degas":
            for name, spent in zip(("plain", "ours"), zip(*times, strict=True), strict=True):
                show_paper(name, median(spent), options.images)


def start(side: str, options: argparse.Namespace) -> Connection:
    """Start a side's process and return the pipe to it."""
    context = get_context("spawn")
    here, there = context.Pipe()
    context.Process(target=work, args=(there, side, options), daemon=True).start()
    return here


def seconds_of(side: Connection) -> Seconds:
    """Let a side run a round."""
    side.send(True)
    seconds: Seconds = side.recv()
    return seconds


def work(pipe: Connection, side: str, options: argparse.Namespace) -> None:
    """Run rounds as long as the pipe asks for them."""
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    if side == "ours" and options.keep_freed_memory:
        keep_freed_memory()
    plain, ours = ROUNDS[options.method]
    num_iterations = 1 if options.method == "degas" else NUM_CRITIC
    run = plain(options) if side == "plain" else ours(options)
    while pipe.recv():
        wall, cpu = time.perf_counter(), time.process_time()
        run()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        pipe.send(Seconds(wall / num_iterations, cpu / num_iterations))


def architectures() -> Iterator[list[spaces.Tokens]]:
    """Yield each round's architectures of AutoGAN's space, the same for both sides."""
    draw = random.Random(0)
    sizes = [size for i in range(3) for size in spaces.token_sizes(i)]
    while True:
        yield [tuple(map(draw.randrange, sizes)) for _ in range(NUM_CRITIC)]


def plain_autogan(options: argparse.Namespace) -> Round:
    """Return a round of AutoGAN's plain step."""
    del options
    gan = PlainGAN(WIDTH, DISCRIMINATOR_WIDTH, seed=0)
    drawn = architectures()

    def run() -> None:
        chosen = next(drawn)
        for tokens in chosen:
            gan.discriminator_step(torch.rand(REAL, 3, RESOLUTION, RESOLUTION) * 2 - 1, tokens)
        gan.generator_step(FAKES, chosen[-1])

    return run


def our_autogan(options: argparse.Namespace) -> Round:
    """Return a round of the library's AutoGAN step."""
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
        precision=options.precision,
    )
    drawn = architectures()

    def run() -> None:
        for tokens in next(drawn):
            choose_cells(generator, spaces.decode(tokens, WIDTH, LATENT_DIM))
            images = torch.rand(REAL, 3, RESOLUTION, RESOLUTION) * 2 - 1
            gan.discriminator_step(images, torch.randn(REAL, LATENT_DIM))
        gan.generator_step(torch.randn(FAKES, LATENT_DIM))

    return run


def plain_adversarialnas(options: argparse.Namespace) -> Round:
    """Return a round of AdversarialNAS' plain iterations: five, the generator's in one of them."""
    search = PlainSearch(SUPER_WIDTH, SUPER_DISCRIMINATOR_WIDTH, NUM_CRITIC)

    def run() -> None:
        for _ in range(NUM_CRITIC):
            real = torch.rand(options.images, 3, RESOLUTION, RESOLUTION) * 2 - 1
            search.iteration(real, options.images, TAU)

    return run


def our_adversarialnas(options: argparse.Namespace) -> Round:
    """Return a round of the library's AdversarialNAS iterations."""
    config = adversarialnas_config.Config(precision=options.precision)
    gan = SuperGAN(config, RESOLUTION, 3, CPU)
    half = options.images // 2

    def run() -> None:
        for step in range(NUM_CRITIC):
            gan.start(step)
            real = torch.rand(options.images, 3, RESOLUTION, RESOLUTION) * 2 - 1
            gan.beta_step(real[half:], torch.randn(half, config.latent_dim))
            float(gan.discriminator_step(real[:half], torch.randn(half, config.latent_dim)))
            if step == 0:
                gan.alpha_step(torch.randn(options.images, config.latent_dim))
                float(gan.generator_step(torch.randn(options.images, config.latent_dim)))

    return run


def noise(num: int) -> torch.Tensor:
    """Return images of noise."""
    return torch.randint(256, (num, 3, RESOLUTION, RESOLUTION), dtype=torch.uint8)


def plain_degas(options: argparse.Namespace) -> Round:
    """Return a plain iteration of DEGAS."""
    glo = PlainGLO(degas_config.Config().width, noise(8 * options.images))
    return lambda: glo.iteration(options.images)


def our_degas(options: argparse.Namespace) -> Round:
    """Return the library's iteration of DEGAS."""
    config = degas_config.Config(precision=options.precision, batch_size=options.images)
    network = fresh(supernet(config, RESOLUTION, 3), 0, "generator", CPU, "default")
    glo = GLO(config, network, noise(8 * options.images), new_alpha(config, CPU))
    glo.latents.normal_()
    steps = count()

    def run() -> None:
        step = next(steps)
        float(glo.step(step))
        float(glo.alpha_step(step))

    return run


def show_paper(side: str, seconds: float, num_images: int) -> None:
    """Print what an iteration's time means for DEGAS' paper preset."""
    config = degas_config.Config()
    hours = seconds * config.batch_size / num_images * config.iterations / 3600
    print(
        f"     {side}: {1000 * seconds:.0f} ms, {num_images / seconds:.1f} images/s, "
        f"{hours:.0f} hours for the paper's preset (28 on a TITAN-X in the paper)"
    )


def show_profile(options: argparse.Namespace) -> None:
    """Print the twelve operators with most CPU time of their own in our iteration of DEGAS."""
    from torch.profiler import ProfilerActivity, profile

    torch.set_num_threads(options.threads)
    run = our_degas(options)
    run()
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        run()
    table = profiler.key_averages().table(sort_by="self_cpu_time_total", row_limit=12)
    print(f"degas, {options.images} images, {options.precision}, {options.threads} threads")
    print(table)


def show_memory(num_images: int) -> None:
    """Print the MiB per image that the supernets keep for the backward pass, weights aside."""
    gan = SuperGAN(adversarialnas_config.Config(), RESOLUTION, 3, CPU)
    gan.start(0)
    z = torch.randn(num_images, gan.config.latent_dim)
    images = torch.rand(num_images, 3, RESOLUTION, RESOLUTION) * 2 - 1
    plain_g, plain_d = PlainSuperG(SUPER_WIDTH), PlainSuperD(SUPER_DISCRIMINATOR_WIDTH)
    for network in (gan.generator, gan.discriminator):
        network.requires_grad_(True)  # weights and logits, as in no step of ours
    for name, run, plain in (
        ("generator", lambda: gan.generator(z), lambda: plain_g(z, TAU)),
        ("discriminator", lambda: gan.discriminator(images), lambda: plain_d(images, TAU)),
    ):
        ours, theirs = (kept_bytes(f) / num_images / 2**20 for f in (run, plain))
        print(f"{name}: {theirs:.1f} / {ours:.1f} MiB an image, ratio {theirs / ours:.1f}")


def kept_bytes(run: Callable[[], torch.Tensor]) -> int:
    """Count the bytes of distinct tensors kept for the backward pass, parameters aside.

    What is made once for a batch, such as merged kernels and normalised weights, is counted.
    """
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if not (tensor.is_leaf and tensor.requires_grad):
            storage = tensor.untyped_storage()
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        out = run()
    del out
    return sum(kept.values())


ROUNDS = {
    "autogan": (plain_autogan, our_autogan),
    "adversarialnas": (plain_adversarialnas, our_adversarialnas),
    "degas": (plain_degas, our_degas),
}
ITERATION = {
    "autogan": "discriminator iteration",
    "adversarialnas": "discriminator iteration",
    "degas": "iteration",
}


if __name__ == "__main__":
    main()
