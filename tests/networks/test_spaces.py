"""What holds of the networks of every space: ours, their variants and a stranger's."""

from random import Random
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from gan_nas.errors import InvalidInput
from gan_nas.networks.builder import (
    build_discriminator,
    build_generator,
    build_supernet,
    choose_cells,
    network_of,
)
from gan_nas.networks.cost import generator_cost, genome_cost, num_parameters
from gan_nas.networks.initialisation import initialise
from gan_nas.networks.layers import ToRGB
from gan_nas.networks.slots import Choice, MixedOp, fixed, inherited_state, mixed
from gan_nas.networks.weights import load_generator_file, save_generator
from gan_nas.spaces.degas import DEGASSpace
from gan_nas.spaces.genome import Genome
from gan_nas.spaces.registry import BUILT_IN, load_space
from gan_nas.spaces.schema import GeneratorGenome
from gan_nas.spaces.space import Space
from gan_nas.streams import stream

SIDE, CHANNELS, WIDTH = 16, 2, 4
SPACES = (*BUILT_IN, "toy", "degas with all places")

pytestmark = pytest.mark.usefixtures("plugin")


@pytest.fixture(params=SPACES)
def space(request: pytest.FixtureRequest) -> Space[Any]:
    if request.param == "degas with all places":
        return DEGASSpace(stem_residual=True, final_normal=True)
    return load_space(request.param)


def drawn(space: Space[Any], number: int = 5) -> list[Any]:
    random = Random(0)
    return [space.sample(random, WIDTH) for _ in range(number)]


def made(network: nn.Module, seed: int = 0) -> nn.Module:
    """Draw a network's weights, with statistics that are not those of a start, in float64."""
    initialise(network, stream(seed, "weights"))
    for name, buffer in network.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(generator=stream(seed, name))
    return network.double()


def latents(generator: GeneratorGenome, number: int = 4) -> Tensor:
    z = torch.randn(number, generator.latent_dim, generator=stream(0, "z"), device="cpu")
    return z.double()


def inherited(supernet: nn.Module, genome: GeneratorGenome) -> nn.Module:
    """Return a genome's network with a supernet's weights; what that lacks is neutral."""
    derived = build_generator(genome, SIDE, CHANNELS).double()
    state = inherited_state(supernet)
    own = derived.state_dict()
    assert state.keys() <= own.keys()
    for name in own.keys() - state.keys():
        one = name.endswith((".norm.weight", ".running_var"))
        assert one or name.endswith((".bias", ".running_mean", ".num_batches_tracked")), name
        state[name] = torch.full_like(own[name], float(one))
    derived.load_state_dict(state, strict=True)
    return derived


def judged(network: nn.Module, z: Tensor) -> Tensor:
    """Return a network's images, and differentiate a loss that tells their pixels apart."""
    network.zero_grad()
    images: Tensor = network(z)
    (images * torch.linspace(-1, 1, images.numel()).view_as(images)).sum().backward()
    return images.detach()


def test_a_supernet_set_to_a_genome_is_the_genomes_own_network(space: Space[Any]) -> None:
    """Images, gradients and statistics, bit for bit; weights that are not used are left alone."""
    supernet = made(build_supernet(space.example(WIDTH), SIDE, CHANNELS))
    for genome in drawn(space, 10):
        choose_cells(supernet, genome)
        derived = inherited(supernet, genome)
        z = latents(genome)
        shared = inherited_state(supernet)
        if shared.keys() == derived.state_dict().keys():
            with torch.no_grad():
                assert torch.equal(derived.eval()(z), supernet.eval()(z))
        images = judged(derived.train(), z)
        assert images.shape == (4, CHANNELS, SIDE, SIDE)
        assert torch.equal(images, judged(supernet.train(), z))
        parameters = dict(derived.named_parameters())
        for name, tensor in shared.items():
            if name in parameters:
                assert parameters[name].grad is not None, name
                assert torch.equal(parameters[name].grad, tensor.grad), name
            else:
                assert torch.equal(derived.get_buffer(name), tensor), name
        used = {id(tensor) for tensor in shared.values()}
        assert all(p.grad is None for p in supernet.parameters() if id(p) not in used)


def test_all_fills_compute_the_same(space: Space[Any]) -> None:
    """Fixed, weight sharing and mixed: slots hold other modules, whose weights have one name."""
    for genome in drawn(space, 3):
        of_space = network_of(genome)
        choices = of_space.choices(genome)
        derived = of_space.build(genome, [fixed(chosen) for chosen in choices], SIDE, CHANNELS)
        made(derived)
        z = latents(genome)
        known = derived(z)
        for fill in (Choice, mixed):
            network = of_space.build(genome, [fill] * len(choices), SIDE, CHANNELS)
            choose_cells(network, genome)
            state = inherited_state(network.double())
            assert state.keys() == derived.state_dict().keys()
            with torch.no_grad():
                for name, tensor in derived.state_dict().items():
                    state[name].copy_(tensor)
            assert_close(network(z), known, rtol=0, atol=1e-12)
            assert any(isinstance(module, Choice) for module in network.modules())
        assert not any(isinstance(module, Choice) for module in derived.modules())


def test_a_supernet_holds_every_candidate_of_its_space(space: Space[Any]) -> None:
    supernet = build_supernet(space.example(WIDTH), SIDE, CHANNELS)
    slots = [module for module in supernet.modules() if isinstance(module, Choice)]
    kinds = {isinstance(slot, MixedOp) for slot in slots if len(list(slot.children())) > 1}
    assert len(kinds) == 1  # all mixed, or all sharing weights
    of_space = network_of(space.example(WIDTH))
    for genome in drawn(space, 30):
        assert of_space.left_out(supernet, genome) == {}
    derived = build_generator(space.example(WIDTH), SIDE, CHANNELS)
    assert num_parameters(supernet) > num_parameters(derived)


def test_setting_a_supernet_twice_is_setting_it_once(space: Space[Any]) -> None:
    supernet = build_supernet(space.example(WIDTH), SIDE, CHANNELS)
    a, b = drawn(space, 2)

    def active() -> list[str | None]:
        return [module.active for module in supernet.modules() if isinstance(module, Choice)]

    choose_cells(supernet, a)
    first = active()
    choose_cells(supernet, b)
    choose_cells(supernet, a)
    assert active() == first
    supernet = build_supernet(a, SIDE, CHANNELS)
    assert active() == first


def test_every_neighbour_is_another_network(space: Space[Any]) -> None:
    """No operation of a place computes what another one does, from the same weights."""
    supernet = made(build_supernet(space.example(WIDTH), SIDE, CHANNELS)).eval()
    (genome,) = drawn(space, 1)
    z = latents(genome, 2)
    choose_cells(supernet, genome)
    with torch.no_grad():
        own = supernet(z)
        for neighbour in space.neighbours(genome):
            choose_cells(supernet, neighbour)
            is_dead = network_of(genome).choices(neighbour) == network_of(genome).choices(genome)
            assert is_dead or not torch.equal(supernet(z), own), neighbour


def test_gradients_reach_every_weight_of_a_generator(space: Space[Any]) -> None:
    for genome in drawn(space, 3):
        network = made(build_generator(genome, SIDE, CHANNELS))
        assert judged(network, latents(genome)).abs().max() <= 1
        without = [name for name, p in network.named_parameters() if p.grad is None]
        assert not without


def test_generators_end_in_the_images_channels(space: Space[Any]) -> None:
    for channels in (1, 3):
        network = build_generator(space.example(WIDTH), SIDE, channels)
        (last,) = (module for module in network.modules() if isinstance(module, ToRGB))
        assert last.conv.out_channels == channels
        assert network.latent_dim == space.example(WIDTH).latent_dim


def test_costs_are_counted_on_the_meta_device(space: Space[Any]) -> None:
    (generator,) = drawn(space, 1)
    genome = Genome(generator=generator, discriminator=space.discriminator(WIDTH))
    cost = genome_cost(genome, SIDE, CHANNELS)
    network = build_generator(generator, SIDE, CHANNELS)
    assert cost.generator.parameters == num_parameters(network)
    assert min(*cost.generator, *cost.discriminator) > 0
    assert generator_cost(generator, 2 * SIDE, CHANNELS).macs == 4 * cost.generator.macs


def test_the_default_discriminator_judges_the_generators_images(space: Space[Any]) -> None:
    for device in ("meta", "cpu"):
        with torch.device(device):
            discriminator = build_discriminator(space.discriminator(WIDTH), SIDE, CHANNELS)
            generator = build_generator(space.example(WIDTH), SIDE, CHANNELS)
        images = generator(latents(space.example(WIDTH)).to(device, torch.float32))
        assert images.shape == (4, CHANNELS, SIDE, SIDE)
        assert discriminator(images).shape == (4, 1)


@pytest.mark.parametrize("side", [0, -8, 6, 17, 1024])
def test_a_side_that_cells_cannot_make_is_refused(space: Space[Any], side: int) -> None:
    for build in (build_generator, build_supernet):
        with pytest.raises(InvalidInput, match=f"resolution {side} does not suit"):
            build(space.example(WIDTH), side)


def test_a_generator_file_is_read_back(space: Space[Any], tmp_path: Any) -> None:
    (generator,) = drawn(space, 1)
    genome = Genome(generator=generator, discriminator=space.discriminator(WIDTH))
    network = made(build_generator(generator, SIDE, CHANNELS)).float().eval()
    path = tmp_path / "my generator.safetensors"
    save_generator(path, network.state_dict(), genome, SIDE, CHANNELS, {"method": "build"})
    about, tensors = load_generator_file(path)
    assert about.genome == genome
    assert all(tensors[name].equal(tensor) for name, tensor in network.state_dict().items())
