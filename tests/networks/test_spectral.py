"""Spectral normalisation: the published order of updates, and when nothing may move."""

import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from gan_nas.networks.builder import build_discriminator
from gan_nas.networks.initialisation import initialise
from gan_nas.networks.spectral import SpectralConv2d, SpectralLinear, spectral_weight
from gan_nas.spaces.sn_resnet import SNResNetDiscriminator
from gan_nas.streams import stream

Layer = SpectralConv2d | SpectralLinear
EVERY_LAYER = pytest.mark.parametrize(
    "make",
    [
        lambda: SpectralConv2d(3, 5, 3),
        lambda: SpectralConv2d(3, 5, 1),
        lambda: SpectralLinear(6, 4),
    ],
    ids=["conv_3x3", "conv_1x1", "linear"],
)
Make = Callable[[], Layer]


def new(make: Make) -> Layer:
    layer = make()
    initialise(layer, stream(0, "weights"))
    return layer


def classic(layer: Layer) -> nn.Module:
    """Return PyTorch's layer with the classic hook and the same weights and vectors."""
    plain: nn.Module
    if isinstance(layer, SpectralConv2d):
        plain = nn.Conv2d(
            layer.in_channels, layer.out_channels, layer.kernel_size, padding=layer.padding
        )
    else:
        plain = nn.Linear(layer.in_features, layer.out_features)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # newer releases may call the hook deprecated
        plain = nn.utils.spectral_norm(plain.to(layer.weight.dtype))
    names = {"weight": "weight_orig"}
    plain.load_state_dict({names.get(k, k): t.clone() for k, t in layer.state_dict().items()})
    return plain


def inputs(layer: Layer, num: int = 2, purpose: str = "x") -> Tensor:
    shape = (num, 3, 5, 5) if isinstance(layer, SpectralConv2d) else (num, 6)
    x = torch.randn(shape, generator=stream(0, purpose), device="cpu")
    return x.to(layer.weight.dtype)


def vectors(network: nn.Module) -> dict[str, Tensor]:
    return {
        k: t.clone() for k, t in network.named_buffers() if k.endswith(("weight_u", "weight_v"))
    }


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    assert a.keys() == b.keys()
    return all(torch.equal(a[name], b[name]) for name in a)


@EVERY_LAYER
@pytest.mark.parametrize(("dtype", "atol"), [(torch.float32, 1e-6), (torch.float64, 1e-14)])
def test_three_steps_are_those_of_the_classic_hook(
    make: Make, dtype: torch.dtype, atol: float
) -> None:
    ours = new(make).to(dtype)
    theirs = classic(ours)
    for step in range(3):
        x = inputs(ours, purpose=f"step {step}")
        for layer in (ours, theirs):
            layer.zero_grad()
            y = layer(x)
            (y.square().sum() + y.sum()).backward()
        torch.testing.assert_close(ours(x), theirs(x), atol=10 * atol, rtol=0)
        pairs = [
            (ours.weight, theirs.weight_orig),
            (ours.weight_u, theirs.weight_u),
            (ours.weight_v, theirs.weight_v),
            (ours.bias, theirs.bias),
        ]
        for a, b in pairs:
            torch.testing.assert_close(a, b, atol=10 * atol, rtol=0)
            if isinstance(a, nn.Parameter):
                torch.testing.assert_close(a.grad, b.grad, atol=100 * atol, rtol=100 * atol)
        with torch.no_grad():
            for parameter in (*ours.parameters(), *theirs.parameters()):
                parameter -= 0.01 * parameter.grad
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x), atol=10 * atol, rtol=0)


@EVERY_LAYER
def test_train_mode_iterates_with_frozen_weights_and_without_gradients_too(make: Make) -> None:
    free, frozen, without = new(make), new(make).requires_grad_(False), new(make)
    before = vectors(frozen)
    x = inputs(frozen).requires_grad_()
    frozen(x).sum().backward()
    free(inputs(free))
    assert x.grad is not None
    assert frozen.weight.grad is None
    assert not same(before, vectors(frozen))
    with torch.no_grad():
        without(inputs(without))
    assert same(vectors(free), vectors(frozen))
    assert same(vectors(free), vectors(without))


@EVERY_LAYER
def test_nothing_moves_in_eval_mode(make: Make) -> None:
    layer = new(make).eval()
    before = {k: t.clone() for k, t in layer.state_dict().items()}
    first, second = (layer(inputs(layer)) for _ in range(2))
    assert torch.equal(first, second)
    assert same(before, dict(layer.state_dict()))


@EVERY_LAYER
def test_two_forward_passes_may_come_before_the_backward_pass(make: Make) -> None:
    """The published discriminator step: real and fake images each move u and v."""
    ours = new(make).double()
    theirs = classic(ours)
    real, fake = inputs(ours, purpose="real"), inputs(ours, purpose="fake")
    for layer in (ours, theirs):
        (layer(real).square().sum() - layer(fake).square().sum()).backward()
    torch.testing.assert_close(ours.weight.grad, theirs.weight_orig.grad)
    torch.testing.assert_close(ours.weight_u, theirs.weight_u)


@EVERY_LAYER
@pytest.mark.parametrize("iterate", [True, False])
def test_under_autocast_the_normalised_weight_stays_float32(make: Make, iterate: bool) -> None:
    plain, cast = new(make), new(make)
    expected = spectral_weight(plain.weight, plain.weight_u, plain.weight_v, iterate)
    with torch.autocast("cpu", torch.bfloat16):
        weight = spectral_weight(cast.weight, cast.weight_u, cast.weight_v, iterate)
        assert cast(inputs(cast)).dtype == torch.bfloat16
    assert weight.dtype == torch.float32
    assert torch.equal(weight, expected)


def test_under_autocast_a_discriminators_vectors_are_those_of_float32() -> None:
    genome = SNResNetDiscriminator(space="sn_resnet", width=8)
    plain, cast = (build_discriminator(genome, 16) for _ in range(2))
    for network in (plain, cast):
        initialise(network, stream(0, "weights"))
    images = torch.rand(2, 3, 16, 16, generator=stream(0, "x"), device="cpu")
    for _ in range(2):
        expected = plain(images)
        with torch.autocast("cpu", torch.bfloat16):
            scores = cast(images)
    assert scores.dtype == torch.bfloat16
    torch.testing.assert_close(scores.float(), expected, atol=0.1, rtol=0.1)
    assert same(vectors(plain), vectors(cast))
    assert all(t.dtype == torch.float32 for t in cast.state_dict().values())
    (scores.float().sum()).backward()
    assert all(p.grad.dtype == torch.float32 for p in cast.parameters() if p.grad is not None)


@EVERY_LAYER
def test_made_on_the_meta_device_nothing_is_drawn(make: Make) -> None:
    before = torch.get_rng_state()
    with torch.device("meta"):
        layer = make()
        assert layer(inputs(layer).to("meta")).is_meta
    assert all(t.is_meta for t in layer.state_dict().values())
    assert torch.equal(before, torch.get_rng_state())


@EVERY_LAYER
def test_new_vectors_have_length_one(make: Make) -> None:
    for layer in (make(), new(make)):
        for vector in vectors(layer).values():
            assert float(vector.norm()) == pytest.approx(1)
    for vector in vectors(layer).values():  # drawn ones
        assert (vector < 0).any()
        assert (vector > 0).any()
