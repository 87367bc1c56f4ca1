"""From alpha and beta to genomes: the likeliest architectures, in all or within limits."""

from gan_nas.search.adversarialnas.config import Config
from gan_nas.search.adversarialnas.derivation import (
    ScoredArchitecture,
    SoftmaxOver,
    best_architectures,
    best_generators,
    cheapest,
    derive_published,
    log_probability_of,
)
from gan_nas.search.adversarialnas.prices import generator_prices
from gan_nas.search.adversarialnas.relaxation import CellLogits
from gan_nas.search.adversarialnas.super_gan import SuperGAN, sizes_of
from gan_nas.search.best import Limit, out_of_reach, say_if_fewer
from gan_nas.search.method import Find
from gan_nas.spaces.adversarialnas import (
    DOWN_CELLS,
    SPACE,
    UP_CELLS,
    AdversarialNASDiscriminator,
    AdversarialNASGenerator,
)
from gan_nas.spaces.genome import Genome
from gan_nas.spaces.schema import DiscriminatorGenome


def best_genomes(gan: SuperGAN, count: int, limit: Limit, side: int, channels: int) -> list[Find]:
    """Return the best `count` generators within a limit, each with the search's discriminator."""
    config = gan.config
    if limit == Limit():
        found = likeliest(config, gan.alpha, count)
    else:
        prices = generator_prices(sizes_of(config, config.derived_width), side, channels)
        scores = gan.alpha.by_cell(gan.alpha.log_probabilities())
        found = best_generators(UP_CELLS, scores, count, prices, limit)
    say_if_fewer(len(found), count, "no more keep within the limits")
    discriminator = derived_discriminator(gan)
    return [
        Find(genome_of(config, one, discriminator), {"log_probability": one.log_probability})
        for one in found
    ]


def likeliest(config: Config, logits: CellLogits, count: int) -> list[ScoredArchitecture]:
    """Return the architectures of highest log-probability, or the published one and then those."""
    scores = logits.by_cell(logits.log_probabilities())
    found = best_architectures(logits.cells, scores, count)
    if config.derivation == "exact":
        return found
    softmax_over: SoftmaxOver = "edges" if logits.cells == DOWN_CELLS else "operations"
    cells = tuple(derive_published(logits.cells, *logits.matrices(), softmax_over=softmax_over))
    first = ScoredArchitecture(cells, log_probability_of(logits.cells, cells, scores))
    return [first, *(one for one in found if one.cells != cells)][:count]


def check_limits(config: Config, side: int, channels: int) -> None:
    """Raise InvalidInput for limits that no generator keeps."""
    limit = config.limit
    if limit == Limit():
        return
    prices = generator_prices(sizes_of(config, config.derived_width), side, channels)
    flat = [{edge: [0.0] * len(ops) for edge, ops in cell.items()} for cell in prices.ops]
    if not best_generators(UP_CELLS, flat, 1, prices, limit):
        raise out_of_reach(limit, config.derived_width, cheapest(UP_CELLS, prices))


def derived_discriminator(gan: SuperGAN) -> DiscriminatorGenome:
    """Return the discriminator that goes into the genomes."""
    config = gan.config
    width = config.derived_discriminator_width
    if config.derived_discriminator == "sn_resnet":
        return SPACE.discriminator(width)
    cells = likeliest(config, gan.beta, 1)[0].cells
    content = {"space": "adversarialnas", "width": width, "cells": cells}
    return AdversarialNASDiscriminator.model_validate(content)


def genome_of(
    config: Config, found: ScoredArchitecture, discriminator: DiscriminatorGenome
) -> Genome:
    """Return the genome of an architecture at the derived widths."""
    sizes = sizes_of(config, config.derived_width).model_dump()
    generator = AdversarialNASGenerator.model_validate(sizes | {"cells": found.cells})
    return Genome(generator=generator, discriminator=discriminator)
