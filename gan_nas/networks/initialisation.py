"""How weights are drawn: the published rules of each framework."""

from math import sqrt
from typing import Literal

import torch
from torch import nn

from gan_nas.networks.layers import ToRGB

Initialisation = Literal["xavier", "default", "he"]


@torch.no_grad()
def initialise(
    network: nn.Module, generator: torch.Generator, rule: Initialisation = "xavier"
) -> None:
    """Draw all weights anew from `generator`, on the CPU; the global stream is left alone.

    AutoGAN's and AdversarialNAS' published rule, xavier: Xavier uniform for convolutions (not
    transposed ones), batch-norm weights N(1, 0.02), everything else as PyTorch does by default;
    `rule` default treats convolutions so too, as happened to the discriminators of both. Their
    authors move a network to the GPU before they initialise it: spectral norm's hook then holds a
    weight of its own, and what is drawn is never read. WGAN-GP's and CT-GAN's, he: uniform, of
    variance 4 / (fan in + fan out) for convolutions and 2 / (fan in + fan out) for 1x1 ones,
    to-RGB's and linear layers; biases 0, norms 1.
    A network made on the meta device must be brought to the CPU first
    (`network.to_empty(device="cpu")`).
    """
    outputs = [module.conv for module in network.modules() if isinstance(module, ToRGB)]
    for module in network.modules():
        match module:
            case nn.Linear() | nn.ConvTranspose2d() | nn.Conv2d() if rule == "he":
                is_glorot = module.weight[0, 0].numel() == 1 or module in outputs
                _he_uniform(module, 2 if is_glorot else 4, generator)
            case nn.Conv2d() if rule == "xavier":
                nn.init.xavier_uniform_(module.weight, generator=generator)
                _default_bias(module.bias, module.weight, generator)
            case nn.Linear() | nn.ConvTranspose2d() | nn.Conv2d():
                nn.init.kaiming_uniform_(module.weight, a=sqrt(5), generator=generator)
                _default_bias(module.bias, module.weight, generator)
            case nn.BatchNorm2d():
                module.reset_running_stats()
                if module.affine:
                    deviation = 0.0 if rule == "he" else 0.02
                    nn.init.normal_(module.weight, 1.0, deviation, generator=generator)
                    nn.init.zeros_(module.bias)
            case nn.LSTMCell():
                for parameter in module.parameters():
                    bound = 1 / sqrt(module.hidden_size)
                    nn.init.uniform_(parameter, -bound, bound, generator=generator)
            case nn.Embedding():
                nn.init.normal_(module.weight, generator=generator)
        for name, buffer in module.named_buffers(recurse=False):
            if name in ("weight_u", "weight_v"):  # spectral norm's vectors
                nn.init.normal_(buffer, generator=generator)
                buffer.div_(buffer.norm())


def _default_bias(
    bias: torch.Tensor | None, weight: torch.Tensor, generator: torch.Generator
) -> None:
    if bias is not None:
        bound = 1 / sqrt(weight[0].numel())
        nn.init.uniform_(bias, -bound, bound, generator=generator)


def _he_uniform(
    module: nn.Linear | nn.Conv2d | nn.ConvTranspose2d, numerator: int, generator: torch.Generator
) -> None:
    """Draw weights of variance numerator / (fan in + fan out); a stride divides where it thins.

    The authors' tflib/ops/conv2d.py, deconv2d.py and linear.py.
    """
    size = module.weight[0, 0].numel()
    match module:
        case nn.Linear():
            fans = float(module.in_features + module.out_features)
        case _:
            fan_in, fan_out = module.in_channels * size, module.out_channels * size
            area = module.stride[0] ** 2
            thinned, whole = (
                (fan_in, fan_out) if isinstance(module, nn.ConvTranspose2d) else (fan_out, fan_in)
            )
            fans = (thinned / area + whole) / module.groups
    bound = sqrt(3 * numerator / fans)
    nn.init.uniform_(module.weight, -bound, bound, generator=generator)
    if module.bias is not None:
        nn.init.zeros_(module.bias)
