"""AutoGAN: an LSTM controller, a weight-sharing GAN that grows, a beam from level to level.

AutoGAN (Gong et al. 2019), Algorithm 1. An iteration trains the shared GAN with architectures
drawn from the controller, then the controller with the shared weights fixed. Before the network
grows, the best K of M drawn architectures become the parents of the next level's, each with the
LSTM state it was drawn with, and a new controller starts.

Where the authors' code does otherwise than the paper, or than is sensible, there is a field; the
preset `published` takes its side in each, and config.py lists them. With REINFORCE the baseline
lives until rewards jump, with `update` legacy for one iteration, as theirs. Theirs in any case:
optimisers are not reset when the network grows; new cells start with fresh state.
"""

from collections.abc import Sequence
from math import isfinite
from typing import Any, Literal

import torch
from pydantic import AliasChoices, BaseModel, Field, field_validator
from torch import Tensor

from gan_nas.data.batches import Batches
from gan_nas.errors import Incompatible, RunFailed
from gan_nas.networks.states import Saved
from gan_nas.runs.ledger import means
from gan_nas.runs.ledger_state import Count
from gan_nas.runs.results import Conclusion
from gan_nas.search.autogan.children import Children, ChildScores, token_string
from gan_nas.search.autogan.config import Config
from gan_nas.search.autogan.masks import masks_of
from gan_nas.search.autogan.policy import DRAWN_AT_ONCE, Candidate, Policy, PolicyState
from gan_nas.search.autogan.shared_gan import (
    choose_tokens,
    genome_of,
    level_side,
    new_shared_gan,
    set_level,
    supernets,
)
from gan_nas.search.best import Limit, say_if_fewer
from gan_nas.search.method import Find, Search, Task, Trained
from gan_nas.spaces.autogan import (
    NUM_CELLS,
    AutoGANGenerator,
    Tokens,
    decode_cell,
    encode,
    split_tokens,
)
from gan_nas.streams import stream
from gan_nas.training.gan import GAN, generator_moves

STILL = 10  # last losses that are compared

COMPARING = "comparing images"  # the last phase


class State(BaseModel):
    """Where a search is: within an iteration in one of three phases."""

    iteration: Count = 0
    phase: Literal["shared", "controller", "end"] = "shared"
    shared_step: Count = 0
    """Discriminator steps of this iteration."""
    controller_step: Count = 0
    """Controller updates of this iteration."""
    d_steps: Count = 0
    g_steps: Count = 0
    """Steps of all iterations; those of the generator since a reset are apart."""
    generator_steps: Count = 0
    level: int = Field(
        default=0, ge=0, lt=NUM_CELLS, validation_alias=AliasChoices("level", "stage")
    )
    """Of the search (sec. 3.3): cells there are, less one. Older searches stored it as `stage`."""
    num_resets: Count = 0
    reset_pending: bool = False
    policy: PolicyState = PolicyState()
    found: list[Tokens] = []
    """The best whole architectures, at the end."""
    scores: ChildScores = {}
    """Of children by their tokens, while weights are fixed."""

    @field_validator("scores", mode="before")
    @classmethod
    def _of_the_first_release(cls, scores: Any) -> Any:
        if not isinstance(scores, list):
            return scores
        return {token_string(tokens): of_one for tokens, of_one in scores}


class AutoGANSearch(Search[State]):
    """Algorithm 1. A unit is a step of the shared GAN, of the controller, or an iteration's end."""

    def __init__(self, task: Task[Config], state: State | None) -> None:
        config = task.config
        self.task, self.config, self.ledger = task, config, task.ledger
        self.state = state or State(level=NUM_CELLS - 1 if config.levels == "single" else 0)
        if state:
            _check_place(config, state)
        self.masks = masks_of(task, config.limit)
        levels = range(self.state.level if config.levels == "single" else 0, NUM_CELLS)
        sides = [level_side(task.side, level + 1) for level in levels]
        self.ledger.phases = (*map(_phase, sides), COMPARING)
        self._batches: Batches | None = None
        self.d_losses = self.ledger.window("d_loss", config.reset_window, task.device)
        self.g_losses = self.ledger.window("g_loss", config.reset_window, task.device)
        self.gan = self._new_gan(num_resets=0)
        self.gan.generator_steps = self.state.generator_steps
        self._enter_level(self.state.policy.candidates())
        if state:
            self.policy.reinforce.load_state(state.policy.reinforce)
        self._record()

    @property
    def step(self) -> int:
        """Count discriminator steps, controller updates and iterations."""
        state = self.state
        updates = state.iteration * self.config.controller_steps + state.controller_step
        return state.d_steps + updates + state.iteration

    @property
    def finished(self) -> bool:
        """Tell whether all iterations are made."""
        return self.state.iteration == self.config.iterations

    def advance(self) -> None:
        """Do what the phase has next; the record is true even when a score was interrupted."""
        phases = {
            "shared": self.train_shared,
            "controller": self.train_controller,
            "end": self.end_iteration,
        }
        try:
            phases[self.state.phase]()
        finally:
            self._record()

    def train_shared(self) -> None:
        """Train the shared GAN with one architecture; its losses may end the phase by a reset."""
        config, state = self.config, self.state
        choose_tokens(self.gan, self._architecture(state.shared_step))
        z = self._latents("discriminator latents", state.d_steps, config.batch_size)
        self.d_losses.push(self.gan.discriminator_step(self.batches.at(state.d_steps), z))
        state.d_steps += 1
        if generator_moves(state.shared_step, config.num_critic, config.generator_turn):
            z = self._latents("generator latents", state.g_steps, config.generator_batch_size)
            self.g_losses.push(self.gan.generator_step(z))
            state.g_steps += 1
        state.shared_step += 1
        if state.shared_step % config.reset_check_every == 0:
            self._watch_losses()
        if state.reset_pending or state.shared_step == config.discriminator_steps:
            state.phase = "controller"
            state.scores.clear()
            if config.update == "legacy":
                self.policy.reinforce.restart_baseline()

    def train_controller(self) -> None:
        """Update the controller by the rewards of the architectures it draws."""
        config, state = self.config, self.state
        update = state.iteration * config.controller_steps + state.controller_step
        reward, drawn = self.children.rewards("controller", update), list[tuple[Tokens, float]]()

        def rewarded(tokens: Tokens) -> float:
            drawn.append((tokens, reward(tokens)))
            return drawn[-1][1]

        values = self.policy.learn(rewarded, update)
        state.controller_step += 1
        self._log("controller", update=update, architectures=_said(drawn), **values)
        self._show({name: values[name] for name in ("reward", "entropy")})
        if state.controller_step == config.controller_steps:
            state.phase = "end"

    def end_iteration(self) -> None:
        """Choose parents or results, reset and grow where it is time.

        Candidates are scored before a pending reset, since after it the generator is untrained, or
        after it, as the authors' loop comes to it (`candidates_from`).
        """
        config, state = self.config, self.state
        following = state.iteration + 1
        grows = config.levels == "multi" and following in config.grow_at
        if state.reset_pending and config.candidates_from == "reset":
            self._reset()
        best: list[Candidate] = []
        if not state.reset_pending:
            self._check_alive()
        if grows or following == config.iterations:
            best = self.best(config.num_candidates, config.top_k, "candidates")
        if state.reset_pending and following < config.iterations:
            self._reset()
        if grows:
            state.level += 1
            self._enter_level(parents=best)
        else:
            state.found = [candidate.tokens for candidate in best]
        state.iteration, state.phase = following, "shared"
        state.shared_step = state.controller_step = 0

    def best(self, num: int, top_k: int, purpose: str) -> list[Candidate]:
        """Draw `num` candidates from the policy, score them, return the best `top_k` in order."""
        candidates = self.policy.candidates(num, purpose, self.state.iteration)
        reward = self.children.rewards(purpose, self.state.iteration)
        rewards = [reward(candidate.tokens) for candidate in candidates]
        order = sorted(range(len(candidates)), key=lambda i: -rewards[i])
        chosen = [candidates[i] for i in order[:top_k]]
        say_if_fewer(len(chosen), top_k, "the policy offers no more distinct ones")
        ranked = [(candidates[i].tokens, rewards[i]) for i in order]
        self._log("candidates", purpose=purpose, architectures=_said(ranked))
        return chosen

    def found(self, count: int, limit: Limit, *, anew: bool) -> list[Find]:
        """Return what the last iteration chose or, anew, the best of M or 2 K drawn candidates."""
        tokens = self.state.found
        if anew:
            self.policy.masks = masks_of(self.task, limit)
            self.policy.keep_parents_within_limits()
            num = max(self.config.num_candidates, 2 * count)
            tokens = [one.tokens for one in self.best(num, count, "derived candidates")]
        children = self.children
        return [
            Find(genome_of(self.config, t), {"reward": children.reward(t)}, children.scores_of(t))
            for t in tokens
        ]

    def conclude(self, found: Sequence[Find]) -> Conclusion:
        """Tell how noisy the best reward is, and what real images score."""
        best = found[0].genome.generator
        assert isinstance(best, AutoGANGenerator)
        num = self.config.num_scored
        self.ledger.show(COMPARING, 0, num, {})
        conclusion = self.children.conclude(encode(best), self.state.num_resets)
        self.ledger.show(COMPARING, num, num, {})
        return conclusion

    def samples(self, find: Find, num: int) -> Tensor:
        """Return images of the weights that gave the reward."""
        generator = find.genome.generator
        assert isinstance(generator, AutoGANGenerator)
        return self.children.samples(encode(generator), num)

    def saved(self) -> dict[str, Saved]:
        """Return what a checkpoint keeps; shared weights may have diverged, and be reset next."""
        gan = {name: one._replace(may_diverge=True) for name, one in self.gan.saved().items()}
        return gan | self.policy.saved()

    def trained(self) -> Trained:
        """Return the shared networks."""
        return supernets(self.config, self.gan)

    @property
    def batches(self) -> Batches:
        """Return the real images of the level, in batches."""
        if self._batches is None:
            config, device = self.config, self.task.device
            images = self.task.pixels(self.side).train
            self._batches = Batches(images, config.batch_size, config.seed, device=device)
        return self._batches

    @property
    def num_images(self) -> int:
        """Return how many real images the discriminators have seen, of all levels."""
        return self.state.d_steps * self.config.batch_size

    @property
    def side(self) -> int:
        """Return the side of the level's images."""
        return level_side(self.task.side, self.state.level + 1)

    def _record(self) -> None:
        self.state.policy = self.policy.state()
        self.state.generator_steps = self.gan.generator_steps

    def _enter_level(self, parents: list[Candidate]) -> None:
        """Set networks and data to the level, and start a new policy for it."""
        set_level(self.gan, self.state.level)
        self.children = Children(self.task, self.gan, self.side, self.state.scores)
        self.policy = Policy(self.config, self.state.level, parents, self.masks)
        self._batches = None
        self._drawn: list[Tokens] = []
        self._block = (-1, -1)

    def _reset(self) -> None:
        """Start the shared GAN anew; the controller and the beam stay (sec. 3.2)."""
        state = self.state
        state.num_resets += 1
        state.reset_pending = False
        state.scores.clear()
        self.gan = self._new_gan(state.num_resets)
        set_level(self.gan, state.level)
        self.children.gan = self.gan
        self.d_losses.clear()
        self.g_losses.clear()
        self.policy.reinforce.restart_baseline()
        self._log("reset", number=state.num_resets)

    def _new_gan(self, num_resets: int) -> GAN:
        task, shape = self.task, (self.task.side, self.task.channels)
        return new_shared_gan(self.config, *shape, task.device, num_resets, task.ranks)

    def _architecture(self, step: int) -> Tokens:
        """Return the architecture of a step of shared training, drawn in blocks."""
        block, place = divmod(step, DRAWN_AT_ONCE)
        if self._block != (self.state.iteration, block):
            self._block = (self.state.iteration, block)
            random = stream(self.config.seed, "shared architectures", *self._block)
            self._drawn = [c.tokens for c in self.policy.draw(DRAWN_AT_ONCE, random)]
        return self._drawn[place]

    def _watch_losses(self) -> None:
        """Trigger the dynamic reset when a loss has stood still (sec. 3.2) or is not finite.

        The paper's text says standard deviation, its settings and code variance: variance it is.
        """
        config, state, windows = self.config, self.state, self.ledger.windows
        losses = means(windows, config.reset_check_every)
        variance = min(self.d_losses.variance(), self.g_losses.variance())
        finite = all(isfinite(loss) for loss in losses.values())
        full = self.g_losses.count >= config.reset_window
        state.reset_pending = not finite or (full and variance < config.reset_threshold)
        if state.reset_pending or state.shared_step % config.log_every < config.reset_check_every:
            losses = means(windows, max(config.log_every, config.reset_check_every))
            self._log("losses", **losses)
            self._show(losses)

    def _check_alive(self) -> None:
        """Raise RunFailed where neither network learns any more, so that no child is worth more."""
        d_loss, g_loss = self.d_losses, self.g_losses
        if d_loss.stands_still(STILL) and g_loss.stands_still(STILL):
            step = self.state.d_steps
            raise RunFailed(
                f"the search diverged before step {step:,}: losses of {d_loss.mean(STILL):.4g} and "
                f"{g_loss.mean(STILL):.4g} have not changed in a digit for {STILL} steps, so that "
                "neither network learns; try lower learning rates or another seed"
            )

    def _latents(self, purpose: str, step: int, num: int) -> torch.Tensor:
        return self.task.latents(num, self.config.latent_dim, purpose, step)

    def _log(self, event: str, **values: Any) -> None:
        state, images = self.state, self.state.d_steps * self.config.batch_size
        where = {"iteration": state.iteration, "level": state.level}
        self.ledger.log(event, step=state.d_steps, images=images, **where, **values)

    def _show(self, values: dict[str, float]) -> None:
        config, state = self.config, self.state
        ends = (*config.grow_at, config.iterations)
        begin, end = (0, *ends)[state.level], ends[state.level]
        if config.levels == "single":
            begin = 0
        done = (state.iteration - begin) * config.discriminator_steps + state.shared_step
        if state.phase != "shared":
            done = (state.iteration - begin + 1) * config.discriminator_steps
        total = (end - begin) * config.discriminator_steps
        self.ledger.show(_phase(self.side), done, total, values)


def _check_place(config: Config, state: State) -> None:
    """Raise Incompatible for a place that no search comes to, from which it might never end."""
    shared, controller = config.discriminator_steps, config.controller_steps
    fits = {
        "shared": state.shared_step < shared and state.controller_step == 0,
        "controller": state.shared_step <= shared and state.controller_step < controller,
        "end": state.shared_step <= shared and state.controller_step == controller,
    }
    if not fits[state.phase] or state.iteration > config.iterations:
        raise Incompatible(
            f"a checkpoint is in the phase {state.phase} at step {state.shared_step:,} "
            f"of {shared:,} and {state.controller_step:,} of {controller:,}, iteration "
            f"{state.iteration:,} of {config.iterations:,}, which no search comes to"
        )


def _phase(side: int) -> str:
    return f"search at {side} px"


def _said(rewarded: Sequence[tuple[Tokens, float]]) -> list[dict[str, Any]]:
    """Say architectures and their rewards as the log holds them."""
    return [
        {
            "tokens": token_string(tokens),
            "cells": [decode_cell(i, cell).words for i, cell in enumerate(split_tokens(tokens))],
            "reward": reward,
        }
        for tokens, reward in rewarded
    ]
