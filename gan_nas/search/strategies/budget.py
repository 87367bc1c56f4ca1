"""What a search by trials may spend, what it has spent, and how one of its trials is trained."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from gan_nas.configs import find_preset, resolve
from gan_nas.search.best import FREE
from gan_nas.search.strategies.strategy import Choices, Strategy, StrategyConfig
from gan_nas.spaces.genome import Genome
from gan_nas.spaces.registry import load_space
from gan_nas.training.config import TrainingConfig, presets_for
from gan_nas.trials.trial import Outcome, Trial

MOST_PLANNED = 1_000  # trials that a plan looks at


def training_of(config: StrategyConfig) -> TrainingConfig:
    """Return how trials are trained: the settings of the space's framework."""
    presets = presets_for(config.space)
    preset = {"precision": config.precision} | find_preset(presets, config.training)
    return resolve(TrainingConfig, preset, config.training_set)


def whole(config: StrategyConfig) -> int:
    """Return the images of a whole trial."""
    if config.trial_images is not None:
        return config.trial_images
    training = training_of(config)
    return training.steps * training.num_critic * training.batch_size


def example(config: StrategyConfig) -> Genome:
    """Return some genome of the space, of the sizes of trials."""
    space = load_space(config.space)
    return Genome(
        generator=space.example(config.width),
        discriminator=space.discriminator(config.discriminator_width),
    )


def spent(trials: Sequence[Trial]) -> int:
    """Count the real images of trials; what goes on is counted once."""
    reached: dict[str, int] = {}
    for trial in trials:
        reached[trial.name] = max(reached.get(trial.name, 0), trial.images)
    return sum(reached.values())


def is_spent(
    config: StrategyConfig, outcomes: Sequence[Outcome], pending: Sequence[Trial] = ()
) -> bool:
    """Tell whether a limit of the budget is reached, with the trials under way."""
    trials = [*(outcome.trial for outcome in outcomes), *pending]
    seconds = sum({one.trial.name: one.seconds for one in outcomes}.values())
    return any(
        most is not None and used >= most
        for most, used in (
            (config.trials, len(trials)),
            (config.images, spent(trials)),
            (config.seconds, seconds),
        )
    )


@lru_cache(maxsize=1)  # a search looks at it several times, and some strategies take seconds
def planned(strategy: type[Strategy[Any]], config: StrategyConfig) -> list[Trial]:
    """Return trials as they may be: limits on trials and images, every genome a little worse.

    A limit on time alone cannot be foreseen: that is a single trial.
    """
    budget = config.model_copy(update={"seconds": None})
    if config.trials is None and config.images is None:
        budget = budget.model_copy(update={"trials": 1})
    choices = Choices(load_space(config.space), config, lambda genome: FREE)
    asking, outcomes = strategy(strategy.rehearsal(config), choices, whole(config)), list[Outcome]()
    while not is_spent(budget, outcomes) and len(outcomes) < MOST_PLANNED:
        trial = asking.ask()
        if trial is None:
            break
        place = float(len(outcomes))
        outcomes.append(Outcome(trial=trial, status="completed", distance=place))
        asking.tell(outcomes[-1])
    return asking.asked
