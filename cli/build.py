"""`gan-nas build`: compile a genome and show what comes out."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from gan_nas.cli import options
from gan_nas.cli.inputs import resized
from gan_nas.cli.printing import big, mebibytes, remark, show, show_json, table
from gan_nas.spaces.genome import Genome
from gan_nas.spaces.published import load_genome

if TYPE_CHECKING:
    from torch import Tensor, nn


class Layer(NamedTuple):
    """A part of a network: its output for one image, and its cost."""

    network: str
    name: str
    module: str
    output: list[int]
    parameters: int
    macs: int


def build(
    reference: options.GenomeReference,
    resolution: options.Resolution = 32,
    channels: options.Channels = 3,
    width: options.Width = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write a freshly drawn generator."),
    ] = None,
    seed: options.Seed = None,
    as_json: options.Json = False,
) -> None:
    """Compile a genome: layers, shapes, parameters, multiply-adds, memory.

    Nothing is allocated, unless -o asks for a generator.safetensors with fresh weights.
    """
    genome = resized(load_genome(reference), width)
    costs = costs_of(genome, resolution, channels)
    layers = layers_of(genome, resolution, channels)
    if output is not None:
        _write_fresh(genome, resolution, channels, seed or 0, output)
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


def layers_of(genome: Genome, resolution: int, channels: int) -> list[Layer]:
    """List the parts of both networks with what they put out and cost, on the meta device."""
    import torch

    from gan_nas.networks.builder import build_discriminator, build_generator

    with torch.device("meta"):
        generator = build_generator(genome.generator, resolution, channels)
        discriminator = build_discriminator(genome.discriminator, resolution, channels)
        z = torch.empty(1, genome.generator.latent_dim)
        images = torch.empty(1, channels, resolution, resolution)
    return [
        *_layers("generator", generator, z),
        *_layers("discriminator", discriminator, images),
    ]


def _layers(name: str, network: "nn.Module", inputs: "Tensor") -> list[Layer]:
    """Watch the parts of a network while one image passes, in the papers' order of operations."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from gan_nas.networks.merged import published_order

    layers: list[Layer] = []
    before: list[int] = []

    def enter(module: "nn.Module", arguments: Any) -> None:
        before.append(counter.get_total_flops())

    def leave(part: str, module: "nn.Module", output: "Tensor | None") -> None:
        macs = (counter.get_total_flops() - before.pop()) // 2
        if output is not None:  # a branch that is not there
            parameters = sum(p.numel() for p in module.parameters())
            kind, shape = type(module).__name__, list(output.shape[1:])
            layers.append(Layer(name, part, kind, shape, parameters, macs))

    for part, module in _parts(network):
        module.register_forward_pre_hook(enter)
        module.register_forward_hook(
            lambda module, arguments, output, part=part: leave(part, module, output)
        )
    network.eval().requires_grad_(False)  # the counter would trip over views of weights
    with FlopCounterMode(display=False) as counter, torch.no_grad(), published_order(network):
        network(inputs)
    return layers


def _parts(network: "nn.Module", prefix: str = "") -> "Iterator[tuple[str, nn.Module]]":
    """Yield the children of a network; lists, and what contains lists, are opened."""
    from torch import nn

    for name, child in network.named_children():
        if any(isinstance(m, nn.ModuleList | nn.ModuleDict) for m in child.modules()):
            yield from _parts(child, f"{prefix}{name}.")
        else:
            yield prefix + name, child


def _write_fresh(genome: Genome, resolution: int, channels: int, seed: int, path: Path) -> None:
    """Write an untrained generator, drawn from the seed as a training would draw it."""
    import torch

    from gan_nas.networks.builder import build_generator
    from gan_nas.networks.states import module_state
    from gan_nas.networks.weights import save_generator
    from gan_nas.training.gan import fresh

    with torch.device("meta"):
        network = build_generator(genome.generator, resolution, channels)
    drawn = fresh(network, seed, "generator weights", torch.device("cpu"))
    lineage = {"method": "build", "steps": 0, "seed": seed}
    save_generator(path, module_state(drawn), genome, resolution, channels, lineage)
