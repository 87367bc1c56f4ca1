"""What the parts of AdversarialNAS' generators cost: the ground for limits on derived ones."""

import torch
from torch import Tensor, nn

from gan_nas.networks.adversarialnas import edge_ops
from gan_nas.networks.builder import build_generator
from gan_nas.networks.cost import num_parameters, published_macs
from gan_nas.networks.layers import plain_conv
from gan_nas.networks.resolution import bottom_width
from gan_nas.networks.slots import Absent
from gan_nas.search.adversarialnas.derivation import CellPrices
from gan_nas.search.best import FREE, Price
from gan_nas.spaces.adversarialnas import AdversarialNASGenerator, UpCell, candidates


def generator_prices(
    sizes: AdversarialNASGenerator, resolution: int, image_channels: int
) -> CellPrices:
    """Count every operation, skip and stem of generators of these sizes, on the meta device."""
    width = sizes.width
    with torch.device("meta"):
        network = build_generator(sizes, resolution, image_channels)
        ops, skips = [], []
        for index in range(len(sizes.cells)):
            side = bottom_width(resolution, len(sizes.cells)) << index
            low, high = torch.empty(1, width, side, side), torch.empty(1, width, 2 * side, 2 * side)
            ops.append(
                {
                    edge: [
                        _price(make(), low if edge.startswith("0") else high)
                        for make in edge_ops(names, plain_conv, width, width).values()
                    ]
                    for edge, names in candidates(UpCell).items()
                }
            )
            skip = _price(nn.Conv2d(width, width, 1), high)
            skips.append(Price(index * skip.parameters, index * skip.macs))
        rest = [*network.get_submodule("stems").children(), network.get_submodule("to_rgb")]
        part = torch.empty(1, sizes.latent_dim // sizes.num_latent_parts)
        image = torch.empty(1, width, resolution, resolution)
        inputs = [part] * (len(rest) - 1) + [image]
        base = [_price(module, x) for module, x in zip(rest, inputs, strict=True)]
    return CellPrices(ops, skips, Price(*(sum(numbers) for numbers in zip(*base, strict=True))))


def _price(module: nn.Module, x: Tensor) -> Price:
    if isinstance(module, Absent):
        return FREE
    return Price(num_parameters(module), published_macs(module, x))
