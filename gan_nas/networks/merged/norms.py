"""Spectral norms of many convolutions, computed together."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_nas.networks.spectral import EPSILON, SpectralConv2d, without_autocast


def largest_singular_values(convs: Sequence[SpectralConv2d]) -> list[Tensor]:
    """Return sigma of each convolution's weight; one power iteration in train mode.

    Weights of equal shape go through it together: a few large products in place of many small.
    """
    groups: dict[torch.Size, list[int]] = {}
    for index, conv in enumerate(convs):
        groups.setdefault(conv.weight.shape, []).append(index)
    sigmas: dict[int, Tensor] = {}
    for members in groups.values():
        chosen = [convs[index] for index in members]
        with without_autocast(chosen[0].weight.device):
            matrices = torch.stack([conv.weight.flatten(1) for conv in chosen])  # (n, out, rest)
            u = torch.stack([conv.weight_u for conv in chosen]).unsqueeze(2)
            v = torch.stack([conv.weight_v for conv in chosen]).unsqueeze(2)
            if chosen[0].training:
                with torch.no_grad():
                    v = F.normalize(matrices.mT @ u, dim=1, eps=EPSILON)
                    u = F.normalize(matrices @ v, dim=1, eps=EPSILON)
                    for conv, new_u, new_v in zip(chosen, u, v, strict=True):
                        conv.weight_u.copy_(new_u[:, 0])
                        conv.weight_v.copy_(new_v[:, 0])
            found = (u * (matrices @ v)).sum((1, 2))
        sigmas.update(zip(members, found.unbind(), strict=True))
    return [sigmas[index] for index in range(len(convs))]
