"""REINFORCE: AutoGAN's controller, in any space and without shared weights.

Williams 1992, "Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement
Learning"; the controller and its update are those of AutoGAN (Gong et al. 2019), sec. 3.3.2, a
token for each place of the space. Each batch of trials is one update.

What AutoGAN does otherwise: its generators share weights, so that it can afford thousands of
updates of a small learning rate, and one generator may be judged twice. Here a genome is trained
once, and the policy is asked again for one that was tried. Where what it writes is invalid, a
repaired genome is tried, and it is that one whose probability the reward changes. Its learning
rate is for tens of trials: on the tests' landscapes, 80 of them end nearer than evolution's.
"""

from collections.abc import Sequence
from math import inf, log
from random import Random

import torch
from pydantic import Field

from gan_nas.networks.initialisation import initialise
from gan_nas.search.controller import Controller, Reinforce
from gan_nas.search.strategies.method import PRESETS, StrategyMethod
from gan_nas.search.strategies.strategy import Candidates, Strategy, StrategyConfig
from gan_nas.spaces.genome import Genome
from gan_nas.streams import stream
from gan_nas.trials.trial import Outcome, Trial

NUM_DRAFTS = 20  # that the policy writes at once, since most may have been tried
LEAST = 1e-6  # distance; lower ones, rounding errors below 0 included, are rewarded alike


class ReinforceConfig(StrategyConfig):
    """Settings of the controller; AutoGAN's are of a search whose trials cost next to nothing."""

    controller_batch_size: int = Field(default=4, ge=1, le=1000)
    """Trials of a controller update (AutoGAN's paper: 1)."""
    controller_lr: float = Field(default=0.01, gt=0, le=1)
    """Adam's learning rate of the controller, with decays 0.0 and 0.9 (AutoGAN's: 3.5e-4)."""
    entropy_weight: float = Field(default=0.02, ge=0)
    """Weight of the entropy bonus (AutoGAN's: 1e-4)."""
    baseline_decay: float = Field(default=0.9, ge=0, lt=1)
    """Decay of the moving-average baseline."""
    normalise_advantage: bool = True
    """Divide advantages by their running root mean square (AutoGAN's: false)."""


class ReinforceStrategy(Strategy[ReinforceConfig]):
    """A policy that makes likelier what was better than usual."""

    def __init__(self, config: ReinforceConfig, choices: Candidates, trial_images: int) -> None:
        super().__init__(config, choices, trial_images)
        self._drafts: list[list[int]] = []
        with torch.device("cpu"):
            self.controller = Controller([len(options) for options in choices.places.values()])
            initialise(self.controller, stream(config.seed, "controller weights"))
            self.reinforce = Reinforce(
                self.controller,
                lr=config.controller_lr,
                entropy_weight=config.entropy_weight,
                baseline_decay=config.baseline_decay,
                normalise=config.normalise_advantage,
            )

    def choose(self) -> Trial | None:
        """Let the policy draw a genome that is new; where it has none, draw any."""
        self._drafts = []
        new = self.choices.unseen(self._written, self.seen, self.random("policy"))
        return self.trial(new or self.drawn())

    def tell(self, outcome: Outcome) -> None:
        """Learn from a batch of trials when it is full."""
        super().tell(outcome)
        size = self.config.controller_batch_size
        if len(self.history) % size == 0:
            batch = [self.choices.numbers(one.trial.genome) for one in self.history[-size:]]
            actions = torch.tensor(batch, device="cpu")  # (B, T)
            rollout = self.controller.evaluate(actions, self.controller.zero_state(size))
            self.reinforce.update(rollout, rewards(self.history)[-size:])

    def _written(self, random: Random) -> Genome:
        if not self._drafts:
            generator = torch.Generator("cpu").manual_seed(random.getrandbits(63))
            start = self.controller.zero_state(NUM_DRAFTS)
            self._drafts = self.controller.sample(start, generator).actions.tolist()
        return self.choices.numbered(self._drafts.pop(0), random)


def rewards(history: Sequence[Outcome]) -> list[float]:
    """Return the reward of each trial: -log(distance); a failed one is as bad as the worst.

    The logarithm makes a policy learn as much from 200 -> 100 as from 20 -> 10, and its rewards
    do not depend on the distance's unit.
    """
    known = [-log(max(one.loss, LEAST)) if one.loss < inf else None for one in history]
    worst = min((reward for reward in known if reward is not None), default=0.0)
    return [worst if reward is None else reward for reward in known]


class ReinforceSearch(StrategyMethod[ReinforceConfig]):
    """What `gan-nas search --method reinforce` runs."""

    name, title = "reinforce", "REINFORCE"
    Config, strategy = ReinforceConfig, ReinforceStrategy
    presets = PRESETS


METHOD = ReinforceSearch()
