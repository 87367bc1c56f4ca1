"""Images of a generator, to be scored: the same latents for every child, in bytes."""

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor, nn

from gan_nas.errors import Interrupted, RunFailed
from gan_nas.scoring.latents import BATCH, latents_of_seed
from gan_nas.scoring.protocols import Quantise


def generate(
    generator: nn.Module,
    num: int,
    latent_dim: int,
    seed: int,
    device: torch.device | str,
    batch_size: int = BATCH,
    stop: Callable[[], bool] = lambda: False,
    quantise: Quantise = "floor",
) -> Iterator[Tensor]:
    """Yield `num` images, uint8 (B, C, H, W), in batches, from latents that every child shares.

    The latents are those of a seed (`latents_of_seed`), the same on every device, and those of
    fewer images are a prefix. Raises as `images_of` does.
    """
    latents = latents_of_seed(seed, num, latent_dim, batch_size)
    return images_of(generator, latents, device, stop, quantise)


def images_of(
    generator: nn.Module,
    latents: Iterable[Tensor],
    device: torch.device | str,
    stop: Callable[[], bool] = lambda: False,
    quantise: Quantise = "floor",
) -> Iterator[Tensor]:
    """Yield an image, uint8 (C, H, W), for each of batches of latents (B, latent_dim), in batches.

    Neither gradients nor the generator's mode are touched. In eval mode an image depends on its
    own latents alone, up to rounding. Raises RunFailed on NaN and Interrupted when `stop` says.
    """
    for z in latents:
        if stop():
            raise Interrupted("stopped while generating images; the same command goes on")
        # Not around the yield: the caller's code between batches keeps its own gradient mode.
        with torch.no_grad():
            images = generator(z.to(device))
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
