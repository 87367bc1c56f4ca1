"""Every fast path equals the paper's form: values and all gradients, in float64, from one table."""

import random
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from functools import partial
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from gan_nas.networks.adversarialnas import (
    AdversarialNASDownCell,
    AdversarialNASUpCell,
    DownCellNetwork,
    adversarialnas_choices,
)
from gan_nas.networks.autogan import AutoGANUpCell, UpConv, ups
from gan_nas.networks.blocks import ResidualBlock
from gan_nas.networks.builder import (
    build_discriminator,
    build_generator,
    build_supernet,
)
from gan_nas.networks.degas import Stage, StageNetwork, up_ops
from gan_nas.networks.initialisation import initialise
from gan_nas.networks.layers import Projection, plain_conv
from gan_nas.networks.merged import MERGED, edges, merge, published_order
from gan_nas.networks.merged.kernels import plan_kernels
from gan_nas.networks.slots import Fill, MixedOp, choose, fixed, mixed
from gan_nas.networks.spectral import SpectralConv2d
from gan_nas.search.adversarialnas import config as adversarialnas
from gan_nas.search.adversarialnas.super_gan import networks as adversarialnas_networks
from gan_nas.search.autogan import config as autogan
from gan_nas.search.autogan.shared_gan import new_shared_gan
from gan_nas.spaces.adversarialnas import AdversarialNASDiscriminator, sample_discriminator
from gan_nas.spaces.autogan import UPS
from gan_nas.spaces.degas import UP_OPS, DEGASSpace, operations
from gan_nas.spaces.genome import Genome
from gan_nas.spaces.published import published_genome, published_names
from gan_nas.spaces.random_genomes import sample_genomes
from gan_nas.streams import stream

BATCH = 3
ODD = ((1, 1), (2, 2), (7, 5))
EVEN = ((2, 2), (2, 6), (8, 6))
FORMATS = (  # of weights and images; all else is contiguous
    (torch.contiguous_format, torch.channels_last),
    (torch.channels_last, torch.contiguous_format),
    (torch.channels_last, torch.channels_last),
)
Tensors = Mapping[str, Tensor]
Shapes = Callable[[int, int, int], Sequence[Sequence[int]]]


def own_channels(c: int, h: int, w: int) -> Sequence[Sequence[int]]:
    return [(c, h, w)]


def with_channels(num: int) -> Shapes:
    return lambda c, h, w: [(num, h, w)]


class Case(NamedTuple):
    """A module of c channels, the shapes of its inputs at a size, and how it is run."""

    make: Callable[[int], nn.Module]
    sizes: Sequence[tuple[int, int]] = ODD
    shapes: Shapes = own_channels
    mixes: str = "nothing"  # whose edges have weights: "all", "some", or "scaled" active ones


def slots_of(module: nn.Module) -> dict[str, MixedOp]:
    return {name: slot for name, slot in module.named_modules() if isinstance(slot, MixedOp)}


def weights_of(module: nn.Module, mixes: str) -> dict[str, Tensor]:
    """Weigh the candidates; negative weights are no probabilities, but allowed."""
    weights = {}
    for index, (name, slot) in enumerate(slots_of(module).items()):
        if mixes == "all" or (mixes == "some" and index % 2):
            weights[name] = normal(name, len(list(slot.children())))
        elif mixes in ("scaled", "some") and index % 3:
            weights[name] = normal(name, 1)[0]
    return weights


def run(module: nn.Module, inputs: Sequence[Tensor], weights: Tensors) -> list[Tensor]:
    """Call a cell, a stage or a whole network as a supernet's user does."""
    slots = slots_of(module)
    given: list[dict[str, Tensor]] = [{} for _ in getattr(module, "cells", [None])]
    for name, weight in weights.items():
        index = int(name.split(".")[1]) if name.startswith("cells.") else 0
        given[index][slots[name].token] = weight
    arguments: list[Any] = [inputs[0]]
    if isinstance(module, AdversarialNASUpCell | AutoGANUpCell):
        arguments.append(list(inputs[1:]))
    if slots:
        arguments.append(given if isinstance(module, DownCellNetwork) else given[0])
    result = module(*arguments)
    return [result] if isinstance(result, Tensor) else [y for y in result if y is not None]


def skips_too(index: int) -> Shapes:
    """Give cell `index` the skips of the cells before it as well."""
    return lambda c, h, w: (
        [(c, h, w)] + [(c, 2 * h >> (index - j), 2 * w >> (index - j)) for j in range(index)]
    )


def up_cell(index: int, fill: Fill, c: int) -> nn.Module:
    return AdversarialNASUpCell(index, c, fill)


def down_cell(index: int, fill: Fill, c: int) -> nn.Module:
    return AdversarialNASDownCell(index, c if index else 2, c, fill)


def down_network(genome: AdversarialNASDiscriminator, c: int) -> nn.Module:
    network = DownCellNetwork([mixed] * len(genome.cells), c, 2)
    for cell, choices in zip(network.cells, adversarialnas_choices(genome.cells), strict=True):
        choose(cell, choices)
    return network


def mixed_as(genome_cells: Any, make: Callable[[Fill, int], nn.Module], index: int) -> Any:
    """Return what makes a mixed cell that is set to the genome's."""

    def made(c: int) -> nn.Module:
        cell = make(mixed, c)
        choose(cell, adversarialnas_choices(genome_cells)[index])
        return cell

    return made


def stage(fill: Fill, has_residual: bool, searching: bool, c: int) -> nn.Module:
    return Stage(0, c, fill, searching, has_residual)


def stage_network(fill: Fill, searching: bool, c: int) -> nn.Module:
    return StageNetwork(
        fill, c, 5, 2, 2, residuals=[True, True], has_final_normal=True, searching=searching
    )


def all_cases() -> dict[str, Case]:
    cases: dict[str, Case] = {}
    for up in UPS:
        cases[f"up conv, {up}"] = Case(lambda c, up=up: UpConv(c, ups(c)[up]()))
        for factor in (2, 4):
            cases[f"projection, {up} {factor}"] = Case(
                lambda c, up=up, factor=factor: Projection(c, ups(c, factor)[up]())
            )
    for op in UP_OPS:
        for searching in (True, False):
            cases[f"{op}, {searching=}"] = Case(
                lambda c, op=op, searching=searching: up_ops(c, searching)[op]()
            )
    for conv in (plain_conv, SpectralConv2d):
        block = partial(ResidualBlock, conv=conv)
        name = "spectral" if conv is SpectralConv2d else "plain"
        cases[f"first block, {name}"] = Case(
            lambda c, block=block: block(2, c, is_first=True), EVEN, with_channels(2)
        )
        cases[f"halving block, {name}"] = Case(
            lambda c, block=block: block(c, c, downsample=True), EVEN
        )
        cases[f"keeping block, {name}"] = Case(lambda c, block=block: block(c, c))

    genomes = [g.generator for g in sample_genomes("adversarialnas", 3, seed=0, width=4)]
    judges = [sample_discriminator(random.Random(seed), 4) for seed in range(3)]
    for index in range(3):  # of which up cell 2 has all skips, and down cell 1 is as cell 2
        up_sizes = [(2, 2), (4, 2)] if index == 2 else ODD if index == 0 else [(1, 1), (3, 2)]
        shapes, up, down = skips_too(index), partial(up_cell, index), partial(down_cell, index)
        down_shapes = (with_channels(2)) if index == 0 else Case._field_defaults["shapes"]
        for mixes in ("all", "some", "scaled"):
            for made, cells, sizes, of, name, whole in (
                (up, genomes[index].cells, up_sizes, shapes, "up", 2),
                (down, judges[index].cells, EVEN, down_shapes, "down", 1),
            ):
                if mixes != "all" and index != whole:
                    continue
                cases[f"{name} cell {index}, {mixes}"] = Case(
                    mixed_as(cells, made, index), sizes, of, mixes
                )
        derived = fixed(adversarialnas_choices(genomes[0].cells)[index])
        cases[f"derived up cell {index}"] = Case(partial(up, derived), up_sizes, shapes)
        derived = fixed(adversarialnas_choices(judges[0].cells)[index])
        cases[f"derived down cell {index}"] = Case(partial(down, derived), EVEN, down_shapes)
    image = ((16, 16), (32, 16))
    for mixes in ("all", "scaled"):
        cases[f"down network, {mixes}"] = Case(
            partial(down_network, judges[0]), image, with_channels(2), mixes
        )
    for residual in (True, False):
        sizes = ((2, 2), (3, 5))
        cases[f"stage, {residual=}"] = Case(
            partial(stage, mixed, residual, True), sizes, mixes="all"
        )
    degas = operations(DEGASSpace(True, True).sample(random.Random(0), 4))
    cases["derived stage"] = Case(partial(stage, fixed(degas), True, False), ((2, 2), (3, 5)))
    for fill, searching, mixes in ((mixed, True, "all"), (fixed(degas), False, "nothing")):
        cases[f"stage network, {mixes}"] = Case(
            partial(stage_network, fill, searching), [(1, 1)], lambda c, h, w: [(5,)], mixes
        )
    return cases


CASES = all_cases()
EVERY_CASE = pytest.mark.parametrize("name", CASES)
SOME = ("up conv, deconv", "projection, deconv 4", "halving block, spectral", "up cell 2, all")
SOME += ("down network, all", "stage network, all")
SOME_CASES = pytest.mark.parametrize("name", SOME)


@pytest.fixture(params=[True, False], ids=["split", "whole"])
def split(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Lay out kernels as for a CPU (split), or as for other devices."""
    forced: bool = request.param
    monkeypatch.setattr(
        edges, "plan_kernels", lambda shapes, *, split: plan_kernels(shapes, split=forced)
    )
    return forced


def normal(purpose: str, *shape: int) -> Tensor:
    return torch.randn(shape, generator=stream(0, purpose), dtype=torch.float64, device="cpu")


def built(name: str, channels: int = 3) -> nn.Module:
    """Make a module in the paper's form, with every weight drawn, in float64."""
    module = CASES[name].make(channels).double()
    initialise(module, stream(0, "weights"))
    for key, parameter in module.named_parameters():
        if parameter.dim() == 1:  # norms' too
            parameter.data.add_(normal(key, *parameter.shape), alpha=0.1)
    return module


def inputs_of(case: Case, channels: int, size: tuple[int, int]) -> list[Tensor]:
    shapes = case.shapes(channels, *size)
    return [normal(f"input {i}", BATCH, *shape) for i, shape in enumerate(shapes)]


class Outcome(NamedTuple):
    """All that a computation gives: outputs, gradients by name, and buffers after it."""

    outputs: list[Tensor]
    gradients: dict[str, Tensor | None]
    buffers: dict[str, Tensor]


Run = Callable[[nn.Module, Sequence[Tensor], Tensors], list[Tensor]]


def outcome(
    module: nn.Module, inputs: Sequence[Tensor], weights: Tensors, run: Run = run
) -> Outcome:
    """Run a copy of the module, and differentiate with respect to everything."""
    module = deepcopy(module)
    inputs = [x.clone().requires_grad_() for x in inputs]
    weights = {name: weight.clone().requires_grad_() for name, weight in weights.items()}
    outputs = run(module, inputs, weights)
    loss = torch.stack(
        [(y * normal(f"seen {i}", *y.shape)).sum() for i, y in enumerate(outputs)]
    ).sum()
    trained = {f"input {i}": x for i, x in enumerate(inputs)} | weights
    trained |= {key: p for key, p in module.named_parameters() if p.requires_grad}
    gradients = torch.autograd.grad(loss, list(trained.values()), allow_unused=True)
    return Outcome(
        [y.detach() for y in outputs],
        dict(zip(trained, gradients, strict=True)),
        dict(module.named_buffers()),
    )


def both_forms(
    module: nn.Module, inputs: Sequence[Tensor], weights: Tensors, run: Run = run
) -> tuple[Outcome, Outcome]:
    """Return what the paper's form gives, and what the merged one does."""
    return (
        outcome(module, inputs, weights, run),
        outcome(merge(deepcopy(module)), inputs, weights, run),
    )


def assert_same(one: Outcome, other: Outcome, tolerance: float = 1e-12) -> None:
    """Compare to a share of the largest: a bias before a norm has rounding for a gradient."""
    assert len(one.outputs) == len(other.outputs)
    pairs = [("outputs", a, b) for a, b in zip(one.outputs, other.outputs, strict=True)]
    assert one.buffers.keys() == other.buffers.keys()
    pairs += [(name, buffer, other.buffers[name]) for name, buffer in one.buffers.items()]
    for name, a, b in pairs:
        assert float((a - b).abs().max()) <= tolerance * max(1.0, float(a.abs().max())), name
    assert one.gradients.keys() == other.gradients.keys()
    largest = max(float(g.abs().max()) for g in one.gradients.values() if g is not None)
    for name, gradient in one.gradients.items():
        theirs = other.gradients[name]
        # A form may know that there is no gradient where the other one computes zeros.
        a, b = (torch.zeros(()) if g is None else g for g in (gradient, theirs))
        assert float((a - b).abs().max()) <= tolerance * max(1.0, largest), name


def test_every_fast_path_is_in_the_table() -> None:
    for names in (CASES, SOME):
        used = {type(module) for name in names for module in built(name).modules()}
        assert used >= MERGED.keys()
    for published, merged in MERGED.items():
        assert issubclass(merged, published)


@EVERY_CASE
@pytest.mark.parametrize(
    ("split", "channels"), [(True, 1), (True, 3), (False, 3)], indirect=["split"]
)
def test_the_merged_form_equals_the_papers(split: bool, name: str, channels: int) -> None:
    case, module = CASES[name], built(name, channels)
    weights = weights_of(module, case.mixes)
    for size in case.sizes if channels == 3 else case.sizes[-1:]:
        inputs = inputs_of(case, channels, size)
        published, merged = both_forms(module, inputs, weights)
        assert published.outputs
        assert_same(published, merged)
        if case.mixes == "all":
            assert all(gradient is not None for gradient in merged.gradients.values())


@EVERY_CASE
def test_in_every_memory_format(split: bool, name: str) -> None:
    case, module = CASES[name], built(name)
    inputs, weights = inputs_of(case, 3, case.sizes[-1]), weights_of(module, case.mixes)
    published = outcome(module, inputs, weights)
    merge(module)
    for kernels, images in FORMATS:
        laid = [x.contiguous(memory_format=images) if x.dim() == 4 else x for x in inputs]
        merged = outcome(module.to(memory_format=kernels), laid, weights)  # type: ignore[call-overload]
        assert_same(published, merged)


@EVERY_CASE
def test_frozen_weights_leave_the_other_gradients(name: str) -> None:
    case, module = CASES[name], merge(built(name))
    inputs, weights = inputs_of(case, 3, case.sizes[-1]), weights_of(module, case.mixes)
    full = outcome(module, inputs, weights)
    parameters = list(module.named_parameters())
    for key, parameter in parameters[1::2]:
        parameter.requires_grad_(False)
        del full.gradients[key]
    assert_same(full, outcome(module, inputs, weights))
    module.requires_grad_(False)
    for key, _ in parameters[0::2]:
        del full.gradients[key]
    assert_same(full, outcome(module, inputs, weights))


@EVERY_CASE
def test_a_gradient_can_be_differentiated(split: bool, name: str) -> None:
    """The norm of the gradient with respect to images is itself a loss of some critics."""
    case, module = CASES[name], built(name)
    inputs, weights = inputs_of(case, 3, case.sizes[-1]), weights_of(module, case.mixes)

    def slope(module: nn.Module, inputs: Sequence[Tensor], weights: Tensors) -> list[Tensor]:
        total = torch.stack([y.square().sum() for y in run(module, inputs, weights)]).sum()
        return list(torch.autograd.grad(total, inputs[0], create_graph=True))

    assert_same(*both_forms(module, inputs, weights, slope), tolerance=1e-11)


@EVERY_CASE
def test_a_later_forward_pass_does_not_disturb_an_earlier_ones_gradients(name: str) -> None:
    """Power iterations move u and v between the passes over real and fake images."""
    case, module = CASES[name], built(name)
    inputs, weights = inputs_of(case, 3, case.sizes[-1]), weights_of(module, case.mixes)

    def twice(module: nn.Module, inputs: Sequence[Tensor], weights: Tensors) -> list[Tensor]:
        return run(module, inputs, weights) + run(module, [-x for x in inputs], weights)

    assert_same(*both_forms(module, inputs, weights, twice))


@EVERY_CASE
def test_in_evaluation_nothing_moves(name: str) -> None:
    case, module = CASES[name], built(name).eval()
    inputs, weights = inputs_of(case, 3, case.sizes[-1]), weights_of(module, case.mixes)
    published, merged = both_forms(module, inputs, weights)
    assert_same(published, merged)
    assert all(torch.equal(b, merged.buffers[key]) for key, b in module.named_buffers())


@EVERY_CASE
def test_in_mixed_precision_gradients_stay_in_float32(name: str) -> None:
    case, module = CASES[name], merge(built(name)).float()
    inputs = [x.float() for x in inputs_of(case, 3, case.sizes[-1])]
    weights = {key: weight.float() for key, weight in weights_of(module, case.mixes).items()}

    def halved(*arguments: Any) -> list[Tensor]:
        with torch.autocast("cpu", torch.bfloat16):
            return [y.float() for y in run(*arguments)]

    exact, rough = outcome(module, inputs, weights), outcome(module, inputs, weights, halved)
    assert all(g is None or g.dtype == torch.float32 for g in rough.gradients.values())
    for mine, theirs in zip(rough.outputs, exact.outputs, strict=True):
        assert float((mine - theirs).abs().max()) <= 0.05 * float(theirs.abs().max())
    for key, buffer in rough.buffers.items():
        if key.endswith(("weight_u", "weight_v")):
            torch.testing.assert_close(buffer, exact.buffers[key], rtol=0.02, atol=0.02)


@SOME_CASES
def test_on_the_meta_device_shapes_are_the_same(name: str) -> None:
    case, module = CASES[name], merge(built(name))
    inputs, weights = inputs_of(case, 3, case.sizes[-1]), weights_of(module, case.mixes)
    expected = outcome(module, inputs, weights)
    module.to("meta")
    outputs = run(module, [x.to("meta") for x in inputs], weights_on_meta(weights))
    assert all(y.is_meta for y in outputs)
    assert [y.shape for y in outputs] == [y.shape for y in expected.outputs]
    sum(y.sum() for y in outputs).backward()  # type: ignore[union-attr]
    for key, parameter in module.named_parameters():
        assert (parameter.grad is None) == (expected.gradients[key] is None), key


def weights_on_meta(weights: Tensors) -> Tensors:
    return {key: weight.to("meta").requires_grad_() for key, weight in weights.items()}


@SOME_CASES
def test_another_default_device_changes_nothing(name: str) -> None:
    case, module = CASES[name], merge(built(name))
    inputs, weights = inputs_of(case, 3, case.sizes[-1]), weights_of(module, case.mixes)
    here = outcome(module, inputs, weights)
    with torch.device("meta"):
        there = outcome(module, inputs, weights)
    assert_same(here, there, tolerance=0)


@SOME_CASES
def test_the_published_order_lasts_only_for_its_block_and_for_one_network(name: str) -> None:
    one, other = merge(built(name)), merge(built(name))
    kinds = [type(module) for module in one.modules()]
    keys = list(one.state_dict())
    assert set(kinds) & set(MERGED.values())
    with published_order(one):
        assert not {type(module) for module in one.modules()} & set(MERGED.values())
        assert [type(module) for module in other.modules()] == kinds
        assert list(one.state_dict()) == keys
    assert [type(module) for module in one.modules()] == kinds
    with pytest.raises(RuntimeError, match="inside"), published_order(one):
        raise RuntimeError("inside")
    assert [type(module) for module in one.modules()] == kinds
    with published_order(plain := built(name)):
        pass
    assert not {type(module) for module in plain.modules()} & set(MERGED.values())


def test_all_that_is_built_for_searches_and_training_is_merged() -> None:
    with torch.device("meta"):
        built = [
            network for name in published_names() for network in built_for(published_genome(name))
        ]
        shared = new_shared_gan(autogan.Config(), 32, 3, torch.device("meta"), num_resets=0)
        searched = [
            network
            for discriminator in ("searched", "super", "sn_resnet")
            for network in adversarialnas_networks(
                adversarialnas.Config(discriminator=discriminator), 32, 3
            )
        ]
    for network in (*built, *searched, shared.generator, shared.discriminator):
        left = {type(module) for module in network.modules()} & MERGED.keys()
        assert not left, type(network)


def built_for(genome: Genome) -> list[nn.Module]:
    return [
        build_generator(genome.generator, 32),
        build_discriminator(genome.discriminator, 32),
        build_supernet(genome.generator, 32),
    ]
