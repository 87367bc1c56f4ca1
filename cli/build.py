"""`gan-nas build`: compile a genome and show what comes out."""

from pathlib import Path
from typing import Annotated

import typer

from gan_nas.cli import options
from gan_nas.cli.inputs import resized, size_of_images
from gan_nas.cli.printing import big, mebibytes, remark, show, show_json, table
from gan_nas.spaces.genome import Genome
from gan_nas.spaces.published import load_genome


def build(
    reference: options.GenomeReference,
    resolution: options.OptionalResolution = None,
    channels: options.OptionalChannels = None,
    width: options.Width = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write a freshly drawn generator."),
    ] = None,
    seed: options.Seed = None,
    as_json: options.Json = False,
) -> None:
    """Compile a genome: layers, shapes, parameters, multiply-adds, memory.

    Nothing is allocated, unless -o asks for a generator.safetensors with fresh weights. The size of
    the images is that of the genome's run, if it has one, else 32x32 in colour.
    """
    genome = resized(load_genome(reference), width)
    (resolution, channels), _ = size_of_images(resolution, channels, reference)

    from gan_nas.networks.parts import layers_of
    from gan_nas.training.untrained import save_untrained

    costs = costs_of(genome, resolution, channels)
    layers = layers_of(genome, resolution, channels)
    if output is not None:
        save_untrained(output, genome, resolution, channels, seed or 0)
    if as_json:
        show_json(
            {
                "genome_id": genome.genome_id,
                "generator_id": genome.generator_id,
                "name": genome.name,
                "resolution": resolution,
                "image_channels": channels,
                "generator": {"id": genome.generator_id, **costs["generator"]},
                "discriminator": costs["discriminator"],
                "layers": [layer._asdict() for layer in layers],
                **({"file": str(output)} if output else {}),
            }
        )
        return
    for network, cost in costs.items():
        title = f"{network} of {genome.title}, {channels}x{resolution}x{resolution}"
        numbers = ("parameters", "MACs")
        rows = table("layer", "module", "output", *numbers, numbers=numbers, title=title)
        for layer in layers:
            if layer.network == network:
                shape = "x".join(map(str, layer.output))
                rows.add_row(
                    layer.name, layer.module, shape, f"{layer.parameters:,}", big(layer.macs)
                )
        rows.add_section()
        rows.add_row("all", "", "", f"{cost['parameters']:,}", big(cost["macs"]), style="bold")
        show(rows)
        show(
            f"  run as {big(cost['macs_run'])} MACs; training keeps "
            f"{mebibytes(cost['activation_bytes'])} of activations for an image",
            "",
        )
    show(f"genome {genome.genome_id}, generator {genome.generator_id}")
    if output is not None:
        remark(f"Wrote {output}.")


def costs_of(genome: Genome, resolution: int, channels: int) -> dict[str, dict[str, int]]:
    """Count both networks: parameters, macs, macs_run, activation_bytes."""
    from gan_nas.networks.cost import genome_cost

    costs = genome_cost(genome, resolution, channels)
    return {name: cost._asdict() for name, cost in costs._asdict().items()}
