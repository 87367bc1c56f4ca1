"""Images of a generator, to be scored: the same latents for every child, in bytes."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from gan_nas.errors import Interrupted, RunFailed
from gan_nas.scoring.protocols import Quantise
from gan_nas.streams import stream


def generate(
    generator: nn.Module,
    num: int,
    latent_dim: int,
    seed: int,
    device: torch.device | str,
    batch_size: int = 100,
    stop: Callable[[], bool] = lambda: False,
    quantise: Quantise = "floor",
) -> Iterator[Tensor]:
    """Yield `num` images, uint8 (B, C, H, W), in batches, from latents that every child shares.

    Batch i draws N(0, 1) from the stream (seed, "evaluation latents", i) on the CPU, so that the
    latents are the same on every device, and those of fewer images are a prefix. Neither gradients
    nor the generator's mode are touched. Raises RunFailed on NaN and Interrupted when `stop` says.
    """
    for i, start in enumerate(range(0, num, batch_size)):
        if stop():
            raise Interrupted("stopped while generating images; the same command goes on")
        latents = stream(seed, "evaluation latents", i)
        z = torch.randn(batch_size, latent_dim, generator=latents, device="cpu")
        # Not around the yield: the caller's code between batches keeps its own gradient mode.
        with torch.no_grad():
            images = generator(z[: num - start].to(device))
            if not bool(images.isfinite().all()):
                raise RunFailed("the generator's images contain NaN or infinity: it has diverged")
            images = to_uint8(images, quantise)
        yield images


def to_uint8(images: Tensor, quantise: Quantise = "floor") -> Tensor:
    """Quantise images in [-1, 1] by floor(127.5 x + 127.5), clamped, as AutoGAN's code does.

    round takes 128 for the second number, as StyleGAN's and StudioGAN's do.
    """
    offset = 127.5 if quantise == "floor" else 128
    return images.float().mul(127.5).add_(offset).clamp_(0, 255).to(torch.uint8)
