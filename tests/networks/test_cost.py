"""Costs: the published counts, and that they add up."""

import pytest
import torch

from gan_nas.networks.builder import build_generator
from gan_nas.networks.cost import discriminator_cost, generator_cost, genome_cost, num_parameters
from gan_nas.networks.parts import layers_of
from gan_nas.spaces.autogan import NUM_CELLS, AutoGANGenerator, decode, enumerate_cells
from gan_nas.spaces.published import published_genome
from gan_nas.spaces.random_genomes import sample_genomes
from gan_nas.spaces.schema import GeneratorGenome
from gan_nas.spaces.sn_resnet import FirstOp, SecondOp, SNResNetDiscriminator

TOP1 = published_genome("autogan-cifar10-top1").generator
SMALLEST = decode((1, 0, 1, 0, 1, 0, 1, 0, 0, 1, 0, 1, 0, 0), 256)
LARGEST = decode((1, 1, 2, 1, 1, 1, 2, 1, 1, 1, 1, 2, 1, 3), 256)


def parameters(genome: AutoGANGenerator) -> int:
    with torch.device("meta"):
        return num_parameters(build_generator(genome, 32))


@pytest.mark.parametrize(
    ("genome", "resolution", "expected", "gigamacs"),
    [
        pytest.param(SMALLEST, 32, 4_076_291, 1.5930, id="smallest-32"),
        pytest.param(SMALLEST, 48, 4_736_771, 3.5844, id="smallest-48"),
        pytest.param(LARGEST, 32, 7_098_115, 2.1761, id="largest-32"),
        pytest.param(LARGEST, 48, 7_758_595, 4.8961, id="largest-48"),
        *(
            pytest.param(published_genome(name).generator, *numbers, id=f"{name}-{numbers[0]}")
            for name, *numbers in [
                ("autogan-cifar10-top1", 32, 4_405_251, 1.7650),
                ("autogan-cifar10-top1", 48, 5_065_731, 3.9713),
                ("autogan-cifar10-top2", 32, 4_471_043, 1.8321),
                ("autogan-cifar10-top2", 48, 5_131_523, 4.1223),
                ("autogan-cifar10-top3", 32, 4_406_275, 1.7650),
                ("autogan-cifar10-top3", 48, 5_066_755, 3.9713),
                ("ctgan-cifar10", 32, 1_204_483, 0.4222),
                ("sngan-cifar10", 32, 4_276_739, 1.6811),
                ("e2gan-cifar10", 32, 4_867_331, 1.7818),
                ("e2gan-cifar10", 48, 5_527_811, 4.0090),
                ("eagan-cifar10", 32, 7_076_611, 1.8225),
                ("eagan-stl10", 48, 11_484_931, 4.1005),
                ("ewsgan-cifar10", 32, 13_766_915, 5.3716),
                ("ewsgan-cifar10", 48, 18_175_235, 12.0860),
                ("cagan-stl10-top1", 32, 8_585_731, 2.3090),
                ("cagan-stl10-top1", 48, 12_994_051, 5.1952),
                ("cagan-stl10-top2", 32, 7_405_571, 2.0070),
                ("cagan-stl10-top2", 48, 11_813_891, 4.5158),
                ("scgan-cifar10", 32, 7_732_483, 2.4306),
                ("scgan1-cifar10", 32, 8_388_355, 2.2461),
            ]
        ),
    ],
)
def test_published_sizes(
    genome: GeneratorGenome, resolution: int, expected: int, gigamacs: float
) -> None:
    cost = generator_cost(genome, resolution)
    assert cost.parameters == expected
    assert round(cost.macs / 1e9, 4) == gigamacs
    assert cost.macs_run < 0.98 * cost.macs  # merged kernels take fewer


@pytest.mark.parametrize(
    ("width", "third_block", "parameters", "gigamacs"),
    [
        (128, ("conv_3x3", "conv_3x3"), 1_053_824, {32: 0.2721, 48: 0.6122}),
        (128, ("identity", "conv_3x3"), 906_240, {32: 0.2626, 48: 0.5909}),  # EAGAN's 0.91 M
        (128, ("conv_5x5", "conv_5x5"), 1_578_112, {32: 0.3056, 48: 0.6877}),  # EAGAN's 1.58 M
        (512, ("conv_3x3", "conv_3x3"), 16_798_208, {}),
    ],
    ids=str,
)
def test_published_sizes_of_the_discriminators(
    width: int,
    third_block: tuple[FirstOp, SecondOp],
    parameters: int,
    gigamacs: dict[int, float],
) -> None:
    critic = SNResNetDiscriminator(space="sn_resnet", width=width, third_block=third_block)
    assert discriminator_cost(critic, 32).parameters == parameters
    for resolution, expected in gigamacs.items():
        assert round(discriminator_cost(critic, resolution).macs / 1e9, 4) == expected


def test_a_genomes_cost_is_that_of_both_networks() -> None:
    genome = published_genome("autogan-cifar10-top1").resized(8, 4)
    both = genome_cost(genome, 16, image_channels=1)
    assert both.generator == generator_cost(genome.generator, 16, 1)
    assert both.discriminator == discriminator_cost(genome.discriminator, 16, 1)


def test_costs_add_up_over_cells() -> None:
    one, other = (g.generator for g in sample_genomes("autogan", 2, seed=3, width=16))
    start = generator_cost(one, 16)
    change = [0, 0, 0]
    for index in range(NUM_CELLS):
        cells = (*one.cells[:index], other.cells[index], *one.cells[index + 1 :])
        cost = generator_cost(one.model_copy(update={"cells": cells}), 16)
        for field in range(3):
            change[field] += cost[field] - start[field]
    end = generator_cost(other, 16)
    assert [b - a for a, b in zip(start[:3], end[:3], strict=True)] == change


def test_the_smallest_and_the_largest_are_those_of_all_cells() -> None:
    """Parameters add up over cells, so the extremes are found cell by cell."""
    base = [(1, 0, 1, 0), (1, 0, 1, 0, 0), (1, 0, 1, 0, 0)]
    extremes = [parameters(SMALLEST.model_copy(update={"width": 8}))] * 2
    start = extremes[0]
    for index in range(NUM_CELLS):
        counts = []
        for tokens in enumerate_cells(index):
            cells = [*base[:index], tokens, *base[index + 1 :]]
            genome = decode([token for cell in cells for token in cell], 8)
            counts.append(parameters(genome) - start)
        extremes[0] += min(counts)
        extremes[1] += max(counts)
    assert extremes == [parameters(g.model_copy(update={"width": 8})) for g in (SMALLEST, LARGEST)]


def test_activations_grow_with_the_area() -> None:
    genome = published_genome("autogan-cifar10-top1").resized(16, 16)
    costs = [genome_cost(genome, side) for side in (16, 32, 48)]
    for network in range(2):
        kept = [cost[network].activation_bytes for cost in costs]
        assert kept[1] == pytest.approx(4 * kept[0], rel=0.02)
        assert kept[2] == pytest.approx(9 * kept[0], rel=0.02)


def test_counting_works_for_the_largest_sizes() -> None:
    """Counting allocates nothing: these weights would fill 9 GB."""
    genome = LARGEST.model_copy(update={"width": 2048})
    cost = generator_cost(genome, 512)
    assert cost.parameters > 1e9
    assert cost.macs > 1e12


def test_counting_leaves_the_global_stream_alone() -> None:
    before = torch.get_rng_state()
    genome_cost(published_genome("autogan-cifar10-top1").resized(4, 4), 16)
    assert torch.equal(before, torch.get_rng_state())


def test_multiply_adds_of_an_image_do_not_depend_on_the_width_of_merged_kernels() -> None:
    """Merging deconvolution and convolution grows with width cubed, but once for a batch."""
    narrow, wide = (generator_cost(LARGEST.model_copy(update={"width": w}), 32) for w in (64, 512))
    assert wide.macs_run / wide.macs == pytest.approx(narrow.macs_run / narrow.macs, rel=0.01)


@pytest.mark.parametrize(
    "name", ["autogan-cifar10-top3", "ctgan-cifar10", "mmd-adversarialnas-cifar10"]
)
def test_layers_add_up_to_the_whole(name: str) -> None:
    genome = published_genome(name).resized(16, 16)
    layers, cost = layers_of(genome, 32), genome_cost(genome, 32)
    for network in ("generator", "discriminator"):
        own, whole = [layer for layer in layers if layer.network == network], getattr(cost, network)
        assert sum(layer.parameters for layer in own) == whole.parameters
        assert sum(layer.macs for layer in own) == whole.macs
        assert 0 < whole.macs_run <= whole.macs
        assert whole.activation_bytes > 0
    assert layers[0].output == [16 * 4 * 4]
    assert layers[-1].output == [getattr(genome.discriminator, "outputs", 1)]
