"""The networks and the controller equal the published implementation."""

import numpy as np
import pytest
import torch
from golden_autogan import (
    FULL,
    GOLDEN,
    LATENT_DIM,
    SMALL,
    Net,
    Size,
    canonical_discriminator_key,
    fill_network,
    golden_derived,
    golden_discriminator,
    golden_genome,
    golden_input,
    golden_supernet,
    small_cases,
)
from numpy.typing import ArrayLike
from torch import Tensor, nn

from gan_nas.networks.merged import published_order
from gan_nas.search.controller import Controller, LegacyReinforce, LSTMState
from gan_nas.spaces.autogan import AutoGANGenerator, token_sizes
from gan_nas.training.losses import generator_loss, hinge_discriminator_loss

TOP1 = [1, 0, 1, 1, 1, 0, 0, 1, 1, 1, 0, 1, 0, 3]
CASES = [pytest.param(*case, id=f"{case[0]}-level{case[1]}") for case in small_cases()]
BUILDS = pytest.mark.parametrize("build", [golden_supernet, golden_derived])


def close(ours: Tensor | float, golden: ArrayLike, atol: float = 1e-4, rtol: float = 1e-4) -> None:
    torch.testing.assert_close(
        torch.as_tensor(ours).detach().double(),
        torch.as_tensor(np.asarray(golden)).double(),
        atol=atol,
        rtol=rtol,
    )


def build_at(build, genome: AutoGANGenerator, level: int, bottom_width: int = 4) -> Net:
    net = build(genome, bottom_width * 8)
    net.network.num_active_cells = level + 1
    return net


def discriminator_at(size: Size, level: int):
    discriminator = golden_discriminator(size.discriminator_width, 32)
    discriminator.num_active_cells = level + 1
    return discriminator


def latents(size: Size = SMALL) -> Tensor:
    return golden_input("z.g", size.num_images, LATENT_DIM)


def reals(level: int, size: Size = SMALL) -> Tensor:
    side = 8 * 2**level
    return golden_input(f"x.s{side}", size.num_images, 3, side, side)


def test_golden_file_is_the_shared_one(shared):
    theirs = np.load(shared / "golden" / "autogan_golden.npz")
    assert set(GOLDEN.files) == set(theirs.files)
    for key in theirs.files:
        np.testing.assert_array_equal(GOLDEN[key], theirs[key])


def test_small_cases_are_all_there():
    names = {"top1", "post_in_deconv", "mixed", "bilinear_bn"}
    assert {(c[0], c[1]) for c in small_cases()} == {(n, s) for n in names for s in range(3)}
    assert [tokens for name, level, tokens in small_cases() if (name, level) == ("top1", 2)] == [
        TOP1
    ]


@pytest.mark.parametrize(("name", "level", "tokens"), CASES)
def test_generator_in_eval_mode(name, level, tokens):
    golden = f"small.{name}.stage{level}."
    network = build_at(
        golden_derived, golden_genome(tokens, SMALL.generator_width), level
    ).network.eval()
    seen: list[tuple[Tensor, Tensor]] = []
    for cell in network.cells:
        cell.register_forward_hook(lambda module, inputs, output: seen.append(output))
    with torch.no_grad():
        close(network(latents()), GOLDEN[golden + "eval"])
    assert len(seen) == level + 1
    for number, (out, tap) in enumerate(seen, start=1):
        for role, tensor in (("tap", tap), ("out", out)):
            key = f"{golden}cell{number}.{role}_"
            close(tensor.mean((0, 2, 3)), GOLDEN[key + "chanmean"])
            close(tensor.std(), GOLDEN[key + "std"])


@pytest.mark.parametrize(("name", "level", "tokens"), CASES)
def test_generator_in_train_mode(name, level, tokens):
    golden = f"small.{name}.stage{level}."
    network, canonical = build_at(
        golden_derived, golden_genome(tokens, SMALL.generator_width), level
    )
    with torch.no_grad():
        close(network(latents()), GOLDEN[golden + "train"])
    running_mean = GOLDEN[golden + "rgb_running_mean_after_train"]
    close(network.to_rgb.norm.running_mean, running_mean)
    statistics = golden + "bn_after_train."
    state = {canonical[k]: t for k, t in network.state_dict().items() if k in canonical}
    for key in GOLDEN.files:
        if key.startswith(statistics):
            close(state[key.removeprefix(statistics)], GOLDEN[key])


@pytest.mark.parametrize("level", range(3))
def test_discriminator(level):
    discriminator = discriminator_at(SMALL, level)
    with torch.no_grad():
        discriminator(reals(level))
        if level == 2:
            for key, tensor in discriminator.state_dict().items():
                if key.endswith("weight_u"):
                    canonical = canonical_discriminator_key(key)
                    close(tensor, GOLDEN[f"small.D_after_one_forward.{canonical}"], 1e-6)
        scores = discriminator.eval()(reals(level))
        golden = GOLDEN[f"small.top1.stage{level}.D_real_eval_after_one_train_forward"]
        close(scores, golden)
        close(discriminator(reals(level)), scores, 0, 0)  # no power iteration in eval mode


@BUILDS
@pytest.mark.parametrize(("name", "level", "tokens"), CASES)
def test_losses_and_gradients(build, name, level, tokens):
    golden = f"small.{name}.stage{level}."
    generator, canonical = build_at(build, golden_genome(tokens, SMALL.generator_width), level)
    discriminator = discriminator_at(SMALL, level)
    real = discriminator(reals(level))
    fake = discriminator(generator(latents()).detach())
    close(real, GOLDEN[golden + "D_real_train"])
    close(fake, GOLDEN[golden + "D_fake_train"])
    loss = hinge_discriminator_loss(real, fake)
    close(loss, GOLDEN[golden + "d_loss"])
    loss.backward()
    keys = {k: canonical_discriminator_key(k) for k, _ in discriminator.named_parameters()}
    check_gradient_norms(discriminator, keys, golden + "d_gradnorm")

    discriminator.requires_grad_(False)
    loss = generator_loss(discriminator(generator(latents())))
    close(loss, GOLDEN[golden + "g_loss"])
    loss.backward()
    check_gradient_norms(generator, canonical, golden + "g_gradnorm")


def check_gradient_norms(network: nn.Module, canonical: dict[str, str], golden: str) -> None:
    norms = {
        canonical[k]: float(p.grad.norm())
        for k, p in network.named_parameters()
        if p.grad is not None
    }
    assert sorted(norms) == GOLDEN[golden + "_keys"].tolist()
    close(torch.tensor([norms[k] for k in sorted(norms)]), GOLDEN[golden], 1e-5, 1e-3)


@BUILDS
def test_skip_tap_of_the_figure(build):
    network = build_at(build, golden_genome(TOP1, SMALL.generator_width, "pre"), 2).network.eval()
    with torch.no_grad():
        close(network(latents()), GOLDEN["small.top1.stage2.eval_FIGURE_TAP"])


# The printed values: name -> eval[0, :, 0, 0], eval sum, train[0, :, 0, 0], d_loss, g_loss.
def test_full_width_top1():
    genome = golden_genome(TOP1, FULL.generator_width)
    network = build_at(golden_derived, genome, 2).network.eval()
    with torch.no_grad():
        for images in (network(latents(FULL)), run_in_published_order(network, latents(FULL))):
            close(images[0, :, 0, 0], [0.161265, -0.666614, 0.286676], 1e-3)
            close(images.sum(), -1843.432, 0.5)


def run_in_published_order(network: nn.Module, z: Tensor) -> Tensor:
    with published_order(network):
        return network(z)


def golden_controller(level: int) -> Controller:
    controller = Controller(token_sizes(level))
    fill_network(controller, {k: f"ctrl.{level}.{k}" for k in controller.state_dict()})
    return controller


ACTIONS = ([1, 2, 1, 0], [0, 1, 2, 1, 1], [1, 0, 2, 0, 3])
PRINTED_LOG_PROBS = (
    [-0.740519, -1.090072, -0.784455, -0.281924],
    [-0.748141, -0.482029, -1.125832, -0.641736, -0.797999],
    [-1.012816, -0.978002, -1.861761, -0.232160, -1.909098],
)


def test_controller_at_every_level():
    """Each level's LSTM starts from the state in which the level before ended."""
    state = Controller(token_sizes(0)).zero_state(1)
    for level, actions in enumerate(ACTIONS):
        controller = golden_controller(level)
        rollout = controller.evaluate(torch.tensor([actions]), state)
        close(rollout.log_probs[0], PRINTED_LOG_PROBS[level], 1e-5)
        golden = f"ctrl.stage{level}."
        if level < 2:
            assert GOLDEN[golden + "actions"].tolist() == actions
            close(logits_of(controller, actions, state), GOLDEN[golden + "logits"], 1e-5, 1e-5)
            close(rollout.log_probs[0], GOLDEN[golden + "logp"], 1e-5, 1e-5)
            close(rollout.entropies[0], GOLDEN[golden + "entropy"], 1e-5, 1e-5)
            close(rollout.state[0], GOLDEN[golden + "hx"], 1e-5, 1e-5)
            close(rollout.state[1], GOLDEN[golden + "cx"], 1e-5, 1e-5)
        state = rollout.state


def logits_of(controller: Controller, actions: list[int], state: LSTMState) -> Tensor:
    logits: list[Tensor] = []
    hooks = [
        decoder.register_forward_hook(lambda module, inputs, output: logits.append(output[0]))
        for decoder in controller.decoders
    ]
    controller.evaluate(torch.tensor([actions]), state)
    for hook in hooks:
        hook.remove()
    return torch.cat(logits)


def test_controller_sizes():
    """The published embedding has rows for the last token too, which are never looked up."""
    for level, published in enumerate([82_810, 83_212, 83_614]):
        controller = Controller(token_sizes(level))
        unused = token_sizes(level)[-1] * controller.lstm.hidden_size
        assert sum(p.numel() for p in controller.parameters()) == published - unused


def test_trace_of_the_legacy_update():
    controller = golden_controller(0)
    before = {k: t.clone() for k, t in controller.state_dict().items()}
    reinforce = LegacyReinforce(controller, lr=3.5e-4, entropy_weight=1e-3, baseline_decay=0.9)
    trace = []
    for actions, reward in zip(
        GOLDEN["reinforce.actions"], GOLDEN["reinforce.rewards"], strict=True
    ):
        rollout = controller.evaluate(torch.tensor([actions.tolist()]), controller.zero_state(1))
        row = reinforce.update(rollout, [float(reward)])
        gradient = torch.cat([p.grad.flatten() for p in controller.parameters()]).norm()
        log_prob = float(rollout.log_probs.detach().sum())
        trace.append(
            [row["controller_loss"], row["advantage"], row["entropy"], log_prob, float(gradient)]
        )
    golden = GOLDEN["reinforce.trace(loss,adv,entropy,sum_logp,gradnorm)"]
    close(torch.tensor(trace), golden, 1e-5, 1e-5)
    for key, tensor in controller.state_dict().items():
        golden = GOLDEN[f"reinforce.final.{key}"][: len(tensor)]
        if tensor.numel() >= 2000:
            change = (tensor - before[key]).norm()
            tensor = torch.stack([tensor.sum(), tensor.abs().sum(), change])
            close(tensor, golden, 1e-3, 1e-4)
        else:
            close(tensor, golden, 1e-5, 1e-5)
