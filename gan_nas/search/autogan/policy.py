"""The policy of a search's level: a controller, the parents it starts from, its masks."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, NamedTuple

import torch
from pydantic import BaseModel, Field
from torch import Tensor

from gan_nas.errors import InvalidInput
from gan_nas.networks.initialisation import initialise
from gan_nas.networks.states import Saved, saved_module, saved_optimizer, saved_tensors
from gan_nas.runs.results import MOST
from gan_nas.search.autogan.config import Config
from gan_nas.search.autogan.masks import TokenMasks
from gan_nas.search.controller import (
    HIDDEN,
    Allowed,
    Controller,
    LegacyReinforce,
    LSTMState,
    Reinforce,
)
from gan_nas.spaces.autogan import Tokens, token_sizes
from gan_nas.streams import stream

DRAWN_AT_ONCE = 64  # architectures a controller draws in one batch
MOST_DRAWS = 64  # such batches, until a peaked policy is taken to have no more distinct ones;
DRAWS_EACH = 16  # or this many for each candidate asked for, if that is more


class Candidate(NamedTuple):
    """An architecture with the LSTM state it was drawn with, each (hidden,)."""

    tokens: Tokens
    h: Tensor
    c: Tensor


class PolicyState(BaseModel):
    """What a policy is, beside its tensors."""

    reinforce: list[Annotated[float, Field(ge=0, lt=MOST)] | None] = []
    """Of rewards, none of which is below 0."""
    parents: list[Tokens] = []

    def candidates(self) -> list[Candidate]:
        """Return the parents, whose LSTM states are still to be loaded."""
        zeros = partial(torch.zeros, HIDDEN, device="cpu")
        return [Candidate(tokens, zeros(), zeros()) for tokens in self.parents]


class Policy:
    """Draws architectures of a level and learns from their rewards.

    AutoGAN (Gong et al. 2019), sec. 3.3: each level has a new controller; a sample starts from a
    parent of the last level, drawn uniformly, with its tokens and its LSTM state.
    """

    def __init__(
        self, config: Config, level: int, parents: list[Candidate], masks: TokenMasks | None
    ) -> None:
        self.config, self.parents, self.masks = config, parents, masks
        first = 0 if config.levels == "single" else level
        sizes = [size for i in range(first, level + 1) for size in token_sizes(i)]
        with torch.device("cpu"):
            self.controller = Controller(sizes)
            initialise(self.controller, stream(config.seed, "controller weights", level))
            make = Reinforce if config.update == "reinforce" else LegacyReinforce
            self.reinforce = make(
                self.controller,
                lr=config.controller_lr,
                entropy_weight=config.entropy_weight,
                baseline_decay=config.baseline_decay,
                normalise=config.normalise_advantage,
            )

    def draw(self, num: int, random: torch.Generator) -> list[Candidate]:
        """Draw `num` architectures."""
        parents, start = self._start(num, random)
        rollout = self.controller.sample(start, random, self._allowed(parents))
        actions = rollout.actions.tolist()
        return [
            Candidate((*parent, *action), h, c)
            for parent, action, h, c in zip(parents, actions, *rollout.state, strict=True)
        ]

    def candidates(self, num: int, purpose: str, iteration: int) -> list[Candidate]:
        """Draw `num` candidates, fewer when the policy has no more distinct ones to offer."""
        found: list[Candidate] = []
        known: set[Tokens] = set()
        enough = -(-num // DRAWN_AT_ONCE)  # batches, were all distinct
        for block in range(max(MOST_DRAWS, DRAWS_EACH * enough)):
            random = stream(self.config.seed, purpose, iteration, block)
            for candidate in self.draw(DRAWN_AT_ONCE, random):
                if not self.config.distinct or candidate.tokens not in known:
                    found.append(candidate)
                    known.add(candidate.tokens)
                if len(found) == num:
                    return found
        return found

    def learn(self, reward: Callable[[Tokens], float], update: int) -> dict[str, float]:
        """Make update number `update`: draw, ask for rewards, follow their gradient."""
        random = stream(self.config.seed, "controller", update)
        parents, start = self._start(self.config.controller_batch_size, random)
        allowed = self._allowed(parents)
        actions = self.controller.sample(start, random, allowed).actions
        drawn = [(*p, *a) for p, a in zip(parents, actions.tolist(), strict=True)]
        rewards = [reward(tokens) for tokens in drawn]
        values = self.reinforce.update(self.controller.evaluate(actions, start, allowed), rewards)
        return {"reward": sum(rewards) / len(rewards)} | values

    def keep_parents_within_limits(self) -> None:
        """Drop the parents that no cell can complete; raises InvalidInput when none is left."""
        masks = self.masks
        if masks is None or not self.parents:
            return
        self.parents = [p for p in self.parents if masks.can_complete(p.tokens)]
        if not self.parents:
            raise InvalidInput(
                f"nothing this search could derive keeps within {masks.limit.words}; raise the "
                "limit, or search again with it"
            )

    def state(self) -> PolicyState:
        """Return what is no tensor."""
        parents = [parent.tokens for parent in self.parents]
        return PolicyState(reinforce=self.reinforce.state(), parents=parents)

    def saved(self) -> dict[str, Saved]:
        """Return what a checkpoint keeps: weights, optimiser and the parents' LSTM states."""
        states = {f"h.{i}": parent.h for i, parent in enumerate(self.parents)}
        states |= {f"c.{i}": parent.c for i, parent in enumerate(self.parents)}
        return {
            "controller": saved_module(self.controller),
            "controller_optimizer": saved_optimizer(self.reinforce.optimizer, self.controller),
            "parents": saved_tensors(states),
        }

    def _start(self, num: int, random: torch.Generator) -> tuple[list[Tokens], LSTMState]:
        """Draw a parent for each sample, uniformly with replacement, and its LSTM state."""
        if not self.parents:
            return [()] * num, self.controller.zero_state(num)
        chosen = torch.randint(len(self.parents), (num,), generator=random, device="cpu")
        parents = [self.parents[i] for i in chosen.tolist()]
        state = torch.stack([p.h for p in parents]), torch.stack([p.c for p in parents])
        return [p.tokens for p in parents], state

    def _allowed(self, parents: list[Tokens]) -> Allowed | None:
        if self.masks is None:
            return None
        masks = self.masks.of
        return lambda drawn: masks([(*p, *d) for p, d in zip(parents, drawn, strict=True)])
