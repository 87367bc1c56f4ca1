"""What a step of reconstruction takes: phases for forecasts, and memory on top of them."""

import torch
from torch import Tensor, nn

from gan_nas.search.degas.config import Config
from gan_nas.search.degas.glo import GLO
from gan_nas.search.degas.latents import starting_bytes
from gan_nas.search.logits import Logits
from gan_nas.training.timing import Phase


def phase_of(
    config: Config,
    network: nn.Module,
    alpha: Logits | None,
    resolution: int,
    image_channels: int,
    device: torch.device,
) -> Phase:
    """Return the phase of a step on alpha, where there is one, and one on weights and latents."""
    random = torch.Generator("cpu" if device.type == "meta" else device).manual_seed(0)
    size = (4 * config.batch_size, image_channels, resolution, resolution)
    noise = torch.randint(256, size, generator=random, device=device, dtype=torch.uint8)
    glo = GLO(config, network, noise, alpha)
    glo.latents.zero_()

    def nothing() -> Tensor:
        return torch.zeros(())

    return Phase(
        f"{'search' if alpha is not None else 'reconstruction'} at {resolution} px",
        nothing if alpha is None else lambda: glo.alpha_step(0),
        lambda: glo.step(0),
        1,
        config.batch_size,
        config.iterations,
        ("alpha", "weights"),  # weights stands for latents too
    )


def extra_memory(config: Config, num_images: int, side: int, channels: int) -> tuple[int, int]:
    """Return the bytes of the latents, and those that are taken while the first ones are made."""
    num_images = min(config.num_images or num_images, num_images)
    start = starting_bytes(config.latent_start, channels, side)
    return 4 * num_images * config.latent_dim, start
