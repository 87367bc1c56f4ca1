"""The parts of a genome's networks: what each puts out for one image, and what it costs."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from gan_nas.networks.builder import build_discriminator, build_generator
from gan_nas.networks.merged import published_order
from gan_nas.spaces.genome import Genome


class Layer(NamedTuple):
    """A part of a network: its output for one image, and its cost."""

    network: str
    name: str
    module: str
    output: list[int]
    parameters: int
    macs: int


def layers_of(genome: Genome, resolution: int, image_channels: int = 3) -> list[Layer]:
    """List the parts of both networks with what they put out and cost, on the meta device."""
    with torch.device("meta"):
        generator = build_generator(genome.generator, resolution, image_channels)
        discriminator = build_discriminator(genome.discriminator, resolution, image_channels)
        z = torch.empty(1, genome.generator.latent_dim)
        images = torch.empty(1, image_channels, resolution, resolution)
    return [
        *_layers("generator", generator, z),
        *_layers("discriminator", discriminator, images),
    ]


def _layers(name: str, network: nn.Module, inputs: Tensor) -> list[Layer]:
    """Watch the parts of a network while one image passes, in the papers' order of operations."""
    layers: list[Layer] = []
    before: list[int] = []

    def enter(module: nn.Module, arguments: Any) -> None:
        before.append(counter.get_total_flops())

    def leave(part: str, module: nn.Module, output: Tensor | None) -> None:
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


def _parts(network: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Yield the children of a network; lists, and what contains lists, are opened."""
    for name, child in network.named_children():
        if any(isinstance(m, nn.ModuleList | nn.ModuleDict) for m in child.modules()):
            yield from _parts(child, f"{prefix}{name}.")
        else:
            yield prefix + name, child
