"""One network, two fills: a supernet set to a genome is the genome's own network."""

import pytest
import torch
from torch import nn

from gan_nas.networks.autogan import autogan_choices
from gan_nas.networks.builder import build_generator, build_supernet
from gan_nas.networks.initialisation import initialise
from gan_nas.networks.slots import Choice, choose, fixed, inherited_state, selected
from gan_nas.spaces.autogan import NUM_CELLS, AutoGANGenerator, decode_cell, enumerate_cells
from gan_nas.spaces.random_genomes import sample_genomes
from gan_nas.streams import stream

RESOLUTION = 16
RANDOM = [genome.generator for genome in sample_genomes("autogan", 4, seed=0, width=4)]
CANDIDATES = {"one": lambda: nn.Linear(2, 3), "two": nn.Identity}


@pytest.mark.parametrize("genome", RANDOM, ids=range(4))
@pytest.mark.parametrize(
    ("skip_tap", "num_active_cells"), [("post", 1), ("post", 2), ("pre", NUM_CELLS)]
)
def test_a_supernet_is_its_genomes_network_before_it_has_grown_and_with_the_tap_of_the_figure(
    genome: AutoGANGenerator, skip_tap: str, num_active_cells: int
) -> None:
    """Images and gradients bit for bit; what holds of every space is in test_spaces.py."""
    genome = genome.model_copy(update={"skip_tap": skip_tap})
    supernet, derived = build_supernet(genome, RESOLUTION), build_generator(genome, RESOLUTION)
    initialise(supernet, stream(0, "weights"))
    inherited = inherited_state(supernet)
    derived.load_state_dict(inherited, strict=True)
    supernet.num_active_cells = derived.num_active_cells = num_active_cells
    z = torch.randn(3, 128, generator=stream(0, "z"), device="cpu")
    images = supernet(z), derived(z)
    assert torch.equal(*images)
    for batch in images:
        (batch * torch.linspace(-1, 1, batch.numel()).view_as(batch)).sum().backward()
    for name, parameter in derived.named_parameters():
        if name.startswith("cells.") and int(name.split(".")[1]) >= num_active_cells:
            assert parameter.grad is None
            assert inherited[name].grad is None
        else:
            assert parameter.grad is not None, name
            assert torch.equal(parameter.grad, inherited[name].grad), name


def test_every_candidate_of_every_slot_is_chosen_by_some_cell_and_can_be_read_back() -> None:
    supernet = build_supernet(RANDOM[0], RESOLUTION)
    for index in range(NUM_CELLS):
        slots = [m for m in supernet.cells[index].modules() if isinstance(m, Choice)]
        chosen = set()
        for tokens in enumerate_cells(index):
            choices = autogan_choices(decode_cell(index, tokens), index)
            choose(supernet.cells[index], choices)
            assert {slot.token: slot.active for slot in slots} == choices
            chosen |= set(choices.items())
        assert {(s.token, name) for s in slots for name, _ in s.named_children()} == chosen


def test_fixed_puts_the_candidate_itself() -> None:
    module = fixed({"token": "one"})("token", CANDIDATES)
    assert type(module) is nn.Linear
    assert selected(module) is module


def test_choice_runs_the_active_candidate_alone() -> None:
    slot = Choice("token", CANDIDATES)
    x = torch.ones(1, 2)
    assert slot.active == "one"
    assert slot(x).shape == (1, 3)
    assert sorted(inherited_state(slot)) == ["bias", "weight"]
    choose(slot, {"token": "two", "another": "one"})
    assert slot(x) is x
    assert selected(slot) is slot.two
    assert inherited_state(slot) == {}
