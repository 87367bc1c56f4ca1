"""What a network costs, counted on the meta device by PyTorch's own counters: nothing is allocated.

Multiply-adds (MACs) are those of the operations as the papers write them, so that the numbers can
stand beside published ones; the cheaper orders of merged/ are counted apart, as `macs_run`.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from gan_nas.networks.builder import build_discriminator, build_generator
from gan_nas.networks.merged import published_order
from gan_nas.spaces.genome import Genome
from gan_nas.spaces.schema import DiscriminatorGenome, GeneratorGenome


class Cost(NamedTuple):
    """Parameters; per image: multiply-adds forward, and bytes kept for the backward pass.

    `macs_run` and `activation_bytes` are those of one more image in a batch: what is computed once
    for a batch, such as merged kernels, does not count.
    """

    parameters: int
    macs: int
    macs_run: int
    activation_bytes: int


class GanCost(NamedTuple):
    """The cost of both networks."""

    generator: Cost
    discriminator: Cost


def genome_cost(genome: Genome, resolution: int, image_channels: int = 3) -> GanCost:
    """Count both networks of a genome."""
    return GanCost(
        generator_cost(genome.generator, resolution, image_channels),
        discriminator_cost(genome.discriminator, resolution, image_channels),
    )


def generator_cost(genome: GeneratorGenome, resolution: int, image_channels: int = 3) -> Cost:
    """Count a generator at a resolution, in float32."""
    with torch.device("meta"):
        network = build_generator(genome, resolution, image_channels)
        return network_cost(network, torch.empty(1, genome.latent_dim))


def generator_price(
    genome: GeneratorGenome, resolution: int, image_channels: int = 3
) -> tuple[int, int]:
    """Count a generator's parameters and multiply-adds alone: what limits are set on."""
    with torch.device("meta"):
        network = build_generator(genome, resolution, image_channels)
        macs = published_macs(network, torch.empty(1, genome.latent_dim))
        return num_parameters(network), macs


def network_price(
    genome: GeneratorGenome | DiscriminatorGenome, resolution: int, image_channels: int = 3
) -> tuple[int, int]:
    """Count the parameters and multiply-adds of either network, as `generator_price` does."""
    if isinstance(genome, GeneratorGenome):
        return generator_price(genome, resolution, image_channels)
    with torch.device("meta"):
        network = build_discriminator(genome, resolution, image_channels)
        images = torch.empty(1, image_channels, resolution, resolution)
        return num_parameters(network), published_macs(network, images)


def genome_price(genome: Genome, resolution: int, image_channels: int = 3) -> tuple[int, int]:
    """Count a generator's parameters and multiply-adds; the discriminator is only built.

    Raises InvalidInput where one of both cannot be.
    """
    with torch.device("meta"):
        build_discriminator(genome.discriminator, resolution, image_channels)
    return generator_price(genome.generator, resolution, image_channels)


def discriminator_cost(
    genome: DiscriminatorGenome, resolution: int, image_channels: int = 3
) -> Cost:
    """Count a discriminator at a resolution, in float32."""
    with torch.device("meta"):
        network = build_discriminator(genome, resolution, image_channels)
        return network_cost(network, torch.empty(1, image_channels, resolution, resolution))


def network_cost(network: nn.Module, *inputs: Tensor) -> Cost:
    """Count a network on the meta device, called with `inputs` of a batch of one."""
    twice = [torch.cat([x, x]) for x in inputs]
    return Cost(
        parameters=num_parameters(network),
        macs=published_macs(network, *inputs),
        macs_run=_macs(lambda: network(*twice)) - _macs(lambda: network(*inputs)),
        activation_bytes=_saved_bytes(network, twice) - _saved_bytes(network, inputs),
    )


def num_parameters(network: nn.Module) -> int:
    """Count the weights that are trained."""
    return sum(p.numel() for p in network.parameters())


def published_macs(network: nn.Module, *inputs: Any) -> int:
    """Count the multiply-adds of a forward pass in the papers' order of operations."""
    network.eval()
    with published_order(network):
        return _macs(lambda: network(*inputs))


def _macs(run: Callable[[], Any]) -> int:
    with FlopCounterMode(display=False) as counter:
        run()
    return int(counter.get_total_flops()) // 2


def _saved_bytes(network: nn.Module, inputs: Sequence[Tensor]) -> int:
    """Sum the distinct tensors autograd keeps, weights aside."""
    own = {id(t) for t in (*network.parameters(), *network.buffers())}
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        if id(tensor) not in own:
            kept[id(tensor)] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        network(*inputs)
    return sum(t.numel() * t.element_size() for t in kept.values())
