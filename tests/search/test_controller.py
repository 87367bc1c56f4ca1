"""The controller as a policy: probabilities, masks, and that its updates raise rewards."""

import torch

from gan_nas.networks.initialisation import initialise
from gan_nas.search.controller import Controller, LegacyReinforce, Reinforce
from gan_nas.streams import stream

SIZES = (2, 3, 3, 2)


def make(sizes: tuple[int, ...] = SIZES) -> Controller:
    controller = Controller(sizes)
    initialise(controller, stream(0, "controller"))
    return controller


def test_it_has_the_published_parameters_less_the_rows_no_token_reads() -> None:
    for sizes, published in [
        ((2, 3, 3, 2), 82_810),
        ((2, 3, 3, 2, 2), 83_212),
        ((2, 3, 3, 2, 4), 83_614),
    ]:
        unread = sizes[-1] * 100
        assert sum(p.numel() for p in Controller(sizes).parameters()) == published - unread


def test_probabilities_of_all_architectures_sum_to_one() -> None:
    controller = make()
    every = torch.cartesian_prod(*(torch.arange(n) for n in SIZES))
    rollout = controller.evaluate(every, controller.zero_state(len(every)))
    assert torch.allclose(rollout.log_probs.sum(1).exp().sum(), torch.tensor(1.0))


def test_sampling_and_evaluating_agree_and_samples_depend_on_the_stream_alone() -> None:
    controller = make()
    drawn = controller.sample(controller.zero_state(32), stream(1, "x"))
    again = controller.sample(controller.zero_state(32), stream(1, "x"))
    assert torch.equal(drawn.actions, again.actions)
    evaluated = controller.evaluate(drawn.actions, controller.zero_state(32))
    assert torch.allclose(drawn.log_probs, evaluated.log_probs)
    assert torch.allclose(drawn.state[0], evaluated.state[0])


def test_a_parents_state_changes_what_is_drawn() -> None:
    controller = make()
    actions = controller.sample(controller.zero_state(1), stream(0, "x")).actions
    parent = (torch.ones(1, 100), torch.ones(1, 100))
    a = controller.evaluate(actions, controller.zero_state(1))
    b = controller.evaluate(actions, parent)
    assert not torch.allclose(a.log_probs, b.log_probs)


def test_what_a_mask_forbids_is_never_drawn_and_has_no_entropy() -> None:
    def allowed(drawn: list[tuple[int, ...]]) -> torch.Tensor:
        size = SIZES[len(drawn[0])]
        return torch.tensor([[choice == size - 1 for choice in range(size)]] * len(drawn))

    controller = make()
    rollout = controller.sample(controller.zero_state(50), stream(0, "x"), allowed)
    assert rollout.actions.unique(dim=0).tolist() == [[1, 2, 2, 1]]
    assert torch.allclose(rollout.log_probs, torch.zeros(50, 4))
    assert torch.allclose(rollout.entropies, torch.zeros(50, 4))


def test_gradient_reaches_every_weight() -> None:
    controller = make()
    rollout = controller.sample(controller.zero_state(64), stream(0, "x"))
    evaluated = controller.evaluate(rollout.actions, controller.zero_state(64))
    (evaluated.log_probs.sum() + evaluated.entropies.sum()).backward()
    for name, parameter in controller.named_parameters():
        assert parameter.grad is not None
        if name != "lstm.weight_ih":  # its first input is zero, later ones are not
            assert parameter.grad.abs().sum() > 0, name


def learn(reinforce: Reinforce, num: int) -> float:
    """Reward the third choice of the second token; return its final probability."""
    controller = reinforce.controller
    for update in range(num):
        start = controller.zero_state(4)
        actions = controller.sample(start, stream(0, "learn", update)).actions
        rewards = [float(row[1] == 2) for row in actions.tolist()]
        reinforce.update(controller.evaluate(actions, start), rewards)
    drawn = controller.sample(controller.zero_state(500), stream(0, "test")).actions
    return float((drawn[:, 1] == 2).float().mean())


def test_reinforce_learns_what_is_rewarded_at_any_scale_of_rewards() -> None:
    for normalise in (True, False):
        reinforce = Reinforce(
            make(), lr=5e-3, entropy_weight=1e-3, baseline_decay=0.9, normalise=normalise
        )
        assert learn(reinforce, 60) > 0.8


def test_the_entropy_bonus_raises_entropy() -> None:
    """The authors' code lowers it on the path through the reward; here it is a bonus."""
    entropies = {}
    for weight in (0.0, 1.0):
        controller = make()
        reinforce = Reinforce(
            controller, lr=1e-2, entropy_weight=weight, baseline_decay=0.9, normalise=True
        )
        for update in range(40):
            start = controller.zero_state(8)
            actions = controller.sample(start, stream(0, "e", update)).actions
            rewards = [float(row == [0, 0, 0, 0]) for row in actions.tolist()]
            reinforce.update(controller.evaluate(actions, start), rewards)
        rollout = controller.sample(controller.zero_state(200), stream(0, "t"))
        entropies[weight] = float(rollout.entropies.mean())
    assert entropies[1.0] > entropies[0.0]


def test_the_first_update_has_no_advantage_and_the_baseline_follows_afterwards() -> None:
    controller = make()
    reinforce = Reinforce(
        controller, lr=1e-3, entropy_weight=0.0, baseline_decay=0.9, normalise=False
    )
    start = controller.zero_state(1)
    actions = controller.sample(start, stream(0, "x")).actions
    values = reinforce.update(controller.evaluate(actions, start), [2.0])
    assert values["controller_loss"] == 0.0
    assert reinforce.baseline == 2.0
    reinforce.update(controller.evaluate(actions, start), [3.0])
    assert reinforce.baseline is not None
    assert abs(reinforce.baseline - 2.1) < 1e-12
    other = Reinforce(make(), lr=1e-3, entropy_weight=0.0, baseline_decay=0.9, normalise=False)
    other.load_state(reinforce.state())
    assert other.baseline == reinforce.baseline


def test_the_legacy_update_is_zero_after_a_restart() -> None:
    controller = make()
    legacy = LegacyReinforce(controller, lr=1e-3, entropy_weight=1e-3, baseline_decay=0.9)
    before = [p.detach().clone() for p in controller.parameters()]
    start = controller.zero_state(1)
    actions = controller.sample(start, stream(0, "x")).actions
    for reward, restart in ((2.0, True), (3.0, False), (4.0, True)):
        if restart:
            legacy.restart_baseline()
        values = legacy.update(controller.evaluate(actions, start), [reward])
        assert (values["controller_loss"] == 0.0) == restart
    after = list(controller.parameters())
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))
