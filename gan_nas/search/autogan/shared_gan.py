"""AutoGAN's shared GAN: a supernet and a growing discriminator in training, level by level."""

from collections.abc import Mapping
from functools import cache, partial

import torch

from gan_nas.machine.ranks import ALONE, Ranks
from gan_nas.networks.autogan import AutoGANNetwork, autogan_choices
from gan_nas.networks.builder import build_supernet
from gan_nas.networks.cost import Cost, generator_cost, num_parameters
from gan_nas.networks.merged import merge
from gan_nas.networks.slots import choose
from gan_nas.networks.sn_resnet import SNResNet
from gan_nas.search.autogan.config import Config
from gan_nas.search.method import Trained
from gan_nas.spaces.autogan import (
    NUM_CELLS,
    NUM_TOKENS,
    SPACE,
    AutoGANGenerator,
    Tokens,
    decode,
    decode_cell,
    split_tokens,
)
from gan_nas.spaces.genome import Genome
from gan_nas.training.gan import GAN, fresh
from gan_nas.training.objectives import Hinge
from gan_nas.training.timing import NUM_GENERATED, Phase, gan_phase

TYPICAL = (1, 1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1, 3)  # an architecture to time steps with


def new_shared_gan(
    config: Config,
    resolution: int,
    image_channels: int,
    device: torch.device,
    num_resets: int,
    ranks: Ranks = ALONE,
) -> GAN:
    """Build and initialise the shared networks; `num_resets` counts initialisations before."""
    generator, discriminator = _on_meta(config, resolution, image_channels)
    return GAN(
        fresh(generator, config.seed, f"shared generator weights {num_resets}", device),
        fresh(
            discriminator,
            config.seed,
            f"shared discriminator weights {num_resets}",
            device,
            config.discriminator_init,
        ),
        generator_lr=config.generator_lr,
        discriminator_lr=config.discriminator_lr,
        betas=(config.beta1, config.beta2),
        ema_decay=config.ema_decay,
        ema_warm_start=config.ema_warm_start,
        precision=config.precision,
        objective=Hinge(config.passes),
        idle_weights=config.idle_weights,
        ranks=ranks,
    )


def set_level(gan: GAN, level: int) -> None:
    """Let both networks work at a level: 0, 1 or 2."""
    for network in (gan.generator, gan.discriminator):
        assert isinstance(network, AutoGANNetwork | SNResNet)
        network.num_active_cells = level + 1


def choose_tokens(gan: GAN, tokens: Tokens) -> None:
    """Set the supernet's cells to the tokens of one to three cells."""
    for index, part in enumerate(split_tokens(tokens)):
        choose(gan.generator.get_submodule(f"cells.{index}"), _choices(index, part))


@cache
def _choices(index: int, tokens: Tokens) -> Mapping[str, str]:
    return autogan_choices(decode_cell(index, tokens), index)


def level_side(resolution: int, num_cells: int) -> int:
    """Return the side of the images that the first cells make."""
    return resolution >> (NUM_CELLS - num_cells)


def phases(
    config: Config, resolution: int, image_channels: int, device: torch.device
) -> list[Phase]:
    """Return the levels of the search, each with the steps of one typical architecture."""
    gan = new_shared_gan(config, resolution, image_channels, device, num_resets=0)
    choose_tokens(gan, TYPICAL)
    if config.levels == "single":
        ends = {NUM_CELLS - 1: config.iterations}
    else:
        ends = dict(enumerate((*config.grow_at, config.iterations)))
    of_norms = config.num_norm_latents if config.norm_statistics == "child" else 0
    levels, begin = [], 0
    for level, end in ends.items():
        side = level_side(resolution, level + 1)
        levels.append(
            gan_phase(
                gan,
                what=f"search at {side} px",
                side=side,
                image_channels=image_channels,
                latent_dim=config.latent_dim,
                batch_size=config.batch_size,
                generator_batch_size=config.generator_batch_size,
                num_critic=config.num_critic,
                steps=(end - begin) * config.discriminator_steps,
                num_generated=max(NUM_GENERATED, of_norms),
                prepare=partial(set_level, gan, level),
            )
        )
        begin = end
    return levels


def shared_parameters(config: Config, side: int, channels: int) -> dict[str, int | Cost]:
    """Count the weights of both shared networks, used or not, and the smallest generator."""
    smallest = genome_of(config, (0,) * NUM_TOKENS).generator
    return {
        "supernet_parameters": sum(map(num_parameters, _on_meta(config, side, channels))),
        "smallest_generator": generator_cost(smallest, side, channels),
    }


def genome_of(config: Config, tokens: Tokens) -> Genome:
    """Return the genome of a whole token vector at the derived widths."""
    generator = decode(tokens, config.derived_width, config.latent_dim)
    width = config.derived_discriminator_width
    return Genome(
        generator=generator.model_copy(update={"skip_tap": config.skip_tap}),
        discriminator=SPACE.discriminator(width),
    )


def supernets(config: Config, gan: GAN) -> Trained:
    """Return the shared networks, whose weights genomes may inherit."""
    return Trained(_sizes(config), gan.generator, gan.discriminator)


def _on_meta(
    config: Config, resolution: int, image_channels: int
) -> tuple[AutoGANNetwork, SNResNet]:
    """Build both networks without their weights."""
    with torch.device("meta"):
        generator = build_supernet(_sizes(config), resolution, image_channels)
        assert isinstance(generator, AutoGANNetwork)
        return generator, merge(SNResNet(config.discriminator_width, image_channels))


def _sizes(config: Config) -> AutoGANGenerator:
    """Return some generator of the search's sizes."""
    sizes = decode((0,) * 14, config.width, config.latent_dim)
    return sizes.model_copy(update={"skip_tap": config.skip_tap})
