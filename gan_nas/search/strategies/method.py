"""A strategy as a search method among the others."""

from collections.abc import Mapping
from typing import Any, ClassVar, Generic, TypeVar

import torch

from gan_nas.errors import InvalidInput
from gan_nas.networks.cost import Cost, generator_cost, genome_price
from gan_nas.runs.results import SearchResult
from gan_nas.search.method import Column, Method, Task, times
from gan_nas.search.strategies.budget import example, planned, spent, training_of, whole
from gan_nas.search.strategies.search import State as Record
from gan_nas.search.strategies.search import StrategySearch
from gan_nas.search.strategies.strategy import Strategy, StrategyConfig
from gan_nas.spaces.frameworks import suited
from gan_nas.spaces.registry import BUILT_IN, load_space
from gan_nas.training.forecast import Work
from gan_nas.training.plan import work as training_work
from gan_nas.trials.training import steps_of

C = TypeVar("C", bound=StrategyConfig)

# demo for digits, small for CIFAR-10 at width 32; paper trains every trial as long as papers do.
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "demo": {"resolution": 16, "trial_images": 6_400, "derived_width": 16},
    "small": {
        "resolution": 32,
        "training": "small",
        "trial_images": 16_000,
        "width": 32,
        "discriminator_width": 32,
        "derived_width": 32,
        "derived_discriminator_width": 32,
    },
    "paper": {
        "training": "paper",
        "trials": 100,
        "width": 256,
        "discriminator_width": 128,
        "derived_width": 256,
    },
}


class StrategyMethod(Method[C, Record], Generic[C]):
    """A strategy as a method; a file of this folder names both."""

    spaces = BUILT_IN  # and those that others install
    State = Record
    columns: ClassVar = [Column("distance", best="lowest"), Column("images", "d")]
    has_trials = True
    scores = frozenset({"search"})
    strategy: ClassVar[type[Strategy[Any]]]

    def start(self, task: Task[C], state: Record | None = None) -> StrategySearch[C]:
        """Start a search, or go on from the outcomes of one."""
        return StrategySearch(self.strategy, task, state)

    def longer(self, config: C, factor: float) -> C:
        """Return the settings of more trials, or images, or seconds."""
        trials, images, seconds = config.trials, config.images, config.seconds
        return config.model_copy(
            update={
                "trials": None if trials is None else times(trials, factor),
                "images": None if images is None else times(images, factor),
                "seconds": None if seconds is None else seconds * factor,
            }
        )

    def space_of(self, config: C) -> str:
        """Return the setting."""
        return config.space

    def check(self, task: Task[C]) -> None:
        """Refuse spaces, presets and sides that trials cannot have."""
        config = training_of(task.config)
        genome = example(task.config)
        genome_price(suited(genome, config.framework), task.side, task.channels)  # raises
        rungs = self.strategy.fidelities(task.config, whole(task.config))
        if len(rungs) > 1 and (fixed_by := config.follows_length):
            raise InvalidInput(
                f"trials of {self.name} go on to more images and {fixed_by} follows the length of "
                "a training: change it by training_set, or rungs to 1"
            )

    def sizes(self, config: C, side: int, channels: int) -> dict[str, int | Cost]:
        """Return the size of the space, the number of trials, and one of its generators' cost."""
        trials = planned(self.strategy, config)
        cost = generator_cost(example(config).generator, side, channels)
        return {
            "space": load_space(config.space).count(),
            "trials": len(trials),
            "an example": cost,
        }

    def work(self, config: C, side: int, channels: int, device: torch.device) -> Work:
        """Return the work of all trials: as if it were one training of an example."""
        genome, training = example(config), training_of(config)
        images = spent(planned(self.strategy, config))
        training = training.model_copy(update={"steps": steps_of(training, images)})
        return training_work(genome, training, side, channels, device)

    def explain(self, result: SearchResult) -> str:
        """Say what a distance rests on."""
        trials, images = result.facts["trials"], result.facts["images"]
        failed = result.facts["failed"]
        assert isinstance(failed, dict)
        told = "".join(f"; {count} {status}" for status, count in failed.items())
        return (
            f"{trials} trials of {images:,} real images in all{told}. A distance is that of one "
            "seed: gan-nas derive --retrain tells more."
        )
