"""Spectral normalisation (Miyato et al. 2018): W / sigma(W), one power iteration a forward pass.

Our own, since hooks and parametrizations of PyTorch iterate in another order than the published
GAN code, or at construction: v is updated first, u from the new v, sigma from both; one iteration
per train-mode forward pass (also when the weights are frozen), none in eval mode; the gradient
flows through sigma with u and v constant.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional as F

EPSILON = 1e-12


def largest_singular_value(weight: Tensor, u: Tensor, v: Tensor, iterate: bool) -> Tensor:
    """Return sigma(weight) as a scalar in float32; updates u and v in place when `iterate`.

    weight is viewed as (out, rest); u has shape (out,), v has shape (rest,).
    """
    with without_autocast(weight.device):
        matrix = weight.flatten(1)
        if iterate:
            with torch.no_grad():
                v.copy_(F.normalize(torch.mv(matrix.t(), u), dim=0, eps=EPSILON))
                u.copy_(F.normalize(torch.mv(matrix, v), dim=0, eps=EPSILON))
        # Clones, because a second forward pass may move u and v before this one's backward pass.
        return torch.dot(u.clone(), torch.mv(matrix, v.clone()))


def spectral_weight(weight: Tensor, u: Tensor, v: Tensor, iterate: bool) -> Tensor:
    """Return weight / sigma(weight); updates u and v in place when `iterate`."""
    return weight / largest_singular_value(weight, u, v, iterate)


class SpectralConv2d(nn.Conv2d):
    """A convolution whose weight is spectrally normalised; padded to keep the size at stride 1."""

    weight_u: Tensor
    weight_v: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        dilation: int = 1,
    ) -> None:
        padding = dilation * (kernel_size // 2)
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation)
        _add_vectors(self)

    def singular_value(self) -> Tensor:
        """Return sigma of the weight; one power iteration in train mode."""
        return largest_singular_value(self.weight, self.weight_u, self.weight_v, self.training)

    def normalised_weight(self) -> Tensor:
        """Return the weight to convolve with; one power iteration in train mode."""
        return spectral_weight(self.weight, self.weight_u, self.weight_v, self.training)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve with the normalised weight."""
        convolved: Tensor = self._conv_forward(x, self.normalised_weight(), self.bias)
        return convolved


class SpectralLinear(nn.Linear):
    """A linear layer whose weight is spectrally normalised."""

    weight_u: Tensor
    weight_v: Tensor

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        super().__init__(in_features, out_features, bias)
        _add_vectors(self)

    def forward(self, x: Tensor) -> Tensor:
        """Multiply by the normalised weight."""
        weight = spectral_weight(self.weight, self.weight_u, self.weight_v, self.training)
        return F.linear(x, weight, self.bias)


@contextmanager
def power_iteration_held(*networks: nn.Module) -> Iterator[None]:
    """Let train-mode forward passes make no power iteration for a while."""
    modules = [
        module
        for network in networks
        for module in network.modules()
        if isinstance(module, SpectralConv2d | SpectralLinear) and module.training
    ]
    for module in modules:
        module.training = False
    try:
        yield
    finally:
        for module in modules:
            module.training = True


def without_autocast(device: torch.device) -> AbstractContextManager[None]:
    """Switch autocast off; the meta device knows no autocast."""
    return nullcontext() if device.type == "meta" else torch.autocast(device.type, enabled=False)


def _add_vectors(module: SpectralConv2d | SpectralLinear) -> None:
    out, rest = module.weight.flatten(1).shape
    # Of length one; initialisation draws them.
    module.register_buffer("weight_u", torch.full((out,), out**-0.5))
    module.register_buffer("weight_v", torch.full((rest,), rest**-0.5))
