"""One network, two fills: a supernet set to a genome is the genome's own network."""

import pytest
import torch
from torch import Tensor, nn

from gan_nas.networks.autogan import AutoGANNetwork, autogan_choices
from gan_nas.networks.builder import build_generator, build_supernet, choose_cells
from gan_nas.networks.initialisation import initialise
from gan_nas.networks.slots import Choice, choose, fixed, inherited_state, selected
from gan_nas.spaces.autogan import NUM_CELLS, AutoGANGenerator, decode_cell, enumerate_cells
from gan_nas.spaces.random_genomes import sample_genomes
from gan_nas.streams import stream

RESOLUTION = 16
RANDOM = [genome.generator for genome in sample_genomes("autogan", 50, seed=0, width=4)]
CANDIDATES = {"one": lambda: nn.Linear(2, 3), "two": nn.Identity}


def latents(num: int = 3) -> Tensor:
    return torch.randn(num, 128, generator=stream(0, "z"), device="cpu")


def new_supernet(genome: AutoGANGenerator) -> AutoGANNetwork:
    supernet = build_supernet(genome, RESOLUTION)
    initialise(supernet, stream(0, "weights"))
    with torch.no_grad():
        for name, buffer in supernet.named_buffers():
            if name.endswith("running_mean"):  # not 0, else eval mode would not tell them apart
                buffer.normal_(generator=stream(0, name))
    return supernet


def inherit(supernet: AutoGANNetwork, genome: AutoGANGenerator) -> AutoGANNetwork:
    derived = build_generator(genome, RESOLUTION)
    derived.load_state_dict(inherited_state(supernet), strict=True)
    return derived


@pytest.fixture(scope="module")
def supernet() -> AutoGANNetwork:
    return new_supernet(RANDOM[0])


@pytest.mark.parametrize("genome", RANDOM, ids=range(len(RANDOM)))
def test_a_supernet_set_to_a_genome_is_its_own_network(
    supernet: AutoGANNetwork, genome: AutoGANGenerator
) -> None:
    choose_cells(supernet, genome)
    assert_same(supernet, inherit(supernet, genome))


@pytest.mark.parametrize("genome", RANDOM[:4], ids=range(4))
@pytest.mark.parametrize("num_active_cells", [1, 2])
def test_also_before_it_has_grown(
    supernet: AutoGANNetwork, genome: AutoGANGenerator, num_active_cells: int
) -> None:
    choose_cells(supernet, genome)
    derived = inherit(supernet, genome)
    supernet.num_active_cells = derived.num_active_cells = num_active_cells
    try:
        assert_same(supernet, derived)
    finally:
        supernet.num_active_cells = NUM_CELLS


@pytest.mark.parametrize("genome", RANDOM[:4], ids=range(4))
def test_also_with_the_skip_tap_of_the_figure(genome: AutoGANGenerator) -> None:
    genome = genome.model_copy(update={"skip_tap": "pre"})
    supernet = new_supernet(genome)
    assert_same(supernet, inherit(supernet, genome))


def assert_same(supernet: AutoGANNetwork, derived: AutoGANNetwork) -> None:
    """Check images and gradients bit for bit, and that idle weights are left alone."""
    z = latents()
    with torch.no_grad():
        assert torch.equal(supernet.eval()(z), derived.eval()(z))
    supernet.train().zero_grad()
    derived.train().zero_grad()
    images = supernet(z), derived(z)
    assert torch.equal(*images)
    for batch in images:
        (batch * torch.linspace(-1, 1, batch.numel()).view_as(batch)).sum().backward()
    inherited = inherited_state(supernet)
    num_active = derived.num_active_cells
    for name, parameter in derived.named_parameters():
        if name.startswith("cells.") and int(name.split(".")[1]) >= num_active:
            assert parameter.grad is None
            assert inherited[name].grad is None
        else:
            assert parameter.grad is not None, name
            assert torch.equal(parameter.grad, inherited[name].grad), name
    for name, buffer in derived.named_buffers():
        assert torch.equal(buffer, inherited[name]), name  # train mode moved both alike
    active = {id(tensor) for tensor in inherited.values()}
    assert all(p.grad is None for p in supernet.parameters() if id(p) not in active)


def test_every_choice_of_every_cell_can_be_read_back(supernet: AutoGANNetwork) -> None:
    for index in range(NUM_CELLS):
        slots = [m for m in supernet.cells[index].modules() if isinstance(m, Choice)]
        for tokens in enumerate_cells(index):
            choices = autogan_choices(decode_cell(index, tokens), index)
            choose(supernet.cells[index], choices)
            assert {slot.token: slot.active for slot in slots} == choices


def test_every_candidate_of_every_slot_is_chosen_by_some_cell(supernet: AutoGANNetwork) -> None:
    for index in range(NUM_CELLS):
        cells = [decode_cell(index, tokens) for tokens in enumerate_cells(index)]
        chosen = {pair for cell in cells for pair in autogan_choices(cell, index).items()}
        slots = [m for m in supernet.cells[index].modules() if isinstance(m, Choice)]
        assert {(s.token, name) for s in slots for name, _ in s.named_children()} == chosen


def test_a_new_supernet_is_set_to_its_genome() -> None:
    supernet = build_supernet(RANDOM[1], RESOLUTION)
    for index, cell in enumerate(RANDOM[1].cells):
        choices = autogan_choices(cell, index)
        slots = [m for m in supernet.cells[index].modules() if isinstance(m, Choice)]
        assert all(slot.active == choices[slot.token] for slot in slots)


def test_setting_one_cell_leaves_the_others() -> None:
    supernet = build_supernet(RANDOM[0], RESOLUTION)
    before = [m.active for m in supernet.cells[0].modules() if isinstance(m, Choice)]
    for tokens in enumerate_cells(1):
        choose(supernet.cells[1], autogan_choices(decode_cell(1, tokens), 1))
    assert before == [m.active for m in supernet.cells[0].modules() if isinstance(m, Choice)]


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


def test_slots_of_one_token_in_one_cell_agree() -> None:
    both = nn.ModuleList(Choice("token", CANDIDATES) for _ in range(2))
    choose(both, {"token": "two"})
    assert [slot.active for slot in both] == ["two", "two"]


def test_inherited_tensors_are_the_supernets_own(supernet: AutoGANNetwork) -> None:
    own = {id(t) for t in (*supernet.parameters(), *supernet.buffers())}
    assert all(id(tensor) in own for tensor in inherited_state(supernet).values())
