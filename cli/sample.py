"""`gan-nas sample`: look at what a generator makes."""

from pathlib import Path
from typing import Annotated

import typer

from gan_nas.cli import options
from gan_nas.cli.inputs import compute_on
from gan_nas.cli.printing import show, show_json
from gan_nas.errors import InvalidInput
from gan_nas.formats.left import generator_file


def sample(
    path: options.GeneratorPath,
    num: Annotated[int, typer.Option("-n", metavar="N", min=1, max=4096, help="Images.")] = 64,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="PNG", help="Else beside the generator."),
    ] = None,
    columns: Annotated[int, typer.Option(metavar="N", min=1, max=256, help="Images in a row.")] = 8,
    seed: options.Seed = None,
    device: options.Device = "auto",
    threads: options.Threads = None,
    as_json: options.Json = False,
) -> None:
    """Draw images from a generator and write them as one PNG.

    The same seed gives the same latents on every device, and fewer images are the first of more.
    """
    path = generator_file(path)
    target = output or path.with_suffix(".png")
    if target.suffix.lower() != ".png":
        raise InvalidInput(f"{target} does not end in .png, the only kind of image written here")

    import torch

    from gan_nas.networks.weights import load_generator
    from gan_nas.runs.plots import save_grid
    from gan_nas.scoring.generating import generate

    on = compute_on(device, threads)
    generator = load_generator(path, on)
    images = torch.cat(list(generate(generator, num, generator.latent_dim, seed or 0, on)))
    save_grid(images, target, columns)
    if as_json:
        show_json({"file": str(target), "num": num, "seed": seed or 0})
    else:
        show(str(target))
