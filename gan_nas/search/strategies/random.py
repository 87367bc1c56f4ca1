"""Random search: the baseline that every other way must beat."""

from gan_nas.search.strategies.method import PRESETS, StrategyMethod
from gan_nas.search.strategies.strategy import Strategy, StrategyConfig
from gan_nas.trials.trial import Trial


class RandomStrategy(Strategy[StrategyConfig]):
    """Draws genomes uniformly, none twice while there are others."""

    def choose(self) -> Trial | None:
        """Draw a genome."""
        return self.trial(self.drawn())


class RandomSearch(StrategyMethod[StrategyConfig]):
    """What `gan-nas search --method random` runs."""

    name, title = "random", "Random search"
    Config, strategy = StrategyConfig, RandomStrategy
    presets = PRESETS


METHOD = RandomSearch()
