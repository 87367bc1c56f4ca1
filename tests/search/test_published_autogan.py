"""AutoGAN's preset `published` computes what its authors' search computed, step by step."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import tiny
import torch
from golden_autogan import (
    GOLDEN,
    LATENT_DIM,
    SMALL,
    canonical_discriminator_key,
    canonical_generator_key,
    fill_network,
    golden_input,
    small_cases,
)
from plain_autogan import PlainDiscriminator, PlainGenerator, plain_key
from torch import Tensor, nn
from torch.nn import functional as F

from gan_nas.metrics.backbone import Backbone
from gan_nas.search.autogan.config import PRESETS, Config
from gan_nas.search.autogan.policy import Policy
from gan_nas.search.autogan.search import AutoGANSearch
from gan_nas.search.autogan.shared_gan import choose_tokens, new_shared_gan, set_level
from gan_nas.search.method import Task
from gan_nas.training.gan import GAN

SIZES = {  # of a search that passes through all levels
    "resolution": 32,
    "iterations": 3,
    "grow_at": (1, 2),
    "width": 4,
    "discriminator_width": 4,
    "derived_width": 4,
    "derived_discriminator_width": 4,
    "discriminator_steps": 7,
    "batch_size": 4,
    "generator_batch_size": 6,
    "controller_steps": 2,
    "num_candidates": 3,
    "top_k": 2,
    "num_scored": 150,
}


@pytest.fixture
def float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def published(**changes: Any) -> Config:
    return Config.model_validate(PRESETS["published"] | changes)


class PlainSearch:
    """The authors' shared training, written out: networks of stock layers, PyTorch 1's Adam."""

    def __init__(self, gan: GAN, config: Config) -> None:
        channels = 1
        self.generator = PlainGenerator(config.width, 4, channels)
        self.discriminator = PlainDiscriminator(config.discriminator_width, channels)
        self.ours = tensors_of(gan)
        for network in (self.generator, self.discriminator):
            for key, tensor in network.state_dict().items():
                if plain_key(key) in self.ours:
                    tensor.copy_(self.ours[plain_key(key)])
        self.adams = [
            torch.optim.Adam(network.parameters(), 2e-4, betas=(0.0, 0.9))
            for network in (self.generator, self.discriminator)
        ]

    def iteration(self, work: AutoGANSearch) -> None:
        """Train with the images, latents and architectures of a search's next iteration."""
        d_steps, g_steps = work.state.d_steps, work.state.g_steps
        for step in range(work.config.discriminator_steps):
            tokens = work._architecture(step)
            num_cells = work.state.level + 1
            real = work.batches.at(d_steps)
            z = work._latents("discriminator latents", d_steps, len(real))
            d_steps += 1
            fake = self.generator(z, tokens).detach()
            of_real = self.discriminator(real, num_cells)
            of_fake = self.discriminator(fake, num_cells)
            self._descend(1, F.relu(1 - of_real).mean() + F.relu(1 + of_fake).mean())
            if step % 5 == 0:
                z = work._latents("generator latents", g_steps, 6)
                g_steps += 1
                self._descend(0, -self.discriminator(self.generator(z, tokens), num_cells).mean())

    def _descend(self, index: int, loss: Tensor) -> None:
        self.adams[index].zero_grad(set_to_none=False)
        loss.backward()
        self.adams[index].step()

    def tensors(self) -> dict[str, Tensor]:
        state = self.generator.state_dict() | self.discriminator.state_dict()
        named = {plain_key(key): tensor for key, tensor in state.items()}
        return {key: named[key] for key in self.ours}


def tensors_of(gan: GAN) -> dict[str, Tensor]:
    """Return weights, running statistics and spectral vectors by canonical name."""
    generator, discriminator = gan.generator.state_dict(), gan.discriminator.state_dict()
    named = {canonical_generator_key(key): t for key, t in generator.items()}
    named |= {canonical_discriminator_key(key): t for key, t in discriminator.items()}
    return {key: t for key, t in named.items() if not key.endswith("num_batches_tracked")}


class Doubled:
    """Batches in float64."""

    def __init__(self, batches: Any) -> None:
        self.batches = batches

    def at(self, step: int) -> Tensor:
        return self.batches.at(step).double()


def working(config: Config) -> AutoGANSearch:
    network = tiny.Features().float()
    backbone = Backbone("classifier", "tiny", side=8, channels=1, labelled=True, network=network)
    return AutoGANSearch(Task(config=config, images=tiny.digits(), backbone=backbone), None)


def largest_difference(config: Config) -> float:
    """Search with both; return the largest distance of two weights, in steps of Adam's rate."""
    work = working(config)
    plain = PlainSearch(work.gan, config)
    while not work.finished:
        work._batches = Doubled(work.batches)  # type: ignore[assignment]
        plain.iteration(work)
        iteration = work.state.iteration
        while work.state.iteration == iteration:
            work.advance()
    ours, theirs = tensors_of(work.gan), plain.tensors()
    return max(float((ours[key] - theirs[key]).abs().max()) for key in ours) / 2e-4


@pytest.mark.usefixtures("float64")
def test_the_published_search_trains_its_networks_as_the_authors_loop_does() -> None:
    """Through all levels: whose turn it is, power iterations, zero gradients, norms."""
    assert largest_difference(published(**SIZES)) < 1e-6


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(
    "change",
    [
        {"idle_weights": "skipped"},
        pytest.param({"passes": "together"}, marks=pytest.mark.slow),
        pytest.param({"generator_turn": "last"}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_each_of_the_papers_sides_leads_elsewhere(change: dict[str, str]) -> None:
    assert largest_difference(published(**SIZES, **change)) > 0.1


@pytest.mark.parametrize(
    ("name", "level", "tokens"),
    [pytest.param(*case, id=f"{case[0]}-level{case[1]}") for case in small_cases()],
)
def test_losses_and_gradients_of_the_published_steps(
    name: str, level: int, tokens: Sequence[int]
) -> None:
    config = published(width=SMALL.generator_width, discriminator_width=SMALL.discriminator_width)
    gan = new_shared_gan(config, 32, 3, tiny.CPU, num_resets=0)
    set_level(gan, level)
    for network, canonical in (
        (gan.generator, canonical_generator_key),
        (gan.discriminator, canonical_discriminator_key),
    ):
        names = {key: canonical(key) for key in network.state_dict() if "num_batches" not in key}
        fill_network(network, names)
    choose_tokens(gan, tuple(tokens))
    side, golden = 8 * 2**level, f"small.{name}.stage{level}."
    z = golden_input("z.g", SMALL.num_images, LATENT_DIM)
    loss = gan.discriminator_loss(golden_input(f"x.s{side}", SMALL.num_images, 3, side, side), z)
    assert float(loss.detach()) == pytest.approx(float(GOLDEN[golden + "d_loss"]), rel=1e-4)
    loss.backward()
    check_gradients(gan.discriminator, canonical_discriminator_key, golden + "d_gradnorm")
    gan.discriminator.requires_grad_(False)
    loss = gan.generator_loss(z)
    assert float(loss.detach()) == pytest.approx(float(GOLDEN[golden + "g_loss"]), rel=1e-4)
    loss.backward()
    check_gradients(gan.generator, canonical_generator_key, golden + "g_gradnorm")


def check_gradients(network: nn.Module, canonical: Any, golden: str) -> None:
    norms = {
        canonical(key): p.grad.norm() for key, p in network.named_parameters() if p.grad is not None
    }
    assert sorted(norms) == GOLDEN[golden + "_keys"].tolist()
    expected = torch.from_numpy(GOLDEN[golden]).float()
    ours = torch.stack([norms[key] for key in sorted(norms)])
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-3)


def test_the_published_controller_learns_as_the_authors_does() -> None:
    """The stored trace: loss, mean advantage, mean entropy, summed log-probability, gradient."""
    policy = Policy(published(), 0, [], None)
    controller = policy.controller
    fill_network(controller, {key: f"ctrl.0.{key}" for key in controller.state_dict()})
    trace = []
    for actions, reward in zip(
        GOLDEN["reinforce.actions"].tolist(), GOLDEN["reinforce.rewards"].tolist(), strict=True
    ):
        rollout = controller.evaluate(torch.tensor([actions]), controller.zero_state(1))
        row = policy.reinforce.update(rollout, [reward])
        gradient = torch.cat([p.grad.flatten() for p in controller.parameters()]).norm()
        numbers = row["controller_loss"], row["advantage"], row["entropy"]
        trace.append([*numbers, float(rollout.log_probs.detach().sum()), float(gradient)])
    golden = torch.from_numpy(GOLDEN["reinforce.trace(loss,adv,entropy,sum_logp,gradnorm)"])
    torch.testing.assert_close(torch.tensor(trace), golden.float(), atol=1e-5, rtol=1e-5)
    for key, tensor in controller.state_dict().items():
        if tensor.numel() < 2000:
            final = torch.from_numpy(GOLDEN[f"reinforce.final.{key}"])[: len(tensor)]
            torch.testing.assert_close(tensor, final.float(), atol=1e-5, rtol=1e-5)
