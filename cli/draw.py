"""`gan-nas draw`: a genome as a picture; answers without torch."""

from pathlib import Path
from typing import Annotated

import typer

from gan_nas.cli import options
from gan_nas.cli.inputs import resized, size_of_images
from gan_nas.cli.printing import show, show_json
from gan_nas.errors import InvalidInput, nearest
from gan_nas.spaces.picture import ROLES, save_architecture
from gan_nas.spaces.published import load_genome


def draw(
    reference: options.GenomeReference,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="SVG", help="Else named after the genome, here."),
    ] = None,
    only: Annotated[
        str | None, typer.Option(metavar="NETWORK", help=f"{options.one_of(ROLES)}; else both.")
    ] = None,
    resolution: options.OptionalResolution = None,
    channels: options.OptionalChannels = None,
    width: options.Width = None,
    as_json: options.Json = False,
) -> None:
    """Draw a genome's cells as graphs, as SVG: operations on the edges, what size each map has.

    The size of the images is that of the genome's run, if it has one, else 32x32 in colour.

    Example: gan-nas draw autogan-cifar10-top1 -o cell.svg
    """
    genome = resized(load_genome(reference), width)
    (resolution, channels), _ = size_of_images(resolution, channels, reference)
    target = output or Path(f"{genome.title}.svg")
    if target.suffix.lower() != ".svg":
        raise InvalidInput(f"{target} does not end in .svg, the only kind of drawing written here")
    roles = [role for role in ROLES if only in (None, role)]
    if not roles:
        hint = nearest(str(only), list(ROLES)) or f"; allowed are {options.one_of(ROLES)}"
        raise InvalidInput(f"unknown network {only!r}{hint}")
    save_architecture(genome, target, resolution, channels, roles)
    if as_json:
        show_json({"file": str(target), "genome_id": genome.genome_id, "networks": roles})
    else:
        show(str(target))
