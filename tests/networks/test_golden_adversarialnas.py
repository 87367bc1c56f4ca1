"""AdversarialNAS' networks equal the published implementation, in float64."""

from contextlib import nullcontext
from statistics import mean
from typing import Any

import numpy as np
import pytest
import torch
from golden_adversarialnas import (
    GOLDEN,
    KEYS,
    cell_weights,
    fill_network,
    golden_images,
    golden_latents,
    hash_fill,
    logits,
    our_key,
    sin_fill,
    spectral_vector,
)
from numpy.typing import ArrayLike
from plain_adversarialnas import PlainSuperD, PlainSuperG
from torch import Tensor, nn

from gan_nas.networks.adversarialnas import DownCellNetwork, UpCellNetwork
from gan_nas.networks.builder import (
    build_discriminator,
    build_generator,
    build_supernet,
)
from gan_nas.networks.cost import discriminator_cost, generator_cost, num_parameters, published_macs
from gan_nas.networks.merged import published_order
from gan_nas.networks.sn_resnet import SNResNet
from gan_nas.networks.spectral import SpectralConv2d, SpectralLinear
from gan_nas.spaces.adversarialnas import (
    AdversarialNASDiscriminator,
    AdversarialNASGenerator,
    decode_discriminator,
    decode_generator,
    encode,
)
from gan_nas.spaces.random_genomes import sample_genomes
from gan_nas.spaces.sn_resnet import SNResNetDiscriminator
from gan_nas.training.losses import generator_loss, hinge_discriminator_loss

CASES = KEYS["cases"]
PUBLISHED = GOLDEN["published_genotype/G"].tolist()
MMD = [[0, 1, 3, 4, 6, 4, 1], [1, 1, 4, 0, 5, 5, 3], [0, 1, 4, 5, 6, 4, 4]]
SOME_D = [[1, 1, 1, 3, 3, 2, 2]] + [[3, 3, 3, 3, 3, 2, 2]] * 3
LATENTS, IMAGES = golden_latents(2), golden_images(2)
ORDERS = pytest.mark.parametrize("merged", [True, False], ids=["merged", "published order"])


def close(
    ours: Tensor | float, golden: ArrayLike | Tensor, rtol: float = 1e-9, atol: float = 1e-12
) -> None:
    torch.testing.assert_close(
        torch.as_tensor(ours).detach(),
        torch.as_tensor(golden, dtype=torch.float64),
        rtol=rtol,
        atol=atol,
    )


def golden_generator(case: str, resolution: int = 32) -> UpCellNetwork:
    width, parts = CASES[case]["args"]["gf_dim"], 2 if resolution == 48 else 3
    network = build_generator(decode_generator(PUBLISHED, width, 120, parts), resolution)
    assert isinstance(network, UpCellNetwork)
    fill_network(network, CASES[case], sin_fill if case.endswith("sin") else hash_fill)
    return network


def golden_residual_discriminator(case: str) -> SNResNet:
    genome = SNResNetDiscriminator(space="sn_resnet", width=CASES[case]["args"]["df_dim"])
    network = build_discriminator(genome, 32)
    assert isinstance(network, SNResNet)
    fill_network(network, CASES[case])
    return network


def super_g(width: int) -> UpCellNetwork:
    return build_supernet(decode_generator(PUBLISHED, width), 32)


def super_d(width: int) -> DownCellNetwork:
    return build_supernet(decode_discriminator(SOME_D, width), 32)


class Supernets:
    """Both supernets with their logits, as the published case fills them."""

    def __init__(self, merged: bool) -> None:
        published: dict[str, Any] = CASES["super_softmax"]
        self.generator, self.discriminator = super_g(16), super_d(8)
        fill_network(self.generator, published["G"], supernet=True)
        fill_network(self.discriminator, published["D"], supernet=True)
        self.alphas = [alpha.requires_grad_() for alpha in logits(published["G"])]
        self.betas = [beta.requires_grad_() for beta in logits(published["D"])]
        self.merged = merged

    def images(self, z: Tensor) -> Tensor:
        return self._run(self.generator, z, self.alphas)

    def scores(self, images: Tensor) -> Tensor:
        return self._run(self.discriminator, images, self.betas)

    def _run(self, network: nn.Module, x: Tensor, architecture: list[Tensor]) -> Tensor:
        normal, others = (logit.softmax(-1) for logit in architecture)
        weights = cell_weights(normal, others)
        with nullcontext() if self.merged else published_order(network):
            return network(x, weights)


def test_golden_file_is_the_shared_one(shared) -> None:
    theirs = np.load(shared / "golden" / "adversarialnas_golden.npz")
    assert set(GOLDEN.files) == set(theirs.files)
    for key in theirs.files:
        np.testing.assert_array_equal(GOLDEN[key], theirs[key])


def test_the_inputs_are_the_published_ones() -> None:
    close(LATENTS, GOLDEN["derivedG_cifar_gf16/z"], 1e-12)
    close(golden_latents(4), GOLDEN["super_softmax/z"], 1e-12)
    close(IMAGES, GOLDEN["autoganD_df16_sn_train1/x"], 1e-12)
    close(golden_images(4), GOLDEN["super_softmax/x"], 1e-12)
    for role, names in (
        ("G", ["alphas_normal", "alphas_up"]),
        ("D", ["betas_normal", "betas_down"]),
    ):
        for ours, name in zip(logits(CASES["super_softmax"][role]), names, strict=True):
            close(ours, GOLDEN[f"super_softmax/{name}"], 1e-12)


@ORDERS
@pytest.mark.parametrize("case", ["derivedG_cifar_gf16", "derivedG_cifar_gf16_sin"])
@torch.no_grad()
def test_generator(case: str, merged: bool) -> None:
    """In train mode, then in eval mode with the statistics of that."""
    network = golden_generator(case)
    with nullcontext() if merged else published_order(network):
        close(network(LATENTS), GOLDEN[f"{case}/out_train"])
        close(network.eval()(LATENTS), GOLDEN[f"{case}/out_eval_after_train"])
    norm = network.to_rgb.norm
    close(norm.running_mean, GOLDEN[f"{case}/bn_running_mean"])
    close(norm.running_var, GOLDEN[f"{case}/bn_running_var"])


@torch.no_grad()
def test_what_cells_put_out_and_hand_on() -> None:
    """A skip holds the skips its cell received."""
    network = golden_generator("derivedG_cifar_gf16")
    seen: list[tuple[Tensor, Tensor]] = []
    for cell in network.cells:
        cell.register_forward_hook(lambda module, inputs, output: seen.append(output))
    network(LATENTS)
    golden = {key.split("/")[1]: GOLDEN[key] for key in GOLDEN.files if "gf16/" in key}
    for number, (output, skip) in enumerate(seen, start=1):
        close(output, golden[f"h{number}"])
        if number < 3:
            close(skip, golden[f"skip{number}"])


@pytest.mark.parametrize(
    ("case", "resolution", "total", "tolerance"),
    [
        ("derivedG_cifar_gf256", 32, -243.57881318965, 1e-9),
        # The printed digits end in 73497439, ours in 774938774 as does a plain computation with
        # PyTorch's functions alone; the array itself is not in the file.
        ("derivedG_stl_gf16", 48, -765.03773497439, 1e-7),
    ],
)
@torch.no_grad()
def test_printed_sums_of_the_generators_images(
    case: str, resolution: int, total: float, tolerance: float
) -> None:
    images = golden_generator(case, resolution)(LATENTS)
    assert images.shape == (2, 3, resolution, resolution)
    assert float(images.sum()) == pytest.approx(total, rel=tolerance)


@torch.no_grad()
def test_residual_discriminator() -> None:
    """One train-mode forward pass: one power iteration."""
    case = "autoganD_df16_sn_train1"
    scores = golden_residual_discriminator(case)(IMAGES)
    close(scores, GOLDEN[f"{case}/out"])
    close(scores[:, 0], [17.15245278, 17.26241543], 0, 1e-8)


@torch.no_grad()
def test_residual_discriminator_at_full_width() -> None:
    scores = golden_residual_discriminator("autoganD_df128_sn_train1")(IMAGES)
    close(scores[:, 0], [-3.44803760, -3.60563632], 0, 1e-8)


@torch.no_grad()
def test_residual_discriminator_without_spectral_norm() -> None:
    """Ours always divides by u.Wv; vectors that make it 1 leave the weights as they are."""
    case = "autoganD_df16_nosn"
    network = golden_residual_discriminator(case).eval()
    for module in network.modules():
        if isinstance(module, SpectralConv2d | SpectralLinear):
            product = module.weight.flatten(1) @ module.weight_v
            module.weight_u.copy_(product / product.square().sum())
    close(network(IMAGES), GOLDEN[f"{case}/out"])


@ORDERS
def test_supernets(merged: bool) -> None:
    """Outputs, losses and gradients of all logits; the discriminator runs three times."""
    nets = Supernets(merged)
    golden = {k.split("/")[1]: GOLDEN[k] for k in GOLDEN.files if k.startswith("super_softmax/")}
    fake = nets.images(golden_latents(4))
    close(fake, golden["G_out"])
    assert fake.sum().item() == pytest.approx(-571.62892541, abs=1e-8)

    real_scores, fake_scores = nets.scores(golden_images(4)), nets.scores(fake.detach())
    close(real_scores, golden["D_real"])
    close(fake_scores, golden["D_fake"])
    d_loss = hinge_discriminator_loss(real_scores, fake_scores)
    close(d_loss, golden["d_loss"])
    assert d_loss.item() == pytest.approx(1.99490452, abs=1e-8)
    for grad, name in zip(torch.autograd.grad(d_loss, nets.betas), ("normal", "down"), strict=True):
        close(grad, golden[f"grad_betas_{name}"], 1e-9, 1e-14)

    g_loss = generator_loss(nets.scores(fake))
    close(g_loss, golden["g_loss"])
    assert g_loss.item() == pytest.approx(-0.04812987, abs=1e-8)
    for grad, name in zip(torch.autograd.grad(g_loss, nets.alphas), ("normal", "up"), strict=True):
        close(grad, golden[f"grad_alphas_{name}"], 1e-9, 1e-14)


def test_supernets_have_the_plain_ones_gradients() -> None:
    """The published values are those of logits; here also all weights', and u and v."""
    nets = Supernets(merged=True)
    plain_g, plain_d = PlainSuperG(16), PlainSuperD(8)
    names = {}
    for role, plain in (("G", plain_g), ("D", plain_d)):
        published = CASES["super_softmax"][role]
        names[role] = [name for name, _ in published["params"]]
        for k, (p, name) in enumerate(zip(plain.double().parameters(), names[role], strict=True)):
            p.data.copy_(hash_fill(published["k0"] + k, name, p.shape))
    for key, buffer in plain_d.named_buffers():
        if key.endswith(("weight_u", "weight_v")):
            buffer.copy_(spectral_vector(len(buffer)))
    z = golden_latents(4)
    for loss in (
        generator_loss(nets.scores(nets.images(z))),
        generator_loss(plain_d(plain_g(z, None), None)),
    ):
        loss.backward()

    for ours, plain, role in ((nets.generator, plain_g, "G"), (nets.discriminator, plain_d, "D")):
        weights = dict(ours.named_parameters())
        for name, p in zip(names[role], plain.parameters(), strict=True):
            if "alphas" not in name:
                mine, theirs = weights[our_key(name, supernet=True)].grad, p.grad
                assert mine is not None, name
                assert theirs is not None, name
                close(mine, theirs, 1e-9, 1e-13)
    for suffix in ("weight_u", "weight_v"):
        of_plain = [b for key, b in plain_d.named_buffers() if key.endswith(suffix)]
        of_ours = [b for key, b in nets.discriminator.named_buffers() if key.endswith(suffix)]
        for mine, theirs in zip(of_ours, of_plain, strict=True):  # both in the order of edges
            close(mine, theirs)


def test_the_first_edges_of_the_discriminator_get_less_than_all_weight() -> None:
    """The published quirk: seven probabilities, of which two have no operation."""
    normal, others = (beta.softmax(-1) for beta in logits(CASES["super_softmax"]["D"]))
    first, *rest = cell_weights(normal, others)
    for edge, weights in first.items():
        assert (float(weights.sum()) < 0.99) == edge.startswith("0")
    assert all(float(w.sum()) == pytest.approx(1) for cell in rest for w in cell.values())


def generator_of(matrix: list[list[int]], width: int, parts: int = 3) -> AdversarialNASGenerator:
    return decode_generator(matrix, width, 120, parts)


@pytest.mark.parametrize(
    ("genome", "resolution", "parameters", "gigamacs"),
    [
        pytest.param(generator_of(PUBLISHED, 256), 32, 8_846_851, 2.678, id="cifar10"),
        pytest.param(generator_of(PUBLISHED, 270, 2), 48, 8_881_923, 6.696, id="stl10"),
        pytest.param(generator_of(PUBLISHED, 256, 2), 48, 8_131_075, 6.021, id="stl10-256"),
        pytest.param(generator_of(MMD, 256), 32, 20_185_859, 8.88, id="mmd"),
        pytest.param(generator_of(MMD, 128), 32, 5_931_395, 2.22, id="mmd-128"),
    ],
)
def test_published_sizes(
    genome: AdversarialNASGenerator, resolution: int, parameters: int, gigamacs: float
) -> None:
    cost = generator_cost(genome, resolution)
    assert cost.parameters == parameters
    digits = 3 if gigamacs * 1000 % 10 else 2
    assert round(cost.macs / 1e9, digits) == gigamacs


@pytest.mark.parametrize("width", [64, 80, 128, 192, 320, 448])
def test_published_sizes_at_other_widths(width: int) -> None:
    millions = {64: 1.216, 80: 1.624, 128: 3.096, 192: 5.640, 320: 12.717, 448: 22.449}
    assert round(parameters(generator_of(PUBLISHED, width)) / 1e6, 3) == millions[width]


def test_sizes_of_the_published_generators_parts() -> None:
    with torch.device("meta"):
        network = build_generator(generator_of(PUBLISHED, 256), 32)
    assert isinstance(network, UpCellNetwork)
    assert [num_parameters(s) for s in network.stems] == [167_936, 671_744, 2_686_976]
    assert [num_parameters(c) for c in network.cells] == [1_311_744, 1_967_616, 2_033_408]
    assert num_parameters(network.to_rgb) == 7_427


@pytest.mark.parametrize(
    ("width", "with_logits", "gigamacs"), [(160, 29_265_566, 12.143), (256, 72_777_086, 31.079)]
)
def test_sizes_of_the_super_generator(width: int, with_logits: int, gigamacs: float) -> None:
    """The published number holds 3 x (5 x 7 + 2 x 3) logits."""
    with torch.device("meta"):
        network = super_g(width)
        weights = cell_weights(torch.empty(3, 5, 7), torch.empty(3, 2, 3))
        macs = published_macs(network, torch.empty(1, 120), weights)
    assert num_parameters(network) == with_logits - 123
    assert macs / 1e9 == pytest.approx(gigamacs, abs=6e-4)
    if width == 160:
        cells = [num_parameters(cell) for cell in network.cells]
        assert cells == [8_993_120, 9_018_880, 9_044_640]


@pytest.mark.parametrize(
    ("width", "with_logits", "gigamacs"), [(80, 11_049_308, 1.993), (128, 28_228_028, 5.054)]
)
def test_sizes_of_the_super_discriminator(width: int, with_logits: int, gigamacs: float) -> None:
    """The published number holds 4 x (5 x 7 + 2 x 6) logits."""
    with torch.device("meta"):
        network = super_d(width)
        weights = cell_weights(torch.empty(4, 5, 7), torch.empty(4, 2, 6))
        macs = published_macs(network, torch.empty(1, 3, 32, 32), weights)
    assert num_parameters(network) == with_logits - 188
    assert macs / 1e9 == pytest.approx(gigamacs, abs=6e-4)
    if width == 80:
        assert [num_parameters(c) for c in network.cells] == [1_805_920, *(3_081_040,) * 3]


def test_the_published_generator_is_smaller_than_random_ones() -> None:
    """60 random genotypes of the published code had 13.67 million on average, 8.85 at least.

    A mean of 60 varies by 0.3. They kept the weights of dead nodes, ours are a little smaller.
    """
    drawn = [genome.generator for genome in sample_genomes("adversarialnas", 120, seed=0)]
    sizes = [parameters(genome) / 1e6 for genome in drawn]
    assert mean(sizes) == pytest.approx(13.67, abs=1)
    assert sum(size < 8.847 for size in sizes) <= 12


def parameters(genome: AdversarialNASGenerator) -> int:
    with torch.device("meta"):
        return num_parameters(build_generator(genome, 32))


def test_a_searched_discriminators_size() -> None:
    """From the image 3x3 and twice 3x3, then 3x3 on every edge: none of it is published."""
    genome = decode_discriminator([[1, 1, 1, 3, 3, 2, 2]] + [[3] * 5 + [2, 2]] * 3, 16)
    assert isinstance(genome, AdversarialNASDiscriminator)
    assert encode(genome)[0] == [1, 1, 1, 3, 3, 2, 2]
    edge, entry = 16 * 16 * 9 + 16, 3 * 16 * 9 + 16
    assert discriminator_cost(genome, 32).parameters == 3 * entry + (4 + 3 * 7) * edge + 16
