"""AutoGAN's controller: an LSTM that writes an architecture token by token, and its update.

AutoGAN (Gong et al. 2019), sec. 3.3.2 and Fig. 1. One LSTM cell of 100 units, one linear head for
each token, plain softmax without temperature. The first input is the zero vector, also when the
LSTM starts from the state of a beam's parent (the figure feeds the parent's last token; the
authors' code does not). Always on the CPU: actions steer Python, and five tiny LSTM steps are
faster there than waiting for a GPU.

AutoGAN's own search and the strategy `reinforce` draw by it: tokens may be those of any space.
"""

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import NamedTuple

import torch
from torch import Tensor, nn

from gan_nas.errors import RunFailed

LSTMState = tuple[Tensor, Tensor]
# Tokens drawn so far, one row a sample -> which next tokens are allowed, bool (B, choices).
Allowed = Callable[[list[tuple[int, ...]]], Tensor]

HIDDEN = 100


class Rollout(NamedTuple):
    """Architectures with their log-probabilities and entropies (nats), a column for each token."""

    actions: Tensor  # int64 (B, T)
    log_probs: Tensor  # (B, T)
    entropies: Tensor  # (B, T)
    state: LSTMState  # each (B, hidden), after the last head was computed


class Controller(nn.Module):
    """A policy over token vectors, `token_sizes[i]` choices for token i."""

    def __init__(self, token_sizes: Sequence[int], hidden: int = HIDDEN) -> None:
        super().__init__()
        self.token_sizes = tuple(token_sizes)
        self.lstm = nn.LSTMCell(hidden, hidden)
        # The last token is never an input, so its choices have no rows.
        self._offsets = [0, *accumulate(self.token_sizes[:-1])]
        self.encoder = nn.Embedding(self._offsets[-1], hidden)
        self.decoders = nn.ModuleList(nn.Linear(hidden, size) for size in self.token_sizes)

    def sample(
        self, start: LSTMState, generator: torch.Generator, allowed: Allowed | None = None
    ) -> Rollout:
        """Draw an architecture for each row of the start state, without gradients."""
        with torch.no_grad():
            return self._roll(start, allowed, None, generator)

    def evaluate(
        self, actions: Tensor, start: LSTMState, allowed: Allowed | None = None
    ) -> Rollout:
        """Return the rollout of given actions (B, T), with gradients."""
        return self._roll(start, allowed, actions, None)

    def zero_state(self, num: int) -> LSTMState:
        """Return the start without a parent: zeros (num, hidden)."""
        size = (num, self.lstm.hidden_size)
        return torch.zeros(size, device="cpu"), torch.zeros(size, device="cpu")

    def _roll(
        self,
        start: LSTMState,
        allowed: Allowed | None,
        actions: Tensor | None,
        generator: torch.Generator | None,
    ) -> Rollout:
        h, c = start
        x = torch.zeros_like(h)
        taken: list[Tensor] = []
        log_probs, entropies = [], []
        for i, decoder in enumerate(self.decoders):
            h, c = self.lstm(x, (h, c))
            logits = decoder(h)  # (B, choices)
            if allowed is not None:
                drawn = torch.stack(taken, 1).tolist() if taken else [[]] * len(h)
                mask = allowed([tuple(row) for row in drawn])
                logits = logits.masked_fill(~mask, torch.finfo(logits.dtype).min)
            log_policy = logits.log_softmax(1)
            policy = log_policy.exp()
            if actions is None:
                if not bool(policy.isfinite().all()):
                    raise RunFailed("the controller diverged: its probabilities are not finite")
                action = torch.multinomial(policy, 1, generator=generator)[:, 0]
            else:
                action = actions[:, i]
            taken.append(action)
            log_probs.append(log_policy.gather(1, action[:, None])[:, 0])
            entropies.append(-(policy * log_policy).sum(1))
            if i + 1 < len(self.decoders):
                x = self.encoder(action + self._offsets[i])
        return Rollout(
            torch.stack(taken, 1), torch.stack(log_probs, 1), torch.stack(entropies, 1), (h, c)
        )


class Reinforce:
    """REINFORCE with a moving-average baseline and an entropy bonus.

    AutoGAN, sec. 3.3.2: the loss is -(R - b) log p(architecture) - entropy_weight * mean entropy
    of its tokens. The baseline is updated after the advantage is computed. `normalise` divides
    the advantage by its running root mean square, which makes rewards of any scale alike.
    """

    def __init__(
        self,
        controller: Controller,
        *,
        lr: float,
        entropy_weight: float,
        baseline_decay: float,
        normalise: bool,
    ) -> None:
        self.controller = controller
        self.optimizer = torch.optim.Adam(controller.parameters(), lr, betas=(0.0, 0.9), fused=True)
        self.entropy_weight, self.baseline_decay = entropy_weight, baseline_decay
        self.normalise = normalise
        self.baseline: float | None = None
        self.mean_square = 0.0
        self.num_updates = 0

    def update(self, rollout: Rollout, rewards: Sequence[float]) -> dict[str, float]:
        """Make one step for a batch of architectures; `rollout` must carry gradients."""
        mean = sum(rewards) / len(rewards)
        if self.baseline is None:
            self.baseline = mean  # nothing is known yet: no advantage
        advantages = [reward - self.baseline for reward in rewards]
        decay = self.baseline_decay
        self.baseline = decay * self.baseline + (1 - decay) * mean
        if self.normalise:
            square = sum(a * a for a in advantages) / len(advantages)
            self.mean_square = decay * self.mean_square + (1 - decay) * square
            self.num_updates += 1
            # Corrected for its start at zero, as Adam's moments are.
            rms = (self.mean_square / (1 - decay**self.num_updates)) ** 0.5
            advantages = [a / (rms + 1e-12) for a in advantages]
        weights = torch.tensor(advantages, device="cpu")
        entropy = rollout.entropies.mean()
        loss = -(weights * rollout.log_probs.sum(1)).mean() - self.entropy_weight * entropy
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return {"controller_loss": float(loss.detach()), "entropy": float(entropy.detach())}

    def restart_baseline(self) -> None:
        """Forget what rewards were: they have jumped."""
        self.baseline, self.mean_square, self.num_updates = None, 0.0, 0

    def state(self) -> list[float | None]:
        """Return what an update remembers, apart from weights and optimizer."""
        return [self.baseline, self.mean_square, self.num_updates]

    def load_state(self, state: Sequence[float | None]) -> None:
        """Go on from what `state` returned; raises ValueError for what it cannot have."""
        baseline, mean_square, num_updates = state
        counts = self.normalise and baseline is not None
        if mean_square is None or num_updates is None or (num_updates > 0) != counts:
            raise ValueError(f"{list(state)} is no baseline, mean square and number of updates")
        self.baseline, self.mean_square, self.num_updates = baseline, mean_square, int(num_updates)


class LegacyReinforce:
    """The update that the authors' code computes for one architecture, token by token.

    Each token has a reward, R_t = reward + entropy_weight * H_t, with the gradient flowing through
    H_t, and a baseline; the loss is the sum over the outer product of advantages and negative
    log-probabilities, T times too large; the first update after `restart_baseline` is zero. Kept
    for comparison with the published implementation; Reinforce is what the paper describes.
    """

    def __init__(
        self,
        controller: Controller,
        *,
        lr: float,
        entropy_weight: float,
        baseline_decay: float,
        normalise: bool = False,
    ) -> None:
        del normalise
        self.controller = controller
        self.optimizer = torch.optim.Adam(controller.parameters(), lr, betas=(0.0, 0.9), fused=True)
        self.entropy_weight, self.baseline_decay = entropy_weight, baseline_decay
        self.baseline: Tensor | None = None

    def update(self, rollout: Rollout, rewards: Sequence[float]) -> dict[str, float]:
        """Make one step for a batch of one architecture."""
        (reward,), (entropy,), (log_prob,) = rewards, rollout.entropies, rollout.log_probs
        token_rewards = reward + self.entropy_weight * entropy  # (T,)
        if self.baseline is None:
            self.baseline = token_rewards
        else:
            decay = self.baseline_decay
            self.baseline = decay * self.baseline.detach() + (1 - decay) * token_rewards
        advantages = token_rewards - self.baseline
        loss = -log_prob.sum() * advantages.sum()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.baseline = self.baseline.detach()
        return {
            "controller_loss": float(loss.detach()),
            "entropy": float(entropy.mean().detach()),
            "advantage": float(advantages.mean().detach()),
        }

    def restart_baseline(self) -> None:
        """Forget the baseline, as the authors' code does in each search iteration."""
        self.baseline = None

    def state(self) -> list[float | None]:
        """Return what an update remembers, apart from weights and optimizer."""
        return [] if self.baseline is None else self.baseline.tolist()

    def load_state(self, state: Sequence[float | None]) -> None:
        """Go on from what `state` returned."""
        self.baseline = torch.tensor(state, device="cpu") if state else None
