"""From alpha to genomes: the supernet of a search, what pruning keeps, the best within limits."""

from collections import Counter
from collections.abc import Mapping
from math import exp
from typing import TypeVar

import torch

from gan_nas.networks.builder import build_supernet
from gan_nas.networks.degas import StageNetwork
from gan_nas.search.best import Limit, PlaceScores, out_of_reach, say_if_fewer
from gan_nas.search.degas.config import Config
from gan_nas.search.degas.pruning import (
    Operations,
    PlacePrices,
    best_architectures,
    cheapest,
    generator_prices,
)
from gan_nas.search.logits import Logits, PlaceRow
from gan_nas.search.method import Find
from gan_nas.spaces.degas import NUM_STAGES, DEGASGenerator, candidates, from_operations
from gan_nas.spaces.frameworks import Framework, discriminator_of
from gan_nas.spaces.genome import Genome

V = TypeVar("V")


def places(config: Config) -> dict[str, tuple[str, ...]]:
    """Return the places that a search decides, and their operations."""
    return candidates(config.stem_residual, config.final_normal)


def new_alpha(config: Config, device: torch.device) -> Logits:
    """Return logits of zero for all places."""
    rows = {place: PlaceRow("logits", len(ops)) for place, ops in places(config).items()}
    return Logits(rows, device=device)


def sizes_of(config: Config, width: int) -> DEGASGenerator:
    """Return some generator of the search's sizes at a width."""
    ops: dict[str, str | None] = {place: names[0] for place, names in places(config).items()}
    return from_operations(ops, width, config.latent_dim)


def supernet(config: Config, resolution: int, image_channels: int) -> StageNetwork:
    """Build a search's network without its weights, on the meta device."""
    with torch.device("meta"):
        network = build_supernet(sizes_of(config, config.width), resolution, image_channels)
    assert isinstance(network, StageNetwork)
    return network


def best_genomes(
    config: Config, alpha: Logits, count: int, limit: Limit, side: int, channels: int
) -> list[Find]:
    """Return the best `count` genomes within a limit, the pruned one first if it keeps it."""
    prices = None if limit == Limit() else _prices(config, side, channels)
    found = best_architectures(
        alpha.log_probabilities(), count, prices=prices, limit=limit if prices else None
    )
    say_if_fewer(len(found), count, "no more keep within the limits")
    return [Find(genome_of(config, one.operations), {"log_odds": one.score}) for one in found]


def check_limits(config: Config, side: int, channels: int) -> None:
    """Raise InvalidInput for limits that no generator keeps."""
    limit = config.limit
    if limit == Limit():
        return
    prices = _prices(config, side, channels)
    flat = {place: [0.0] * len(ops) for place, ops in places(config).items()}
    if not best_architectures(flat, 1, prices=prices, limit=limit):
        raise out_of_reach(limit, config.derived_width, cheapest(prices))


def genome_of(config: Config, ops: Operations) -> Genome:
    """Return the genome of operations at their places, at the derived widths."""
    width = config.derived_discriminator_width
    framework: Framework = "hinge-sn" if config.derived_discriminator == "sn_resnet" else "ctgan"
    return Genome(
        generator=from_operations(ops, config.derived_width, config.latent_dim),
        discriminator=discriminator_of(framework, width),
    )


def histogram(ops: Mapping[str, str | None]) -> dict[str, int]:
    """Return how often each operation stands in an architecture."""
    return dict(Counter(op for op in ops.values() if op is not None))


def probabilities(ops: Operations, scores: PlaceScores) -> dict[str, float | None]:
    """Return the probability of each place's operation; a residual that was dropped has none.

    `scores` are log-probabilities by place.
    """
    every = candidates(stem_residual=True, final_normal=True)
    return {
        place: None if op is None else exp(scores[place][every[place].index(op)])
        for place, op in ops.items()
    }


def by_stage(values: Mapping[str, V]) -> list[dict[str, V]]:
    """Return what belongs to each place, stage by stage, for the history's picture."""
    stages: list[dict[str, V]] = [{} for _ in range(NUM_STAGES)]
    for place, value in values.items():
        index, _, name = place.rpartition(".")
        stages[int(index) if index else -1][name] = value
    return stages


def _prices(config: Config, resolution: int, image_channels: int) -> PlacePrices:
    sizes = sizes_of(config, config.derived_width)
    return generator_prices(
        sizes,
        resolution,
        image_channels,
        stem_residual=config.stem_residual,
        final_normal=config.final_normal,
    )
