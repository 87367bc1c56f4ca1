"""AdversarialNAS' networks: a supernet with one-hot weights is the network a genome describes."""

import random
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from gan_nas.networks.adversarialnas import DownCellNetwork, UpCellNetwork
from gan_nas.networks.builder import (
    build_discriminator,
    build_generator,
    build_supernet,
    choose_cells,
)
from gan_nas.networks.initialisation import initialise
from gan_nas.networks.merged import published_order
from gan_nas.networks.slots import Choice, MixedOp, choose, inherited_state
from gan_nas.spaces.adversarialnas import (
    AdversarialNASDiscriminator,
    AdversarialNASGenerator,
    UpCell,
    candidates,
    decode_generator,
    sample_discriminator,
)
from gan_nas.spaces.random_genomes import sample_genomes
from gan_nas.streams import stream

BATCH = 2
GENERATORS = [g.generator for g in sample_genomes("adversarialnas", 5, seed=0, width=4)]
DISCRIMINATORS = [sample_discriminator(random.Random(seed), 4) for seed in range(5)]
LAST_DEAD = [[0, 1, 3, 2, 3, 0, 3], [1, 2, 3, 0, 3, 3, 2], [2, 0, 3, 3, 3, 2, 0]]
ALL_DEAD = [[0, 1, 3, 2, 3, 0, 0], [1, 2, 3, 0, 3, 3, 0], [2, 0, 0, 3, 3, 0, 0]]
MIDDLE_USED = [[0, 1, 3, 2, 3, 0, 0], [1, 2, 3, 0, 3, 3, 1], [2, 0, 3, 3, 0, 4, 0]]
DEAD = [decode_generator(matrix, 4) for matrix in (LAST_DEAD, ALL_DEAD, MIDDLE_USED)]
LIVE = decode_generator([[0, 1, 3, 3, 3, 3, 3]] * 3, 4)
RESOLUTION = 16
Searched = AdversarialNASGenerator | AdversarialNASDiscriminator
SuperNetwork = UpCellNetwork | DownCellNetwork


def normal(purpose: str, *shape: int) -> Tensor:
    random_stream = stream(0, purpose)
    return torch.randn(shape, generator=random_stream, dtype=torch.float64, device="cpu")


def drawn(network: Any) -> Any:
    """Draw a network's weights, the biases and vectors too, in float64."""
    network.double()
    initialise(network, stream(0, "weights"))
    return network


def new_weights(slots: nn.Module) -> dict[str, Tensor]:
    """Weigh the candidates of each edge; negative weights are no probabilities, but allowed."""
    found = [slot for slot in slots.modules() if isinstance(slot, MixedOp)]
    return {slot.token: normal(slot.token, len(list(slot.children()))) for slot in found}


def name_of(genome: Searched) -> str:
    return " ".join(op[:1] + op[-1:] for cell in genome.cells for op in cell.edges.values())


class Pair(NamedTuple):
    """Two supernets of the same weights: one is set to genomes, the other mixes."""

    chosen: SuperNetwork
    mixing: SuperNetwork
    buffers: list[Tensor]

    def restore(self) -> None:
        """Take back what forward passes moved."""
        for network in (self.chosen, self.mixing):
            for buffer, value in zip(network.buffers(), self.buffers, strict=True):
                buffer.copy_(value)


@pytest.fixture(scope="module")
def pairs() -> dict[type, Pair]:
    return {type(genome): new_pair(genome) for genome in (LIVE, DISCRIMINATORS[0])}


def new_pair(genome: Searched) -> Pair:
    chosen, mixing = new_supernet(genome), new_supernet(genome)
    return Pair(chosen, mixing, [buffer.clone() for buffer in mixing.buffers()])


def new_supernet(genome: Searched) -> SuperNetwork:
    return drawn(build_supernet(genome, RESOLUTION))


def derived_network(supernet: SuperNetwork, genome: Searched) -> nn.Module:
    """Build the genome's own network, with the supernet's weights; leaves the supernet chosen."""
    choose_cells(supernet, genome)
    if isinstance(genome, AdversarialNASGenerator):
        network: nn.Module = build_generator(genome, RESOLUTION)
    else:
        network = build_discriminator(genome, RESOLUTION)
    network.double().load_state_dict(inherited_state(supernet), strict=True)
    return network


def network_input(genome: Searched) -> Tensor:
    if isinstance(genome, AdversarialNASGenerator):
        return normal("z", BATCH, 120)
    return normal("images", BATCH, 3, RESOLUTION, RESOLUTION)


def one_hot(genome: Searched) -> list[dict[str, Tensor]]:
    return [
        {
            edge: torch.tensor([float(name == op) for name in names], device="cpu").double()
            for (edge, names), op in zip(
                candidates(type(cell)).items(), cell.edges.values(), strict=True
            )
        }
        for cell in genome.cells
    ]


def run_and_differentiate(
    network: nn.Module, x: Tensor, weights: list[dict[str, Tensor]] | None = None
) -> Tensor:
    network.zero_grad()
    y = network(x, weights)
    (y * normal("seen", *y.shape)).sum().backward()
    return y.detach()


@pytest.mark.parametrize("genome", [*GENERATORS, *DEAD, *DISCRIMINATORS], ids=name_of)
def test_a_supernet_set_to_a_genome_is_its_own_network(
    pairs: dict[type, Pair], genome: Searched
) -> None:
    """Chosen, or with one-hot weights operation by operation: bit for bit; merged: 1e-12."""
    pair = pairs[type(genome)]
    pair.restore()
    derived = derived_network(pair.chosen, genome)
    x = network_input(genome)
    expected = run_and_differentiate(derived, x)
    assert torch.equal(run_and_differentiate(pair.chosen, x), expected)
    merged = run_and_differentiate(pair.mixing, x, one_hot(genome))
    torch.testing.assert_close(merged, expected, rtol=1e-12, atol=1e-13)

    own = {id(tensor): key for key, tensor in inherited_state(pair.chosen).items()}
    inherited = dict(derived.named_parameters())
    both = zip(pair.chosen.named_parameters(), pair.mixing.parameters(), strict=True)
    for (name, of_chosen), of_mixing in both:
        if id(of_chosen) in own:
            grad = inherited.pop(own[id(of_chosen)]).grad
            assert grad is not None, f"{name} is built, but changes nothing"
            assert torch.equal(of_chosen.grad, grad), name
            torch.testing.assert_close(of_mixing.grad, grad, rtol=1e-9, atol=1e-11)
        else:
            assert of_chosen.grad is None, name
            assert of_mixing.grad is None or not of_mixing.grad.any(), name
    assert not inherited

    pair.restore()
    derived.load_state_dict(inherited_state(pair.chosen))
    with torch.no_grad(), published_order(derived), published_order(pair.mixing):
        assert torch.equal(pair.mixing(x, one_hot(genome)), derived(x))


@pytest.mark.parametrize(
    ("genome", "absent"),
    [
        (DEAD[0], ["2.edges.1-3", "2.edges.2-3", "2.skips"]),
        (
            DEAD[1],
            [
                *("0.edges.1-3", "0.edges.2-3", "0.edges.0-2", "1.edges.1-3", "1.skips"),
                *("2.edges.2-3", "2.edges.0-2", "2.skips"),
            ],
        ),
        (DEAD[2], ["2.edges.1-3", "2.edges.2-3", "2.edges.0-1", "2.skips"]),
    ],
    ids=["last", "all", "last alone"],
)
def test_dead_parts_are_not_built(genome: AdversarialNASGenerator, absent: list[str]) -> None:
    keys = build_generator(genome, RESOLUTION).state_dict().keys()
    found = {part for part in absent for key in keys if key.startswith(f"cells.{part}")}
    assert not found
    if genome is DEAD[2]:  # the first cell's node 3 goes into the second's, which is used
        assert "cells.0.edges.1-3.weight" in keys
        assert "cells.1.skips.0.conv.weight" in keys


def test_mixing_does_not_depend_on_what_was_chosen() -> None:
    """A supernet that was set to a genome with dead skips still mixes with all of them."""
    fresh, used = new_supernet(LIVE), new_supernet(DEAD[1])
    used.load_state_dict(fresh.state_dict())
    weights = [new_weights(cell) for cell in fresh.cells]
    z = network_input(LIVE)
    with torch.no_grad():
        assert torch.equal(fresh(z, weights), used(z, weights))


@pytest.mark.parametrize("genome", [DEAD[0], DISCRIMINATORS[1]], ids=name_of)
def test_scalars_of_one_are_the_chosen_genome(genome: Searched) -> None:
    supernet = new_supernet(genome)
    derived = derived_network(supernet, genome)
    built = {
        (int(key.split(".")[1]), key.split(".")[3])
        for key in derived.state_dict()
        if ".edges." in key
    }
    weights = [
        {
            edge: torch.ones((), dtype=torch.float64, device="cpu", requires_grad=True)
            for edge in cell.edges
        }
        for cell in genome.cells
    ]
    x = network_input(genome)
    expected = run_and_differentiate(derived, x)
    assert torch.equal(run_and_differentiate(supernet, x, weights), expected)
    for index, cell in enumerate(weights):
        for edge, weight in cell.items():
            if (index, edge) in built:
                assert weight.grad is not None
                assert float(weight.grad) != 0
    own = {id(tensor) for tensor in inherited_state(supernet).values()}
    idle = [p for p in supernet.parameters() if id(p) not in own]
    assert idle
    assert all(p.grad is None for p in idle)


def test_choosing_sets_every_slot() -> None:
    supernet = new_supernet(GENERATORS[0])
    for cell in supernet.cells:
        choose(cell, dict.fromkeys((*candidates(UpCell), "skip 0", "skip 1")))
    assert all(slot.active is None for slot in supernet.modules() if isinstance(slot, Choice))
    assert list(inherited_state(supernet)) == [
        key for key in inherited_state(build_generator(DEAD[0], RESOLUTION)) if "cells" not in key
    ]


@pytest.mark.parametrize("role", ["generator", "discriminator"])
def test_merged_supernets_keep_at_most_half_for_the_backward_pass(role: str) -> None:
    """What a further image in a batch adds: all memory that the graph keeps alive."""
    with torch.device("meta"):
        if role == "generator":
            network: SuperNetwork = build_supernet(LIVE.model_copy(update={"width": 16}), 32)
            batches = [torch.empty(n, 120) for n in (1, 2)]
        else:
            genome = DISCRIMINATORS[0].model_copy(update={"width": 16})
            network = build_supernet(genome, 32)
            batches = [torch.empty(n, 3, 32, 32) for n in (1, 2)]
        weights = [empty_weights(cell) for cell in network.cells]
    network.eval()  # power iterations keep nothing

    def image_bytes() -> int:
        one, two = (bytes_kept(network, batch, weights) for batch in batches)
        return two - one

    merged = image_bytes()
    with published_order(network):
        plain = image_bytes()
    assert 0 < merged <= plain / 2


def bytes_kept(network: nn.Module, x: Tensor, weights: list[dict[str, Tensor]]) -> int:
    """Sum the storages that autograd keeps, weights aside."""
    own = {t.untyped_storage()._cdata for t in (*network.parameters(), *network.buffers())}
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage()._cdata] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        y = network(x, weights)  # alive, so that no storage's place is used again
    assert y.requires_grad
    return sum(t.untyped_storage().nbytes() for key, t in kept.items() if key not in own)


def empty_weights(cell: nn.Module) -> dict[str, Tensor]:
    return {
        slot.token: torch.empty(len(list(slot.children())), requires_grad=True)
        for slot in cell.modules()
        if isinstance(slot, MixedOp)
    }
