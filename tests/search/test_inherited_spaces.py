"""Weights of a supernet of any space, a stranger's too, go to the genomes of its sizes alone."""

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from gan_nas.errors import Incompatible
from gan_nas.networks.builder import build_generator, build_supernet, choose_cells
from gan_nas.networks.initialisation import initialise
from gan_nas.networks.states import load_module_state
from gan_nas.runs.run import Checkpoint, Finished
from gan_nas.search.inheritance import Supernets, check_sizes, start_from
from gan_nas.search.method import ImageShape, Trained
from gan_nas.spaces.degas import DEGASSpace
from gan_nas.spaces.genome import Genome
from gan_nas.spaces.registry import BUILT_IN, load_space
from gan_nas.spaces.schema import GeneratorGenome
from gan_nas.spaces.space import Space
from gan_nas.streams import stream

WIDTH = 4
IMAGES = ImageShape("digits", 16, 2)

pytestmark = pytest.mark.usefixtures("plugin")


@pytest.fixture(params=(*BUILT_IN, "toy"))
def space(request: pytest.FixtureRequest) -> Space[Any]:
    return load_space(request.param)


def supernets(folder: Path, sizes: GeneratorGenome) -> Supernets:
    network = build_supernet(sizes, IMAGES.side, IMAGES.channels)
    initialise(network, stream(0, "weights"))
    config = {"run_id": "1", "data": "digits", "config": {}}
    (folder / "config.json").write_text(json.dumps(config))
    ended: Finished[Any] = Finished(folder, "1", {"method": "tried"}, None, Checkpoint(0, {}, {}))
    return Supernets(folder, ended, IMAGES, Trained(sizes, network, None))


def test_inherited_weights_compute_what_the_supernet_computes(
    space: Space[Any], tmp_path: Path
) -> None:
    trained = supernets(tmp_path, space.example(WIDTH))
    for seed in range(4):
        generator = space.sample(Random(seed), WIDTH)
        genome = Genome(generator=generator, discriminator=space.discriminator(WIDTH))
        start = start_from(trained, genome, IMAGES.side, IMAGES.channels)
        network: nn.Module = build_generator(generator, IMAGES.side, IMAGES.channels)
        load_module_state(network, start.generator)
        supernet = trained.trained.generator
        choose_cells(supernet, generator)
        z = torch.randn(4, generator.latent_dim, generator=stream(0, "z"), device="cpu").double()
        assert_close(network.double()(z), supernet.double()(z), rtol=0, atol=1e-12)
        supernet.float()
        assert start.discriminator is None
        assert start.origin["networks"] == ["generator"]


def test_other_sizes_are_refused_by_name(space: Space[Any], tmp_path: Path) -> None:
    example = space.example(WIDTH)
    trained = supernets(tmp_path, example)
    check_sizes(trained, example)
    for size in ("width", "latent_dim"):
        other = example.model_copy(update={size: 2 * getattr(example, size)})
        with pytest.raises(Incompatible, match=rf"{size} is {getattr(other, size)} and that of"):
            check_sizes(trained, other)
    name = next(name for name in BUILT_IN if name != space.name)
    with pytest.raises(Incompatible, match=f"of the space {name} and .* of {space.name}"):
        check_sizes(trained, load_space(name).example(WIDTH))


def test_a_size_that_is_no_field_counts_too(tmp_path: Path) -> None:
    toy = load_space("toy")
    example = toy.example(WIDTH)
    longer = example.model_copy(update={"cells": example.cells * 2})
    with pytest.raises(Incompatible, match="num_cells is 4 and that of"):
        check_sizes(supernets(tmp_path, example), longer)


@pytest.mark.parametrize("place", ["0.residual", "final_normal"])
def test_a_place_that_the_supernet_lacks_is_named(tmp_path: Path, place: str) -> None:
    variants = {"stem_residual": place == "0.residual", "final_normal": place == "final_normal"}
    wider = DEGASSpace(**variants).example(WIDTH)
    check_sizes(supernets(tmp_path, wider), wider)
    with pytest.raises(Incompatible, match=f"at {place}, which the search in"):
        check_sizes(supernets(tmp_path, DEGASSpace().example(WIDTH)), wider)
