"""What forward passes are computed in: float32, or bf16 where autocast allows it."""

from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch
from torch import Tensor, nn

from gan_nas.networks.simulation import HalfPrecision

Precision = Literal["float32", "bf16"]


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[object]:
    """Return the context of forward passes in `precision`."""
    if device.type == "meta":  # which knows no autocast
        return HalfPrecision() if precision == "bf16" else nullcontext()
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


class Autocast(nn.Module):
    """A network called in a precision."""

    def __init__(self, network: nn.Module, precision: Precision) -> None:
        super().__init__()
        self.network, self.precision = network, precision

    def forward(self, z: Tensor) -> Tensor:
        """Call the network; float32 comes out."""
        with autocast(z.device, self.precision):
            return self.network(z).float()
