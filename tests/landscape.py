"""A landscape in the place of training: how many places of a generator differ from a hidden one."""

from collections.abc import Callable
from math import inf
from random import Random
from typing import Any

from gan_nas.search import load_method
from gan_nas.search.best import FREE
from gan_nas.search.strategies.budget import is_spent, whole
from gan_nas.search.strategies.strategy import Candidates, Strategy, StrategyConfig
from gan_nas.spaces.genome import Genome
from gan_nas.spaces.registry import load_space
from gan_nas.trials.trial import Outcome

Judge = Callable[[Genome], float]


def config_of(name: str, **values: Any) -> StrategyConfig:
    config: StrategyConfig = load_method(name).Config(**{"trial_images": 900, **values})
    return config


def strategy_of(name: str, config: StrategyConfig) -> Strategy[Any]:
    choices = Candidates(load_space(config.space), config, lambda genome: FREE)
    strategy: Strategy[Any] = load_method(name).strategy(config, choices, whole(config))  # type: ignore[attr-defined]
    return strategy


def landscape(space: str, seed: int = 0) -> Judge:
    """Return the share of places at which a genome is not the hidden one."""
    known = load_space(space)
    hidden = known.values(known.sample(Random(seed + 1_000), 4))

    def judge(genome: Genome) -> float:
        values = known.values(genome.generator)
        return sum(values.get(place) != value for place, value in hidden.items()) / len(hidden)

    return judge


def searched(name: str, config: StrategyConfig, judge: Judge) -> list[Outcome]:
    strategy, outcomes = strategy_of(name, config), list[Outcome]()
    while not is_spent(config, outcomes) and (trial := strategy.ask()) is not None:
        loss = judge(trial.genome)
        status = "completed" if loss < inf else "diverged"
        outcomes.append(
            Outcome(
                trial=trial,
                status=status,
                distance=loss if loss < inf else None,
                parameters=len(trial.genome.to_json()),
                macs=len(set(trial.genome.genome_id)),
                latency_ms=int(trial.genome.genome_id, 16) / 1e9,
            )
        )
        strategy.tell(outcomes[-1])
    return outcomes
