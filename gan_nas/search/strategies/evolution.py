"""Regularised evolution, with crossover: who dies is the oldest, so no lucky score lives for ever.

Real et al. 2019, "Regularized Evolution for Image Classifier Architecture Search", Algorithm 1.
"""

from random import Random

from pydantic import Field

from gan_nas.search.strategies.method import PRESETS, StrategyMethod
from gan_nas.search.strategies.strategy import Strategy, StrategyConfig
from gan_nas.spaces.genome import Genome
from gan_nas.trials.trial import Trial


class EvolutionConfig(StrategyConfig):
    """Settings of the evolution; the paper's population is 100 and its sample 25, of 20,000."""

    population: int = Field(default=8, ge=1)
    """Genomes that are alive: the youngest; as many are drawn first."""
    tournament: int = Field(default=3, ge=1)
    """Of them that are drawn, with replacement, for each parent; the best one is it."""
    crossover: float = Field(default=0.2, ge=0, le=1)
    """Probability that a child has two parents before one of its places is changed."""


class Evolution(Strategy[EvolutionConfig]):
    """A population that ages."""

    def choose(self) -> Trial | None:
        """Draw the first genomes; then mutate the winner of a tournament, or a child of two."""
        alive = self.history[-self.config.population :]
        if not alive or len(self.asked) < self.config.population:
            return self.trial(self.drawn())

        def parent(random: Random) -> Genome:
            drawn = random.choices(alive, k=self.config.tournament)
            return min(drawn, key=lambda outcome: outcome.loss).trial.genome

        def child(random: Random) -> Genome:
            one = parent(random)
            if random.random() < self.config.crossover:
                one = self.choices.crossed(one, parent(random), random)
            return self.choices.mutated(one, random)

        new = self.choices.unseen(child, self.seen, self.random("child"))
        return self.trial(new or self.drawn())


class EvolutionSearch(StrategyMethod[EvolutionConfig]):
    """What `gan-nas search --method evolution` runs."""

    name, title = "evolution", "Regularised evolution"
    Config, strategy = EvolutionConfig, Evolution
    presets = PRESETS


METHOD = EvolutionSearch()
