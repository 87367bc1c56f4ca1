"""Hill climbing: from a generator to the better of its neighbours, judged without any training."""

from collections.abc import Callable, Iterator
from random import Random
from typing import ClassVar

import torch
from pydantic import BaseModel, Field
from torch import Tensor

from gan_nas.networks.builder import build_generator
from gan_nas.runs.run import never
from gan_nas.scoring.generating import generate
from gan_nas.search.best import Limit
from gan_nas.search.method import Column, Find, Method, Search, SearchConfig, Task
from gan_nas.spaces.genome import Genome
from gan_nas.spaces.registry import load_space
from gan_nas.streams import stream_seed
from gan_nas.training.gan import fresh


class HillConfig(SearchConfig):
    """Settings."""

    iterations: int = Field(default=6, ge=1)
    """Neighbours that are looked at."""


class Climb(BaseModel):
    """Where a search is: distances of all that was looked at, by the JSON of their genomes."""

    step: int = 0
    here: str | None = None
    seen: dict[str, float] = {}


class HillClimbing(Method[HillConfig, Climb]):
    """The method that this distribution adds."""

    name, title, spaces = "hill-climbing", "Hill climbing", ("toy",)
    Config, State = HillConfig, Climb
    presets: ClassVar = {"demo": {"resolution": 16, "derived_width": 4}}
    columns = (Column("distance", best="lowest"),)
    scores = frozenset({"search"})

    def start(self, task: Task[HillConfig], state: Climb | None = None) -> Search[Climb]:
        """Start at the space's example."""
        return HillClimb(task, state)


class HillClimb(Search[Climb]):
    """A unit is a neighbour."""

    def __init__(self, task: Task[HillConfig], state: Climb | None) -> None:
        self.task, self.space = task, load_space("toy")
        self.state = state or Climb()

    @property
    def step(self) -> int:
        """Count the neighbours."""
        return self.state.step

    @property
    def finished(self) -> bool:
        """Tell whether all were looked at."""
        return self.step == self.task.config.iterations

    def advance(self) -> None:
        """Look at a neighbour and go there if it is better."""
        config, state = self.task.config, self.state
        random = Random(stream_seed(config.seed, "neighbour", state.step))
        genome = Genome(
            generator=self.space.example(config.derived_width),
            discriminator=self.space.discriminator(config.derived_discriminator_width),
        )
        if state.here is not None:
            here = Genome.model_validate_json(state.here).generator
            chosen = random.choice(list(self.space.neighbours(here)))
            genome = genome.model_copy(update={"generator": chosen})
        text = genome.model_dump_json()
        state.seen[text] = self.distance(genome)
        if state.here is None or state.seen[text] < state.seen[state.here]:
            state.here = text
        state.step += 1
        self.task.ledger.log(step=state.step, distance=state.seen[text])

    def distance(self, genome: Genome) -> float:
        """Return the distance of images of fresh weights."""
        scorer = self.task.scorer(self.task.side)
        return scorer.score(self.fakes(genome, 100, self.task.stop))[scorer.backbone.distance_name]

    def fakes(self, genome: Genome, num: int, stop: Callable[[], bool] = never) -> Iterator[Tensor]:
        """Yield images of fresh weights."""
        task, seed = self.task, self.task.config.seed
        with torch.device("meta"):
            network = build_generator(genome.generator, task.side, task.channels)
        network = fresh(network, seed, "weights", task.device).eval()
        latent_dim = genome.generator.latent_dim
        return generate(network, num, latent_dim, seed, task.device, stop=stop)

    def samples(self, find: Find, num: int) -> Tensor:
        """Return what is drawn of the best."""
        return torch.cat(list(self.fakes(find.genome, num)))

    def found(self, count: int, limit: Limit, *, anew: bool) -> list[Find]:
        """Return the nearest of those seen."""
        del limit, anew
        best = sorted(self.state.seen.items(), key=lambda one: one[1])[:count]
        return [Find(Genome.model_validate_json(t), {"distance": value}) for t, value in best]


METHOD = HillClimbing()
