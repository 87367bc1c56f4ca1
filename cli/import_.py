"""`gan-nas import`: the weights that the authors of a genome published."""

from pathlib import Path
from typing import Annotated

import typer

from gan_nas.cli import options
from gan_nas.cli.printing import remark, show, show_json, suggest
from gan_nas.errors import InvalidInput
from gan_nas.spaces.published import load_genome


def import_checkpoint(
    checkpoint: Annotated[
        Path,
        typer.Argument(
            metavar="CKPT",
            help="A .pth file of the authors of AutoGAN or "
            "AdversarialNAS, or one that their code wrote.",
        ),
    ],
    reference: Annotated[
        str,
        typer.Option(
            "--genome",
            metavar="GENOME",
            help=f"{options.GENOME_IN_WORDS}: the "
            "architecture that the checkpoint was trained with.",
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="A new generator file.")
    ] = Path("generator.safetensors"),
    as_json: options.Json = False,
) -> None:
    """Take over a checkpoint of AutoGAN's or AdversarialNAS' authors as a generator file.

    Weights get other names and nothing is computed, so that anyone who has such a file can check
    the scores its paper reports. The moving average is taken where there is one, from a derived
    network or a supernet; of the latter what the genome uses. Sizes are the checkpoint's. It cannot
    tell nearest from bilinear, identity from none, or before from after activation: the genome
    must be the right one. Nothing in the file is run.

    Example: gan-nas import checkpoint_best.pth --genome adversarialnas-cifar10
    """
    if output.suffix != ".safetensors":
        raise InvalidInput(
            f"a generator cannot be written to {output}: name a file that ends in .safetensors"
        )
    genome = load_genome(reference)

    from gan_nas.networks.published import import_checkpoint as write

    about = write(checkpoint, genome, output)
    if as_json:
        show_json(
            {
                "file": str(output),
                "genome_id": about.genome.genome_id,
                "resolution": about.resolution,
                "image_channels": about.image_channels,
                "sha256": about.sha256,
                **{key: about.lineage[key] for key in ("layout", "state", "checkpoint_sha256")},
            }
        )
        return
    generator = about.genome.generator
    remark(
        f"{about.lineage['state'] or 'a state dict'} of the layout {about.lineage['layout']}: "
        f"{about.genome.title}, width {generator.width}, latents {generator.latents}, images of "
        f"{about.image_channels}x{about.resolution}x{about.resolution}",
        style="dim",
    )
    show(str(output))
    data = {32: "cifar10", 48: "stl10"}.get(about.resolution, "DATA")
    judged = ("--data", data, "--protocol", "autogan", "--backbone", "inception")
    suggest(look=("sample", output), check=("score", output, *judged))
