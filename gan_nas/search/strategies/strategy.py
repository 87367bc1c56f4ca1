"""The contract of strategies: `ask` for a trial, `tell` what came of it.

A strategy knows neither spaces nor how trials are judged. It may depend on its settings, on the
outcomes so far in the order of their trials, on the trials that are under way, and on streams of
random numbers alone: asked again after the same history it asks for the same, so that a search goes
on from its outcomes.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any, ClassVar, Generic, Self, TypeVar

from pydantic import Field, TypeAdapter, field_validator, model_validator
from pydantic_core import to_json

from gan_nas.errors import InvalidInput
from gan_nas.search.best import Limit, Price
from gan_nas.search.method import SearchConfig
from gan_nas.spaces import eagan
from gan_nas.spaces.genome import AnyGenerator, Genome, Role
from gan_nas.spaces.schema import GeneratorGenome
from gan_nas.spaces.space import Architectures, Space
from gan_nas.streams import stream_seed
from gan_nas.training.precision import Precision
from gan_nas.trials.trial import CostName, Outcome, Trial

GENERATOR: TypeAdapter[GeneratorGenome] = TypeAdapter(AnyGenerator)
MOST_DRAWS = 100  # for a genome that is new and keeps the limit, then of steps towards it


class StrategyConfig(SearchConfig):
    """What every strategy can be asked for; some add their own."""

    space: str = "autogan"
    """The space that is searched, or that the given generator is of."""
    generator: AnyGenerator | None = None
    """The generator whose discriminators are searched, EAGAN's: that of search --genome, at the
    width of trials; none: generators are searched."""
    trials: int | None = Field(default=20, ge=1)
    """Most trials, none for no limit: the search ends with the first limit that is reached."""
    images: int | None = Field(default=None, ge=1)
    """Most real images that the discriminators of all trials together see."""
    seconds: float | None = Field(default=None, gt=0)
    """Most seconds of all trials together; what a search finds then depends on the machine."""
    evaluator: str = "train"
    """How trials are judged: train trains each genome alone; shared scores it on the weights of one
    supernet of the space, of which every step trains a genome drawn uniformly (SPOS); pairs, for
    discriminators, scores the generator that was trained against it, on one supernet of theirs
    (EAGAN)."""
    trial_images: int | None = Field(default=None, ge=1)
    """Real images that a discriminator sees in a whole trial; none: as many as the training
    preset's (evaluator train)."""
    supernet_images: int | None = Field(default=None, ge=1)
    """Real images that the supernet's discriminator sees before the first trial; none: as many as
    the training preset's (evaluators shared, pairs)."""
    training: str = "demo"
    """Preset of `retrain` that trials are trained by, for the space's own framework."""
    training_set: tuple[str, ...] = ()
    """Settings of `retrain` on top of it: batch_size=16,num_critic=2. Shared weights
    are trained by them, too, without a moving average."""
    precision: Precision = "float32"
    """Forward passes of trials: float32, or bf16 under autocast."""
    width: int = Field(default=16, ge=1, le=2048)
    """Generator width in trials."""
    discriminator_width: int = Field(default=16, ge=1, le=2048)
    """Discriminator width in trials."""
    save_every: int = Field(default=1, ge=1)
    """Trials between checkpoints: what a crash may lose."""

    @field_validator("generator", mode="before")
    @classmethod
    def _from_json(cls, value: Any) -> Any:
        """Read what a run has stored, whose lists are JSON's."""
        if isinstance(value, str):
            raise ValueError("is a genome's: name one by search --genome")  # noqa: TRY004 - pydantic's
        return GENERATOR.validate_json(to_json(value)) if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _has_an_end(self) -> Self:
        if (self.trials, self.images, self.seconds) == (None, None, None):
            raise ValueError("one of trials, images and seconds must limit the search")
        return self

    @property
    def role(self) -> Role:
        """Return what is searched."""
        return "generator" if self.generator is None else "discriminator"

    def in_trials(self, generator: GeneratorGenome) -> GeneratorGenome:
        """Return a generator at the width of trials."""
        return generator.model_copy(update={"width": self.width})


class Candidates:
    """The networks that a strategy chooses from: of a space, of one width, within a limit.

    They are generators, each with the space's own discriminator, or discriminators of the one
    generator that is given. `price` tells the parameters and multiply-adds that the limit is on.
    """

    def __init__(
        self, space: Space[Any], config: StrategyConfig, price: Callable[[Genome], Price]
    ) -> None:
        self.price, self.role = price, config.role
        self.limit: Limit = config.limit
        self.space: Architectures[Any]
        self._other: dict[str, Any]
        if config.generator is None:
            self.space, self.width = space, config.width
            self._other = {"discriminator": space.discriminator(config.discriminator_width)}
        else:
            self.space, self.width = eagan.SPACE, config.discriminator_width
            self._other = {"generator": config.in_trials(config.generator)}
        self._example = self.space.example(self.width)
        self._places = self.space.places(self._example)

    def random(self, random: Random) -> Genome:
        """Draw a genome uniformly."""
        return self._genome(self.space.sample(random, self.width))

    @cached_property
    def places(self) -> dict[str, tuple[str, ...]]:
        """Return what may stand at each place, in words, in the space's order."""
        return {
            place: tuple(one if isinstance(one, str) else json.dumps(one) for one in values)
            for place, values in self._places.items()
        }

    def numbers(self, genome: Genome) -> tuple[int, ...]:
        """Return which of its options stands at each place."""
        values = self.space.values(self._searched(genome))
        return tuple(options.index(values[place]) for place, options in self._places.items())

    def numbered(self, numbers: Sequence[int], random: Random) -> Genome:
        """Return the genome of these options; one that is invalid is repaired."""
        chosen = zip(self._places.items(), numbers, strict=True)
        values = {place: options[number] for (place, options), number in chosen}
        return self._genome(self.space.repair(self._example, values, random))

    def mutated(self, genome: Genome, random: Random) -> Genome:
        """Change a genome at one place, drawn from all valid changes."""
        return self._genome(self.space.mutate(self._searched(genome), random))

    def crossed(self, a: Genome, b: Genome, random: Random) -> Genome:
        """Take each place from one of two genomes; what is invalid is drawn anew."""
        return self._genome(self.space.crossover(self._searched(a), self._searched(b), random))

    def grafted(self, a: Genome, b: Genome, random: Random) -> Genome | None:
        """Take one place from the other of two genomes; None where no such change is valid."""
        grafted = self.space.graft(self._searched(a), self._searched(b), random)
        return None if grafted is None else self._genome(grafted)

    def unseen(
        self, draw: Callable[[Random], Genome], seen: set[str], random: Random
    ) -> Genome | None:
        """Draw until a genome is new and within the limit; None when none is left.

        Where the limit is so low that no draw keeps it, the one that comes nearest is changed, one
        place at a time, until it does. Raises InvalidInput when that leads nowhere at the start.
        """
        nearest: tuple[float, Genome] | None = None
        for attempt in range(2 * MOST_DRAWS):
            if attempt < MOST_DRAWS:
                genome = draw(random)
            elif nearest is None:
                return None
            else:
                genome = self.mutated(nearest[1], random)
            if genome.genome_id in seen:
                continue
            excess = self._excess(genome)
            if excess <= 1:
                return genome
            if nearest is None or excess <= nearest[0]:
                nearest = excess, genome
        if nearest is None or seen:
            return None
        least = self.price(nearest[1])
        raise InvalidInput(
            f"no {self.role} of {self.space.name} was found within {self.limit.words}: the nearest "
            f"has {least.parameters:,} parameters and {least.macs:,} multiply-adds; raise a limit"
        )

    def _excess(self, genome: Genome) -> float:
        """Return by what factor a genome is above the limit; at most 1 within."""
        if self.limit == Limit():
            return 0.0
        spent = zip(self.limit, self.price(genome), strict=True)
        return max(used / most for most, used in spent if most is not None)

    def _searched(self, genome: Genome) -> Any:
        return getattr(genome, self.role)

    def _genome(self, network: Any) -> Genome:
        return Genome(**{self.role: network}, **self._other)


C = TypeVar("C", bound=StrategyConfig)


class Strategy(ABC, Generic[C]):
    """A way to choose trials; `trial_images` are those of a whole one."""

    grows_together: ClassVar[bool] = False
    """Whether fidelities above the lowest are of all genomes at once, as on shared weights."""

    def __init__(self, config: C, choices: Candidates, trial_images: int) -> None:
        self.config, self.choices, self.trial_images = config, choices, trial_images
        self.history: list[Outcome] = []
        self.pending: list[Trial] = []
        self.seen: set[str] = set()
        """The ids of all genomes that were tried, or are."""

    @abstractmethod
    def choose(self) -> Trial | None:
        """Return the next trial, None where there is nothing left to try."""

    def ask(self) -> Trial | None:
        """Choose the next trial, which is then under way until it is told what came of it."""
        trial = self.choose()
        if trial is not None:
            self.pending.append(trial)
            self.seen.add(trial.genome.genome_id)
        return trial

    def tell(self, outcome: Outcome) -> None:
        """Learn what came of a trial that was asked for."""
        self.pending.remove(outcome.trial)
        self.history.append(outcome)

    @property
    def asked(self) -> list[Trial]:
        """Return all trials so far, those last that are under way."""
        return [outcome.trial for outcome in self.history] + self.pending

    @classmethod
    def fidelities(cls, config: C, trial_images: int) -> Sequence[int]:
        """Return the fidelities that are asked for, in real images, in rising order.

        Where there is no last one, the first two.
        """
        del config
        return [trial_images]

    @classmethod
    def cost(cls, config: C) -> CostName:
        """Return the cost that trials are compared by beside the distance, or drawn against."""
        del config
        return "parameters"

    @classmethod
    def rehearsal(cls, config: C) -> C:
        """Return settings that ask for as many trials as these, fast, for plans."""
        return config

    def export(self, folder: Path) -> None:
        """Keep the trials so far in a run's directory, for other tools; nothing by default."""
        del folder

    @classmethod
    def num_together(cls, config: C) -> int:
        """Return how many genomes are trained together before any of them is judged; 0: none."""
        del config
        return 0

    def random(self, purpose: str, number: int | None = None) -> Random:
        """Return the stream of a purpose for a trial, counted from 0, or for the next one."""
        number = len(self.asked) if number is None else number
        seed = stream_seed(self.config.seed, purpose, number)
        return Random(seed)  # noqa: S311 - architectures are no secrets

    def trial(self, genome: Genome | None, images: int | None = None) -> Trial | None:
        """Return the trial of a genome, at the highest fidelity unless another is named."""
        if genome is None:
            return None
        return Trial(genome=genome, images=images or self.trial_images, seed=self.config.seed)

    @property
    def population(self) -> Sequence[Genome]:
        """Return the genomes that weights are trained for between trials, the best first.

        None: those of all genomes.
        """
        return ()

    def drawn(self, seen: set[str] | None = None, number: int | None = None) -> Genome | None:
        """Draw a genome that was not tried or `seen`, for a trial; None where all were."""
        seen = self.seen if seen is None else seen
        return self.choices.unseen(self.choices.random, seen, self.random("genome", number))

    @classmethod
    def best(cls, config: C, outcomes: Sequence[Outcome], count: int) -> list[Outcome]:
        """Return at most `count` of these, none of a genome twice: of the highest fidelity first.

        The lower distance comes first within a fidelity.
        """
        del config
        ranked = sorted(outcomes, key=lambda outcome: (-outcome.trial.images, outcome.loss))
        first: dict[str, Outcome] = {}
        for outcome in ranked:
            first.setdefault(outcome.trial.genome.genome_id, outcome)
        return list(first.values())[:count]


def rungs_of(trial_images: int, eta: int, rungs: int) -> list[int]:
    """Return the images of so many rungs, each `eta` times those before, the last a whole trial."""
    lowest = max(1, trial_images // eta ** (rungs - 1))
    return [lowest * eta**rung for rung in range(rungs)]
