"""The compiler: initialisation, devices, dtypes and refusals."""

from collections.abc import Callable
from math import sqrt

import pytest
import torch
from torch import Tensor, nn

from gan_nas.errors import InvalidInput
from gan_nas.networks.builder import (
    build_discriminator,
    build_generator,
    build_supernet,
)
from gan_nas.networks.initialisation import initialise
from gan_nas.networks.layers import ToRGB
from gan_nas.networks.resolution import MAX_RESOLUTION, bottom_width
from gan_nas.networks.spectral import SpectralConv2d, SpectralLinear
from gan_nas.spaces.autogan import AutoGANGenerator, decode
from gan_nas.spaces.published import published_genome
from gan_nas.spaces.sn_resnet import SNResNetDiscriminator
from gan_nas.streams import stream

SMALL = published_genome("autogan-cifar10-top3").resized(4, 4)  # batch norm in a cell
EVERYTHING = decode((1, 1, 2, 1, 1, 1, 2, 1, 1, 1, 1, 2, 1, 3), 4)  # deconvolutions too
BUILDS: list[Callable[[], nn.Module]] = [
    lambda: build_generator(EVERYTHING, 16),
    lambda: build_supernet(EVERYTHING, 16),
    lambda: build_discriminator(SMALL.discriminator, 16),
]
EVERY_BUILD = pytest.mark.parametrize("build", BUILDS, ids=["derived", "supernet", "discriminator"])


def meta(build: Callable[[], nn.Module]) -> nn.Module:
    with torch.device("meta"):
        return build()


def tensors(network: nn.Module) -> dict[str, Tensor]:
    return {k: t.detach().clone() for k, t in network.state_dict().items()}


def one_sentence(error: BaseException) -> bool:
    text = str(error)
    return "\n" not in text and ". " not in text and 20 < len(text) < 200


@pytest.mark.parametrize("resolution", [0, -8, 3, 513, 10**9])
def test_discriminators_refuse_a_resolution_in_one_sentence(resolution: int) -> None:
    with pytest.raises(InvalidInput, match=f"resolution {resolution}\\b") as raised:
        build_discriminator(SMALL.discriminator, resolution)
    assert one_sentence(raised.value)
    assert str(MAX_RESOLUTION) in str(raised.value)


def test_the_stem_has_the_bottom_width() -> None:
    assert [bottom_width(r, 3) for r in (8, 16, 32, 48, 512)] == [1, 2, 4, 6, 64]
    assert bottom_width(6, 1) == 3


@EVERY_BUILD
def test_on_the_meta_device_nothing_is_allocated_and_shapes_are_the_same(
    build: Callable[[], nn.Module],
) -> None:
    before = torch.get_rng_state()
    network = meta(build)
    assert torch.equal(before, torch.get_rng_state())
    assert all(tensor.is_meta for tensor in network.state_dict().values())
    real = build().state_dict()
    assert {k: (t.shape, t.dtype) for k, t in network.state_dict().items()} == {
        k: (t.shape, t.dtype) for k, t in real.items()
    }
    assert all(tensor.device.type == "cpu" for tensor in real.values())


def test_the_default_dtype_is_the_callers() -> None:
    torch.set_default_dtype(torch.float64)
    try:
        networks = [build() for build in BUILDS]
        for network in networks:
            initialise(network, stream(0, "weights"))
    finally:
        torch.set_default_dtype(torch.float32)
    for network in networks:
        floats = [t for t in network.state_dict().values() if t.is_floating_point()]
        assert all(t.dtype == torch.float64 for t in floats)
    z = torch.zeros(2, 128, dtype=torch.float64, device="cpu")
    images = networks[0](z)
    assert images.dtype == torch.float64
    assert networks[1](z).dtype == torch.float64
    assert networks[2](images).dtype == torch.float64


# Initialisation


def initialised(module: nn.Module, seed: int = 0) -> nn.Module:
    initialise(module, stream(seed, "weights"))
    return module


def assert_uniform(tensor: Tensor, bound: float) -> None:
    """Check a large tensor to be uniform on (-bound, bound)."""
    tensor = tensor.detach()
    assert tensor.abs().max() <= bound * (1 + 1e-6)
    assert tensor.abs().max() > 0.95 * bound
    assert float(tensor.mean()) == pytest.approx(0, abs=0.15 * bound)
    assert float(tensor.std()) == pytest.approx(bound / sqrt(3), rel=0.1)


@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("make", [nn.Conv2d, SpectralConv2d])
def test_convolutions_are_xavier_uniform(make: type[nn.Conv2d], kernel: int) -> None:
    conv = initialised(make(40, 600, kernel))
    assert_uniform(conv.weight, sqrt(6 / (kernel**2 * (40 + 600))))
    assert_uniform(conv.bias, 1 / sqrt(40 * kernel**2))


def test_transposed_convolutions_are_not() -> None:
    """The authors' rule looks for "Conv2d" in the class name, which "ConvTranspose2d" lacks."""
    conv = initialised(nn.ConvTranspose2d(60, 600, 2, stride=2))
    assert_uniform(
        conv.weight, 1 / sqrt(600 * 4)
    )  # as PyTorch counts the fan-in of (in, out, 2, 2)
    assert_uniform(conv.bias, 1 / sqrt(600 * 4))
    assert conv.weight.abs().max() < 0.9 * sqrt(6 / (4 * (60 + 600)))


@pytest.mark.parametrize("make", [nn.Linear, SpectralLinear])
def test_linear_layers_are_as_pytorch_makes_them(make: type[nn.Linear]) -> None:
    layer = initialised(make(50, 600))
    assert_uniform(layer.weight, 1 / sqrt(50))
    assert_uniform(layer.bias, 1 / sqrt(50))
    assert initialised(make(50, 600, bias=False)).bias is None


def test_batch_norms_are_near_one() -> None:
    norm = nn.BatchNorm2d(4000)
    norm(torch.randn(2, 4000, 2, 2, generator=stream(0, "x"), device="cpu"))
    initialised(norm)
    assert float(norm.weight.detach().mean()) == pytest.approx(1, abs=2e-3)
    assert float(norm.weight.detach().std()) == pytest.approx(0.02, rel=0.1)
    assert not norm.bias.any()
    assert not norm.running_mean.any()
    assert bool((norm.running_var == 1).all())
    assert norm.num_batches_tracked == 0


def test_lstm_cells_and_embeddings_are_as_pytorch_makes_them() -> None:
    lstm = initialised(nn.LSTMCell(30, 100))
    for parameter in lstm.parameters():
        assert_uniform(parameter, 0.1)
    embedding = initialised(nn.Embedding(100, 50))
    assert float(embedding.weight.detach().mean()) == pytest.approx(0, abs=0.1)
    assert float(embedding.weight.detach().std()) == pytest.approx(1, rel=0.1)


@EVERY_BUILD
def test_the_same_seed_gives_the_same_weights(build: Callable[[], nn.Module]) -> None:
    first, second = tensors(initialised(build())), tensors(initialised(build()))
    assert all(torch.equal(first[k], second[k]) for k in first)
    other = tensors(initialised(build(), seed=1))
    drawn = [k for k in first if k.endswith((".weight", "_u", "_v"))]
    assert drawn
    assert not any(torch.equal(first[k], other[k]) for k in drawn)


@EVERY_BUILD
def test_initialising_leaves_the_global_stream_alone(build: Callable[[], nn.Module]) -> None:
    network = build()
    before = torch.get_rng_state()
    initialise(network, stream(0, "weights"))
    assert torch.equal(before, torch.get_rng_state())


@EVERY_BUILD
def test_initialising_sets_every_tensor_also_with_the_default_device_on_meta(
    build: Callable[[], nn.Module],
) -> None:
    """Storage of a network brought from the meta device holds anything."""
    expected = tensors(initialised(build()))
    with torch.device("meta"):
        network = build().to_empty(device="cpu")
        with torch.no_grad():
            for tensor in network.state_dict().values():
                tensor.fill_(torch.nan if tensor.is_floating_point() else -7)
        initialise(network, stream(0, "weights"))
    for name, tensor in network.state_dict().items():
        assert tensor.device.type == "cpu"
        assert torch.isfinite(tensor).all(), name
        assert torch.equal(tensor, expected[name]), name


def test_a_genomes_sizes_are_the_networks() -> None:
    genome = AutoGANGenerator(**{**dict(SMALL.generator), "width": 5, "latent_dim": 7})
    network = build_generator(genome, 24, image_channels=2)
    assert network.stem.weight.shape == (5 * 3 * 3, 7)
    assert network.to_rgb.conv.weight.shape == (2, 5, 3, 3)
    critic = build_discriminator(SNResNetDiscriminator(space="sn_resnet", width=6), 24, 2)
    assert critic.block1.conv1.weight.shape == (6, 2, 3, 3)


@pytest.mark.parametrize(
    ("make", "fans", "numerator"),
    [
        (lambda: nn.Conv2d(40, 60, 3), 9 * (40 + 60), 4),
        (lambda: nn.Conv2d(40, 60, 4, stride=2), 16 * (40 + 60 / 4), 4),
        (lambda: nn.Conv2d(400, 400, 3, groups=400), 9 * 2, 4),  # depthwise
        (lambda: nn.Conv2d(60, 90, 1), 60 + 90, 2),
        (lambda: nn.ConvTranspose2d(40, 60, 4, stride=2), 16 * (40 / 4 + 60), 4),
        (lambda: nn.Linear(50, 150), 200, 2),
        (lambda: ToRGB(200, 3).conv, 9 * 203, 4),  # a convolution among others, when alone
    ],
)
def test_he_is_uniform_with_the_published_variance(
    make: Callable[[], nn.Module], fans: float, numerator: int
) -> None:
    module = make()
    initialise(module, stream(0, "weights"), "he")
    weight, bias = module.get_parameter("weight"), module.get_parameter("bias")
    bound = sqrt(3 * numerator / fans)
    assert float(weight.detach().abs().max()) == pytest.approx(bound, rel=0.01)
    assert float(weight.detach().std()) == pytest.approx(bound / sqrt(3), rel=0.05)
    assert not bias.any()


def test_he_gives_the_output_half_the_variance_and_norms_one() -> None:
    network = ToRGB(200, 3)
    initialise(network, stream(0, "weights"), "he")
    bound = sqrt(6 / (9 * 203))
    assert float(network.conv.weight.detach().abs().max()) == pytest.approx(bound, rel=0.01)
    assert torch.equal(network.norm.weight, torch.ones(200))
    assert not network.norm.bias.any()
