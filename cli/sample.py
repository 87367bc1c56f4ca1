"""`gan-nas sample`: look at what a generator makes."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gan_nas.cli import options
from gan_nas.cli.inputs import compute_on
from gan_nas.cli.printing import show, show_json
from gan_nas.cli.signals import stopping
from gan_nas.errors import InvalidInput
from gan_nas.formats.left import generator_file

if TYPE_CHECKING:
    from torch import Tensor

    from gan_nas.networks.weights import Generator

NUM, MOST_IN_A_PICTURE = 64, 4096


def sample(
    path: options.GeneratorPath,
    num: Annotated[
        int | None, typer.Option("-n", metavar="N", min=1, max=10**7, help=f"Images [{NUM}].")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help="A .png for one picture of all, an .npz for an array, a new folder for single "
            "images; else a picture beside the generator.",
        ),
    ] = None,
    columns: Annotated[int, typer.Option(metavar="N", min=1, max=256, help="Images in a row.")] = 8,
    seed: options.Seed = None,
    seeds: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help="An image of each seed in place of -n of one, such as 0-999 or 3,7,11-20.",
        ),
    ] = None,
    interpolate: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=2, max=256, help="N images from each of --seeds to the next, in a row."
        ),
    ] = None,
    truncation: Annotated[
        float | None,
        typer.Option(
            metavar="T",
            min=0.01,
            max=10,
            help="Latents within [-T, T]: better images, less variety.",
        ),
    ] = None,
    device: options.Device = "auto",
    threads: options.Threads = None,
    as_json: options.Json = False,
) -> None:
    """Draw images from a generator: one picture, single images or an array.

    The same seed gives the same latents on every device, and fewer images are the first of more.
    The image of a seed is the first of --seed, whatever others are asked for; its bytes may differ
    by one where the others change how many are computed at once.

    Examples: gan-nas sample generator.safetensors --seeds 0-999 -o images;
    gan-nas sample generator.safetensors --seeds 3,7 --interpolate 8 -o strip.png
    """
    path = generator_file(path)
    beside = path.with_name(f"{path.name}.png") if path.is_dir() else path.with_suffix(".png")
    target = output or beside
    kind = _kind(target)
    if seeds is not None and (num is not None or seed is not None):
        raise InvalidInput("--seeds names the seed of each image: leave out -n and --seed")
    if interpolate is not None and (seeds is None):
        raise InvalidInput("--interpolate goes from seed to seed: name two or more by --seeds")

    from gan_nas.data.writing import CHANNELS, refuse_others, save_images, save_npz
    from gan_nas.networks.weights import load_generator
    from gan_nas.scoring.generating import images_of
    from gan_nas.scoring.latents import parse_seeds

    each = None if seeds is None else parse_seeds(seeds)
    if interpolate is not None and each is not None and len(each) < 2:
        raise InvalidInput(f"--interpolate needs two seeds or more, and --seeds names {seeds}")
    count = NUM if num is None else num
    if each is not None:
        count = len(each) if interpolate is None else (len(each) - 1) * interpolate
    names: list[str] = []
    if kind == "folder":
        names = _names(count, each if interpolate is None else None)
        refuse_others(target, names)
    on = compute_on(device, threads)
    generator = load_generator(path, on)
    channels = generator.about.image_channels
    if kind != ".npz" and channels not in CHANNELS:
        raise InvalidInput(f"images of {channels} channels are no pictures: write an .npz by -o")
    if kind == ".png" and count > MOST_IN_A_PICTURE:
        raise InvalidInput(
            f"{count:,} images are too many for one picture, which holds {MOST_IN_A_PICTURE:,}: "
            "name an .npz or a folder by -o"
        )
    latents = _latents(generator, count, seed or 0, each, interpolate, truncation)
    with stopping() as stop:
        images = images_of(generator, latents, on, stop)
        if kind == ".npz":
            save_npz(images, target, count)
        elif kind == "folder":
            save_images(images, target, names)
        else:
            _save_picture(images, target, interpolate or columns)
    if as_json:
        drawn = {"seed": seed or 0} if seeds is None else {"seeds": seeds}
        show_json({"file": str(target), "num": count, **drawn})
    else:
        show(str(target))


def _kind(target: Path) -> str:
    """Tell .png, .npz or a folder, by the name."""
    suffix = target.suffix.lower()
    if target.is_dir() or not suffix:
        return "folder"
    if suffix not in (".png", ".npz"):
        raise InvalidInput(
            f"{target} ends in {suffix}: name a .png for one picture, an .npz for an array, or a "
            "folder, without a dot, for single images"
        )
    return suffix


def _latents(
    generator: "Generator",
    num: int,
    seed: int,
    seeds: Sequence[int] | None,
    interpolate: int | None,
    truncation: float | None,
) -> "Iterable[Tensor]":
    from gan_nas.scoring.latents import (
        interpolated,
        latents_of_seed,
        latents_of_seeds,
        truncated,
    )

    if seeds is None:
        latents = latents_of_seed(seed, num, generator.latent_dim)
    elif interpolate is None:
        latents = latents_of_seeds(seeds, generator.latent_dim)
    else:
        latents = interpolated(seeds, interpolate, generator.latent_dim)
    return latents if truncation is None else (truncated(z, truncation) for z in latents)


def _names(num: int, seeds: Sequence[int] | None) -> list[str]:
    """Name images by their seeds or numbers, of so many digits that they sort in order."""
    numbers = range(num) if seeds is None else seeds
    digits = max(4, len(str(max(numbers))))
    return [f"{'' if seeds is None else 'seed'}{number:0{digits}}" for number in numbers]


def _save_picture(images: "Iterable[Tensor]", target: Path, columns: int) -> None:
    import torch

    from gan_nas.runs.plots import save_grid

    save_grid(torch.cat(list(images)), target, columns)
