"""What a search by trials may spend, what it has spent, and on what terms trials are judged."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch

from gan_nas.configs import find_preset, resolve
from gan_nas.search.best import FREE
from gan_nas.search.strategies.strategy import Candidates, Strategy, StrategyConfig
from gan_nas.spaces import eagan
from gan_nas.spaces.genome import Genome
from gan_nas.spaces.registry import load_space
from gan_nas.training.config import TrainingConfig, presets_for
from gan_nas.trials import load_evaluator
from gan_nas.trials.evaluator import Shared, Terms
from gan_nas.trials.trial import Outcome, Trial

NOTHING_SHARED = Shared()
MOST_PLANNED = 2_000  # trials that a plan looks at


def training_of(config: StrategyConfig) -> TrainingConfig:
    """Return how trials are trained: the settings of the framework of their discriminators."""
    given = config.generator is not None
    presets = presets_for(config.space, eagan.SPACE.example(1).framework if given else None)
    preset = {"precision": config.precision} | find_preset(presets, config.training)
    return resolve(TrainingConfig, preset, config.training_set)


def whole(config: StrategyConfig) -> int:
    """Return the images of a whole trial; on shared weights, of these before the first one."""
    evaluator = load_evaluator(config.evaluator)
    images = config.supernet_images if evaluator.shares_weights else config.trial_images
    if images is None:
        training = training_of(config)
        images = training.steps * training.num_critic * training.batch_size
    return evaluator.whole(config.evaluator, images)


def example(config: StrategyConfig) -> Genome:
    """Return some genome that is searched among, of the sizes of trials."""
    if config.generator is not None:
        return Genome(
            generator=config.in_trials(config.generator),
            discriminator=eagan.SPACE.example(config.discriminator_width),
        )
    space = load_space(config.space)
    return Genome(
        generator=space.example(config.width),
        discriminator=space.discriminator(config.discriminator_width),
    )


def evaluator_terms(
    strategy: type[Strategy[Any]],
    config: StrategyConfig,
    side: int,
    channels: int,
    device: torch.device,
) -> Terms:
    """Return the terms on which the trials of a strategy are judged."""
    return Terms(
        evaluator=config.evaluator,
        space=load_space(config.space),
        example=example(config),
        training=training_of(config),
        fidelities=strategy.fidelities(config, whole(config)),
        seed=config.seed,
        wants_latency=strategy.cost(config) == "latency",
        side=side,
        channels=channels,
        device=device,
    )


def spent(config: StrategyConfig, trials: Sequence[Trial]) -> int:
    """Count the real images of trials; what goes on is counted once."""
    return load_evaluator(config.evaluator).spent(trials)


def is_spent(
    config: StrategyConfig,
    outcomes: Sequence[Outcome],
    pending: Sequence[Trial] = (),
    shared: Shared = NOTHING_SHARED,
) -> bool:
    """Tell whether a limit of the budget is reached, with the trials under way.

    What trials share counts from the first one on: a search makes one at least.
    """
    trials = [*(outcome.trial for outcome in outcomes), *pending]
    if not trials:
        return False
    seconds = shared.seconds
    if load_evaluator(config.evaluator).shares_weights:
        seconds += sum(one.seconds for one in outcomes)
    else:
        seconds += sum({one.trial.name: one.seconds for one in outcomes}.values())
    return any(
        most is not None and used >= most
        for most, used in (
            (config.trials, len(trials)),
            (config.images, spent(config, trials)),
            (config.seconds, seconds),
        )
    )


@lru_cache(maxsize=1)  # a search looks at it several times, and some strategies take seconds
def planned(strategy: type[Strategy[Any]], config: StrategyConfig) -> list[Trial]:
    """Return trials as they may be: limits on trials and images, every genome a little worse.

    A limit on time alone cannot be foreseen: that is a single trial.
    """
    budget = config.model_copy(update={"seconds": None})
    grows = len(strategy.fidelities(config, whole(config))) > 1
    limits = config.images is not None and (
        grows or not load_evaluator(config.evaluator).shares_weights
    )
    if config.trials is None and not limits:
        budget = budget.model_copy(update={"trials": 1})
    choices = Candidates(load_space(config.space), config, lambda genome: FREE)
    asking, outcomes = strategy(strategy.rehearsal(config), choices, whole(config)), list[Outcome]()
    while not is_spent(budget, outcomes) and len(outcomes) < MOST_PLANNED:
        trial = asking.ask()
        if trial is None:
            break
        place = float(len(outcomes))
        outcomes.append(Outcome(trial=trial, status="completed", distance=place))
        asking.tell(outcomes[-1])
    return asking.asked
