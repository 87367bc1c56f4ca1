"""GLO's two steps: what each changes and what not, and that plainly written ones do the same."""

from itertools import pairwise
from typing import Any

import pytest
import tiny
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_nas.networks.builder import build_generator, build_supernet
from gan_nas.networks.degas import StageNetwork
from gan_nas.networks.merged import published_order
from gan_nas.search.degas.config import PRESETS, Config
from gan_nas.search.degas.genomes import new_alpha, sizes_of
from gan_nas.search.degas.glo import GLO, batch_statistics
from gan_nas.search.degas.losses import reconstruction_loss
from gan_nas.streams import stream
from gan_nas.training.gan import fresh

CPU = tiny.CPU


def pixels(num: int = 40) -> Tensor:
    return tiny.digits().at(16).train[:num]


def searching(num: int = 40, **changes: Any) -> GLO:
    """Return a search at its start."""
    config = Config.model_validate(tiny.DEGAS | changes)
    with torch.device("meta"):
        network = build_supernet(sizes_of(config, config.width), 16, 1)
    alpha = new_alpha(config, CPU)
    alpha.initialise(stream(0, "alpha"))
    network = fresh(network, 0, "supernet weights", CPU, "default")  # type: ignore[assignment]
    glo = GLO(config, network, pixels(num), alpha)
    glo.start()
    return glo


def copies(glo: GLO) -> dict[str, list[Tensor]]:
    """Return copies of all that a search holds."""
    assert glo.alpha is not None
    return {
        "weights": [p.detach().clone() for p in glo.network.parameters()],
        "buffers": [b.detach().clone() for b in glo.network.buffers()],
        "latents": [glo.latents.clone()],
        "alpha": [glo.alpha.logits.detach().clone()],
    }


def same(before: list[Tensor], after: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize(("space", "start"), [("ball", "pca"), ("sphere", "gauss")])
def test_latents_stay_in_the_ball_or_on_the_sphere(space: str, start: str) -> None:
    glo = searching(latent_space=space, latent_start=start, latent_lr_ratio=1e3, num_images=None)
    for step in range(5):
        norms = glo.latents.norm(dim=1)
        assert norms.max() <= 1 + 1e-6
        if space == "sphere":
            assert norms.min() >= 1 - 1e-6
        glo.step(step)
    assert glo.latents.isfinite().all()


@pytest.mark.parametrize("alpha_data", ["resample", "same"])
def test_a_step_on_alpha_changes_nothing_else(alpha_data: str) -> None:
    glo = searching(alpha_data=alpha_data, stem_residual=True, final_normal=True)
    for step in range(3):
        glo.step(step)
        before = copies(glo)
        loss = glo.alpha_step(step)
        after = copies(glo)
        assert not loss.requires_grad
        for name in ("weights", "buffers", "latents"):
            assert same(before[name], after[name]), name
        assert glo.alpha is not None
        real = torch.isfinite(glo.alpha.get_buffer("logits_mask"))
        changed = before["alpha"][0] != after["alpha"][0]
        assert torch.equal(changed, real)  # every operation's logit, and no padding
        assert not glo.alpha.logits.requires_grad
        assert all(p.requires_grad for p in glo.weights)
        assert glo.network.training


def test_padding_stays_zero_under_adam_and_weight_decay() -> None:
    glo = searching(architecture_weight_decay=10.0)
    assert glo.alpha is not None
    for step in range(4):
        glo.alpha_step(step)
        padding = glo.alpha.logits[glo.alpha.get_buffer("logits_mask") != 0]
        assert len(padding) == 5 * (9 - 4)
        assert (padding == 0).all()
    for key, state in glo.alpha_optimizer.state[glo.alpha.logits].items():
        assert torch.isfinite(state).all(), key


class PlainGLO:
    """The same two steps, every operation on its own and every update written out."""

    def __init__(self, glo: GLO, network: StageNetwork) -> None:
        assert glo.alpha is not None
        self.config, self.network = glo.config, network
        network.load_state_dict(glo.network.state_dict())
        self.z = glo.latents.clone()
        self.alphas = {
            place: glo.alpha.logits[i, :n].detach().clone()
            for i, (place, (_, n)) in enumerate(glo.alpha.places.items())
        }
        self.velocity = [torch.zeros_like(p) for p in network.parameters()]
        self.moments = {
            place: (torch.zeros_like(a), torch.zeros_like(a)) for place, a in self.alphas.items()
        }

    def loss(self, z: Tensor, alphas: dict[str, Tensor], target: Tensor) -> Tensor:
        weights = {place: row.softmax(0) for place, row in alphas.items()}
        made = self.network(z, weights)
        c = self.config
        return reconstruction_loss(made, target, c.l2_weight, c.laplacian_weight)

    def step(self, indices: Tensor, target: Tensor, lr: float) -> float:
        c = self.config
        parameters = list(self.network.parameters())
        z = self.z[indices].requires_grad_()
        loss = self.loss(z, self.alphas, target)
        z_gradient, *gradients = torch.autograd.grad(loss, [z, *parameters])
        norm = torch.stack([g.square().sum() for g in gradients]).sum().sqrt()
        factor = min(1.0, c.clip_norm / (float(norm) + 1e-6))
        with torch.no_grad():
            for p, g, v in zip(parameters, gradients, self.velocity, strict=True):
                v.mul_(c.momentum).add_(factor * g + c.weight_decay * p)
                p.sub_(lr * v)
            for row, g in zip(indices.tolist(), z_gradient, strict=True):
                self.z[row] -= lr * c.latent_lr_ratio * g
            for row in set(indices.tolist()):
                self.z[row] /= max(float(self.z[row].norm()), 1.0)
        return loss.item()

    def alpha_step(self, indices: Tensor, target: Tensor, step: int) -> float:
        c = self.config
        alphas = {place: a.clone().requires_grad_() for place, a in self.alphas.items()}
        loss = self.loss(self.z[indices], alphas, target)
        beta1, beta2 = c.architecture_beta1, c.architecture_beta2
        gradients = torch.autograd.grad(loss, list(alphas.values()))
        for (place, a), gradient in zip(self.alphas.items(), gradients, strict=True):
            g = gradient + c.architecture_weight_decay * a
            first, second = self.moments[place]
            first.mul_(beta1).add_((1 - beta1) * g)
            second.mul_(beta2).add_((1 - beta2) * g * g)
            corrected = first / (1 - beta1 ** (step + 1)), second / (1 - beta2 ** (step + 1))
            a.sub_(c.architecture_lr * corrected[0] / (corrected[1].sqrt() + 1e-8))
        return loss.item()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"clip_norm": 100.0, "lr": 0.05, "weight_decay": 0.1, "lr_levels": 2},
        {"batch_size": 12, "num_images": 5, "alpha_data": "same", "stem_residual": True},
        PRESETS["published"],
    ],
    ids=["clipped", "free", "duplicates", "published"],
)
def test_three_iterations_equal_plain_ones(changes: dict[str, Any]) -> None:
    num = changes.get("num_images", 40)
    # Gradients of alpha are small at first, and Adam divides by them: a moderate rate.
    glo = searching(num, **{"architecture_lr": 1e-3} | changes)
    network = searching(num, **changes).network
    assert isinstance(network, StageNetwork)
    plain = PlainGLO(glo, network)
    orders = [[of.indices(i).tolist() for i in range(3)] for of in (glo.batches, glo.alpha_batches)]
    assert orders[0] != orders[1]
    # Both in the published order: merged sums are equal to rounding, which steps would magnify.
    with published_order(network), published_order(glo.network):
        for step in range(3):
            indices = glo.batches.indices(step)
            target = glo.batches.at(step)
            loss = plain.step(indices, target, glo.lr_at(step))
            assert float(glo.step(step)) == pytest.approx(loss, rel=1e-5)
            batches = glo.batches if glo.config.alpha_data == "same" else glo.alpha_batches
            loss = plain.alpha_step(batches.indices(step), batches.at(step), step)
            assert float(glo.alpha_step(step)) == pytest.approx(loss, rel=1e-5)
    torch.testing.assert_close(glo.latents, plain.z, rtol=0, atol=2e-6)
    for (name, ours), theirs in zip(
        glo.network.named_parameters(), network.parameters(), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-6, msg=lambda m, n=name: n + m)
    assert glo.alpha is not None
    for i, (place, (_, n)) in enumerate(glo.alpha.places.items()):
        torch.testing.assert_close(
            glo.alpha.logits[i, :n], plain.alphas[place], rtol=0, atol=2e-5, msg=place
        )


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_the_learning_rate_falls_from_first_to_last_in_steps_of_a_cosine(preset: str) -> None:
    config = Config.model_validate(PRESETS[preset])
    glo = searching()
    glo.config = config
    rates = [glo.lr_at(step) for step in range(config.iterations)]
    assert rates[0] == config.lr
    assert all(a >= b for a, b in pairwise(rates))
    levels = list(dict.fromkeys(rates))
    assert len(levels) == config.lr_levels
    assert config.lr_last < rates[-1] < config.lr_last + 0.002 * config.lr
    # PyTorch's schedule, an epoch a level.
    optimizer = torch.optim.SGD([torch.zeros(1, device="cpu")], config.lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
        optimizer, config.lr_levels, config.lr_last
    )
    for level in levels:
        assert level == pytest.approx(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()


@pytest.mark.parametrize("mixed", [True, False])
def test_reconstructing_and_its_loss_leave_everything_as_it_was(mixed: bool) -> None:
    glo = searching()
    glo.step(0)
    before = copies(glo)
    weights = glo.mixture() if mixed else None
    made = glo.reconstruct(torch.arange(7, device="cpu"), weights)
    assert made.shape == (7, 1, 16, 16)
    assert made.abs().max() <= 1
    assert not made.requires_grad
    losses = [glo.loss_of(20, weights) for _ in range(2)]
    assert losses[0] == losses[1]
    for name, tensors in copies(glo).items():
        assert same(before[name], tensors), name
    assert glo.network.training


def test_the_loss_of_all_images_is_that_of_their_reconstructions() -> None:
    glo = searching(batch_size=8)
    rows = torch.arange(40, device="cpu")
    total = sum(
        reconstruction_loss(glo.reconstruct(part, glo.mixture()), glo.batches.of(part)).item()
        for part in rows.split(8)
    )
    assert glo.loss_of(40, glo.mixture()) == pytest.approx(total / 5, rel=1e-6)


def test_norms_use_the_statistics_of_the_batch_and_keep_none() -> None:
    with torch.device("cpu"):
        network = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2))
        x = torch.randn(4, 3, 5, 5, generator=stream(0, "x")) * 3 + 1
    network.train()
    expected = network(x)
    before = [b.clone() for b in network.buffers()]
    with batch_statistics(network):
        assert torch.equal(network(x), expected)
        assert not network.training
    assert same(before, list(network.buffers()))
    with pytest.raises(ZeroDivisionError), batch_statistics(network):
        raise ZeroDivisionError
    assert network.training
    assert len(list(network.buffers())) == len(before)


def test_batches_of_the_loss_never_hold_a_single_image() -> None:
    """At 8 pixels the first map has one pixel, and a norm needs two values."""
    config = Config.model_validate(tiny.DEGAS)
    with torch.device("meta"):
        network = build_generator(sizes_of(config, 4), 8, 1)
    network = fresh(network, 0, "weights", CPU, "default")  # type: ignore[assignment]
    glo = GLO(config, network, tiny.digits().train[:33])
    glo.start()
    for num in (2, 7, 8, 9, 15, 16, 17, 33):
        assert 0 < glo.loss_of(num) < 4


@pytest.mark.parametrize("what", ["weights", "latents", "alpha"])
def test_a_search_that_holds_nan_is_not_finite(what: str) -> None:
    glo = searching()
    assert glo.is_finite()
    assert glo.alpha is not None
    {"weights": glo.weights[1].data, "latents": glo.latents, "alpha": glo.alpha.logits.data}[
        what
    ].flatten(0, -1)[-1:].fill_(float("nan"))
    assert not glo.is_finite()


def test_bf16_steps_are_close_to_float32_and_keep_float32_weights() -> None:
    def change(precision: str) -> Tensor:
        glo = searching(precision=precision)
        before = glo.latents.clone()
        glo.step(0)
        glo.alpha_step(0)
        assert {p.dtype for p in glo.weights} == {torch.float32}
        assert glo.latents.dtype == torch.float32
        return glo.latents - before

    full, half = change("float32"), change("bf16")
    assert F.cosine_similarity(full.flatten(), half.flatten(), dim=0) > 0.8
